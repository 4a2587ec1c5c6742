"""Reading a run for the gate: every outcome that was planned, or a refusal that names what is wrong."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...errors import Failure, StopReason
from ...rollouts.chain import seal_of
from ...rollouts.events import VerdictEvent
from ...rollouts.files import sha256_of
from ...rollouts.payloads import EpisodeEnd, Usage, Verdict
from ...rollouts.run_dir import MANIFEST, read_manifest
from ...rollouts.run_model import RunManifest
from ...rollouts.trajectory import episode_folders
from ..checks.record import Record, read_record
from .config import GateConfig
from .integrity import episode_problems
from .outcomes import Attempt, Cost, Outcomes
from .report import Evidence
from .unusable import Unusable, refuse

__all__ = ["read_run"]

_SPOILT = (Failure.ENVIRONMENT, Failure.SERVICE, Failure.GRADER)
_RETRIED = (Failure.ENVIRONMENT, Failure.SERVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the gate keeps of an episode; its events are not held."""

    folder: Path
    task: str
    repository: str
    seed: int | None
    end: EpisodeEnd | None
    duration_ms: float
    verdict: Verdict | None
    privileged: bool
    head: str | None
    chained: bool

    @property
    def attempt(self) -> int:
        return int(self.folder.name.rpartition("--a")[2] or 1) if "--a" in self.folder.name else 1

    @property
    def superseded(self) -> bool:
        """Whether another attempt may take its place: it did not end, or not by what the agent did."""
        return self.end is None or self.end.stop_reason is StopReason.INTERRUPTED or self.end.failure in _RETRIED


def read_run(run: Path, config: GateConfig, *, each: Callable[[], None] = lambda: None) -> Outcomes:
    """Every outcome of a run. `each` is called after every episode.

    Raises Unusable when an episode is missing, unfinished, not graded, or not what was recorded, and UsageError when
    `run` is not a run.
    """
    manifest = _manifest(run)
    seen, problems = list[_Seen](), list[str]()
    for folder in episode_folders(run):
        record = read_record(folder)
        problems += episode_problems(record, manifest)
        if record.trajectory is not None:
            seen.append(_seen(record))
        each()
    seal = seal_of((one.folder.name, one.head) for one in seen)
    refuse(f"{run} is not what was recorded", [*problems, *_seals(run, seal, seen, manifest, config)], _ADVICE)
    attempts, gaps = _attempts(seen, manifest, config)
    refuse(f"{run} is not complete", gaps, f"Finish it: the command that made it, with -o {run} --grade, resumes.")
    return Outcomes(
        evidence=(_evidence(run, manifest, seal, seen),),
        attempts=attempts,
        repositories={one.task: one.repository for one in seen},
        settings=_settings(manifest, seen),
        about=_about(manifest),
        cost=_cost(seen),
    )


_ADVICE = "`trajhub check` tells more. A run that was changed cannot be mended: evaluate again."


def _manifest(run: Path) -> RunManifest:
    try:
        manifest = RunManifest.model_validate(read_manifest(run))
    except ValidationError as error:
        raise Unusable(f"{run / MANIFEST} is not what its model says: {error.errors()[0]['msg']}") from None
    if manifest.config is None or not manifest.tasks or not manifest.seeds:
        raise Unusable(f"{run} does not say which tasks and seeds were planned, so nobody can tell what is missing")
    if manifest.policy is not None and manifest.policy.privileged:
        raise Unusable(f"{run}: its policy was shown the reference patches, so its outcomes say nothing")
    return manifest


def _seen(record: Record) -> _Seen:
    assert record.trajectory is not None
    found, last = record.trajectory, None
    for event in record.events:
        last = event.payload if isinstance(event, VerdictEvent) else last
    return _Seen(
        folder=record.folder,
        task=found.header.task_id,
        repository=found.header.repo,
        seed=found.header.seed,
        end=found.end,
        duration_ms=next((e.duration_ms for e in record.events if isinstance(e.payload, EpisodeEnd)), 0.0),
        verdict=last,
        privileged=found.start.privileged,
        head=record.chain.head,
        chained=record.chain.chained == record.chain.events,
    )


def _seals(run: Path, seal: str, seen: Sequence[_Seen], manifest: RunManifest, config: GateConfig) -> Iterator[str]:
    published = config.seals.get(str(run))
    if published is not None and published != seal:
        yield f"its seal is {seal}; {published} was published"
    bare = [one.folder.name for one in seen if not one.chained]
    if bare and (manifest.schema_version != "1.0" or not config.unchained):
        old = "made before logs carried chains; --unchained accepts that" if manifest.schema_version == "1.0" else ""
        yield f"{bare[0]} carries no hash chain, or not throughout ({old or 'it was taken away'})"
    for one in seen:
        if one.privileged:
            yield f"{one.folder.name}: its policy was shown the reference patch"


def _attempts(
    seen: Sequence[_Seen], manifest: RunManifest, config: GateConfig
) -> tuple[dict[tuple[str, int], Attempt], list[str]]:
    """The attempt that counts of every planned task and seed, and what is missing."""
    tries: defaultdict[tuple[str, int | None], list[_Seen]] = defaultdict(list)
    for one in sorted(seen, key=lambda each: each.attempt):
        tries[one.task, one.seed].append(one)
    attempts, gaps = dict[tuple[str, int], Attempt](), list[str]()
    for task in sorted(manifest.tasks):
        for seed in manifest.seeds:
            found = tries[task, seed]
            problem = _gap(found)
            if problem is not None:
                gaps.append(f"{task}, seed {seed}: {problem}")
                continue
            attempts[task, seed] = _attempt(found[-1], seed, config)
    return attempts, gaps


def _gap(tries: Sequence[_Seen]) -> str | None:
    """Why there is no outcome to count; None when there is one."""
    if not tries:
        return "was never begun"
    if [one.attempt for one in tries] != list(range(1, len(tries) + 1)):
        return f"an attempt is missing before {tries[-1].folder.name}"
    picked = [one for one in tries[:-1] if not one.superseded]
    if picked:
        return f"{picked[0].folder.name} counted, and yet it was tried again: outcomes may not be picked"
    end = tries[-1].end
    if end is None:
        return "did not end"
    if end.stop_reason is StopReason.INTERRUPTED:
        return "was interrupted"
    if tries[-1].verdict is None and end.failure not in _SPOILT:
        return "was not graded"
    return None


def _attempt(one: _Seen, seed: int, config: GateConfig) -> Attempt:
    excluded = _excluded(one)
    done = not config.submitted or (one.end is not None and one.end.stop_reason is StopReason.SUBMITTED)
    return Attempt(
        task=one.task,
        seed=seed,
        resolved=one.verdict is not None and one.verdict.resolved is True and excluded is None and done,
        excluded=excluded,
        where=str(one.folder),
    )


def _excluded(one: _Seen) -> str | None:
    """Who is to blame in place of the model. A forged report is the model's doing: its verdict is not None."""
    if one.end is not None and one.end.failure in _SPOILT:
        return str(one.end.failure)
    if one.verdict is not None and one.verdict.resolved is None:
        return str(one.verdict.report.get("failure") or Failure.GRADER)
    return None


def _evidence(run: Path, manifest: RunManifest, seal: str, seen: Sequence[_Seen]) -> Evidence:
    return Evidence(
        path=str(run),
        kind="run",
        sha256=sha256_of(run / MANIFEST),
        run_id=manifest.run_id,
        agent=manifest.policy.name if manifest.policy is not None else None,
        model=manifest.policy.model if manifest.policy is not None else None,
        seal=seal,
        chained=all(one.chained for one in seen),
        episodes=len(seen),
    )


def _settings(manifest: RunManifest, seen: Sequence[_Seen]) -> dict[str, Any]:
    versions = {name: manifest.versions.get(name) for name in ("trajectory_hub", "swebench")}
    return {
        "kind": "run",
        "tasks": dict(manifest.tasks),
        "seeds": sorted(manifest.seeds),
        "images": dict(manifest.images),
        "graded_in": {one.task: one.verdict.report.get("image_id") for one in seen if one.verdict is not None},
        "config": manifest.config,
        "versions": versions,
    }


def _about(manifest: RunManifest) -> dict[str, Any]:
    policy = manifest.policy
    return {
        "agent": None if policy is None else f"{policy.name} {policy.version}",
        "commit": manifest.commit,
        "engine": dict(manifest.engine),
        "versions": dict(manifest.versions),
        "canaries": _canaries(manifest.config),
    }


def _canaries(config: Mapping[str, Any] | None) -> bool | None:
    grader: Mapping[str, Any] = (config or {}).get("grader") or {}
    return grader.get("canaries")


def _cost(seen: Sequence[_Seen]) -> Cost:
    ends = [one.end for one in seen if one.end is not None]
    usage, costs = Usage(), [end.cost_usd for end in ends]
    for end in ends:
        usage = usage.plus(end.usage)
    known = [cost for cost in costs if cost is not None]
    return Cost(
        usd=sum(known) if len(known) == len(costs) else None,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        wall_s=sum(one.duration_ms for one in seen) / 1000,
    )
