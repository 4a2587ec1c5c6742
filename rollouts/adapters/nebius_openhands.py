"""nebius/SWE-rebench-openhands-trajectories, and data sets of the same columns: one episode a row, as chat messages."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import payloads
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .chat import chat_message, opening_of
from .exits import read_exit
from .reading import Row, as_dict, as_dicts, as_list, as_str
from .tabular import episodes_by_row, first_row
from .telling import Teller, final_patch, repo_of

__all__ = ["ADAPTER", "LOSES", "NebiusOpenHandsAdapter"]

LOSES: Mapping[str, str] = {
    "gen_tests_correct, pred_passes_gen_tests": "in the report of the verdict",
    "license, dataset": "columns of other sets of this form, in a note",
}
"""What of the format has no place of its own in our log, and why."""

_TOLD = frozenset({"trajectory", "tools", "instance_id", "repo", "trajectory_id", "model_patch", "exit_status"})
_GRADED = ("resolved", "gen_tests_correct", "pred_passes_gen_tests")


class NebiusOpenHandsAdapter:
    """See `base.Adapter`."""

    name = "nebius-openhands"
    version = "1"
    title = "nebius/SWE-rebench-openhands-trajectories"

    def recognise(self, sample: Sample) -> float:
        """By a row's id and a `trajectory` of chat messages."""
        row = first_row(sample)
        messages = as_dicts(row.get("trajectory"))
        told = bool(messages) and {"role", "content"} <= messages[0].keys()
        return 1.0 if told and "instance_id" in row and "history" not in row else 0.0

    def episodes(self, path: Path, options: Mapping[str, Any]) -> Iterator[ForeignEpisode]:
        """See `tabular.episodes_by_row`."""
        return episodes_by_row(path, _episode)


def _episode(row: Row, broken: list[Unread]) -> ForeignEpisode:
    value = as_dict(row.value)
    task = as_str(value.get("instance_id")) or row.where
    return ForeignEpisode(
        key=as_str(value.get("trajectory_id")) or f"{task} {row.where}",
        task_id=task,
        agent="openhands",
        model=as_str(value.get("model")) or as_str(value.get("model_name")),
        repo=as_str(value.get("repo")) or repo_of(task),
        events=_events(value, broken),
    )


def _events(row: dict[str, Any], broken: list[Unread]) -> Iterator[Foreign]:
    teller = Teller("nebius-openhands", as_str(row.get("model")) or as_str(row.get("model_name")))
    messages = [_without_nulls(message) for message in as_list(row.get("trajectory"))]
    tools = tuple(_without_nulls(tool) for tool in as_dicts(row.get("tools")))
    yield Timed(payload=payloads.EpisodeStart.of(observation=opening_of(messages), tools=tools))
    yield from broken
    for number, message in enumerate(messages):
        yield from chat_message(teller, message, f"trajectory[{number}]")
    if row.get("trajectory") is not None and not isinstance(row["trajectory"], list):
        yield Unread(kind="trajectory that is no list")
    for key in sorted(row.keys() - _TOLD - set(_GRADED)):
        yield teller.note(key, {"value": row[key]})
    yield from _outcome(teller, row)


def _without_nulls(value: Any) -> Any:
    """A message without the fields that parquet fills with null because another message has them."""
    if isinstance(value, dict):
        members = as_dict(value).items()
        return {key: _without_nulls(item) for key, item in members if item is not None or key == "content"}
    return [_without_nulls(item) for item in as_list(value)] if isinstance(value, list) else value


def _outcome(teller: Teller, row: dict[str, Any]) -> Iterator[Timed]:
    said = as_str(row.get("exit_status"))
    for call_id, (_, call, _) in list(teller.waiting.items()):
        if call.tool in ("finish", "submit"):
            result = teller.result(call_id, "")
            yield from [result] if result is not None else []
            said = said or "finish"
    patch = final_patch(row.get("model_patch"), empty=True)
    if patch is not None:
        yield patch
    resolved = row.get("resolved")
    if isinstance(resolved, int | float) and resolved in (0, 1):
        sha256 = patch.payload.sha256 if patch and isinstance(patch.payload, payloads.FinalPatch) else None
        payload = payloads.Verdict.of(
            resolved=bool(resolved),
            outcome="resolved" if resolved else "unresolved",
            patch_sha256=sha256,
            report={name: row[name] for name in _GRADED if row.get(name) is not None},
        )
        yield Timed(payload=payload, kind="resolved")
    if said is not None:
        stop, failure = read_exit("openhands", said)
        yield teller.end(stop, failure, said)


ADAPTER = NebiusOpenHandsAdapter()
