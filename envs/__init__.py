"""The world: tasks, the sandbox they run in, the trusted grader, the Gymnasium environment around them.

Names are imported on first use, so that `import gymnasium` stays cheap where this package is installed.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy

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

__getattr__ = lazy(
    __name__,
    {
        "config": ["EnvConfig"],
        "engine": ["Engine"],
        "env": ["SWEBenchEnv"],
        "grader": ["Grader", "GraderConfig"],
        "pool": ["SandboxPool"],
        "registration": ["register_envs"],
        "sandbox": ["Sandbox", "SandboxConfig"],
        "step": ["Step"],
        "task": ["ProSpec", "Provenance", "Task"],
        "vector": ["SWEBenchVectorEnv"],
        "verdict": ["Verdict"],
    },
)
