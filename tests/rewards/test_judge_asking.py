"""Asking a judge: the contract, the cache, faults, budgets, ensembles."""

import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import ConfigError, UsageError
from trajectory_hub.rewards.judge.asking import Judge
from trajectory_hub.rewards.judge.cache import JudgeCache
from trajectory_hub.rewards.judge.config import JudgeConfig
from trajectory_hub.rewards.judge.ensemble import judgement
from trajectory_hub.rewards.judge.outcome import Outcome
from trajectory_hub.rewards.judge.schema import GRADES, MalformedAnswer, answer_schema, parse_answer
from trajectory_hub.rewards.scores import CRITERIA

from ..rollouts.faulty import Reply, message, serving
from .judging import PRICES, answer, answer_text, asking, make_step, view_of

VIEW = view_of(make_step(0), make_step(1, action="cat cart.py", observation="total = 1"))


def ask(judge: Judge) -> Outcome:
    return judge.submit(VIEW).outcomes()[0]


# The contract -----------------------------------------------------------------------------------------------------


def test_the_request_holds_prompt_view_and_strict_schema() -> None:
    with serving(answer(0.7, goal_progress=0.3)) as seen, asking(seen) as judge:
        outcome = ask(judge)
    (body,) = seen.bodies
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0.0, 1500)
    assert [one["role"] for one in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"] == judge.prompt.system
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "step_scores", "strict": True, "schema": answer_schema(300)},
    }
    assert outcome.answer is not None
    assert outcome.answer.goal_progress.score == 0.3
    assert outcome.answer.tool_choice.reason == "It reads the file."
    assert (outcome.requests, outcome.usage.input_tokens, outcome.usage.output_tokens) == (1, 100, 10)
    assert outcome.cost_usd == pytest.approx((100 * 1 + 10 * 10) / 1e6)
    assert outcome.latency_ms is not None
    assert judge.name == "judge@1:m"


def test_the_schema_leaves_no_room() -> None:
    schema = answer_schema(120)
    assert schema["required"] == list(schema["properties"]) == list(CRITERIA)
    opinion = schema["properties"]["goal_progress"]
    assert list(opinion["properties"]) == ["reason", "score"], "a model that reasons first scores better"
    assert opinion["properties"]["score"] == {"type": "number", "enum": list(GRADES)}
    assert opinion["properties"]["reason"]["maxLength"] == 120
    assert schema["additionalProperties"] is opinion["additionalProperties"] is False
    assert "maxLength" not in json.dumps(answer_schema(None))


def test_services_without_schemas_can_be_asked_too() -> None:
    with serving(message(f"```json\n{answer_text()}\n```")) as seen:
        with asking(seen, request={"structured": "off"}) as judge:
            assert ask(judge).answer is not None
        with asking(seen, request={"structured": "json_object", "extra_body": {"max_tokens": None, "n": 1}}) as judge:
            assert ask(judge).answer is not None
    assert "response_format" not in seen.bodies[0]
    assert seen.bodies[1]["response_format"] == {"type": "json_object"}
    assert "max_tokens" not in seen.bodies[1], "null leaves a field out"
    assert seen.bodies[1]["n"] == 1


GOOD = json.loads(answer_text())


def changed(**criteria: Any) -> str:
    return json.dumps(GOOD | criteria)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("I would give 1.0 to all of them.", "not JSON"),
        (answer_text()[:-5], "not JSON"),
        ("[1.0, 1.0, 1.0, 1.0, 1.0]", "answer: Input should be"),
        (changed(goal_progress={"reason": "x", "score": 1.1}), "goal_progress.score: Input should be less"),
        (changed(goal_progress={"reason": "x", "score": -0.1}), "goal_progress.score: Input should be greater"),
        (changed(goal_progress={"reason": "x", "score": "0.5"}), "goal_progress.score: Input should be a valid number"),
        (changed(goal_progress={"reason": "x", "score": True}), "goal_progress.score: Input should be a valid number"),
        (changed(goal_progress={"reason": "x", "score": float("nan")}), "goal_progress.score"),
        (changed(goal_progress={"reason": " ", "score": 1.0}), "goal_progress.reason: String should have at least"),
        (changed(goal_progress={"score": 1.0}), "goal_progress.reason: Field required"),
        (changed(SECRET={"reason": "x", "score": 1.0}), r"\(unknown key\): Extra inputs"),
        (json.dumps({name: GOOD[name] for name in CRITERIA[1:]}), "goal_progress: Field required"),
        (answer_text()[:-1] + ', "tool_choice": {"reason": "x", "score": 1.0}}', "a key comes twice"),
        ("[" * 100_000, "characters, more than"),
        ("[" * 19_000, "not JSON: RecursionError"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_is_refused(text: str, said: str) -> None:
    with pytest.raises(MalformedAnswer, match=said):
        parse_answer(text)


@pytest.mark.parametrize(
    "text",
    [
        answer_text(),
        f"```\n{answer_text()}\n```",
        f"<think>1.0? {{}} no.</think>\n{answer_text()}",
        answer_text(reason="bell").replace("bell", "bell \x07"),
    ],
)
def test_what_may_stand_around_an_answer(text: str) -> None:
    assert parse_answer(text).non_redundancy.score == 0.7


# Malformed answers and faults ---------------------------------------------------------------------------------------


def test_a_malformed_answer_is_asked_again_with_what_was_wrong() -> None:
    with serving(message("I cannot say."), answer(0.4)) as seen, asking(seen) as judge:
        outcome = ask(judge)
    assert outcome.answer is not None
    assert (outcome.requests, outcome.usage.total, judge.ledger.requests) == (2, 220, 2)
    first, second = (body["messages"][1]["content"] for body in seen.bodies)
    assert second.startswith(first)
    assert "Your last answer was not valid: it is not JSON" in second


def test_malformed_to_the_end_is_recorded_as_failed_with_no_score(tmp_path: Path) -> None:
    cache = tmp_path / "judge.sqlite"
    cut = message(answer_text()[:40])
    cut.body["choices"][0]["finish_reason"] = "length"
    with serving(message("{}"), message(None), cut) as seen:
        with asking(seen, cache=cache) as judge:
            outcome = ask(judge)
            made = judgement(judge, VIEW, [outcome])
            record = judge.record(outcome.key)
        assert (outcome.answer, outcome.trouble, outcome.requests) == (None, "malformed", 3)
        assert outcome.cost_usd == pytest.approx(3 * 200 / 1e6), "what failed was paid for all the same"
        assert {score.score for score in made.criteria.values()} == {None}
        assert (
            "not scored: no valid answer in 3 tries; the last one: it was cut off at 1500"
            in made.criteria["tool_choice"].evidence
        )
        assert record is not None
        assert [one["answer"] for one in record.attempts] == ["{}", "", answer_text()[:40]]
        with asking(seen, cache=cache) as judge:
            assert (ask(judge).trouble, len(seen.bodies)) == ("malformed", 3), "not asked again, unless told to"
        with asking(seen, cache=cache, retry_failed=True, malformed_retries=0) as judge:
            assert (ask(judge).trouble, len(seen.bodies)) == ("malformed", 4)


@pytest.mark.parametrize(
    "fault",
    [
        Reply(429, {"error": "slow down"}, {"Retry-After": "0.01"}),
        Reply(503, b"busy"),
        Reply(500, {"error": "oops"}),
        Reply(200, b"<html>not json</html>"),
        Reply(200, {"choices": []}, cut=True),
        Reply(200, b"", delay=0.4),
    ],
    ids=["429", "503", "500", "html", "cut", "time-out"],
)
def test_what_may_pass_is_tried_again(fault: Reply) -> None:
    with serving(fault, fault, answer()) as seen, asking(seen, request={"request_timeout": 0.2}) as judge:
        outcome = ask(judge)
    assert outcome.answer is not None
    assert len(seen.bodies) == 3
    assert (outcome.requests, judge.ledger.requests) == (1, 1), "only what was answered is counted"


def test_a_service_that_fails_leaves_no_score_and_is_asked_again_next_time(tmp_path: Path) -> None:
    cache = tmp_path / "judge.sqlite"
    with serving(Reply(503, b"busy"), Reply(503, b"busy"), Reply(503, b"busy"), answer()) as seen:
        with asking(seen, cache=cache) as judge:
            outcome = ask(judge)
            assert (outcome.answer, outcome.trouble, outcome.requests) == (None, "service", 0)
            assert "failed 3 times, last: HTTP 503" in str(outcome.error)
        with asking(seen, cache=cache) as judge:
            assert ask(judge).answer is not None


def test_after_failures_in_a_row_nothing_more_is_asked() -> None:
    views = [view_of(make_step(action=f"ls {number}")) for number in range(6)]
    with (
        serving(Reply(503, b"busy")) as seen,
        asking(seen, give_up_after=2, workers=1, request={"retries": 0}) as judge,
    ):
        outcomes = [judge.submit(view).outcomes()[0] for view in views]
    assert [one.trouble for one in outcomes] == ["service", "service", *["stopped"] * 4]
    assert "failed 2 requests in a row" in str(outcomes[-1].error)
    assert len(seen.bodies) == 2


@pytest.mark.parametrize(("status", "said"), [(401, "refused the key"), (404, "has no model 'm'")])
def test_what_will_not_pass_ends_it(status: int, said: str) -> None:
    with serving(Reply(status, {"error": "no"})) as seen, asking(seen) as judge:
        with pytest.raises(ConfigError, match=said):
            ask(judge)
        assert judge.stopped is not None


def test_a_step_that_does_not_fit_the_model_is_a_failure_of_its_own() -> None:
    overflow = Reply(400, {"error": {"message": "maximum context length is 8192 tokens"}})
    with serving(overflow, answer()) as seen, asking(seen, give_up_after=1) as judge:
        assert ask(judge).trouble == "too_long"
        assert ask(judge).answer is not None


# The cache ----------------------------------------------------------------------------------------------------------


def test_the_same_question_again_costs_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "scores" / "judge.sqlite"
    with serving(answer(0.7), answer(0.1)) as seen:
        with asking(seen, cache=cache) as judge:
            first = ask(judge)
        with asking(seen, cache=cache, budget={"requests": 0}) as judge:
            again = ask(judge)
            assert judge.ledger.requests == 0
            record = judge.record(again.key)
    assert len(seen.bodies) == 1
    assert (first.cached, again.cached) == (False, True)
    assert again.answer == first.answer
    assert (again.usage, again.cost_usd, again.latency_ms) == (
        first.usage,
        first.cost_usd,
        pytest.approx(first.latency_ms, 0.01),
    )
    assert record is not None
    assert record.request == seen.bodies[0], "what the judge saw, word for word"
    assert (record.prompt, record.prompt_sha256) == ("step@1", judge.prompt.sha256)
    assert record.answer == answer_text(0.7)
    assert sqlite3.connect(cache).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_address_is_what_determines_the_answer_and_not_where_it_is_asked(tmp_path: Path) -> None:
    cache = tmp_path / "judge.sqlite"
    with serving(answer()) as here, serving(answer()) as there:
        for seen in (here, there):
            with asking(seen, cache=cache) as judge:
                ask(judge)
        changes: list[dict[str, Any]] = [
            {"request": {"temperature": 0.5}},
            {"request": {"max_tokens": 99}},
            {"request": {"reason_chars": 50}},
            {"samples": 2, "request": {"temperature": 0.5}},
            {"request": {"structured": "json_object"}},
        ]
        for config in changes:
            with asking(there, cache=cache, **config) as judge:
                assert any(not one.cached for one in judge.submit(VIEW).outcomes()), config
    assert len(here.bodies) == 1


def test_equal_questions_at_the_same_time_are_asked_once() -> None:
    slow = answer()
    slow.delay = 0.3
    with serving(slow) as seen, asking(seen) as judge:
        both = [judge.submit(VIEW) for _ in range(5)]
        outcomes = [pending.outcomes()[0] for pending in both]
    assert len(seen.bodies) == 1
    assert [one.cached for one in outcomes] == [False, True, True, True, True]


def test_a_file_that_is_no_cache_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 100)
    with pytest.raises(UsageError, match=r"notes.txt is not a judge's cache"):
        JudgeCache(path)
    assert path.read_text() == "my notes " * 100


def test_two_processes_may_share_a_cache(tmp_path: Path) -> None:
    path = tmp_path / "judge.sqlite"
    with serving(answer()) as seen, asking(seen, cache=path) as one, asking(seen, cache=path) as other:
        assert not ask(one).cached
        assert ask(other).cached


# Budgets ------------------------------------------------------------------------------------------------------------


def many(judge: Judge, count: int) -> list[Outcome]:
    pending = [judge.submit(view_of(make_step(action=f"ls {number}"))) for number in range(count)]
    return [one.outcomes()[0] for one in pending]


@pytest.mark.parametrize(("workers", "limit"), [(1, 3), (8, 3)])
def test_a_budget_of_requests_is_exact_and_resume_goes_on(tmp_path: Path, workers: int, limit: int) -> None:
    cache = tmp_path / "judge.sqlite"
    with serving(answer()) as seen:
        for sitting in range(1, 4):
            with asking(seen, cache=cache, workers=workers, budget={"requests": limit}) as judge:
                outcomes = many(judge, 8)
            answered = sum(one.answer is not None for one in outcomes)
            assert answered == min(8, sitting * limit)
            assert len(seen.bodies) == answered
            left = [one for one in outcomes if one.answer is None]
            assert {one.trouble for one in left} <= {"budget"}
            assert all("budget: 3 of 3 requests are made" in str(one.error) for one in left)


def test_a_budget_in_money_is_never_exceeded() -> None:
    usage = {"prompt_tokens": 1_500, "completion_tokens": 1_500}
    dear = message(answer_text(), usage=usage)
    each = (1_500 * 1 + 1_500 * 10) / 1e6
    with serving(dear) as seen, asking(seen, workers=8, budget={"usd": 0.05}) as judge:
        outcomes = many(judge, 12)
        assert judge.ledger.cost_usd == pytest.approx(len(seen.bodies) * each)
        assert 0 < (judge.ledger.cost_usd or 0) <= 0.05
    assert {one.trouble for one in outcomes} == {None, "budget"}
    assert "of 0.05 USD" in str(outcomes[-1].error)


def test_a_budget_of_tokens() -> None:
    with serving(answer()) as seen, asking(seen, workers=1, budget={"tokens": 5_000}) as judge:
        outcomes = many(judge, 60)
        assert (judge.ledger.usage.total or 0) <= 5_000
    assert 0 < len(seen.bodies) < 60
    assert outcomes[-1].trouble == "budget"


def test_a_limit_in_money_needs_a_price() -> None:
    config = JudgeConfig(models=("unknown@http://127.0.0.1:1/v1",), budget={"usd": 1.0})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="no price for 'unknown'"):
        Judge(config, PRICES)


def test_the_cost_of_a_model_without_price_is_not_known() -> None:
    with serving(answer()) as seen, asking(seen, models=2) as judge:
        costs = [one.cost_usd for one in judge.submit(VIEW).outcomes()]
        assert (costs[0], costs[1], judge.ledger.cost_usd) == (pytest.approx(0.0002), None, None)


def test_usage_that_is_not_told_counts_as_the_most_it_can_be() -> None:
    silent = message(answer_text(), usage={})
    with serving(silent) as seen, asking(seen, workers=1, budget={"usd": 0.04}) as judge:
        outcomes = many(judge, 6)
    assert len(seen.bodies) == 2
    assert outcomes[0].cost_usd is None
    assert outcomes[-1].trouble == "budget"


# Stopping -----------------------------------------------------------------------------------------------------------


def test_stop_ends_pauses_and_what_waits_but_not_what_is_under_way() -> None:
    patient = Reply(429, {}, {"Retry-After": "30"})
    with serving(patient) as seen, asking(seen, workers=1, request={"max_wait": 60, "retries": 5}) as judge:
        pending = [judge.submit(view_of(make_step(action=f"ls {number}"))) for number in range(3)]
        while not seen.bodies:
            time.sleep(0.01)
        began = time.monotonic()
        threading.Timer(0.1, judge.stop, ("interrupted",)).start()
        outcomes = [one.outcomes()[0] for one in pending]
    assert time.monotonic() - began < 25
    assert [(one.trouble, one.error) for one in outcomes] == [("stopped", "interrupted")] * 3


# Ensembles ----------------------------------------------------------------------------------------------------------


def test_an_ensemble_gives_mean_and_spread() -> None:
    opinions = answer(0.2, "Poor."), answer(0.4, "Middling."), answer(0.9, "Fine.")
    with serving(*opinions) as seen, asking(seen, models=3, workers=1) as judge:
        made = judgement(judge, VIEW, judge.submit(VIEW).outcomes())
    assert judge.name == "judge@1:m+m2+m3"
    score = made.criteria["tool_choice"]
    assert score.score == 0.5
    assert score.spread == pytest.approx(0.360555, abs=1e-6)
    assert score.reason == "Middling.", "the reason is that of the answer nearest to the mean"
    assert [one["model"] for one in made.record["answers"]] == ["m", "m2", "m3"]
    assert made.record["answers"][2]["scores"]["tool_choice"] == 0.9


def test_samples_are_answers_of_their_own() -> None:
    with serving(answer(0.2), answer(0.4)) as seen:
        with asking(seen, samples=2, workers=1, request={"temperature": 1.0}) as judge:
            outcomes = judge.submit(VIEW).outcomes()
        assert [one.sample for one in outcomes] == [0, 1]
        assert outcomes[0].key != outcomes[1].key
        assert judge.name == "judge@1:m*2"
    with pytest.raises(ValueError, match="samples of m at temperature 0 are one and the same"):
        JudgeConfig(models=("m@http://x/v1",), samples=2)


def test_an_ensemble_with_a_failure_is_the_mean_of_the_others() -> None:
    replies = answer(0.2), Reply(400, {"error": "bad"}), answer(0.4)
    with serving(*replies) as seen, asking(seen, models=3, workers=1) as judge:
        made = judgement(judge, VIEW, judge.submit(VIEW).outcomes())
    assert made.criteria["goal_progress"].score == pytest.approx(0.3)
    assert [one["trouble"] for one in made.record["answers"]] == [None, "service", None]


# Configuration ------------------------------------------------------------------------------------------------------


def test_a_member_may_differ_from_the_others() -> None:
    config = JudgeConfig.model_validate(
        {
            "models": ["a@http://x/v1", {"model": "b", "base_url": "http://y/v1", "temperature": 0.9}],
            "request": {"temperature": 0.1, "max_tokens": 77},
        }
    )
    told = [(one.model, one.base_url, one.temperature, one.max_tokens) for one in config.members]
    assert told == [("a", "http://x/v1", 0.1, 77), ("b", "http://y/v1", 0.9, 77)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"models": ["a@http://user:key@x/v1"]}, "should be MODEL@URL"),
        ({"models": [{"model": "a", "base_url": "http://user:key@x/v1"}]}, "put the key into the environment"),
        ({"models": [{"model": "a", "url": "http://x"}]}, "url"),
        ({"prompts": "x"}, "prompts"),
        ({"context": {"policy": "everything"}}, "recent-full"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        JudgeConfig.model_validate(values)


def test_a_judge_without_a_model_says_how_to_name_one() -> None:
    with pytest.raises(ConfigError, match="--model MODEL@"):
        Judge(JudgeConfig())
