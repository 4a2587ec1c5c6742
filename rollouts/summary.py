"""A run in figures: one row an episode, and rates whose denominators say what they leave out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..console import safe
from .events import EpisodeStartEvent
from .payloads import EpisodeEnd, Usage
from .plan import latest
from .run_dir import Episode, read_episodes, read_manifest
from .serving.metrics import total

__all__ = ["Row", "Summary", "summarise"]

_MIB = 1 << 20
_CAUSE = 300
_CAUSES = 3
"""As many causes are told below a table, and so many characters of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One episode as a table shows it. None: not known."""

    task: str
    seed: int | None
    attempt: int
    steps: int | None
    reward: float | None
    """Mean reward of its steps."""
    process: float | None
    """Process score of the whole."""
    outcome: str
    """`resolved`, `unresolved` or `ungradable` when it was graded, else its stop reason."""
    failure: str | None
    wall_s: float | None
    cpu_s: float | None
    peak_mib: float | None
    cost_usd: float | None
    """Also None when no model was asked."""
    episode_id: str

    @classmethod
    def of(cls, episode: Episode) -> "Row":
        """The row of an episode."""
        end = episode.end
        peak = end.memory_peak_bytes if end else None
        return cls(
            task=episode.first.task_id,
            seed=episode.first.seed,
            attempt=episode.attempt,
            steps=end.steps if end else None,
            reward=end.mean_reward if end else None,
            process=end.process_score if end else None,
            outcome=_outcome(episode),
            failure=episode.failure,
            wall_s=_rounded(episode.duration_ms if _clocked(episode) else None, 1000),
            cpu_s=_rounded(end.cpu_s if end else None, 1),
            peak_mib=_rounded(peak, _MIB),
            cost_usd=end.cost_usd if end and end.requests else None,
            episode_id=episode.folder.name,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The result of a run. Only the last attempt of each task and seed counts."""

    run_id: str
    rows: Sequence[Row]
    stop_reasons: dict[str, int]
    failures: dict[str, int]
    outcomes: dict[str, int]
    counted: int
    """Episodes that say something about the agent."""
    excluded: dict[str, int]
    """Episodes that do not, by who is to blame; `interrupted` and `unfinished` ones are still to be done."""
    graded: int
    """Counted episodes that have a verdict."""
    resolved: int
    earlier_attempts: int
    mean_reward: float | None
    usage: Usage
    cost_usd: float | None
    """None when a request's cost is not known."""
    service: dict[str, float]
    """What the model server counted during the run's sittings, whoever asked it."""
    join: dict[str, int]
    """Of black boxes: how many requests and records of telemetry were matched, and how many were not."""
    causes: dict[str, int]
    """What was said of the episodes that are not counted, the commonest first, and of how many."""

    @property
    def sentences(self) -> list[str]:
        """What to say below a table."""
        left_out = ", ".join(f"{count} {name}" for name, count in self.excluded.items())
        said = [f"{self.counted} episodes counted" + (f"; not counted: {left_out}" if left_out else "")]
        said += [
            f"  {count} x {safe(cause[:_CAUSE])}{'…' * (len(cause) > _CAUSE)}"
            for cause, count in list(self.causes.items())[:_CAUSES]
        ]
        if self.earlier_attempts:
            said.append(f"{self.earlier_attempts} earlier attempts kept as records of their own")
        if self.graded:
            said.append(f"resolved {self.resolved} of {self.graded} graded ({self.resolved / self.graded:.1%})")
        if self.usage.total:
            cost = "unknown (no price)" if self.cost_usd is None else f"{self.cost_usd:.4f} USD"
            said += self._cache_sentence
            said.append(f"{self.usage.input_tokens or 0} tokens in, {self.usage.output_tokens or 0} out, cost {cost}")
        if everything := sum(self.join.values()):
            share = self.join["matched"] / everything
            said.append(f"records of the agent joined: {self.join['matched']} of {everything} ({share:.1%})")
        return said

    @property
    def _cache_sentence(self) -> list[str]:
        share, repeated = self.usage.repeated_hit_share, self.usage.repeated_input_tokens
        if share is None:
            return []
        queries, hits = (self.service.get(f"prefix_cache_{name}", 0.0) for name in ("queries", "hits"))
        server = f"; the server's counters: {hits / queries:.1%} of all prompt tokens" if queries else ""
        return [f"prefix cache: {share:.1%} of {repeated} prompt tokens that an earlier request had{server}"]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        usage = self.usage.model_dump() | {"repeated_hit_share": self.usage.repeated_hit_share}
        return {**asdict(self), "usage": usage, "rows": [asdict(row) for row in self.rows]}


def summarise(run: Path) -> Summary:
    """Read every episode of a run. Raises UsageError when `run` is not a run."""
    manifest = read_manifest(run)
    everything = list(read_episodes(run))
    last = list(latest(everything).values())
    excluded = Counter(reason for episode in last if (reason := _why_not(episode)) is not None)
    counted = [episode for episode in last if _why_not(episode) is None]
    graded = [episode for episode in counted if episode.verdict is not None]
    rewards = [end.mean_reward for episode in counted if (end := episode.end) and end.mean_reward is not None]
    ends = [episode.end for episode in everything if episode.end is not None]
    usage = Usage()
    for end in ends:
        usage = usage.plus(end.usage)
    return Summary(
        run_id=str(manifest.get("run_id", run.name)),
        rows=[Row.of(episode) for episode in last],
        stop_reasons=dict(Counter(str(e.end.stop_reason) for e in last if e.end is not None)),
        failures=dict(Counter(str(e.failure) for e in last if e.failure is not None)),
        outcomes=dict(Counter(_outcome(episode) for episode in last)),
        counted=len(counted),
        excluded=dict(excluded),
        graded=len(graded),
        resolved=sum(1 for e in graded if e.verdict is not None and e.verdict.resolved),
        earlier_attempts=len(everything) - len(last),
        mean_reward=round(sum(rewards) / len(rewards), 4) if rewards else None,
        usage=usage,
        cost_usd=_total([end.cost_usd for end in ends]),
        service=total(sitting.get("service") or {} for sitting in manifest.get("sittings") or ()),
        join=_joined(ends),
        causes=_causes(last),
    )


def _causes(episodes: Sequence[Episode]) -> dict[str, int]:
    ends = (episode.end for episode in episodes if episode.finished and episode.excluded)
    return dict(Counter(end.message for end in ends if end is not None and end.message).most_common())


def _joined(ends: Sequence[EpisodeEnd]) -> dict[str, int]:
    told = [end.join or {} for end in ends]
    sums = {name: sum(int(one.get(name, 0)) for one in told) for name in ("matched", "unmatched")}
    return sums if any(sums.values()) else {}


def _why_not(episode: Episode) -> str | None:
    if episode.end is None:
        return "unfinished"
    if not episode.finished:
        return "interrupted"
    return str(episode.failure) if episode.excluded else None


def _outcome(episode: Episode) -> str:
    if episode.end is None:
        return "running"
    if episode.verdict is None:
        return str(episode.end.stop_reason)
    if episode.verdict.resolved is None:
        return "ungradable"
    return "resolved" if episode.verdict.resolved else "unresolved"


def _clocked(episode: Episode) -> bool:
    """Whether its times are those at which things happened; a foreign record may not tell them."""
    first = episode.first
    origin = first.payload.origin if isinstance(first, EpisodeStartEvent) else None
    return origin is None or origin.timing == "recorded"


def _rounded(value: float | None, unit: float) -> float | None:
    return None if value is None else round(value / unit, 2)


def _total(costs: Sequence[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None
