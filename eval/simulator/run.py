"""Everything `trajhub trace simulate` does: read sessions, simulate each policy on the same arrivals, write."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ...rollouts.config import load_values, read_overrides
from ...rollouts.files import write_texts
from .cluster import arrive, simulate
from .config import Recorded, SimulatorConfig
from .report import page_of
from .results import SimulationReport, compare, figures_of
from .sessions import Source, read_sessions

__all__ = ["load_config", "simulate_all", "write_simulation"]


def load_config(items: Sequence[str]) -> SimulatorConfig:
    """The shipped preset with files and `key=value` items on top. Policies that are given replace the shipped ones."""
    given = read_overrides(items)
    policies = given.pop("policies", None)
    arrivals = given.pop("arrivals", {})
    config = load_values(SimulatorConfig, "simulator.yaml", given)
    more = {"policies": policies} if policies is not None else {}
    kind = arrivals.get("kind", config.arrivals.kind)
    kept = config.arrivals.model_dump() if kind == config.arrivals.kind else {}
    return load_values(SimulatorConfig, "simulator.yaml", given, **more, arrivals={**kept, **arrivals, "kind": kind})


def simulate_all(
    source: Source, names: Sequence[str], config: SimulatorConfig, each: Callable[[], None] = lambda: None
) -> SimulationReport:
    """Simulate every policy with every seed."""
    seeds = 1 if isinstance(config.arrivals, Recorded) else config.seeds
    work = [arrive(source.sessions, config, config.seed + number) for number in range(seeds)]
    found = dict[str, list[dict[str, float]]]()
    for name, policy in config.policies.items():
        found[name] = []
        for sessions in work:
            found[name].append(figures_of(simulate(sessions, config.cluster, policy)))
            each()
    return SimulationReport(
        sources=tuple(names),
        config=config,
        sessions=len(source.sessions),
        requests=sum(len(session.rounds) for session in source.sessions),
        left_out=source.left_out,
        seeds=seeds,
        policies=compare(found),
    )


def write_simulation(
    paths: Sequence[Path], folder: Path, config: SimulatorConfig, each: Callable[[], None] = lambda: None
) -> SimulationReport:
    """Write `simulation.{json,md,html}` and `figures/`. Raises UsageError without sessions."""
    report = simulate_all(read_sessions(paths, config.predictor), [str(path) for path in paths], config, each)
    texts = page_of(report).texts("simulation")
    write_texts(folder, texts | {"simulation.json": report.model_dump_json(indent=2) + "\n"})
    return report
