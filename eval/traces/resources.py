"""CPU, memory and IO of sandboxes, from samples and from steps (AgentCgroup, arXiv 2602.09345).

Peak over mean is an episode's highest sample of memory over the mean of its samples. A burst is a change between two
consecutive samples at most two seconds apart of more than 20 points of CPU, or more than 50 MB (10^6 bytes) of memory,
per second. A sample belongs to the step during which it was taken; what lies between steps is the agent itself, or the
wait for its model.
"""

from collections.abc import Sequence

from ...page import Block, Table, Text
from . import plots
from .figures import Distribution, Figures, Share, number, seconds
from .section import Options, distribution_table
from .source import Source

__all__ = ["SECTION", "Bursts", "Resources", "ResourcesSection", "SampleSummary", "Use", "summaries"]

CPU_BURST, MEMORY_BURST, APART = 20.0, 50.0, 2.0
"""Points of CPU per second, MB per second, seconds between samples."""
_CHANGES = """
    SELECT key, step, abs(cpu_pct - lag(cpu_pct) OVER line) / dt AS cpu, abs(memory_bytes - lag(memory_bytes) OVER line)
        / 1e6 / dt AS memory, dt
    FROM (SELECT *, epoch(t) - epoch(lag(t) OVER (PARTITION BY key ORDER BY t)) AS dt FROM m)
    WINDOW line AS (PARTITION BY key ORDER BY t)
    QUALIFY dt > 0
"""
_EPISODE = {
    "cpu_s": "cpu_s",
    "memory_peak_mb": "memory_peak_bytes / 1e6",
    "memory_mean_mb": "memory_mean_bytes / 1e6",
    "peak_over_mean": "CASE WHEN memory_mean_bytes > 0 THEN memory_peak_bytes / memory_mean_bytes END",
    "io_read_mb": "io_read_bytes / 1e6",
    "io_write_mb": "io_write_bytes / 1e6",
    "net_rx_mb": "net_rx_bytes / 1e6",
    "net_tx_mb": "net_tx_bytes / 1e6",
    "energy_j": "energy_j",
}
_ROWS = (
    ("cpu_s", "CPU, s", 1.0),
    ("memory_peak_mb", "peak memory, MB", 1.0),
    ("memory_mean_mb", "mean memory, MB", 1.0),
    ("peak_over_mean", "peak over mean memory", 1.0),
    ("io_read_mb", "read, MB", 1.0),
    ("io_write_mb", "written, MB", 1.0),
    ("net_rx_mb", "received, MB", 1.0),
    ("net_tx_mb", "sent, MB", 1.0),
    ("energy_j", "energy of GPUs, J", 1.0),
)
_SAMPLE_ROWS = (("cpu_pct", "CPU, % of a core", 1.0), ("memory_mb", "memory, MB", 1.0))


class SampleSummary(Figures):
    """An episode's samples, as AgentCgroup summarises them: MB are 10^6 bytes."""

    run_id: str
    episode_id: str
    task_id: str | None
    sample_count: int
    duration_seconds: float
    memory_min: float | None
    memory_max: float | None
    memory_avg: float | None
    cpu_min: float | None
    cpu_max: float | None
    cpu_avg: float | None

    @property
    def peak_over_mean(self) -> float | None:
        """Of memory."""
        return self.memory_max / self.memory_avg if self.memory_max is not None and self.memory_avg else None


class Use(Figures):
    """What one kind of step used."""

    name: str
    steps: int
    cpu_s: float | None
    """Sum over the steps where it is known, as below."""
    memory_peak_mb: float | None
    """Largest."""
    io_read_mb: float | None
    io_write_mb: float | None
    samples: int
    sampled_cpu_pct: float | None
    """Mean of the samples taken during such steps."""
    sampled_cpu_p95: float | None
    sampled_memory_mb: float | None
    sampled_memory_max_mb: float | None


class Bursts(Figures):
    """Sudden changes between consecutive samples."""

    pairs: int
    """Consecutive samples at most two seconds apart."""
    bursts: int
    cpu: int
    memory: int
    episodes_with: int
    largest_cpu: float | None
    """Points per second."""
    largest_memory: float | None
    """MB per second."""
    in_steps: Share
    """Bursts during a step, among all."""
    pairs_in_steps: Share
    """Pairs during a step, among all: what chance would give."""


class Resources(Figures):
    """CPU, memory, IO."""

    sampled: int
    """Episodes with samples."""
    samples: int
    interval_s: float | None
    """Median time between samples."""
    per_episode: dict[str, Distribution]
    per_sample: dict[str, Distribution]
    sampled_peak_over_mean: Distribution
    bursts: Bursts | None
    uses: dict[str, tuple[Use, ...]]
    """By tool, action and phase, those with most steps first."""
    summaries: tuple[SampleSummary, ...]
    """Of the first 100 episodes with samples."""


class ResourcesSection:
    """CPU, memory, IO."""

    name = "resources"
    family = "resources"
    title = "Resources of the sandbox"
    silent = "neither steps nor samples tell what the machine spent; episodes that are run here do"

    def measure(self, source: Source, options: Options) -> Resources | None:
        """Everything of this module's description; None where nothing was measured."""
        row = source.row("SELECT count(*) AS samples, count(DISTINCT key) AS sampled FROM m")
        per_episode = source.describe("e", _EPISODE)
        if not row["samples"] and not any(one.n for one in per_episode.values()):
            return None
        ratios = (
            "(SELECT key, max(memory_bytes) / avg(memory_bytes) AS ratio FROM m GROUP BY 1 "
            "HAVING avg(memory_bytes) > 0)"
        )
        return Resources(
            **row,
            interval_s=source.row(f"SELECT median(dt) AS s FROM ({_CHANGES})")["s"],
            per_episode=per_episode,
            per_sample=source.describe("m", {"cpu_pct": "cpu_pct", "memory_mb": "memory_bytes / 1e6"}),
            sampled_peak_over_mean=source.describe(ratios, {"ratio": "ratio"})["ratio"],
            bursts=_bursts(source) if row["samples"] else None,
            uses={kind: _uses(source, kind) for kind in ("tool", "action", "phase")},
            summaries=tuple(summaries(source, 100)),
        )

    def headline(self, found: Resources) -> Sequence[tuple[str, str]]:
        """CPU, memory, bursts."""
        known = {name: one for name, one in found.per_episode.items() if one.n}
        shown = [(f"{label}, median per episode", number(known[key].p50)) for key, label, _ in _ROWS if key in known]
        if found.bursts is not None:
            shown.append(("bursts per 1,000 pairs of samples", number(_rate(found.bursts))))
        return tuple(shown)

    def blocks(self, found: Resources, options: Options) -> Sequence[Block]:
        """Distributions, bursts, uses."""
        interval = "" if found.interval_s is None else f", one every {seconds(found.interval_s)} (median)"
        ratio = {"ratio": found.sampled_peak_over_mean}
        return [
            Text(f"{found.samples:,} samples of {found.sampled:,} episodes{interval}."),
            *distribution_table("Per episode", found.per_episode, _ROWS),
            *distribution_table("Per sample", found.per_sample, _SAMPLE_ROWS),
            *distribution_table("Peak over mean of an episode's samples", ratio, (("ratio", "memory", 1.0),)),
            *(_burst_blocks(found.bursts) if found.bursts else []),
            *(block for kind, uses in found.uses.items() for block in _use_table(kind, uses, options.limit)),
            *_drawing(found.summaries),
        ]


def summaries(source: Source, limit: int | None = None) -> list[SampleSummary]:
    """Each episode's samples summarised, by run and episode."""
    found = source.rows(
        "SELECT run_id, episode_id, task_id, count(*) AS sample_count, epoch(max(t)) - epoch(min(t)) AS "
        "duration_seconds, min(memory_bytes) / 1e6 AS memory_min, max(memory_bytes) / 1e6 AS memory_max, "
        "avg(memory_bytes) / 1e6 AS memory_avg, min(cpu_pct) AS cpu_min, max(cpu_pct) AS cpu_max, "
        "avg(cpu_pct) AS cpu_avg "
        "FROM m JOIN (SELECT key, run_id, episode_id, task_id FROM e) USING (key) GROUP BY ALL "
        "ORDER BY run_id, episode_id" + ("" if limit is None else f" LIMIT {limit:d}")
    )
    return [SampleSummary(**row) for row in found]


def _bursts(source: Source) -> Bursts:
    row = source.row(
        f"""
        SELECT count(*) AS pairs, count(*) FILTER (burst) AS bursts, count(*) FILTER (cpu > {CPU_BURST}) AS cpu,
            count(*) FILTER (memory > {MEMORY_BURST}) AS memory, count(DISTINCT key) FILTER (burst) AS episodes_with,
            max(cpu) AS largest_cpu, max(memory) AS largest_memory,
            count(*) FILTER (burst AND step IS NOT NULL) AS inside,
            count(step) AS pairs_inside
        FROM (SELECT *, coalesce(cpu > {CPU_BURST}, FALSE) OR coalesce(memory > {MEMORY_BURST}, FALSE) AS burst
            FROM ({_CHANGES}) WHERE dt <= {APART})
        """
    )
    inside, pairs_inside = row.pop("inside"), row.pop("pairs_inside")
    return Bursts(
        **row,
        in_steps=Share(part=inside, whole=row["bursts"], n=row["bursts"]),
        pairs_in_steps=Share(part=pairs_inside, whole=row["pairs"], n=row["pairs"]),
    )


def _uses(source: Source, kind: str) -> tuple[Use, ...]:
    found = source.rows(
        f"""
        WITH own AS (
            SELECT coalesce({kind}, 'not known') AS name, count(*) AS steps, sum(cpu_s) AS cpu_s,
                max(memory_peak_bytes) / 1e6 AS memory_peak_mb, sum(io_read_bytes) / 1e6 AS io_read_mb,
                sum(io_write_bytes) / 1e6 AS io_write_mb
            FROM s GROUP BY 1
        ), sampled AS (
            SELECT CASE WHEN m.step IS NULL THEN 'between steps' ELSE coalesce(s.{kind}, 'not known') END AS name,
                count(*) AS samples, avg(cpu_pct) AS sampled_cpu_pct, quantile_cont(cpu_pct, 0.95) AS sampled_cpu_p95,
                avg(memory_bytes) / 1e6 AS sampled_memory_mb, max(memory_bytes) / 1e6 AS sampled_memory_max_mb
            FROM m LEFT JOIN (SELECT key, step, {kind} FROM s) s ON m.key = s.key AND m.step = s.step GROUP BY 1
        )
        SELECT coalesce(own.name, sampled.name) AS name, coalesce(steps, 0) AS steps, cpu_s, memory_peak_mb, io_read_mb,
            io_write_mb, coalesce(samples, 0) AS samples, sampled_cpu_pct, sampled_cpu_p95, sampled_memory_mb,
            sampled_memory_max_mb
        FROM own FULL JOIN sampled USING (name) ORDER BY steps DESC, name LIMIT 100
        """
    )
    return tuple(Use(**row) for row in found)


def _rate(found: Bursts) -> float | None:
    return 1000 * found.bursts / found.pairs if found.pairs else None


def _burst_blocks(found: Bursts) -> list[Block]:
    rows = (
        ("pairs of samples at most 2 s apart", f"{found.pairs:,}"),
        ("bursts", f"{found.bursts:,}"),
        ("of CPU (> 20 points per second)", f"{found.cpu:,}"),
        ("of memory (> 50 MB per second)", f"{found.memory:,}"),
        ("episodes with a burst", f"{found.episodes_with:,}"),
        ("largest change of CPU, points per second", number(found.largest_cpu)),
        ("largest change of memory, MB per second", number(found.largest_memory)),
        ("bursts during a step", str(found.in_steps)),
        ("pairs during a step", str(found.pairs_in_steps)),
    )
    return [Table("Bursts", ("", "count"), rows)]


def _use_table(kind: str, uses: Sequence[Use], limit: int) -> list[Block]:
    rows = tuple(
        (one.name, f"{one.steps:,}", seconds(one.cpu_s), number(one.memory_peak_mb), number(one.io_read_mb),
         number(one.io_write_mb), f"{one.samples:,}", number(one.sampled_cpu_pct), number(one.sampled_cpu_p95),
         number(one.sampled_memory_mb), number(one.sampled_memory_max_mb))
        for one in uses[:limit]
        if one.samples or any(value is not None for value in (one.cpu_s, one.memory_peak_mb, one.io_read_mb))
    )  # fmt: skip
    columns = (kind, "steps", "CPU", "peak memory, MB", "read, MB", "written, MB", "samples", "CPU, %", "its P95",
               "memory, MB", "largest")  # fmt: skip
    return [Table(f"Use by {kind}: of steps (sums, largest), and of samples", columns, rows)] if rows else []


def _drawing(found: Sequence[SampleSummary]) -> list[Block]:
    known = sorted((one for one in found if one.memory_avg and one.memory_max), key=lambda one: one.memory_max or 0)
    if len(known) < 2:
        return []
    lines = {
        "peak": tuple((float(place), float(one.memory_max or 0)) for place, one in enumerate(known, 1)),
        "mean": tuple((float(place), float(one.memory_avg or 0)) for place, one in enumerate(known, 1)),
    }
    caption = f"Peak and mean memory of {len(known)} sampled episodes, ordered by peak."
    return [plots.curves("memory", lines, x="episode", y="memory, MB", caption=caption, points=("peak", "mean"))]


SECTION = ResourcesSection()
