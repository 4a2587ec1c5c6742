"""The world: tasks, the sandbox they run in, the trusted grader, the Gymnasium environment around them.

Names are imported on first use, so that `import gymnasium` stays cheap where this package is installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import EnvConfig
    from .engine import Engine
    from .env import SWEBenchEnv
    from .grader import Grader, GraderConfig
    from .pool import SandboxPool
    from .registration import register_envs
    from .sandbox import Sandbox, SandboxConfig
    from .step import Step
    from .task import ProSpec, Provenance, Task
    from .vector import SWEBenchVectorEnv
    from .verdict import Verdict

_HOMES = {
    "Engine": "engine",
    "EnvConfig": "config",
    "Grader": "grader",
    "GraderConfig": "grader",
    "ProSpec": "task",
    "Provenance": "task",
    "SWEBenchEnv": "env",
    "SWEBenchVectorEnv": "vector",
    "Sandbox": "sandbox",
    "SandboxConfig": "sandbox",
    "SandboxPool": "pool",
    "Step": "step",
    "Task": "task",
    "Verdict": "verdict",
    "register_envs": "registration",
}

__all__ = [
    "Engine",
    "EnvConfig",
    "Grader",
    "GraderConfig",
    "ProSpec",
    "Provenance",
    "SWEBenchEnv",
    "SWEBenchVectorEnv",
    "Sandbox",
    "SandboxConfig",
    "SandboxPool",
    "Step",
    "Task",
    "Verdict",
    "register_envs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
