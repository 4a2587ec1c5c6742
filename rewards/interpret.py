"""From a step to an act: one reading for each tool, and one for what a shell command does."""

import re
from collections.abc import Mapping
from typing import Any, cast

from ..envs.step import Step
from .acts import FLOOD, INFRASTRUCTURE_ERRORS, Act, Edit, Span, TestRun
from .paths import Role, is_program, normal, role
from .shell import Kind, understand
from .text import Text, digest

__all__ = ["interpret"]

_FAILED = frozenset(("FAILED", "ERROR", "failed", "error"))
_PASSED = frozenset(("PASSED", "XFAIL", "passed", "xfail"))
_SUMMARY = re.compile(r"\b(\d+) (passed|failed|errors?)\b")
_LEFT_OUT = ("bytes left out ...]", "; continue with start=", "; narrow the search")
_ONLY = {kind: frozenset((kind,)) for kind in Kind}
_SEARCHED_AT_MOST = 2_000
_SAID_AT_MOST = 4_000
_ITEMS_AT_MOST = 200
_SURELY_SHOWN = 60
"""Lines at the beginning of a file that an answer shows although its middle is left out."""
_IN_PLACE = ("sed", "perl", "rm", "mv", "patch", "git", "truncate", "ed")
_COMMENT = re.compile(r"(^|\s)(#|//).*$", re.MULTILINE)


_LATEST: list[tuple[Step, str, Act]] = []
"""The last act, at most one: scores and phases of a step both ask for it."""


def interpret(step: Step, workdir: str) -> Act:
    """Understand a step. Pure: the same step gives the same act."""
    for known, where, act in _LATEST[:1]:
        if known is step and where == workdir:
            return act
    act = _understood(step, workdir)
    _LATEST[:] = [(step, workdir, act)]
    return act


def _understood(step: Step, workdir: str) -> Act:
    text = Text(step.observation)
    excused = step.error in INFRASTRUCTURE_ERRORS
    if step.malformed or step.tool is None:
        key = f"malformed:{digest(step.action)}"
        return Act(
            step=step,
            text=text,
            kind=Kind.MALFORMED,
            kinds=_ONLY[Kind.MALFORMED],
            signature=key,
            failed=True,
            said=Text(""),
        )
    if step.tool == "shell":
        return _shell(step, text, workdir, excused)
    data, arguments = step.data, step.arguments
    path = _path(data.get("path") or arguments.get("path"), workdir)
    maker = _MAKERS.get(step.tool)
    parts: dict[str, Any] = maker(step, path, workdir) if maker else {"kind": Kind.RUN}
    parts.setdefault("paths", (path,) if path else ())
    parts.setdefault("failed", not step.ok)
    kind = parts["kind"]
    return Act(
        step=step, text=text, kinds=_ONLY[kind], signature=_signature(step, path), excused=excused, said=_said(step),
        truncated=parts.pop("truncated", False) or _cut(step.observation), **parts,
    )  # fmt: skip


def _path(value: object, workdir: str) -> str:
    return normal(value, workdir) if isinstance(value, str) and value and "\0" not in value else ""


def _signature(step: Step, path: str) -> str:
    """Tool and arguments as a key; the path is the normalised one, defaults left out are not told from given ones."""
    values = [(name, _key(value)) for name, value in step.arguments.items() if value is not None and name != "path"]
    text = f"{step.tool}:{path}:{sorted(values, key=_first)!r}"
    return text if len(text) <= 400 else f"{text[:80]}:{digest(text)}"


def _key(value: object) -> object:
    return digest(value) if isinstance(value, str) and len(value) > 200 else value


def _first(pair: tuple[str, Any]) -> str:
    return pair[0]


def _cut(observation: str) -> bool:
    where = observation if len(observation) > FLOOD else observation[-200:]
    return _LEFT_OUT[0] in where or _LEFT_OUT[1] in where or _LEFT_OUT[2] in where


def _read(step: Step, path: str, workdir: str) -> dict[str, Any]:
    data, arguments = step.data, step.arguments
    asked = arguments.get("end") is not None or _whole(arguments.get("start")) > 1
    start, end = _whole(data.get("start")), _whole(data.get("end"))
    spans = (Span(path, start, end, asked),) if step.ok and start and end else ()
    return {"kind": Kind.READ, "spans": spans}


def _whole(value: object) -> int:
    """A number of a line; 0 when it is none."""
    return value if isinstance(value, int) else 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> tuple[str, ...]:
    """The texts of a list; nothing when it is none."""
    if not isinstance(value, list | tuple):
        return ()
    return tuple(str(item) for item in cast("list[object]", value)[:_ITEMS_AT_MOST])


def _write(step: Step, path: str, workdir: str) -> dict[str, Any]:
    several = step.data.get("edits")
    if not isinstance(several, list | tuple):
        edit = _edited(step, step.data, path)
        return {"kind": Kind.EDIT, "edits": (edit,) if path else ()}
    facts = [cast("Mapping[str, Any]", one) for one in cast("list[object]", several) if isinstance(one, Mapping)]
    edits = [_edited(step, one, _path(one.get("path"), workdir)) for one in facts[:_ITEMS_AT_MOST]]
    return {"kind": Kind.EDIT, "edits": tuple(edits), "paths": tuple(edit.path for edit in edits)}


def _edited(step: Step, data: Mapping[str, Any], path: str) -> Edit:
    old, new = step.arguments.get("old"), step.arguments.get("new")
    return Edit(
        path=path,
        changed=step.ok and bool(data.get("changed", True)),
        created=bool(data.get("created")),
        before=_text(data.get("before_sha256")),
        after=_text(data.get("after_sha256")),
        line=_whole(data.get("line")) or None,
        cosmetic=isinstance(old, str) and isinstance(new, str) and _bare(old) == _bare(new),
    )


def _bare(text: str) -> str:
    """Text without comments and blanks."""
    shown = text[:20_000]
    return "".join((_COMMENT.sub("", shown) if "#" in shown or "//" in shown else shown).split())


def _search(step: Step, path: str, workdir: str) -> dict[str, Any]:
    data = step.data
    pattern = data.get("pattern", step.arguments.get("pattern"))
    hits = tuple(normal(name, workdir) for name in _texts(data.get("files")))
    return {
        "kind": Kind.SEARCH,
        "patterns": (str(pattern),) if pattern else (),
        "hits": hits,
        "truncated": bool(data.get("truncated")),
    }


def _git(step: Step, path: str, workdir: str) -> dict[str, Any]:
    data = step.data
    verb = data.get("subcommand", step.arguments.get("subcommand"))
    named = _texts(data.get("paths")) or _texts(step.arguments.get("paths"))
    paths = tuple(normal(item, workdir) for item in named)
    if verb == "restore":
        edits = tuple(Edit(item, changed=step.ok, after="original") for item in paths)
        return {"kind": Kind.EDIT, "paths": paths, "edits": edits}
    return {"kind": Kind.VCS, "paths": paths, "failed": not step.ok or bool(step.exit_code)}


def _tests(step: Step, path: str, workdir: str) -> dict[str, Any]:
    data = step.data
    selected = _texts(data.get("selected"))
    statuses = _statuses(data.get("tests"))
    passed = frozenset(name for name, status in statuses.items() if status in _PASSED)
    bad = frozenset(name for name, status in statuses.items() if status in _FAILED)
    counts = (len(passed), len(bad)) if statuses else _counted(step.observation)
    run = TestRun(passed, bad, counts, selected)
    files = tuple(normal(item.split("::", 1)[0], workdir) for item in selected)
    return {"kind": Kind.TEST, "paths": files, "tests": run, "failed": _test_failed(step, run)}


def _statuses(found: object) -> dict[str, str]:
    if not isinstance(found, Mapping):
        return {}
    return {str(name): str(status) for name, status in cast("Mapping[Any, Any]", found).items()}


def _test_failed(step: Step, run: TestRun) -> bool:
    return not step.ok or run.counts[1] > 0 or bool(step.exit_code)


def _counted(observation: str) -> tuple[int, int]:
    """Passed and failed as a test runner's last lines say."""
    passed = failed = 0
    for number, word in _SUMMARY.findall(observation[-1_500:]):
        if word == "passed":
            passed = int(number)
        else:
            failed += int(number)
    return passed, failed


def _think(step: Step, path: str, workdir: str) -> dict[str, Any]:
    return {"kind": Kind.THINK, "paths": ()}


def _submit(step: Step, path: str, workdir: str) -> dict[str, Any]:
    return {"kind": Kind.SUBMIT, "paths": ()}


_MAKERS = {
    "file_read": _read,
    "file_write": _write,
    "file_edit": _write,
    "search": _search,
    "git": _git,
    "run_tests": _tests,
    "submit": _submit,
    "think": _think,
}


def _shell(step: Step, text: Text, workdir: str, excused: bool) -> Act:
    command = understand(str(step.data.get("command", step.arguments.get("command", ""))))
    folder = normal(command.folder, workdir) if command.folder else "."
    base = f"{workdir.rstrip('/')}/{folder}" if not folder.startswith("/") else folder
    paths = tuple(normal(_join(base, path), workdir) for path in command.paths)
    writes = [normal(_join(base, path), workdir) for path in command.writes]
    kind = command.kind
    if kind is Kind.EDIT and writes and all(_scratch(path) for path in writes):
        kind = next((k for k in (Kind.TEST, Kind.RUN) if k in command.kinds), kind)
    failed = not step.ok or bool(step.exit_code)
    quiet = kind in (Kind.SEARCH, Kind.LIST) and step.exit_code == 1
    took_effect = step.ok if command.kinds & {Kind.RUN, Kind.TEST} else not failed
    after = "original" if command.restores else "absent" if command.program == "rm" else None
    writes = writes or (["."] if command.restores else [])
    existing = command.program in _IN_PLACE
    edits = tuple(
        Edit(p, changed=took_effect, created=_scratch(p) and not existing, after=after, existing=existing)
        for p in writes
    )
    run = TestRun(frozenset(), frozenset(), _counted(step.observation), paths) if kind is Kind.TEST else None
    cut = _cut(step.observation)
    start, end = command.lines or (1, _SURELY_SHOWN if cut else None)
    shows = kind is Kind.READ and not failed
    return Act(
        step=step,
        text=text,
        kind=kind,
        kinds=command.kinds | {kind},
        signature=f"shell:{command.normal}" if len(command.normal) <= 400 else f"shell:{digest(command.normal)}",
        shell=command,
        paths=paths,
        spans=tuple(Span(p, start, end, bool(command.lines)) for p in paths if shows),
        edits=edits,
        hits=_hits(step.observation, workdir) if kind is Kind.SEARCH and not failed else (),
        patterns=command.patterns,
        tests=run,
        failed=failed and not quiet,
        truncated=cut,
        excused=excused,
        said=_said(step),
    )


def _said(step: Step) -> Text:
    arguments = step.arguments
    told = arguments.get("new") or arguments.get("content") or arguments.get("command") or ""
    return Text(str(told)[:_SAID_AT_MOST])


def _join(base: str, path: str) -> str:
    return path if path.startswith("/") else f"{base}/{path}"


def _scratch(path: str) -> bool:
    return role(path) is Role.OUTSIDE or ("/" not in path and (is_program(path) or path.endswith((".txt", ".log"))))


def _hits(observation: str, workdir: str) -> tuple[str, ...]:
    """Files that the output of grep or find names at the beginning of its lines."""
    found: dict[str, None] = {}
    for line in observation[:_SEARCHED_AT_MOST].splitlines():
        name = line.split(":", 1)[0].strip()
        if "/" in name or "." in name:
            found.setdefault(normal(name, workdir))
    return tuple(found)
