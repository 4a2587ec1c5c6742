"""Make a bare checkout importable as `trajectory_hub` when it is not installed."""

import importlib.util
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# Whatever runs in the background of a shell is started with interrupts ignored, and hands that on to its children:
# tests that interrupt one would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if importlib.util.find_spec("trajectory_hub") is None:
    root = Path(__file__).parent
    spec = importlib.util.spec_from_file_location(
        "trajectory_hub", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load trajectory_hub from {root}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["trajectory_hub"] = module
    spec.loader.exec_module(module)


class _RootIsNoPackage:
    """Keeps pytest from importing the checkout by its folder's name, which may be no identifier."""

    def pytest_collect_directory(self, path: Path, parent: "pytest.Collector") -> "pytest.Collector | None":
        """Collect the root as the plain folder that it is to tests."""
        import pytest

        return pytest.Dir.from_parent(parent, path=path) if path == Path(__file__).parent else None


def pytest_configure(config: "pytest.Config") -> None:
    """A plugin and not a hook here, since the hooks of a conftest file are not asked about its own folder."""
    config.pluginmanager.register(_RootIsNoPackage())
