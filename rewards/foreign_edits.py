"""Foreign tools that read or change a file: editors, whole-file writes, and patches of several files."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, cast

from ..envs.step import Step
from .foreign_tools import Reading, line_of, number, path_of, refused, shown_lines, text_of

__all__ = ["is_patch", "read_edit", "read_editor", "read_file", "read_many_edits", "read_patch", "read_write"]

_PATCH = re.compile(r"\*\*\* Begin Patch\n(.*?)(?:\n\*\*\* End Patch|\Z)", re.DOTALL)
_FILE = re.compile(r"^\*\*\* (Add|Update|Delete) File: (.+?)\s*$", re.MULTILINE)
_MOVED = re.compile(r"^\*\*\* Move to: (.+?)\s*$", re.MULTILINE)
_OLD = ("old_string", "old_str", "old", "search", "old_text")
_NEW = ("new_string", "new_str", "new", "replace", "new_text", "replacement_text", "new_source", "content")
_TEXT = ("content", "file_text", "contents", "text", "code")
_PATCH_AT_MOST = 400_000


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _first(arguments: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((arguments[name] for name in names if isinstance(arguments.get(name), str)), None)


def read_file(step: Step, *, zero: bool = False) -> Reading:
    """Lines of a file; `zero` for a tool whose `offset` counts from 0."""
    given, path = step.arguments, path_of(step.arguments)
    start = number(given.get("offset")) or number(given.get("start_line")) or number(given.get("start"))
    start = start + zero if start is not None else None
    limit, end = number(given.get("limit")), number(given.get("end_line")) or number(given.get("end"))
    if limit is not None and limit > 0:
        end = max(start or 1, 1) + limit - 1
    return _reading(step, path, start, end)


def _named(path: str) -> dict[str, Any]:
    return {"path": path} if path else {}


def _reading(step: Step, path: str, start: int | None, end: int | None) -> Reading:
    asked = _named(path)
    asked |= {"start": start} if start is not None and start > 1 else {}
    asked |= {"end": end} if end is not None and end > 0 else {}
    ok = not refused(step)
    lines = shown_lines(step.observation) if ok else None
    return Reading(
        "file_read", asked, {"path": path} | (dict(zip(("start", "end"), lines, strict=True)) if lines else {}), ok
    )


def read_write(step: Step) -> Reading:
    """A whole file."""
    path, content = path_of(step.arguments), _first(step.arguments, _TEXT)
    if not path or content is None:
        return Reading("file_write", _named(path), {"changed": not refused(step)}, not refused(step))
    told, ok = step.data, not refused(step)
    before = _before(told)
    facts: dict[str, Any] = {"path": path, "after_sha256": _digest(content)}
    facts |= {"before_sha256": _digest(before)} if before is not None else {}
    facts["created"] = _created(step, ok, before)
    facts["changed"] = ok and before != content
    return Reading("file_write", {"path": path, "content": content}, facts, ok)


def _before(told: Mapping[str, Any]) -> str | None:
    """The whole content before an edit, where the record keeps it."""
    if isinstance(told.get("originalFile"), str):
        return told["originalFile"]
    return told["old_content"] if told.get("prev_exist") is True and isinstance(told.get("old_content"), str) else None


def _created(step: Step, ok: bool, before: str | None) -> bool:
    """Whether a write made a file that was not there, by the record's facts, else by the tool's own words."""
    told = step.data
    if isinstance(told.get("prev_exist"), bool):
        return ok and not told["prev_exist"]
    if told.get("type") in ("create", "update"):
        return ok and told["type"] == "create"
    words = step.observation[:200].lower()
    return ok and before is None and ("created" in words or "new file" in words)


def read_edit(step: Step) -> Reading:
    """One piece of a file in place of another."""
    path, old, new = path_of(step.arguments), _first(step.arguments, _OLD), _first(step.arguments, _NEW)
    if not path or new is None:
        return Reading("file_edit", _named(path), {"changed": not refused(step)}, not refused(step))
    return _edit(step, path, old or "", new, everywhere=bool(step.arguments.get("replace_all")))


def _edit(step: Step, path: str, old: str, new: str, *, everywhere: bool = False, **more: Any) -> Reading:
    ok, before = not refused(step), _before(step.data)
    facts: dict[str, Any] = {"path": path, "changed": ok and old != new, "line": None, **more}
    after = step.data.get("new_content")
    if ok and before is not None:
        after = after if isinstance(after, str) else before.replace(old, new, -1 if everywhere else 1) if old else None
        facts["before_sha256"] = _digest(before)
        facts |= {"after_sha256": _digest(after)} if isinstance(after, str) else {}
        facts["line"] = before[: before.index(old)].count("\n") + 1 if old and old in before else None
    elif not old and ok and "created" not in more:
        facts["created"] = _created(step, ok, before)
    if ok and facts["line"] is None:
        facts["line"] = line_of(new, step.observation)
    return Reading("file_edit", {"path": path, "old": old, "new": new}, facts, ok)


def read_many_edits(step: Step) -> Reading:
    """Several pieces of one file."""
    path, several = path_of(step.arguments), step.arguments.get("edits")
    if not path or not isinstance(several, list):
        return read_edit(step)
    pieces = [cast("Mapping[str, Any]", one) for one in cast("list[object]", several) if isinstance(one, Mapping)]
    old = "\n".join(_first(piece, _OLD) or "" for piece in pieces)
    return _edit(step, path, old, "\n".join(_first(piece, _NEW) or "" for piece in pieces))


def read_editor(step: Step) -> Reading | None:
    """Anthropic's editor tool, which SWE-agent and OpenHands use under several names."""
    given, path = step.arguments, path_of(step.arguments)
    verb = given.get("command")
    if not path:
        return None
    if verb == "view":
        return _view(step, path)
    if verb == "create":
        return read_write(step)
    if verb == "str_replace":
        return read_edit(step)
    if verb == "insert":
        line = number(given.get("insert_line")) or 0
        return _edit(step, path, "", _first(given, _NEW) or "", line=line + 1, created=False)
    if verb == "undo_edit":
        return _edit(step, path, "", "", changed=not refused(step), undo=True, created=False)
    return None


def _view(step: Step, path: str) -> Reading:
    if "files and directories up to" in step.observation[:300]:
        return Reading("shell", {"command": f"find {path} -maxdepth 2"}, {}, None)
    span: object = step.arguments.get("view_range")
    lines = [number(item) for item in cast("list[object]", span)] if isinstance(span, list) else []
    start, end = (lines[0], lines[1]) if len(lines) == 2 else (None, None)
    return _reading(step, path, start, end)


def is_patch(text: str) -> bool:
    """Whether a text holds a patch in the form of Codex' `apply_patch`."""
    return "*** Begin Patch" in text


def read_patch(step: Step, text: str) -> Reading | None:
    """Codex' patches: changes to several files at once, without line numbers."""
    found = _PATCH.search(text[:_PATCH_AT_MOST])
    if found is None:
        return None
    body, ok = found[1], not refused(step)
    heads = list(_FILE.finditer(body))
    edits, olds, news = list[dict[str, Any]](), list[str](), list[str]()
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        piece = body[head.end() : following.start() if following else None].strip("\n")
        old, new = _sides(piece)
        moved = _MOVED.search(piece)
        edits.append(_change(head[1], head[2], ok=ok, content=new))
        edits += [_change("Add", moved[1], ok=ok, content=None)] if moved else []
        olds.append(old)
        news.append(new)
    if not edits:
        return None
    if len(edits) == 1 and heads[0][1] == "Add":
        return Reading("file_write", {"path": edits[0]["path"], "content": news[0]}, edits[0], ok)
    arguments = {"path": edits[0]["path"], "old": "\n".join(olds), "new": "\n".join(news)}
    facts: dict[str, Any] = {"path": edits[0]["path"], "changed": ok, "line": None, "edits": edits}
    return Reading("file_edit", arguments, facts, ok)


def _change(verb: str, path: str, *, ok: bool, content: str | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"path": path, "changed": ok, "created": ok and verb == "Add"}
    if verb == "Add" and content is not None:
        facts["after_sha256"] = _digest(content)
    return facts | ({"after_sha256": "absent"} if verb == "Delete" else {})


def _sides(piece: str) -> tuple[str, str]:
    """What the hunks of a patch remove and add, context included."""
    lines = [line for line in piece.split("\n") if not line.startswith(("@@", "*** "))]
    old = [line[1:] for line in lines if line[:1] in ("-", " ")]
    new = [line[1:] for line in lines if line[:1] in ("+", " ")]
    return "\n".join(old), "\n".join(new) + ("\n" if new else "")


def text_argument(step: Step) -> str:
    """The one text that a tool was given."""
    return next((text_of(value) for value in step.arguments.values() if isinstance(value, str)), step.action)
