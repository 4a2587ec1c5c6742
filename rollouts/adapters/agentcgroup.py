"""AgentCgroup (eunomia-bpf/agentcgroup): a folder a run of Claude Code, with a sample of its container each second.

`trace.jsonl` is the transcript, `resources.json` the samples, `tool_calls.json` the transcript's calls once more and
`results.json` what the harness measured. Samples carry both a local time without a zone and seconds since 1970; the
difference of the two is the zone of `results.json`, whose times are local. A sample of `0B / 0B` is that of a container
that is gone: its memory is unknown, not zero.
"""

import heapq
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ...errors import StopReason, UsageError
from .. import payloads
from ..episode_log import patch_facts
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .claude_code import transcript_about, transcript_events
from .reading import as_dict, as_dicts, as_float, as_int, as_list, as_str, as_text, is_object, moment, read_json

__all__ = ["ADAPTER", "LOSES", "AgentCgroup"]

LOSES: Mapping[str, str] = {
    "tool_calls.json": "repeats the calls of the transcript; others than those are in a note",
    "resources.json/samples[].mem_usage": "the first figure; the limit behind it is that of the machine",
    "results.json/resource_samples": "left out where it repeats resources.json",
}
"""What of a record has no place of its own in a log; see `losses`."""

_FILES = ("trace.jsonl", "resources.json", "tool_calls.json", "results.json")
_SIZE = re.compile(r"^\s*([0-9.]+)\s*([kKMGT]?i?)B")
_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"Ki": 2**10, "ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_ATTEMPT = re.compile(r"^attempt_(\d+)$")
_NUMBER = re.compile(r"^task_\d+_")
_REPO = re.compile(r"^(.+?)__(.+)-\d+$")
_DIFF, _DISK = "=== GIT DIFF ===\n", "=== DISK USAGE ==="
_START = datetime(1970, 1, 1, tzinfo=UTC)


class AgentCgroup:
    """The adapter. A folder is one episode; its task is the folder's name."""

    name = "agentcgroup"
    version = "1"
    title = "AgentCgroup run folders"

    def recognise(self, sample: Sample) -> float:
        """By the files in a folder."""
        if "trace.jsonl" not in sample.names:
            return 0.0
        return 0.95 if {"resources.json", "results.json"} & sample.names else 0.0

    def episodes(self, path: Path, options: dict[str, Any]) -> Iterator[ForeignEpisode]:
        """The one episode of a folder."""
        folder = _Folder(path)
        about = transcript_about(folder.transcript)
        task = _NUMBER.sub("", path.parent.name if _ATTEMPT.match(path.name) else path.name)
        named = _REPO.match(task)
        yield ForeignEpisode(
            key=path.name,
            task_id=str(options.get("task_id") or task),
            agent="claude-code",
            agent_version=about.version or "unknown",
            model=about.model or as_str(folder.results.get("model")),
            repo=f"{named[1]}/{named[2]}" if named else "",
            timing="recorded",
            events=folder.events(about.prompt, about.cwd),
        )


ADAPTER = AgentCgroup()


class _Folder:
    """What the files of a run say."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.transcript = path / "trace.jsonl"
        self.unread: list[Unread] = []
        resources = as_dict(self._read("resources.json"))
        self.results = as_dict(self._read("results.json"))
        self.calls = as_list(self._read("tool_calls.json"))
        again = as_dict(self.results.get("resource_samples"))
        self.repeated = again == resources
        self.resources = resources or again
        samples = as_list(self.resources.get("samples"))
        self.samples = [as_dict(sample) for sample in samples if is_object(sample)]
        if len(samples) > len(self.samples):
            kind = "sample of another shape"
            self.unread.append(Unread(kind=kind, where="resources.json", records=len(samples) - len(self.samples)))
        self.zone = _zone(self.samples)

    def _read(self, name: str) -> Any:
        if not (self.path / name).is_file():
            return None
        try:
            value, problem = read_json(self.path / name, partial=True)
        except UsageError as error:
            value, problem = None, str(error)
        if problem is not None:
            self.unread.append(Unread(kind=name, where=f"{name}: {problem}", broken=True, records=1))
        return value

    def events(self, prompt: str, cwd: str | None) -> Iterator[Foreign]:
        """Everything, by time."""
        yield self._start(prompt, cwd)
        yield from self.unread
        seen = set[str]()
        yield from _numbered(heapq.merge(_by_time(self._transcript(seen)), _by_time(self._sampled()), key=_key))
        yield from self._rest(seen)

    def _local(self, value: Any) -> datetime | None:
        """A local time of the harness in UTC; None where its zone is unknown."""
        found = moment(value)
        return found - self.zone if found is not None and self.zone is not None else None

    def _start(self, prompt: str, cwd: str | None) -> Timed:
        results = self.results
        spent = [as_float(results.get(name)) for name in ("pull_time", "permission_fix_time")]
        reset = sum(seconds for seconds in spent if seconds is not None) * 1000
        at = self._local(results.get("start_time"))
        known = {name: results.get(name) for name in ("image", "image_info", "memory_limit", "cpu_limit")}
        sandbox = {name: value for name, value in {**known, "workdir": cwd}.items() if value is not None}
        task = {"problem_statement": prompt} if prompt else {}
        start = payloads.EpisodeStart.of(task=task, sandbox=sandbox)
        return Timed(payload=start, t_start=at, duration_ms=reset if at is not None else None, kind="episode")

    def _transcript(self, seen: set[str]) -> Iterator[Foreign]:
        for item in transcript_events(self.transcript):
            if isinstance(item, Timed) and isinstance(item.payload, payloads.ToolCall) and item.payload.call_id:
                seen.add(item.payload.call_id)
            yield item

    def _sampled(self) -> Iterator[Foreign]:
        for number, sample in enumerate(self.samples):
            at = moment(as_float(sample.get("epoch"))) or self._local(sample.get("timestamp"))
            memory, percent = _bytes(sample.get("mem_usage")), _percent(sample.get("cpu_percent"))
            if at is None or (memory is None and percent is None):
                yield Unread(kind="sample", where=f"resources.json sample {number}")
                continue
            metric = payloads.SandboxMetric.of(
                scope="sample",
                memory_bytes=memory,
                sources={"memory_bytes": "container stats", "cpu_percent": "container stats"},
                cpu_percent=percent,
                mem_percent=_percent(sample.get("mem_percent")),
            )
            yield Timed(payload=metric, t_start=at, kind="sample", records=1)

    def _rest(self, seen: set[str]) -> Iterator[Foreign]:
        """What the harness says besides, the patch, and the end."""
        at = self._local(self.results.get("end_time"))
        if self.calls:
            others = [call for call in as_dicts(self.calls) if call.get("id") not in seen]
            data = {"calls": len(self.calls), "also_in_transcript": len(self.calls) - len(others), "others": others}
            yield _note("tool_calls", data, at, len(self.calls))
        summary = as_dict(self.resources.get("summary"))
        if summary:
            yield _note("resources_summary", summary, at, 1)
        if not self.results:
            return
        left_out = ("resource_samples",) if self.repeated else ()
        yield _note("results", {key: item for key, item in self.results.items() if key not in left_out}, at, 1)
        output = as_dict(self.results.get("claude_output"))
        patch = as_text(output.get("stdout")).partition(_DIFF)[2].partition(_DISK)[0]
        if patch.strip():
            yield Timed(payload=payloads.FinalPatch.of(patch=patch, **patch_facts(patch)), t_start=at, kind="results")
        yield self._end(as_int(output.get("exit_code")))

    def _end(self, code: int | None) -> Timed:
        stop = {0: StopReason.SUBMITTED, 124: StopReason.TIME_LIMIT}.get(code or 0, StopReason.POLICY_ERROR)
        message = None if code in (0, None) else f"the agent exited with {code}"
        spent = [as_float(self.results.get(name)) for name in ("pull_time", "permission_fix_time")]
        known = [seconds for seconds in spent if seconds is not None]
        reset = {"reset_ms": sum(known) * 1000} if known else {}
        return Timed(
            payload=payloads.EpisodeEnd.of(stop_reason=stop, message=message, steps=0, **reset), kind="results"
        )


def _note(kind: str, data: dict[str, Any], at: datetime | None, records: int) -> Timed:
    note = payloads.Note.of(kind=kind, source="agentcgroup", data=data)
    return Timed(payload=note, t_start=at, kind=f"{kind}", records=records)


_Keyed = tuple[datetime, Foreign]


def _key(item: _Keyed) -> datetime:
    return item[0]


def _by_time(items: Iterator[Foreign]) -> Iterator[_Keyed]:
    latest = _START
    for item in items:
        if isinstance(item, Timed):
            # An answer is told before the calls in it, which may begin before its last piece is there.
            ended = None if isinstance(item.payload, payloads.LlmResponse) else item.t_end
            latest = max(latest, ended or item.t_start or latest)
        yield latest, item


def _numbered(items: Iterator[_Keyed]) -> Iterator[Foreign]:
    """Samples with the step that was going on."""
    going: dict[int, None] = {}
    for _at, item in items:
        if isinstance(item, Timed):
            match item.payload:
                case payloads.ToolCall(step=step):
                    going[step] = None
                case payloads.ToolResult(step=step):
                    going.pop(step, None)
                case payloads.SandboxMetric() if going:
                    payload = item.payload.model_copy(update={"step": next(reversed(going))})
                    yield Timed(payload=payload, t_start=item.t_start, kind=item.kind, records=item.records)
                    continue
                case _:
                    pass
        yield item


def _zone(samples: list[dict[str, Any]]) -> timedelta | None:
    """How much later a local clock is than UTC, from the first sample that carries both times."""
    for sample in samples:
        local, epoch = moment(sample.get("timestamp")), moment(as_float(sample.get("epoch")))
        if local is not None and epoch is not None and isinstance(sample.get("timestamp"), str):
            quarters = round((local - epoch).total_seconds() / 900)
            return timedelta(minutes=15 * quarters)
    return None


def _bytes(value: Any) -> int | None:
    """The first size of `184.2MB / 134.5GB`; None for a container that is gone."""
    found = _SIZE.match(value) if isinstance(value, str) else None
    if found is None:
        return None
    with suppress(ValueError, OverflowError):
        size = round(float(found[1]) * (_UNITS.get(found[2]) or _BINARY[found[2]]))
        return size or None
    return None


def _percent(value: Any) -> float | None:
    if isinstance(value, str):
        with suppress(ValueError):
            return as_float(float(value.strip().removesuffix("%")))
    return as_float(value)
