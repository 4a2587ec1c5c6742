"""Makes `SWEBench-v0` known to gymnasium without an import of ours in the user's program.

Gymnasium before 1.0 called the functions of the entry-point group `gymnasium.envs` when it was imported; 1.0 dropped
that. `trajectory-hub.pth`, installed beside this package, imports `trajectory_hub` when Python starts, and that calls
`install`: registration follows as soon as gymnasium has been imported, and costs nothing where it never is.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType

__all__ = ["install"]


def install() -> None:
    """Register now if gymnasium is loaded, else right after it is; idempotent."""
    module = sys.modules.get("gymnasium")
    if module is not None and hasattr(module, "register"):
        _register()
    elif not any(isinstance(finder, _AfterGymnasium) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterGymnasium())


def _register() -> None:
    from .registration import register_envs

    register_envs()


class _AfterGymnasium(importlib.abc.MetaPathFinder):
    """Finds gymnasium as everybody else would, and registers after it has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Nothing for any module but gymnasium, once."""
        if fullname != "gymnasium" or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisterAfter(spec.loader)
        return spec


class _RegisterAfter(importlib.abc.Loader):
    """A loader that is another, and registers when that has done its work."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As the other does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the other does, and then register."""
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _register()
