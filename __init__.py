"""Agent Trajectory Hub: coding agents in real repositories, scored and recorded step by step."""

from .envs.plugin import install as _install

__version__ = "0.1.0"

__all__ = ["__version__"]

_install()
