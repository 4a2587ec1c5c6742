"""A pytest plugin that runs inside the container: which test touched which function, and how tests failed.

Copied there as `trajhub_probe` and loaded with `-p trajhub_probe`; it needs nothing but the standard library.
Writes JSON to `$TRAJHUB_PROBE`. With `$TRAJHUB_TRACE` (a folder) it also traces the files below that folder.
"""

import json
import os
import sys
import threading
from types import CodeType, FrameType
from typing import Any

__all__ = ["pytest_collection_modifyitems", "pytest_runtest_logreport", "pytest_runtest_logstart", "pytest_unconfigure"]

_TRACE = os.environ.get("TRAJHUB_TRACE", "")
_collected: dict[str, dict[str, str]] = {}
_failures: dict[str, dict[str, Any]] = {}
_functions: dict[str, set[str]] = {}
_lines: dict[str, set[int]] = {}
_durations: dict[str, float] = {}
_names: dict[CodeType, str] = {}
_calls: dict[CodeType, int] = {}
_LINES_OF_CALLS = 300
"""A function's lines are followed in so many calls; tracing all of a hot loop would take minutes."""
_current: set[str] = set()


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  # any object of the tested package
        return "<no repr>"


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Note every test with its parameters; begin to trace."""
    for item in items:
        params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        _collected[item.nodeid] = {name: _shown(value) for name, value in params.items()}
    if _TRACE:
        threading.settrace(_on_call)
        sys.settrace(_on_call)


def pytest_runtest_logstart(nodeid: str) -> None:
    """Everything called from here on belongs to this test."""
    global _current
    _current = _functions.setdefault(nodeid, set())
    if _TRACE:
        sys.settrace(_on_call)


def pytest_runtest_logreport(report: Any) -> None:
    """Note how long it took, where in the test file a failure happened, and the exception."""
    test_file = report.nodeid.split("::")[0]
    _durations[test_file] = _durations.get(test_file, 0.0) + report.duration
    if not report.failed or report.nodeid in _failures:
        return
    crash = getattr(report.longrepr, "reprcrash", None)
    trace = getattr(report.longrepr, "reprtraceback", None)
    line = 0
    for entry in getattr(trace, "reprentries", []):
        place = getattr(entry, "reprfileloc", None)
        if place is not None and str(place.path).endswith(test_file):
            line = place.lineno
            break
    message = str(getattr(crash, "message", report.longrepr))
    _failures[report.nodeid] = {"when": report.when, "line": line, "message": message[:4000]}


def pytest_unconfigure() -> None:
    """Write everything down."""
    sys.settrace(None)
    threading.settrace(None)  # pyright: ignore[reportArgumentType]  # None ends it
    target = os.environ.get("TRAJHUB_PROBE")
    if not target:
        return
    result = {
        "collected": _collected,
        "failures": _failures,
        "durations": _durations,
        "functions": {test: sorted(names) for test, names in _functions.items()},
        "lines": {path: sorted(lines) for path, lines in _lines.items()},
    }
    with open(target, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(result, file)


def _on_call(frame: FrameType, event: str, argument: object) -> Any:
    code = frame.f_code
    name = _names.get(code)
    if name is None:
        path = code.co_filename
        inside = path.startswith(_TRACE)
        name = _names[code] = f"{path[len(_TRACE) :]}:{code.co_firstlineno}" if inside else ""
    if not name:
        return None
    _current.add(name)
    calls = _calls[code] = _calls.get(code, 0) + 1
    if calls > _LINES_OF_CALLS:
        return None
    seen = _lines.setdefault(name.rpartition(":")[0], set())
    seen.add(frame.f_lineno)

    def on_line(inner: FrameType, event: str, argument: object) -> Any:
        seen.add(inner.f_lineno)
        return on_line

    return on_line
