"""`trajhub judge`: an LLM scores the steps of a recorded run."""

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..errors import ServiceError
from .interrupt_cli import interruptible

if TYPE_CHECKING:
    from .judge_run import JudgeRun
    from .judge_summary import JudgeSummary
    from .judging import JudgeRunConfig, Selected

__all__ = ["judge"]

Run = Annotated[Path, typer.Argument(help="Folder of a run.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", help="MODEL@URL of an OpenAI-compatible service; repeat it for several judges."),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most this many steps.")]
Filter = Annotated[str | None, typer.Option("--filter", help="Only tasks whose id matches this glob.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Draw the steps of --limit at random with this seed.")]
Workers = Annotated[int | None, typer.Option("--max-workers", min=1, help="Requests at once.")]
Config = Annotated[
    list[str] | None, typer.Option("-c", "--config", help="FILE.yaml or key=value; repeatable, later ones win.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the resolved configuration, requests, tokens and the cost ceiling.")
]
Show = Annotated[
    str | None, typer.Option("--show", help="EPISODE:STEP: only print what judges saw and said of that step.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def judge(
    run: Run,
    model: Models = None,
    config: Config = None,
    limit: Limit = None,
    task_filter: Filter = None,
    seed: Seed = None,
    max_workers: Workers = None,
    dry_run: DryRun = False,
    show: Show = None,
    as_json: Json = False,
) -> None:
    """Have an LLM score the steps of a run. Earlier answers come from a cache; run it again to resume."""
    from .judging import selected

    options = {"limit": limit, "filter": task_filter, "seed": seed}
    asked: dict[str, Any] = {"models": model, "workers": max_workers}
    settled = _settle(config or [], _given(options), _given(asked))
    if show is not None:
        _show_exchanges(run, show, settled, as_json)
        return
    chosen = selected(run, settled)
    if dry_run:
        _show_plan(run, settled, chosen)
        return
    work = _work(run, settled, chosen, quiet=as_json)
    _report(run, work, as_json)
    if work.interrupted:
        print("trajhub: interrupted; the same command goes on where it stopped", file=sys.stderr)
        raise typer.Exit(130)
    if "service" in work.summary.troubles:
        raise ServiceError(
            f"the service failed: {console.safe(work.summary.reasons['service'])}; what was answered is kept"
        )


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _settle(items: list[str], options: dict[str, Any], asked: dict[str, Any]) -> "JudgeRunConfig":
    from .config import read_overrides
    from .judging import load_judge_config

    values = read_overrides(items) | options
    if asked:
        values["judge"] = {**(values.get("judge") or {}), **asked}
    return load_judge_config(values)


def _show_exchanges(run: Path, place: str, config: "JudgeRunConfig", as_json: bool) -> None:
    from .judge_show import exchanges
    from .scoring import judge_cache

    found = exchanges(run, place, config.judge.cache or judge_cache(run))
    if as_json:
        console.emit_json(found)
        return
    for one in found:
        print(f"== {console.safe(one['layer'])}, {one['episode_id']} step {one['step']}, key {one['key']}")
        messages: list[dict[str, str]] = one["request"]["messages"] if one["request"] else []
        for message in messages:
            print(f"-- {message['role']}\n{console.safe(message['content'], keep_newlines=True)}")
        print(f"-- answer\n{console.safe(one['answer'] or one['error'] or 'not in the cache', keep_newlines=True)}\n")


def _show_plan(run: Path, config: "JudgeRunConfig", chosen: "Selected") -> None:
    from .judge_run import estimate

    found = estimate(run, config, chosen)
    plan = {"config": config.model_dump(mode="json", exclude={"prices"}), **found.as_dict()}
    if not config.judge.models:
        plan["note"] = "no model is named: --model MODEL@URL"
    elif found.cost_ceiling_usd is None:
        plan["note"] = (
            "a model has no price, so the cost is not known; add one with -c FILE.yaml (see configs/prices.yaml)"
        )
    else:
        plan["note"] = "answers that are not valid are asked for again, which is not counted here"
    console.emit_json(plan)


def _work(run: Path, config: "JudgeRunConfig", chosen: "Selected", *, quiet: bool) -> "JudgeRun":
    from ..rewards.judge.asking import Judge
    from .judge_run import JudgeRun
    from .scoring import judge_cache

    steps = sum(map(len, chosen.values()))
    with closing(Judge(config.judge, config.prices, judge_cache(run))) as asker:
        work = JudgeRun(run, config, chosen, asker)
        if not quiet:
            print(f"Judging {steps} steps of {len(chosen)} episodes by {console.safe(asker.name)}", file=sys.stderr)
        waiting = interruptible("waiting for the requests under way", work.interrupt)
        with waiting, console.progress("Judging", steps) as tick:

            def advance(summary: "JudgeSummary") -> None:
                cost = "" if not summary.cost_usd else f", {summary.cost_usd:.4f} USD"
                tick(note=f"{summary.requests} requests, {summary.cached} cached{cost}")

            work.score(advance)
    return work


def _report(run: Path, work: "JudgeRun", as_json: bool) -> None:
    summary = work.summary
    if as_json:
        files = {layer: str(path) for layer, path in work.written.items()}
        console.emit_json({"run": str(run), "files": files, **summary.as_dict()})
    else:
        _table(summary)
    *others, last = work.written.values() or [run]
    for path in others:
        console.next_steps(path)
    console.next_steps(last, f"trajhub label {run}", f"trajhub audit {run}")


def _table(summary: "JudgeSummary") -> None:
    told = summary.as_dict()
    columns = ("criterion", "mean score", "steps scored", "not scored", "mean spread")
    rows = [
        (name, _figure(one["mean"]), one["scored"], one["unscored"] or None, _figure(one["mean_spread"]))
        for name, one in told["criteria"].items()
    ]
    console.table(f"{console.safe(summary.layer)} on {summary.steps} steps", columns, rows)
    share = "" if told["cache_hit_share"] is None else f" ({told['cache_hit_share']:.1%})"
    print(f"Requests: {summary.requests} new, {summary.cached} of {summary.asked} answers from the cache{share}")
    cost = "not known (no price)" if summary.cost_usd is None else f"{summary.cost_usd:.6f} USD"
    print(f"Tokens:   {told['input_tokens'] or 0} in, {told['output_tokens'] or 0} out; cost: {cost}")
    if summary.latencies:
        print(f"Latency:  p50 {told['latency_p50_ms']} ms, p95 {told['latency_p95_ms']} ms, in {summary.seconds:.1f} s")
    if summary.flagged:
        print(f"Flagged:  {summary.flagged} steps hold text that tries to instruct the judge (judge_injection)")
    for kind, count in summary.troubles.most_common():
        print(f"Without answer: {count} ({kind}), for example: {console.safe(summary.reasons[kind])[:300]}")


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
