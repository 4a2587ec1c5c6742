"""Whole runs with a real vLLM: counters, faults, stragglers, a judge at the same server, and `trajhub serve`."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from trajectory_hub.cli import app
from trajectory_hub.envs.predictions import read_predictions
from trajectory_hub.errors import InfrastructureError
from trajectory_hub.rewards.scores import CRITERIA
from trajectory_hub.rollouts import read_trajectories, token_turns
from trajectory_hub.rollouts.events import LlmResponseEvent
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.run_dir import read_episodes, read_manifest
from trajectory_hub.rollouts.serving import ModelServer, ServeConfig
from trajectory_hub.rollouts.serving.guard import descendants
from typer.testing import CliRunner

from .conftest import RunTasks
from .faulty_proxy import Fault, proxied
from .model_server import Served, installed

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]
SHORT = ("vllm.max_tokens=30", "vllm.temperature=1", "vllm.reminders=99", "env.max_steps=6")


def answers(run: Path) -> list[LlmResponseEvent]:
    logs = (episode.folder / "events.jsonl" for episode in read_episodes(run))
    return [event for log in logs for event in read_events(log) if isinstance(event, LlmResponseEvent)]


def test_a_run_records_tokens_and_what_the_prefix_cache_saved(
    server: Served, run_tasks: RunTasks, tmp_path: Path
) -> None:
    summary = run_tasks(f"policy=vllm:tiny@{server.url}", *SHORT, "seeds=2", "workers=3")
    assert (summary.counted, summary.excluded) == (6, {})
    for episode in read_episodes(tmp_path / "run"):
        turns = token_turns(episode.folder)
        assert [turn.steps for turn in turns] == [(step,) for step in range(6)]
        assert all(new.continues(old) for old, new in pairwise(turns))
    usage = summary.usage
    assert usage.repeated_hit_share is not None
    assert usage.repeated_hit_share >= 0.95
    (sitting,) = read_manifest(tmp_path / "run")["sittings"]
    assert sitting["service"]["prefix_cache_hits"] == usage.cached_input_tokens
    assert sitting["service"]["generation_tokens"] == usage.output_tokens
    assert summary.as_dict()["usage"]["repeated_hit_share"] == usage.repeated_hit_share
    assert any(sentence.startswith("prefix cache: 9") for sentence in summary.sentences)


def test_samples_of_a_task_are_its_seeds_and_the_best_is_chosen(
    server: Served, run_tasks: RunTasks, tmp_path: Path
) -> None:
    run_tasks(f"policy=vllm:tiny@{server.url}", *SHORT, "vllm.constrain=true", "seeds=4", "workers=4", "limit=2")
    done = CliRunner().invoke(app, ["runs", "best", str(tmp_path / "run"), "--json"])
    told = json.loads(done.stdout)
    assert [choice["candidates"] for choice in told["chosen"]] == [4, 4]
    assert set(read_predictions(told["predictions"])) == {"trajhub__tiny-1", "trajhub__tiny-2"}
    first = {event.seed: event.payload.completion_token_ids for event in answers(tmp_path / "run")}
    assert len(set(first.values())) > 1, "samples differ"


def test_a_run_goes_on_when_its_server_dies_and_is_restarted(
    server: Served, run_tasks: RunTasks, tmp_path: Path
) -> None:
    def waiting() -> dict[Path, int]:
        """Logs whose last request has no answer yet, with the number of their answers."""
        texts = {log: log.read_text() for log in tmp_path.rglob("events.jsonl")}
        told = {log: (text.count('"llm_request"'), text.count('"llm_response"')) for log, text in texts.items()}
        return {log: answers for log, (requests, answers) in told.items() if requests > answers > 0}

    def kill_in_the_middle_of_an_answer() -> None:
        """Once the server is halted, only what it had already sent can still arrive: what then waits gets no answer."""
        while not waiting():
            time.sleep(0.05)
        server.halt()
        before = dict[Path, int]()
        while not before.items() & (now := waiting()).items():
            before = now
            time.sleep(1)
        server.kill()

    starts = server.model.replicas[0].starts
    killer = threading.Thread(target=kill_in_the_middle_of_an_answer)
    killer.start()
    patient = ("vllm.retries=400", "vllm.max_wait=2", "retries=0")
    summary = run_tasks(f"policy=vllm:tiny@{server.url}", *SHORT, *patient, "workers=3", "vllm.max_tokens=200")
    killer.join()
    assert (summary.counted, summary.excluded, summary.earlier_attempts) == (3, {}, 0)
    assert server.model.replicas[0].starts == starts + 1
    assert any(event.payload.failed_attempts for event in answers(tmp_path / "run"))


def test_a_straggler_does_not_hold_the_run(server: Served, run_tasks: RunTasks) -> None:
    """One answer takes ten minutes: its episode ends at the time limit, the others long before."""
    began = time.monotonic()
    with proxied(server.model.root, lambda number, _: Fault(delay=600) if number == 1 else None) as proxy:
        quick = (*SHORT, "env.max_steps=2")
        summary = run_tasks(f"policy=vllm:tiny@{proxy.url}", *quick, "workers=2", "env.time_limit=25")
    assert time.monotonic() - began < 300
    assert summary.stop_reasons == {"step_limit": 2, "time_limit": 1}
    assert summary.excluded == {}


def test_a_judge_scores_live_steps_of_a_model_at_a_real_server(
    server: Served, run_tasks: RunTasks, tmp_path: Path
) -> None:
    asked = "{temperature: 1.0, max_tokens: 900, reason_chars: 60}"
    small = "{recent: 1, step_chars: 1500, recent_chars: 500, older_total: 800}"
    judge = f"rubric.judge={{models: ['tiny@{server.url}'], request: {asked}, context: {small}}}"
    policy = (f"policy=vllm:tiny@{server.url}", *SHORT, "vllm.constrain=true", "env.max_steps=3")
    summary = run_tasks(*policy, judge, "rubric.layers.combine=weighted", "workers=3")
    assert (summary.counted, summary.excluded) == (3, {})
    judged = 0
    for trajectory in read_trajectories(tmp_path / "run"):
        assert len(token_turns(trajectory.folder or tmp_path)) >= len(trajectory.steps) >= 1
        for reward in trajectory.rewards:
            assert reward is not None
            assert [one.criterion for one in reward.criteria] == list(CRITERIA)
            extra = reward.model_extra or {}
            for answer in extra["record"]["answers"]:
                judged += 1
                assert answer["usage"]["input_tokens"] > 500
            layers = {part["layer"].split("@")[0] for c in reward.criteria for part in (c.model_extra or {})["parts"]}
            assert layers == {"rules", "judge"}
    assert judged == sum(row.steps or 0 for row in summary.rows), "every step was judged by the model, once"


# trajhub serve --------------------------------------------------------------------------------------------------------


def until(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come about in time"
        time.sleep(0.1)


def alive(family: Sequence[int]) -> list[int]:
    """Those that run: whoever was orphaned stays a zombie until somebody collects it."""
    stats = [path for pid in family if (path := Path(f"/proc/{pid}/stat")).exists()]
    return [int(path.parent.name) for path in stats if state(path) not in "ZX"]


def state(stat: Path) -> str:
    try:
        return stat.read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:  # it has ended meanwhile
        return "X"


def test_serve_announces_a_model_that_answers_and_nothing_of_it_survives_a_kill(tmp_path: Path) -> None:
    python, model = installed()
    settings = ("--name", "mine", "--python", python, "--dtype", "float32", "--max-model-len", "2048")
    command = [sys.executable, "-m", "trajectory_hub", "serve", str(model), *settings, "-c", "kv_cache_gib=1"]
    out = tmp_path / "out.json"
    with out.open("w") as stdout, (tmp_path / "err.txt").open("w") as stderr:
        serving = subprocess.Popen([*command, "--logs", str(tmp_path), "--json"], stdout=stdout, stderr=stderr)
    try:
        until(lambda: serving.poll() is not None or out.read_text().rstrip().endswith("}"), 200)
        told = json.loads(out.read_text())
        assert (told["name"], told["replicas"][0]["state"]) == ("mine", "up")
        body = {"model": "mine", "prompt": [5, 6], "max_tokens": 3}
        assert httpx.post(f"{told['url']}/completions", json=body, timeout=60).status_code == 200
        family = descendants(serving.pid)
        assert len(family) >= 3, "a guard, the API server and its engine"
        serving.kill()
        until(lambda: not alive(family), 60)
        assert f"--policy vllm:mine@{told['url']}" in (tmp_path / "err.txt").read_text()
    finally:
        serving.kill()
        serving.wait()


def test_a_model_that_cannot_be_served_is_said_with_the_end_of_the_log(tmp_path: Path) -> None:
    python, model = installed()
    for file in model.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").write_text('{"model_type": "nothing"}')
    server = ModelServer(ServeConfig(model=str(tmp_path), python=python), logs=tmp_path / "logs")
    with pytest.raises(InfrastructureError, match=r"(?s)does not serve .*replica-0\.log:.*nothing"), server:
        pass
    assert server.replicas[0].pid is None


def test_ctrl_c_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    python, model = installed()
    command = [sys.executable, "-m", "trajectory_hub", "serve", str(model), "--python", python, "--logs", str(tmp_path)]
    serving = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: len(descendants(serving.pid)) >= 2, 200)
        family = descendants(serving.pid)
        os.kill(serving.pid, signal.SIGINT)
        assert serving.wait(120) == 130
        assert not alive(family)
    finally:
        serving.kill()
        serving.wait()
