"""Agent Trajectory Hub: coding agents in real repositories, scored and recorded step by step."""

__version__ = "0.1.0"

__all__ = ["__version__"]
