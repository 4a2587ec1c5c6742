"""Serving a model with vLLM: started in an environment of its own, watched, restarted, gone with its owner."""

from .config import ServeConfig
from .server import ModelServer

__all__ = ["ModelServer", "ServeConfig"]
