"""Make a bare checkout importable as `trajectory_hub` when it is not installed."""

import importlib.util
import sys
from pathlib import Path

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
