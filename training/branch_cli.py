"""`trajhub branch`: alternatives at a state of a recorded episode, each scored by what becomes of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console

if TYPE_CHECKING:
    from .preferences.sampling import Alternatives

__all__ = ["branch"]

Episode = Annotated[Path, typer.Argument(help="Folder of an episode (runs/<run>/episodes/<episode>).")]
Until = Annotated[int, typer.Option("--until", min=0, help="Steps to repeat before branching off.")]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder of the run to make; one that exists is resumed.")]
PolicyName = Annotated[str | None, typer.Option("--policy", help="Policy that continues, as in `trajhub rollout`.")]
Tasks = Annotated[str | None, typer.Option("--tasks", help="Task source of the episode; default: as recorded.")]
Count = Annotated[int, typer.Option("--alternatives", min=1, help="Episodes that branch off there.")]
Rollouts = Annotated[int, typer.Option("--rollouts", min=1, help="Continuations of each distinct action.")]
Workers = Annotated[int | None, typer.Option("--max-workers", min=1, help="Episodes at once.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="The first seed.")]
Grade = Annotated[bool, typer.Option("--grade/--no-grade", help="Judge each final patch.")]
Config = Annotated[
    list[str] | None, typer.Option("-c", "--config", help="FILE.yaml or key=value, as in `trajhub rollout`.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print how many episodes it may take, and stop.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Host = Annotated[str | None, typer.Option("--docker-host", help="Address of the Docker API.")]


def branch(
    episode: Episode,
    until: Until,
    out: Out,
    policy: PolicyName = None,
    tasks: Tasks = None,
    alternatives: Count = 4,
    rollouts: Rollouts = 2,
    max_workers: Workers = None,
    seed: Seed = None,
    grade: Grade = True,
    config: Config = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    docker_host: Host = None,
) -> None:
    """Branch off an episode after some of its steps, several times; `trajhub pairs` then compares the branches."""
    from ..envs.default_tasks import default_tasks
    from ..rollouts.config import load_config, read_overrides
    from .preferences.sampling import branch_and_score, recorded_tasks

    if dry_run:
        console.emit_json({"episode": str(episode), "until": until, "episodes_at_most": _most(alternatives, rollouts)})
        return
    chosen = {"policy": policy, "tasks": tasks, "workers": max_workers, "seed": seed, "grade": grade}
    values: dict[str, Any] = read_overrides(config or [])
    values |= {key: value for key, value in chosen.items() if value is not None}
    if "tasks" not in values:
        values["tasks"] = recorded_tasks(episode) or str(default_tasks())
    settled = load_config(values)
    with console.progress("branches", None):
        done = branch_and_score(
            episode, until, out, settled, alternatives=alternatives, rollouts=rollouts, host=docker_host
        )
    _report(done, episode, as_json)


def _most(alternatives: int, rollouts: int) -> int:
    """Every branch did something else, and the recorded episode too."""
    return alternatives + (alternatives + 1) * (rollouts - 1)


def _report(done: "Alternatives", episode: Path, as_json: bool) -> None:
    if as_json:
        console.emit_json({"run": str(done.run), "state": done.state, "alternatives": done.episodes})
    else:
        rows = [[action, len(found)] for action, found in done.episodes.items()]
        console.table(f"Done after step {done.state}", ["action", "continuations"], rows)
    parents = episode.resolve().parent.parent
    console.next_steps(done.run, f"trajhub pairs {parents} {done.run} --level step -o {done.run}-pairs")
