"""What tests of training share: a tiny random model, and small data sets that our own export wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.training.config import load_export_config
from trajectory_hub.training.data_sets.export import Request, export_preferences, export_sft

from ..support.tiny_model import make
from .episodes import FAILED, GREP, PATCH, SOLVED, TEST, TOOLS, Act, make_run, write_episode

ODD = Act("shell", {"command": 'echo "a" && echo {"b": 1}', "timeout": 2.5}, "a\n{b: 1}", "Quotes and braces.")
PROMPT = "You mend code."
SOME = tuple(tool for tool in TOOLS.schemas() if tool["function"]["name"] in ("submit", "file_read"))


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random chat model, whose template has no generation marks."""
    folder = tmp_path_factory.mktemp("tiny-lm")
    make(folder)
    return folder


@pytest.fixture(scope="session")
def graded_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight tasks, each solved once and failed once; few tools, so that conversations are short."""
    run = make_run(tmp_path_factory.mktemp("graded") / "run", chat={"system_prompt": PROMPT})
    for number, acts in enumerate((SOLVED, (GREP, *SOLVED), (ODD, *SOLVED), (TEST, *SOLVED)) * 2):
        options: Mapping[str, Any] = {"task": f"shop-{number}", "tools": SOME}
        write_episode(run, acts, **options)
        write_episode(run, FAILED, seed=1, resolved=False, process=0.3, patch=PATCH + "+", **options)
    return run


@pytest.fixture(scope="session")
def datasets_of_run(graded_run: Path) -> Mapping[str, Path]:
    """`sft`, `steps`, `all` (resolved or not) and `preference`."""
    folder = graded_run.parent
    every = ["filter.outcome=graded", "near_duplicate=null"]
    settings = {"sft": ["near_duplicate=null"], "steps": ["unit=step"], "all": every}
    for name, items in settings.items():
        export_sft(Request(sources=[graded_run], out=folder / name, config=load_export_config(items)))
    export_preferences(Request(sources=[graded_run], out=folder / "preference", config=load_export_config()))
    return {name: folder / name for name in (*settings, "preference")}


@pytest.fixture
def quick(tiny_lm: Path, tmp_path: Path) -> Mapping[str, Any]:
    """Settings of a training that takes seconds."""
    return {
        "model": str(tiny_lm),
        "output": str(tmp_path / "out"),
        "max_steps": 4,
        "batch_size": 2,
        "learning_rate": 1e-3,
        "bf16": False,
        "device": "cpu",
        "logging_steps": 1,
    }
