"""The judge against a real model server with structured outputs: vLLM on this machine's CPUs with a tiny random model.

The opinions of random weights are worth nothing; contract, cache, cost and faults are what is shown.
"""

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.cli import app
from trajectory_hub.rewards.judge.asking import Judge
from trajectory_hub.rewards.judge.config import ContextConfig, JudgeConfig
from trajectory_hub.rewards.judge.schema import GRADES
from trajectory_hub.rewards.scores import CRITERIA
from trajectory_hub.rollouts.score_log import read_scores
from typer.testing import CliRunner

from ..rewards.judging import make_step, view_of
from ..rewards.test_judge_injection import ATTEMPTS, planted
from .model_server import Served, Server

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]
RUNS = Path(__file__).parents[1] / "data" / "runs-1.0"
LAYER = "judge@1:tiny"
ASKED: dict[str, Any] = {"temperature": 1.0, "max_tokens": 900, "reason_chars": 60}
SMALL = {"recent": 1, "step_chars": 1500, "recent_chars": 500, "older_total": 800}
PRICE = "prices={as_of: 2026-01-01, models: {tiny: {input: 1, output: 2}}}"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of a recorded run of 21 different steps."""
    return Path(shutil.copytree(RUNS / "random", tmp_path / "random"))


def judge(run: Path, server: Served | Server, *more: str) -> tuple[int, dict[str, Any]]:
    settings = (f"judge.request={json.dumps(ASKED)}", f"judge.context={json.dumps(SMALL)}", *more)
    options = [item for setting in settings for item in ("-c", setting)]
    done = CliRunner().invoke(app, ["judge", str(run), "--model", f"tiny@{server.url}", *options, "--json"])
    assert done.stdout, done.output + repr(done.exception)
    return getattr(done.exception, "exit_code", done.exit_code), json.loads(done.stdout)


def test_every_answer_keeps_to_the_schema_and_the_second_scoring_is_free(server: Served | Server, run: Path) -> None:
    code, told = judge(run, server, PRICE)
    assert (code, told["troubles"]) == (0, {})
    assert told["steps"] == told["questions"] == 21
    assert told["cost_usd"] == pytest.approx((told["input_tokens"] + 2 * told["output_tokens"]) / 1e6)
    assert told["latency_p95_ms"] >= told["latency_p50_ms"] > 0
    rows = list(read_scores(run, LAYER))
    for row in rows:
        assert list(row.criteria) == list(CRITERIA)
        assert all(one.score in GRADES and len(one.evidence) > 0 for one in row.criteria.values())
        (one,) = row.record["answers"]
        assert one["usage"]["input_tokens"] > 500
        assert one["usage"]["output_tokens"] > 50
    code, again = judge(run, server, PRICE)
    assert (code, again["requests"], again["cache_hits"], again["cost_usd"]) == (0, 0, 21, 0.0)
    assert [row.criteria for row in read_scores(run, LAYER)] == [row.criteria for row in rows]


def test_samples_of_one_model_give_mean_and_spread(server: Served, run: Path) -> None:
    code, told = judge(run, server, "judge.samples=3", "limit=3")
    assert (code, told["questions"], told["layer"]) == (0, 9, "judge@1:tiny*3")
    rows = list(read_scores(run, "judge@1:tiny*3"))
    assert all(one.score is not None and one.spread is not None for row in rows for one in row.criteria.values())
    assert any(one.spread for row in rows for one in row.criteria.values()), "at temperature 1 opinions differ"


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_cannot_break_the_schema_of_a_real_server(server: Served, attempt: str) -> None:
    real = Judge(JudgeConfig(models=(f"tiny@{server.url}",), request=ASKED))  # pyright: ignore[reportArgumentType]
    try:
        pending = [real.submit(view_of(planted(ATTEMPTS[attempt][0], where))) for where in ("thought", "observation")]
        outcomes = [outcome for one in pending for outcome in one.outcomes()]
    finally:
        real.close()
    assert [outcome.trouble for outcome in outcomes] == [None, None], [outcome.error for outcome in outcomes]


def test_a_step_beyond_the_context_is_not_scored(server: Served) -> None:
    view = view_of(make_step(observation="it does not work " * 8_000), context=ContextConfig(step_chars=100_000))
    real = Judge(JudgeConfig(models=(f"tiny@{server.url}",), request=ASKED))  # pyright: ignore[reportArgumentType]
    try:
        (outcome,) = real.submit(view).outcomes()
    finally:
        real.close()
    assert (outcome.answer, outcome.trouble) == (None, "too_long")


def test_a_server_killed_in_the_middle_leaves_what_was_answered_and_another_one_goes_on(
    server: Served, run: Path, tmp_path: Path
) -> None:
    doomed = Server(tmp_path / "doomed.txt")
    hasty = ("judge.request.retries=1", "judge.request.max_wait=0.2", "judge.give_up_after=3", "judge.workers=3")
    cache = run / "scores" / "judge.sqlite-wal"

    def kill_after_an_answer() -> None:
        while not cache.exists() or cache.stat().st_size < 60_000:
            time.sleep(0.01)
        doomed.kill()

    try:
        doomed.wait()
        killer = threading.Thread(target=kill_after_an_answer)
        killer.start()
        code, told = judge(run, doomed, *hasty)
        killer.join()
    finally:
        doomed.kill()
    answered = sum(row.reward is not None for row in read_scores(run, LAYER))
    assert code == 3
    assert 0 < answered < 21
    assert set(told["troubles"]) == {"service", "stopped"}
    code, rest = judge(run, server, *hasty)
    assert (code, rest["troubles"]) == (0, {})
    assert rest["cache_hits"] == answered, "what the dead server answered is not asked again"
    assert all(row.reward is not None for row in read_scores(run, LAYER))
