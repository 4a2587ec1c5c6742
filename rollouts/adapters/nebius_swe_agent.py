"""nebius/SWE-agent-trajectories: one episode a row, its turns as text."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import payloads
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .exits import read_exit
from .reading import Row, as_dict, as_dicts, as_list, as_str, as_text
from .tabular import episodes_by_row, first_row
from .telling import Answer, Call, Teller, final_patch, repo_of

__all__ = ["ADAPTER", "LOSES", "NebiusSweAgentAdapter"]

LOSES: Mapping[str, str] = {
    "trajectory[].mask": "which turns a trainer leaves out; in the note `turns` where one is masked",
    "trajectory[].cutoff_date": "in the note `turns`",
}
"""What of the format has no place of its own in our log, and why."""

_BLOCK = re.compile(r"```(?:[a-z]*\n)?(.*?)```", re.DOTALL)
_TOLD = frozenset({"instance_id", "model_name", "trajectory", "target", "exit_status", "generated_patch", "eval_logs"})
_TOOLS = frozenset(
    "open goto scroll_up scroll_down create edit search_dir search_file find_file submit exit_forfeit".split()
)


class NebiusSweAgentAdapter:
    """See `base.Adapter`."""

    name = "nebius-swe-agent"
    version = "1"
    title = "nebius/SWE-agent-trajectories"

    def recognise(self, sample: Sample) -> float:
        """By turns that have a `role` and a `text`."""
        row = first_row(sample)
        turns = as_dicts(row.get("trajectory"))
        told = bool(turns) and {"role", "text"} <= turns[0].keys()
        return 1.0 if told and "instance_id" in row else 0.0

    def episodes(self, path: Path, options: Mapping[str, Any]) -> Iterator[ForeignEpisode]:
        """See `tabular.episodes_by_row`."""
        return episodes_by_row(path, _episode)


def _episode(row: Row, broken: list[Unread]) -> ForeignEpisode:
    value = as_dict(row.value)
    task = as_str(value.get("instance_id")) or row.where
    model = as_str(value.get("model_name"))
    return ForeignEpisode(
        key=f"{task} {row.where}",
        task_id=task,
        agent="swe-agent",
        model=model,
        repo=repo_of(task),
        events=_events(value, model, broken),
    )


def _events(row: dict[str, Any], model: str | None, broken: list[Unread]) -> Iterator[Foreign]:
    teller = Teller("nebius-swe-agent", model)
    turns = as_list(row.get("trajectory"))
    first = next((number for number, turn in enumerate(turns) if as_dict(turn).get("role") == "ai"), len(turns))
    opening = [_text(as_dict(turn)) for turn in turns[:first] if as_dict(turn).get("role") == "user"]
    yield Timed(payload=payloads.EpisodeStart.of(observation=opening[-1] if opening else ""))
    yield from broken
    for number, turn in enumerate(turns):
        if isinstance(turn, dict):
            yield from _turn(teller, as_dict(turn), number)
        else:
            yield Unread(kind="turn that is no object", where=f"trajectory[{number}]")
    yield from _rest(teller, row, turns)
    yield from _outcome(teller, row)


def _text(turn: Mapping[str, Any]) -> str:
    return as_text(turn.get("text")) or as_text(turn.get("system_prompt"))


def _turn(teller: Teller, turn: dict[str, Any], number: int) -> Iterator[Foreign]:
    role, text = turn.get("role"), _text(turn)
    if role == "ai":
        yield from teller.answer(Answer(content=text, kind="turn"))
        yield teller.call(_call(text), kind="turn")
        return
    if role not in ("user", "system"):
        yield Unread(kind=f"turn of role {as_text(role) or 'unknown'}"[:80], where=f"trajectory[{number}]")
        return
    teller.hear({"role": role, "content": text})
    waiting = next(iter(teller.waiting.values()), None)
    failed = "malformed_action" if waiting is not None and waiting[1].malformed else None
    result = teller.result(None, text, ok=failed is None, error=failed, kind="turn", records=1)
    yield result if result is not None else teller.note("message", {"role": role}, what="turn")


def _call(text: str) -> Call:
    """The command in the last code block, as SWE-agent reads it."""
    found = list(_BLOCK.finditer(text))
    command = found[-1][1] if found else ""
    if not command.strip():
        return Call(tool=None, action=text, malformed=True)
    word = command.split(None, 1)[0]
    thought = (text[: found[-1].start()] + text[found[-1].end() :]).strip()
    tool = word if word in _TOOLS else "bash"
    return Call(tool=tool, arguments={"command": command}, action=command, thought=thought or None)


def _rest(teller: Teller, row: dict[str, Any], turns: list[Any]) -> Iterator[Foreign]:
    if "trajectory" in row and row["trajectory"] is not None and not isinstance(row["trajectory"], list):
        yield Unread(kind="trajectory that is no list")
    marked = [
        {"turn": number, **{key: turn[key] for key in ("mask", "cutoff_date") if turn.get(key)}}
        for number, turn in enumerate(map(as_dict, turns))
        if turn.get("mask") or turn.get("cutoff_date")
    ]
    if marked:
        yield teller.note("turns", {"turns": marked}, records=0)
    for key in row.keys() - _TOLD:
        yield teller.note(key, {"value": row[key]})


def _outcome(teller: Teller, row: dict[str, Any]) -> Iterator[Timed]:
    said = as_str(row.get("exit_status"))
    last = next(iter(teller.waiting), None)
    if last is not None and said is not None:
        closing = teller.result(last, "")
        yield from [closing] if closing is not None else []
    patch = final_patch(row.get("generated_patch"), empty=True)
    if patch is not None:
        yield patch
    target = row.get("target")
    if isinstance(target, bool):
        payload = payloads.Verdict.of(
            resolved=target,
            outcome="resolved" if target else "unresolved",
            patch_sha256=patch.payload.sha256 if patch and isinstance(patch.payload, payloads.FinalPatch) else None,
            report={"eval_logs": as_text(row.get("eval_logs"))},
        )
        yield Timed(payload=payload, kind="target")
    if said is not None:
        stop, failure = read_exit("swe-agent", said)
        yield teller.end(stop, failure, said)


ADAPTER = NebiusSweAgentAdapter()
