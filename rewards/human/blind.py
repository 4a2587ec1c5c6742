"""What an annotator sees of a step or of a pair: what the agent saw and did, and nothing of who it was or how it ended.

Everything sent to a browser is built here, from chosen fields; a field that is not named here is never sent.
"""

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ...envs.step import Step
from .visible import Mask, clipped, visible

__all__ = ["Episode", "names_to_mask", "pair_view", "step_view"]

_DIFF = re.compile(r"^(?:diff --git |--- .*\n\+\+\+ |@@ -\d)", re.MULTILINE)
_SHORT = 80
_CODE = ("command", "cmd", "script", "code")
_OWN_POLICIES = ("chat", "random", "reference", "scripted")
View = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One episode, as far as labelling needs it."""

    statement: str
    steps: tuple[Step, ...]
    patch: str = ""
    mask: Mask = field(default_factory=lambda: Mask(()))


def names_to_mask(agent: str, *others: str | None) -> list[str]:
    """The names that are masked: of the agent, and of model, run and episode, with their parts after a slash.

    Plain lower-case words are left alone where they may mean something else: those of model and run, such as `default`,
    and those of our own policies, such as `random`.
    """
    found = [] if agent in _OWN_POLICIES else [agent]
    for name in others:
        parts = [name, name.rsplit("/", 1)[-1]] if name else []
        found += [part for part in parts if not re.fullmatch(r"[a-z]+", part)]
    return [name for name in found if len(name) > 2]


def step_view(episode: Episode, index: int) -> View:
    """The task, the steps before, and step `index` (its number in the episode). Nothing of what comes after it."""
    shown = [step for step in episode.steps if step.index <= index]
    return {
        "statement": _text(episode, episode.statement),
        "before": [_step(episode, step) for step in shown[:-1]],
        "step": _step(episode, shown[-1]),
    }


def pair_view(left: Episode, right: Episode) -> View:
    """The task and two trajectories of it, each with what it changed."""
    sides = [{"steps": [_step(each, step) for step in each.steps], "patch": _patch(each)} for each in (left, right)]
    return {"statement": _text(left, left.statement), "sides": sides}


def _text(episode: Episode, text: str) -> str:
    return visible(clipped(episode.mask(text)))


def _patch(episode: Episode) -> View | None:
    return {"label": "patch", "form": "diff", "text": _text(episode, episode.patch)} if episode.patch.strip() else None


def _step(episode: Episode, step: Step) -> View:
    return {
        "number": step.index + 1,
        "tool": _text(episode, step.tool) if step.tool else None,
        "ok": step.ok,
        "error": _text(episode, step.error) if step.error else None,
        "exit_code": step.exit_code,
        "thought": _text(episode, step.thought) if step.thought and step.thought.strip() else None,
        "parts": [dict(part, text=_text(episode, part["text"])) for part in _parts(step)],
        "observation": {"form": _form(step.observation), "text": _text(episode, step.observation)},
    }


def _parts(step: Step) -> Iterable[View]:
    """The arguments, short ones as values; what replaces a text as a diff; what could not be understood as it was."""
    if step.tool is None or not step.arguments:
        if step.tool is None or step.malformed:
            yield {"label": "action", "form": "code", "text": step.action}
        return
    rest = {name: value for name, value in step.arguments.items() if value is not None}
    edit = _edit(rest)
    texts = {name: value if isinstance(value, str) else _as_json(value) for name, value in rest.items()}
    long = {name for name, text in texts.items() if name in _CODE or len(text) > _SHORT or "\n" in text}
    for name, text in sorted(texts.items(), key=lambda pair: pair[0] in long):
        yield {"label": name, "form": _form(text, "code") if name in long else "value", "text": text}
    if edit is not None:
        yield edit


def _edit(arguments: dict[str, Any]) -> View | None:
    """Takes the old and the new text out of the arguments of an edit, whatever the tool calls them."""
    for old, new in (("old", "new"), ("old_str", "new_str"), ("old_string", "new_string")):
        before, after = arguments.get(old), arguments.get(new)
        if isinstance(before, str) and isinstance(after, str):
            del arguments[old], arguments[new]
            lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=10_000, lineterm="")
            return {"label": "change", "form": "diff", "text": "\n".join(list(lines)[3:])}
    return None


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _form(text: str, otherwise: str = "text") -> str:
    return "diff" if _DIFF.search(text) else otherwise
