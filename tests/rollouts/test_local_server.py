"""The chat policy against a real model server: vLLM on this machine's CPUs with a tiny random model."""

import threading
import time
from pathlib import Path

import pytest
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import ConfigError
from trajectory_hub.rollouts.events import LlmRequestEvent, LlmResponseEvent, ToolCallEvent
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.run_dir import read_episodes

from .conftest import RunTasks
from .model_server import Served, Server

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]


def chat(server: Served | Server, *more: str) -> tuple[str, ...]:
    settings = ("chat.max_tokens=300", "chat.tool_choice=required", "chat.temperature=1", "env.max_steps=8")
    return (f"policy=chat:tiny@{server.url}", *settings, *more)


def test_episodes_with_a_real_model_are_complete(server: Served, run_tasks: RunTasks, tmp_path: Path) -> None:
    price = "prices={as_of: 2026-01-01, models: {tiny: {input: 1, output: 2}}}"
    ids = "chat.extra_body={return_token_ids: true, logprobs: true}"
    summary = run_tasks(*chat(server, "seeds=3", "workers=3", price, ids))
    assert summary.counted == 9
    assert summary.excluded == {}
    valid = 0
    for episode in read_episodes(tmp_path / "run"):
        events = list(read_events(episode.folder / "events.jsonl"))
        requests = [event.payload for event in events if isinstance(event, LlmRequestEvent)]
        responses = [event.payload for event in events if isinstance(event, LlmResponseEvent)]
        valid += sum(not event.payload.malformed for event in events if isinstance(event, ToolCallEvent))
        assert [r.request_id for r in requests] == [r.request_id for r in responses]
        assert all(r.usage.input_tokens and r.usage.output_tokens for r in responses)
        for r in responses:
            assert len(r.prompt_token_ids or ()) == r.usage.input_tokens
            assert len(r.completion_token_ids or ()) == len(r.logprobs or ()) == r.usage.output_tokens
        assert episode.end is not None
        assert episode.end.requests == len(responses)
        tokens = sum((r.usage.input_tokens or 0) + 2 * (r.usage.output_tokens or 0) for r in responses)
        assert episode.end.cost_usd == pytest.approx(tokens / 1e6)
    assert valid >= 3, "arguments held to their schemas should have given valid calls"


def test_a_conversation_beyond_the_context_ends_by_the_token_limit(
    server: Served, run_tasks: RunTasks, tiny_task: Task
) -> None:
    long = tiny_task.model_copy(update={"problem_statement": "it does not work " * 8000})
    summary = run_tasks(*chat(server), tasks=[long])
    assert (summary.stop_reasons, summary.failures) == ({"token_limit": 1}, {"model": 1})


def test_a_model_that_is_not_served_stops_the_run(server: Served, run_tasks: RunTasks) -> None:
    with pytest.raises(ConfigError, match="has no model 'other'"):
        run_tasks(f"policy=chat:other@{server.url}")


def test_a_server_killed_in_the_middle_is_a_service_failure_and_another_one_goes_on(
    server: Served, run_tasks: RunTasks, tmp_path: Path, tiny_task: Task
) -> None:
    doomed = Server(tmp_path / "doomed.txt")
    hasty = ("chat.retries=2", "chat.max_wait=0.5", "retries=0", "env.max_steps=40", "chat.reminders=40")

    def kill_after_an_answer() -> None:
        while not any("llm_response" in log.read_text() for log in tmp_path.rglob("events.jsonl")):
            time.sleep(0.01)
        doomed.kill()

    try:
        doomed.wait()
        killer = threading.Thread(target=kill_after_an_answer)
        killer.start()
        # Three workers keep it answering, so that it dies in the middle of something.
        summary = run_tasks(*chat(doomed, "workers=3", *hasty))
        killer.join()
    finally:
        doomed.kill()
    assert summary.excluded.get("service", 0) >= 1
    assert summary.stop_reasons["policy_error"] == summary.excluded["service"]
    again = run_tasks(*chat(server, "workers=3", *hasty))
    assert again.excluded == {}
    assert again.earlier_attempts == summary.excluded["service"]
