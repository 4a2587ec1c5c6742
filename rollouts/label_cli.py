"""`trajhub label` and `trajhub labels`: people score steps and choose between trajectories; labels come and go."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..errors import UsageError

if TYPE_CHECKING:
    from ..rewards.human.exchange import Arrived
    from ..rewards.human.sampling import Candidate
    from ..rewards.human.session import Session
    from .label_items import LabelRuns

__all__ = ["Format", "app", "label"]

app = typer.Typer(help="Look at labels, and exchange them with other labelling tools.", no_args_is_help=True)

Labels = Annotated[Path, typer.Option("--labels", help="File of labels (SQLite).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Filter = Annotated[str | None, typer.Option("--filter", help="Only tasks whose id matches this glob.")]
Masked = Annotated[list[str] | None, typer.Option("--mask", help="Name to black out in all texts; repeatable.")]
Users = Annotated[
    list[str] | None,
    typer.Option("--user", help="NAME=ID: who an annotator is in the other tool (e-mail, number or UUID)."),
]
_PORT = 8765
_TOLD = 10


class Format(StrEnum):
    """Formats in which labels come and go."""

    LABEL_STUDIO = "label-studio"
    ARGILLA = "argilla"
    JSONL = "jsonl"


class How(StrEnum):
    """Ways to choose what is labelled."""

    RANDOM = "random"
    DISAGREEMENT = "disagreement"
    CRITERION = "criterion"
    OUTCOME = "outcome"


def label(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    labels: Labels = Path("labels.sqlite"),
    annotator: Annotated[
        str | None, typer.Option("--annotator", help="Who labels; default: asked on the page.")
    ] = None,
    strategy: Annotated[How, typer.Option("--strategy", help="How to choose what is labelled.")] = How.RANDOM,
    criterion: Annotated[str | None, typer.Option("--criterion", help="Criterion, for `--strategy criterion`.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most this many steps or pairs.")] = None,
    pattern: Filter = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the choice, and of each annotator's order.")] = 0,
    pairs: Annotated[
        bool, typer.Option("--pairs/--steps", help="Choose between two trajectories of a task, or score steps.")
    ] = False,
    mask: Masked = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the page; 0: a free one.")] = _PORT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be labelled.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With `--dry-run`: print the choice as JSON.")] = False,
) -> None:
    """Serve a page on this machine where people label steps or pairs of trajectories, blind to their source."""
    from ..rewards.human.sampling import take
    from ..rewards.human.server import LabelServer
    from ..rewards.human.session import Session
    from ..rewards.human.store import LabelStore

    read = _read_runs(runs, pattern, mask)
    chosen = take(read.pairs() if pairs else read.steps(), strategy.value, limit=limit, seed=seed, criterion=criterion)
    if dry_run:
        _show_choice(chosen, as_json)
        return
    with LabelStore(labels) as store:
        session = Session(store, [each.item for each in chosen], read.view, seed=seed)
        _serve(LabelServer(session, port=port), session, annotator, labels)


def _read_runs(runs: Sequence[Path], pattern: str | None, mask: Sequence[str] | None) -> "LabelRuns":
    from .label_items import LabelRuns
    from .trajectory import episode_folders

    total = sum(len(episode_folders(run)) for run in runs)
    with console.progress("Reading episodes", total) as tick:
        return LabelRuns(runs, pattern=pattern, masked=mask or (), tick=tick)


def _show_choice(chosen: "Sequence[Candidate]", as_json: bool) -> None:
    from collections import Counter

    if as_json:
        console.emit_json([each.item.model_dump(mode="json") for each in chosen])
        return
    counts = Counter((each.item.task_id, each.outcome) for each in chosen)
    rows = [(task, outcome, count) for (task, outcome), count in sorted(counts.items())]
    console.table(f"{len(chosen)} to label", ("task", "outcome", "chosen"), rows)
    console.next_steps("nothing was written", "the same without --dry-run")


def _serve(server: Any, session: "Session", annotator: str | None, labels: Path) -> None:
    """Until Ctrl-C, which is how a session ends: every label is on disk already."""
    from urllib.parse import urlencode

    address = f"{server.url}?{urlencode({'annotator': annotator})}" if annotator else server.url
    try:
        print(f"{session.count} {session.kind}s to label. Open this in a browser on this machine:\n\n  {address}\n")
        print("Every label is saved at once. Ctrl-C ends.", flush=True)
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()
    console.next_steps(
        labels, f"trajhub labels list --labels {labels}", "trajhub calibrate RUN --labels " + str(labels)
    )


@app.command("list")
def list_labels(labels: Labels = Path("labels.sqlite"), as_json: Json = False) -> None:
    """Who labelled what: one line an annotator."""
    from ..rewards.human.overview import overview
    from ..rewards.human.store import LabelStore

    with LabelStore(labels, create=False) as store:
        found = overview(store)
    if as_json:
        console.emit_json(found)
        return
    rows: list[dict[str, Any]] = found["annotators"]
    keys = ("annotator", "steps", "scores", "not applicable", "pairs", "ties", "left", "withdrawn", "median s", "last")
    console.table(f"Labels in {labels}", keys, [[row[key] for key in keys] for row in rows])
    print(f"{found['items']} items, {found['labelled']} labelled, {found['by several']} by more than one person.")
    console.next_steps(labels, f"trajhub labels export OUT --labels {labels}")


@app.command("export")
def export_labels(
    out: Annotated[Path, typer.Argument(help="Folder to write; a file for jsonl.")],
    labels: Labels = Path("labels.sqlite"),
    to: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.LABEL_STUDIO,
    run: Annotated[
        list[Path] | None, typer.Option("--run", help="Run whose texts to include; may be repeated.")
    ] = None,
    propose: Annotated[bool, typer.Option("--propose", help="Include the rules' scores as proposals.")] = False,
    user: Users = None,
    mask: Masked = None,
    as_json: Json = False,
) -> None:
    """Write labels, and what was chosen to be labelled, for another tool. Texts come from the runs given by --run."""
    from ..rewards.human.files import write_labels
    from ..rewards.human.store import LabelStore

    read = _read_runs(run or [], None, mask)
    with LabelStore(labels, create=False) as store:
        written = write_labels(
            store, out, to.value, read.texts if run else None, read.scores if propose else None, _users(user)
        )
    if as_json:
        console.emit_json({"out": str(out), **written})
        return
    for kind, count in written.items():
        print(f"{kind}: {count}")
    console.next_steps(out, f"trajhub labels import {out} --format {to.value} --labels OTHER.sqlite")


@app.command("import")
def import_labels(
    source: Annotated[Path, typer.Argument(help="File, or a folder as `trajhub labels export` writes it.")],
    labels: Labels = Path("labels.sqlite"),
    of: Annotated[Format, typer.Option("--format", help="What it is.")] = Format.LABEL_STUDIO,
    user: Users = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be added.")] = False,
    as_json: Json = False,
) -> None:
    """Add labels from another tool. Nothing is removed, and what is known already is not added twice."""
    from ..rewards.human.exchange import deposit
    from ..rewards.human.files import read_labels
    from ..rewards.human.store import LabelStore

    if not source.exists():
        raise UsageError(f"there is no {source}")
    with LabelStore(labels) as store:
        arrived = read_labels(source, of.value, _users(user), {item.item_id: item for item in store.items()})
        added = 0 if dry_run else deposit(arrived, store)
    _report(arrived, added, as_json)
    console.next_steps(labels, f"trajhub labels list --labels {labels}")


def _report(arrived: "Arrived", added: int, as_json: bool) -> None:
    if as_json:
        found = {"items": len(arrived.items), "saves": len(arrived.saves), "made_there": arrived.new}
        console.emit_json({**found, "added": added, "ignored": arrived.ignored})
        return
    read = f"{len(arrived.saves)} saves of {len(arrived.items)} items read"
    print(f"{read}, {arrived.new} of them made there; {added} added.")
    for sentence in arrived.ignored[:_TOLD]:
        print(f"Left out: {console.safe(sentence)}")
    if len(arrived.ignored) > _TOLD:
        print(f"Left out: {len(arrived.ignored) - _TOLD} more (all of them with --json)")


def _users(given: Sequence[str] | None) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in given or ()]
    for name, _, user in pairs:
        if not name or not user:
            raise UsageError("--user needs NAME=ID, for example --user ada=ada@example.org")
    return {name: user for name, _, user in pairs}
