"""Policies replayed: sums by hand, and nobody judged by who saw its task."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.eval.prediction.crossed import Judges, judges_for
from trajectory_hub.eval.prediction.data import Trace
from trajectory_hub.eval.prediction.evaluate import alone
from trajectory_hub.eval.prediction.metrics import Resamples
from trajectory_hub.eval.prediction.policies import ReplaySettings, replay
from trajectory_hub.eval.prediction.replay import base_ledger, early_stop, point, timeouts
from trajectory_hub.eval.prediction.replay_report import page_of, sentence
from trajectory_hub.rollouts.steering.config import DynamicTimeout
from trajectory_hub.rollouts.steering.features import CALL_NAMES, NAMES
from trajectory_hub.rollouts.steering.predictor import Constant, Head, Linear, Predictor, Recipe

from .made import episode, episodes, step


def predictor(head: Head, target: str = "success", tasks: tuple[str, ...] = ()) -> Predictor:
    recipe = Recipe(model="linear", at=(head.at,) if head.at else (), quantiles=(0.9,) if head.quantile else ())
    names = CALL_NAMES if head.quantile else NAMES
    return Predictor(
        target=target,  # pyright: ignore[reportArgumentType]
        features=names,
        recipe=recipe,
        heads=(head,),
        episodes=1,
        tasks=tasks,
    )


def by_failures(at: int) -> Predictor:
    """Success is likely unless something failed: log-odds 3 - 6 * share_failed."""
    weights = tuple(-6.0 if name == "share_failed" else 0.0 for name in NAMES)
    zeros, ones = (0.0,) * len(NAMES), (1.0,) * len(NAMES)
    model = Linear(fill=zeros, mean=zeros, scale=ones, weights=weights, intercept=3.0)
    return predictor(Head(at=at, link="logistic", model=model))


def judged(traces: list[Trace], by: Predictor) -> Judges:
    return Judges((by,) * len(traces), tuple(range(len(traces))), len(traces))


def test_an_early_stop_costs_what_was_spent_by_then() -> None:
    good = episode("a", [step()] * 4, resolved=True, cost=4.0)
    bad = episode("b", [step(failed=True)] * 10, resolved=False, cost=10.0)
    lost = episode("c", [step(failed=True), step(), step()], resolved=True, cost=3.0)
    short = episode("d", [step(failed=True)], resolved=True, cost=1.0)
    traces = [good, bad, lost, short]
    base, at = base_ledger(traces), early_stop(traces, judged(traces, by_failures(1)))
    assert at(0.0).touched.sum() == 0
    stopped = at(0.1)
    assert list(stopped.touched) == [0, 1, 1, 0], "what is over after a step cannot be stopped after it"
    assert list(stopped.resolved) == [1, 0, 0, 1]
    assert list(stopped.spent["usd"]) == [4.0, pytest.approx(1.0), pytest.approx(1.0), 1.0]
    assert list(stopped.spent["minutes"] * 60) == pytest.approx([45, 10, 10, 15])
    assert list(stopped.spent["million_tokens"] * 1e6) == pytest.approx([400, 100, 100, 100])
    found = point("early stop", 0.1, base, stopped, Resamples(np.arange(4), 50, 0))
    assert found.figures["per_usd_without"].value == pytest.approx(3 / 18)
    assert found.figures["per_usd"].value == pytest.approx(2 / 7)
    assert found.figures["per_usd_gain"].value == pytest.approx((2 / 7) / (3 / 18) - 1)
    assert found.successes_kept.value == pytest.approx(2 / 3)
    assert "success per dollar +71.4%" in sentence(found)


def test_what_is_not_known_is_left_out_of_the_sums() -> None:
    known = episode("a", [step(failed=True)] * 2, resolved=True, cost=2.0)
    free = replace(known, cost_usd=None, task="b")
    traces = [known, free]
    found = point("x", 0, base_ledger(traces), base_ledger(traces), Resamples(np.arange(2), 20, 0))
    assert found.figures["usd_saved"].value == 0 and "per_million_tokens" in found.figures
    none = [free, free]
    assert "per_usd" not in point("x", 0, base_ledger(none), base_ledger(none), Resamples(np.arange(2), 20, 0)).figures


def test_cut_commands_save_time_and_may_lose_results() -> None:
    head = Head(quantile=0.9, link="log1p", model=Constant(value=log(1 + 1000.0)))
    slow = episode("a", [step(tool_ms=500.0), step(tool_ms=9_000.0)], resolved=True)
    hung = episode("b", [step(tool_ms=60_000.0, error="timeout")], resolved=True)
    traces = [slow, hung]
    config = DynamicTimeout(predictor="", quantile=0.9, floor=2.0)
    at = timeouts(traces, judged(traces, predictor(head, "tool_latency")), config)
    cut, best, again = at(3.0, "cut"), at(3.0, "cut, at best"), at(3.0, "retry")
    saved = base_ledger(traces).spent["minutes"] * 60 - cut.spent["minutes"] * 60
    assert list(saved) == pytest.approx([6.0, 57.0]) and list(cut.touched) == [1, 1]
    assert list(cut.resolved) == [0, 1], "a command that timed out anyway had no result to lose"
    assert list(best.resolved) == list(again.resolved) == [1, 1]
    assert list(again.spent["minutes"] * 60) == pytest.approx([25 + 3, 15 + 3])
    assert at(1.0, "cut").spent["minutes"][0] * 60 == pytest.approx(25 - 7), "the floor holds"
    assert at(100.0, "cut").touched.sum() == 0


def test_a_second_try_takes_as_long_as_the_agents_own_where_it_made_one() -> None:
    head = Head(quantile=0.9, link="log1p", model=Constant(value=log(1 + 1000.0)))
    hung = step(tool_ms=60_000.0, error="timeout")
    again = step(tool_ms=3_000.0, repeated=True)
    told, untold = episode("a", [hung, again], resolved=True), episode("b", [hung], resolved=True)
    slow = episode("c", [step(tool_ms=9_000.0)], resolved=True)
    traces = [told, untold, slow]
    config = DynamicTimeout(predictor="", quantile=0.9, floor=2.0)
    found = timeouts(traces, judged(traces, predictor(head, "tool_latency")), config)(2.0, "retry, as repeated")
    changed = found.spent["minutes"] * 60 - base_ledger(traces).spent["minutes"] * 60
    assert list(changed) == pytest.approx([2 - 60, 2 - 60 + 3, 2]), "its own; that of others; as long as the first"
    assert list(found.resolved) == [1, 1, 1]


def test_nobody_is_judged_by_who_saw_its_task() -> None:
    traces = episodes(80, tasks=20)
    given = by_failures(2)
    assert judges_for(traces, given, 4, 0).unseen == 80
    half = tuple(sorted({trace.task for trace in traces}))[:10]
    with alone():
        judges = judges_for(traces, given.model_copy(update={"tasks": half}), 4, 0)
    for trace, judge, part in zip(traces, judges.each, judges.folds, strict=True):
        assert trace.task not in judge.tasks
        assert judge.target == "success" and 0 <= part < 4
    assert judges.unseen == sum(trace.task not in half for trace in traces)
    only = [trace for trace in traces if trace.task == traces[0].task]
    with pytest.raises(UsageError, match="no other to learn from"):
        judges_for(only, given.model_copy(update={"tasks": (only[0].task,)}), 4, 0)


def test_stopping_pays_where_success_can_be_predicted_and_the_threshold_is_chosen_elsewhere() -> None:
    traces = episodes(200)
    seen = tuple({trace.task for trace in traces})
    settings = ReplaySettings(resamples=100, thresholds=(0.0, 0.2, 0.4, 1.0))
    with alone():
        report = replay(traces, ["made"], by_failures(3).model_copy(update={"tasks": seen}), settings)
    never, always = report.sweep[0], report.sweep[-1]
    assert never.touched == 0 and never.figures["per_usd_gain"].value == 0
    assert always.resolved == 0 and always.touched == 1
    assert report.chosen is not None and report.chosen_by == "per_usd" and report.judged_by_the_file == 0
    gain = report.chosen.figures["per_usd_gain"]
    assert gain.low > 0, "beyond what tasks vary"
    html = page_of(report).html()
    assert "chosen by other tasks" in html and html == page_of(report).html()


def test_a_target_without_a_policy_is_refused() -> None:
    head = Head(link="logistic", model=Constant(value=0.0))
    with pytest.raises(UsageError, match="no policy goes by"):
        replay(episodes(10), ["made"], predictor(head, "next_tool_failure"), ReplaySettings())
    ungraded = [episode("a", [step()], resolved=None)]
    with pytest.raises(UsageError, match="no episode is graded"):
        replay(ungraded, ["made"], by_failures(1), ReplaySettings())
