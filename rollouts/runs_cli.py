"""`trajhub runs`: what was recorded."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..errors import UsageError
from .best_cli import best
from .rollout_cli import episode_table

if TYPE_CHECKING:
    from .summary import Summary

__all__ = ["app"]

app = typer.Typer(help="List runs and show what happened in them.", no_args_is_help=True)
app.command()(best)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_WIDTH = 100


@app.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(help="Folder that holds runs.")] = Path("runs"), as_json: Json = False
) -> None:
    """List runs, one line each."""
    from .run_dir import MANIFEST, read_manifest
    from .summary import summarise

    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; runs are made by `trajhub rollout`")
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    rows = [_overview(path, read_manifest(path), summarise(path)) for path in found]
    if as_json:
        console.emit_json(rows)
        return
    keys = ("run", "policy", "model", "created", "episodes", "counted", "graded", "resolved", "reward", "USD")
    console.table(f"Runs in {folder}", keys, [[row[key] for key in keys] for row in rows])
    console.next_steps(folder, *(f"trajhub runs show {row['run']}" for row in rows[-1:]))


def _overview(path: Path, manifest: dict[str, Any], summary: "Summary") -> dict[str, Any]:
    policy: dict[str, Any] = manifest.get("policy") or {}
    return {
        "run": str(path),
        "policy": policy.get("name"),
        "model": policy.get("model"),
        "created": str(manifest.get("created", ""))[:19],
        "episodes": len(summary.rows),
        "counted": summary.counted,
        "graded": summary.graded,
        "resolved": summary.resolved,
        "reward": summary.mean_reward,
        "USD": summary.cost_usd,
        "excluded": summary.excluded,
    }


@app.command()
def show(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    episode: Annotated[str | None, typer.Option("--episode", help="Episode id, or the beginning of one.")] = None,
    as_json: Json = False,
) -> None:
    """Show the episodes of a run, or the steps of one episode with scores and evidence."""
    from .summary import summarise

    if episode is not None:
        _show_episode(_find(run, episode), as_json)
        return
    summary = summarise(run)
    if as_json:
        console.emit_json(summary.as_dict())
        return
    episode_table(f"Run {summary.run_id}", summary.rows, full=True)
    for sentence in summary.sentences:
        print(sentence)
    for row in summary.rows[:1]:
        console.next_steps(run, f"trajhub runs show {run} --episode {row.episode_id}")


@app.command()
def migrate(
    run: Annotated[Path, typer.Argument(help="Folder of a run recorded by an earlier version.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the copy; must not exist.")],
    as_json: Json = False,
) -> None:
    """Copy a run to the current schema version, hash chain included. The original is left as it is."""
    from .events import SCHEMA_VERSION
    from .migrate import migrate_run

    found = migrate_run(run, output)
    if as_json:
        console.emit_json({"run": str(run), "copy": str(output), "version": SCHEMA_VERSION, "events": found})
        return
    told = ", ".join(f"{count} of version {version}" for version, count in sorted(found.items())) or "none"
    print(f"Events: {told}; all are of version {SCHEMA_VERSION} in the copy.")
    console.next_steps(output, f"trajhub check {output}", f"trajhub runs show {output}")


def _find(run: Path, name: str) -> Path:
    from .run_dir import EPISODES, read_manifest

    read_manifest(run)
    folders = sorted(path for path in (run / EPISODES).glob("*/") if path.name.startswith(name))
    exact = [path for path in folders if path.name == name]
    if len(exact or folders) != 1:
        found = ", ".join(path.name for path in folders[:5]) or "none"
        raise UsageError(f"{name!r} should name one episode of {run}; it names {found}")
    return (exact or folders)[0]


def _show_episode(folder: Path, as_json: bool) -> None:
    from .episode_log import EVENTS
    from .log import read_events
    from .steps import StepView, steps_of

    if as_json:
        console.emit_json([event.model_dump(mode="json") for event in read_events(folder / EVENTS)])
        return
    print(f"Episode {console.safe(folder.name)}")
    samples = list[Any]()
    for item in steps_of(read_events(folder / EVENTS)):
        if not isinstance(item, StepView) and getattr(item.payload, "scope", None) == "sample":
            samples.append(item.payload)
            continue
        _print_samples(samples)
        if isinstance(item, StepView):
            _print_step(item)
        else:
            print(f"{item.event_type}: {_clip(item.payload)}")
            _print_join(getattr(item.payload, "join", None) or {})
    _print_samples(samples)
    console.next_steps(folder, f"less {folder / EVENTS}", f"cat {folder / 'patch.diff'}")


def _print_samples(samples: list[Any]) -> None:
    """Samples of the machine in a row, as one line; they are taken out of the list."""
    if samples:
        seconds, cpu = (sum(getattr(one, name) or 0 for one in samples) for name in ("wall_ms", "cpu_s"))
        memory = max(one.memory_bytes or 0 for one in samples) / 2**20
        count = f"{len(samples)} samples" if len(samples) > 1 else "1 sample"
        print(f"{count}: {seconds / 1e3:.1f} s, CPU {cpu:.1f} s, memory up to {memory:.0f} MiB")
        samples.clear()


def _print_join(join: dict[str, Any]) -> None:
    """How well the records of a command-line agent were joined, and which of its transcripts were read."""
    if not join:
        return
    known, by = join["matched"] + join["unmatched"], ", ".join(f"{count} by {how}" for how, count in join["by"].items())
    requests = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in join["requests"].items())
    print(f"    joined: {join['matched']} of {known} records ({by or 'none'}); requests: {requests}")
    for one in join["transcripts"]:
        told = one.get("unread") or one.get("fault") or f"{one['events']} events by {one['adapter']}"
        lacking = f", not understood: {one['not_understood']}" if one.get("not_understood") else ""
        print(f"    transcript {console.safe(one['file'])}: {console.safe(str(told) + lacking)}")


def _print_step(step: Any) -> None:
    call, result, reward = step.call, step.result, step.reward
    worth = "" if reward is None else f"  reward {reward.reward:.3f}"
    state = "ok" if result is not None and result.ok else f"failed ({result.error if result else 'no result'})"
    print(f"\n[{call.step}] {console.safe(call.tool or 'malformed action')} {_clip(call.arguments or call.action)}")
    if call.thought:
        print(f"    thought: {_clip(call.thought)}")
    print(f"    {console.safe(state)}, {step.duration_ms:.1f} ms{worth}")
    if result is not None:
        print(f"    saw: {_clip(result.observation)}")
    for criterion in reward.criteria if reward is not None else ():
        score = "-" if criterion.score is None else f"{criterion.score:.2f}"
        print(f"    {score:>5} {console.safe(criterion.criterion)}")
        for rule in criterion.rules:
            print(f"          {rule.get('score'):.2f} {console.safe(rule.get('rule'))}: {_clip(rule.get('evidence'))}")


def _clip(value: object) -> str:
    text = console.safe(value if isinstance(value, str) else str(value))
    return text if len(text) <= 2 * _WIDTH else text[: 2 * _WIDTH] + " …"
