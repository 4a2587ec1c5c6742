"""Runs reproductions inside the container and says what each did: `python driver.py SPECS.json`.

A specification holds `setup` and `check` (code) and, for a comparison, `left` and `right` (expressions). Each runs
in a process of its own. Prints a JSON list on the last line of standard output. Needs nothing but the standard library.
"""

import json
import os
import signal
import sys
import warnings
from typing import Any

__all__ = ["main"]


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  # any object of the tested package
        return f"<repr fails: {type(error).__name__}>"


def _attempt(spec: dict[str, str]) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "reproduction"}
    result: dict[str, Any] = {"ok": False, "stage": "setup", "error": None}
    try:
        exec(compile(spec["setup"], "<setup>", "exec"), names)
        result["stage"] = "check"
        if spec.get("left"):
            result["left"] = _shown(eval(compile(spec["left"], "<left>", "eval"), names))
            result["right"] = _shown(eval(compile(spec["right"], "<right>", "eval"), names))
        # evaluated afresh: an iterator that was shown is used up
        names = {"__name__": "reproduction"}
        exec(compile(spec["setup"] + "\n" + spec["check"], "<reproduction>", "exec"), names)
        result["ok"] = True
    except BaseException as error:  # noqa: BLE001  # whatever the package raises is the finding
        result["error"] = type(error).__name__
        result["message"] = str(error)
    return result


def _child(spec: dict[str, str], pipe: int, seconds: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    answer = json.dumps(_attempt(spec)).encode()
    while answer:
        answer = answer[os.write(pipe, answer) :]


def _separately(spec: dict[str, str], seconds: int) -> dict[str, Any]:
    source, target = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        try:
            _child(spec, target, seconds)
        finally:
            os._exit(0)
    os.close(target)
    with os.fdopen(source, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if data:
        return json.loads(data)
    late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
    return {"ok": False, "stage": "setup", "error": "Timeout" if late else "Crash"}


def main() -> None:
    """Run a list of specifications."""
    warnings.simplefilter("ignore")
    sys.path.insert(0, ".")
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        specs = json.load(file)
    print("\n" + json.dumps([_separately(spec, 10) for spec in specs]))


if __name__ == "__main__":
    main()
