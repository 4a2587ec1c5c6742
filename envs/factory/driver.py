"""Runs a reproduction inside the container and says what it did: `python driver.py SPEC.json`.

The specification holds `setup` and `check` (code) and, for a comparison, `left` and `right` (expressions).
Prints one JSON object on the last line of standard output. Needs nothing but the standard library.
"""

import json
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


def main() -> None:
    """Run one specification."""
    warnings.simplefilter("ignore")
    sys.path.insert(0, ".")
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        spec = json.load(file)
    print("\n" + json.dumps(_attempt(spec)))


if __name__ == "__main__":
    main()
