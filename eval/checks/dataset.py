"""Checks of an exported dataset, or of pairs: are the files as written, and the rows what trainers need?"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from ...errors import MissingExtra, UsageError
from ...rollouts.files import sha256_of
from ...rollouts.quality import find_secrets
from ...training.preferences.preference import Preference
from ...training.trajectories.similarity import NearDuplicates
from .finding import CheckReport, Finding, tally

__all__ = ["DATASET_CHECKS", "check_dataset"]

DATASET_CHECKS: Mapping[str, str] = {
    "files": "every file is the one that was written",
    "rows": "every row is JSON, and there are as many as were written",
    "conversation": "every answer of the agent is answered, by tools that exist",
    "preference": "the two sides differ, and begin and end with the agent",
    "origin": "every row names the run and episode it comes from",
    "duplicates": "no two rows say nearly the same",
    "secrets": "nothing in it is a credential",
}
"""Every check of a dataset, and what holds when it finds nothing."""

_STATISTICS = "statistics.json"
_SIDES = ("messages", "prompt", "chosen", "rejected")
_ALIKE = 0.9
Row = dict[str, Any]


def check_dataset(path: Path) -> CheckReport:
    """Examine a folder that `trajhub export` or `trajhub pairs` wrote.

    Raises UsageError when it is neither, and MissingExtra when it holds parquet alone and pyarrow is not installed.
    """
    if not (path / _STATISTICS).exists():
        raise UsageError(f"{path} is neither a run (it has no run.json) nor a dataset (it has no {_STATISTICS})")
    said: dict[str, Any] = json.loads((path / _STATISTICS).read_text("utf-8"))
    findings = list(_files(path, said))
    pairs = (path / "pairs.jsonl").exists()
    sizes = Counter[str](rows=0)
    known, doubled = NearDuplicates(_ALIKE), list[Finding]()
    for number, text in enumerate(_examined(path, findings, sizes, pairs=pairs), 1):
        if (earlier := known.like(None, f"row {number}", text)) is not None:
            doubled.append(Finding.warning("duplicates", f"row {number}", f"says nearly what {earlier} says"))
    if said.get("rows") != sizes["rows"]:
        findings.append(
            Finding.error("rows", str(path), f"holds {sizes['rows']} rows; {said.get('rows')} were written")
        )
    findings += doubled
    return CheckReport(
        subject=str(path),
        items=sizes["rows"],
        checks=tally(DATASET_CHECKS, findings),
        findings=tuple(findings),
        statistics=dict(sizes),
    )


def _examined(path: Path, findings: list[Finding], sizes: Counter[str], *, pairs: bool) -> Iterator[str]:
    """The text of each row, one in memory at a time; what is wrong with a row is added to `findings`."""
    for where, row in _rows(path, findings):
        messages = _preference(row, where, findings) if pairs else row
        findings += [*_conversations(where, messages), *_sides(where, messages), *_origin(where, row, pairs=pairs)]
        text = "\n".join(_texts(messages))
        findings += [
            Finding.warning("secrets", where, f"{secret.kind}: {secret.masked}") for secret in find_secrets(text)
        ]
        sizes.update(rows=1, characters=len(text), messages=sum(len(_messages(messages, side)) for side in _SIDES))
        yield text


def _files(path: Path, said: Mapping[str, Any]) -> Iterator[Finding]:
    recorded = cast("Sequence[Mapping[str, Any]]", said.get("files") or ())
    if not recorded:
        yield Finding.note("files", _STATISTICS, "names no files, so they cannot be compared")
    for file in recorded:
        own = path / str(file.get("name"))
        if not own.exists():
            yield Finding.error("files", str(file.get("name")), "is missing")
        elif (found := sha256_of(own)) != file.get("sha256"):
            yield Finding.error(
                "files", own.name, f"has SHA-256 {found[:12]}; {str(file.get('sha256'))[:12]} was written"
            )


def _rows(path: Path, findings: list[Finding]) -> Iterator[tuple[str, Row]]:
    """Rows of the JSONL files; a line that is none becomes a finding."""
    files = sorted(path.glob("*.jsonl")) or sorted(path.glob("data/*.jsonl"))
    if not files:
        yield from _parquet_rows(path)
    for file in files:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                where = f"{file.name}:{number}"
                try:
                    row: object = json.loads(line)
                except ValueError as error:
                    findings.append(Finding.error("rows", where, f"is not JSON: {error}"))
                    continue
                if isinstance(row, dict):
                    yield where, cast("Row", row)
                else:
                    findings.append(Finding.error("rows", where, "is not an object"))


def _parquet_rows(path: Path) -> Iterator[tuple[str, Row]]:
    for file in sorted(path.glob("data/*.parquet")):
        for number, row in enumerate(read_parquet(file), 1):
            yield f"{file.name}:{number}", row


def read_parquet(file: Path) -> Iterator[Row]:
    """Rows of a parquet file that `trajhub export` wrote, a group at a time. Raises MissingExtra without pyarrow."""
    try:
        from pyarrow import parquet  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise MissingExtra("reading parquet needs pyarrow: pip install 'agent-trajectory-hub[train]'") from None
    batches: Any = cast("Any", parquet).ParquetFile(file).iter_batches(batch_size=256)
    for batch in batches:
        for row in cast("list[Row]", batch.to_pylist()):
            yield row | {name: [json.loads(item) for item in row[name]] for name in (*_SIDES, "tools") if row.get(name)}


def _preference(row: Row, where: str, findings: list[Finding]) -> Row:
    """The conversations of a pair."""
    try:
        pair = Preference.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        findings.append(Finding.error("preference", where, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"))
        return {}
    sides = {"chosen": list(pair.chosen.messages), "rejected": list(pair.rejected.messages)}
    return {"prompt": list(pair.prompt), "tools": list(pair.tools)} | sides


def _messages(row: Row, name: str) -> list[dict[str, Any]]:
    found = row.get(name)
    return cast("list[dict[str, Any]]", found) if isinstance(found, list) else []


def _conversations(where: str, row: Row) -> Iterator[Finding]:
    tools = {str(cast("Row", tool.get("function") or {}).get("name")) for tool in _messages(row, "tools")}
    prompt = _messages(row, "prompt")
    for name in _SIDES:
        messages = _messages(row, name)
        if name == "prompt" or not messages:
            continue
        for problem in _conversation([*prompt, *messages], tools):
            yield Finding.error("conversation", f"{where} {name}", problem)


def _conversation(messages: Sequence[Mapping[str, Any]], tools: set[str]) -> Iterator[str]:
    """What is wrong with a conversation as a whole."""
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        role = message.get("role")
        if role == "tool":
            call = str(message.get("tool_call_id"))
            if call not in open_calls:
                yield f"message {number} answers the call {call}, which is not open"
            open_calls.discard(call)
        elif role in ("assistant", "user", "system"):
            if open_calls:
                yield f"message {number} comes before the call {min(open_calls)} is answered"
                open_calls.clear()
        else:
            yield f"message {number} has the role {role!r}"
        for call in cast("Sequence[Row]", message.get("tool_calls") or ()):
            name = str(cast("Row", call.get("function") or {}).get("name"))
            if tools and name not in tools:
                yield f"message {number} calls {name!r}, which is no tool of the row"
            open_calls.add(str(call.get("id")))
    if not any(message.get("role") == "assistant" for message in messages):
        yield "the agent says nothing"


def _sides(where: str, row: Row) -> Iterator[Finding]:
    error = partial(Finding.error, "preference", where)
    chosen, rejected = _messages(row, "chosen"), _messages(row, "rejected")
    if not chosen and not rejected:
        return
    if chosen == rejected:
        yield error("both sides are the same")
    for name, side in (("chosen", chosen), ("rejected", rejected)):
        if not side or side[0].get("role") != "assistant":
            yield error(f"{name} does not begin with an answer of the agent")


def _origin(where: str, row: Row, *, pairs: bool) -> Iterator[Finding]:
    def named(item: object) -> bool:
        fields = cast("Row", item) if isinstance(item, dict) else {}
        return bool(fields.get("run_id") and fields.get("episode_id"))

    if pairs:
        known = named(row.get("chosen")) and named(row.get("rejected"))
    else:
        known = named(row) or bool(row.get("chosen_episode") and row.get("rejected_episode"))
    if not known:
        yield Finding.error("origin", where, "does not name its run and episode")


def _texts(row: Row) -> Iterator[str]:
    for name in _SIDES:
        for message in _messages(row, name):
            yield str(message.get("content") or "")
            for call in cast("Sequence[Row]", message.get("tool_calls") or ()):
                yield json.dumps(call.get("function"), ensure_ascii=False, default=str)
