"""The evaluation script of a task that names only its test command, in the shape SWE-bench gives them."""

import shlex
import uuid

from ..patches import parse

__all__ = ["CONDA", "END", "START", "build_eval_script"]

START = ">>>>> Start Test Output"
END = ">>>>> End Test Output"
CONDA = "source /opt/miniconda3/bin/activate && conda activate testbed"


def build_eval_script(
    *, test_patch: str, base_commit: str, workdir: str, command: str, setup: str = "", prepare: str = ""
) -> str:
    """Put the tests in place, run them between the markers, and take them away again.

    `setup` comes before everything, `prepare` between the test patch and the tests, such as what builds them.
    """
    changes = parse(test_patch)
    added = [path for change in changes if change.kind == "add" for path in change.paths]
    others = [path for change in changes if change.kind != "add" for path in change.paths]
    restore = f"git checkout {base_commit} -- {_quoted(others)}" if others else ":"
    remove = f"rm -f -- {_quoted(added)}" if added else ":"
    delimiter = f"EOF_{uuid.uuid5(uuid.NAMESPACE_OID, test_patch).hex[:12]}"
    lines = ["#!/bin/bash", "set -uxo pipefail"]
    if setup:
        lines += ["set +ux", setup, "set -ux"]
    lines += [f"cd {shlex.quote(workdir)}", "git config --global --add safe.directory '*'", restore, remove]
    if test_patch:
        lines += [f"git apply -v - <<'{delimiter}'", test_patch.rstrip("\n"), delimiter]
    lines += [prepare] if prepare else []
    lines += [f": '{START}'", command, f": '{END}'", restore, remove]
    return "\n".join(lines) + "\n"


def _quoted(paths: list[str]) -> str:
    return " ".join(shlex.quote(path) for path in dict.fromkeys(paths))
