"""mini-swe-agent's trajectories become events."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import Failure, StopReason
from trajectory_hub.rollouts.adapters.mini_swe_agent import ADAPTER
from trajectory_hub.rollouts.payloads import (
    EpisodeEnd,
    EpisodeStart,
    FinalPatch,
    LlmRequest,
    LlmResponse,
    ToolCall,
    ToolResult,
)

from .benchmark_records import DIFF, TASK, mini_bare, mini_swe_agent, write_json
from .reading_events import Told, told


@pytest.fixture
def told_once(tmp_path: Path) -> Told:
    (only,) = told(ADAPTER, write_json(tmp_path / "x.traj.json", mini_swe_agent(), indent=2))
    return only


def test_calls_results_and_a_format_error(told_once: Told) -> None:
    calls, results = told_once.payloads(ToolCall), told_once.payloads(ToolResult)
    assert [call.arguments.get("command") for call in calls] == ["ls", "false", None, "sleep 99", "submit"]
    assert [call.malformed for call in calls] == [False, False, True, False, False]
    assert [call.thought for call in calls][:2] == ["I look.", None]
    assert [result.exit_code for result in results] == [0, 1, None, -1, None]
    assert [result.error for result in results] == [None, None, "malformed_action", "timeout", None]
    assert [result.ok for result in results] == [True, True, False, False, True]
    assert results[0].observation == "<output>a.py</output>"
    assert results[0].data["raw_output"] == "a.py"
    assert (calls[2].action, results[2].observation) == ("done?", "Tool call error")
    assert results[4].observation == DIFF


def test_calls_of_one_answer_share_its_time(told_once: Told) -> None:
    times = [(item.t_start, item.t_end) for item in told_once.timed if isinstance(item.payload, ToolResult)]
    took = [(end - start).total_seconds() if start and end else None for start, end in times]
    assert took[:2] == [2.0, 2.0]
    assert took[3] == 30.0
    assert told_once.episode.timing == "recorded"


def test_answers_have_tokens_cost_and_what_they_were_sent(told_once: Told) -> None:
    answers, requests = told_once.payloads(LlmResponse), told_once.payloads(LlmRequest)
    assert (answers[0].usage.input_tokens, answers[0].usage.cached_input_tokens) == (100, 40)
    assert [answer.cost_usd for answer in answers] == [0.25, 0.1, 0.25, 0.25]
    assert [message["role"] for message in requests[1].messages] == ["assistant", "tool", "tool"]
    assert [message["role"] for message in requests[2].messages] == ["assistant", "user"]
    assert "extra" not in requests[1].messages[1]


def test_the_end_says_why_and_what_it_cost(told_once: Told) -> None:
    (end,), (start,) = told_once.payloads(EpisodeEnd), told_once.payloads(EpisodeStart)
    assert (end.stop_reason, end.cost_usd, end.requests) == (StopReason.SUBMITTED, 0.85, 4)
    assert start.limits == {"steps": 9, "cost_usd": 3.0}
    assert start.sandbox == {"image": "an/image", "workdir": "/testbed"}
    assert (told_once.episode.task_id, told_once.episode.agent_version) == (TASK, "2.4.6")
    assert told_once.payloads(FinalPatch)[0].patch == DIFF
    assert told_once.records == len(mini_swe_agent()["messages"]) + 3


def test_a_bare_list_has_its_actions_in_the_text(tmp_path: Path) -> None:
    (only,) = told(ADAPTER, write_json(tmp_path / "x.json", mini_bare()))
    first, second = only.payloads(ToolCall)
    assert (first.tool, first.arguments) == ("bash", {"command": "ls"})
    assert second.malformed
    assert [result.exit_code for result in only.payloads(ToolResult)] == [2, None]
    assert (only.records, only.episode.timing) == (6, "none")
    assert not only.payloads(EpisodeEnd)


@pytest.mark.parametrize(
    ("said", "calls", "stop", "failure"),
    [
        ("LimitsExceeded", 9, StopReason.STEP_LIMIT, None),
        ("LimitsExceeded", 4, StopReason.COST_LIMIT, None),
        ("TimeExceeded", 4, StopReason.TIME_LIMIT, None),
        ("RepeatedFormatError", 4, StopReason.POLICY_ERROR, Failure.MODEL),
        ("ContextWindowExceededError", 4, StopReason.TOKEN_LIMIT, Failure.MODEL),
        ("RateLimitError", 4, StopReason.POLICY_ERROR, Failure.SERVICE),
        ("CalledProcessError", 4, StopReason.ENVIRONMENT_ERROR, Failure.ENVIRONMENT),
        ("IndexError", 4, StopReason.POLICY_ERROR, None),
        ("", 4, StopReason.INTERRUPTED, None),
    ],
)
def test_exit_statuses(tmp_path: Path, said: str, calls: int, stop: StopReason, failure: Failure | None) -> None:
    document = mini_swe_agent()
    document["messages"] = document["messages"][:-1]
    document["info"] |= {"exit_status": said, "model_stats": {"api_calls": calls}}
    (only,) = told(ADAPTER, write_json(tmp_path / "x.json", document))
    (end,) = only.payloads(EpisodeEnd)
    assert (end.stop_reason, end.failure) == (stop, failure)


def test_trajectories_that_the_agent_itself_writes(tmp_path: Path) -> None:
    agents = import_module("minisweagent.agents.default")
    from minisweagent.environments.local import LocalEnvironment
    from minisweagent.models.test_models import DeterministicModel

    def text(command: str) -> dict[str, Any]:
        content = f"I do it.\n```mswea_bash_command\n{command}\n```"
        return {"role": "assistant", "content": content, "extra": {"actions": [{"command": command}], "cost": 0.5}}

    submit = f"echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && printf '%s' {json.dumps(DIFF)}"
    model = DeterministicModel(outputs=[text("echo hi; exit 3"), text(submit.replace("\\n", "\n"))])
    path = tmp_path / f"{TASK}.traj.json"
    settings = {"system_template": "Be good.", "instance_template": "Do {{task}}", "output_path": path}
    agents.DefaultAgent(model, LocalEnvironment(cwd=str(tmp_path)), **settings).run("it")
    (only,) = told(ADAPTER, path)
    assert [result.exit_code for result in only.payloads(ToolResult)] == [3, 0]
    assert only.payloads(EpisodeEnd)[0].stop_reason is StopReason.SUBMITTED
    assert only.payloads(FinalPatch)[0].files == ("a.py",)
    assert only.payloads(EpisodeEnd)[0].cost_usd == 1.0
    assert only.payloads(EpisodeStart)[0].observation == "Do it"


def test_the_call_that_submits_is_told_as_done_by_either_agent(tmp_path: Path) -> None:
    """The interactive agent writes the result of a call that was not carried out for it."""
    from minisweagent.agents.interactive import InteractiveAgent
    from minisweagent.environments.local import LocalEnvironment
    from minisweagent.models.test_models import DeterministicToolcallModel

    def asked(number: int, *commands: str) -> dict[str, Any]:
        calls: list[dict[str, Any]] = []
        for index, command in enumerate(commands):
            function = {"name": "bash", "arguments": json.dumps({"command": command})}
            calls.append({"id": f"c{number}{index}", "type": "function", "function": function})
        actions = [
            {"command": command, "tool_call_id": call["id"]} for command, call in zip(commands, calls, strict=True)
        ]
        extra = {"actions": actions, "cost": 1.0, "timestamp": 1.0}
        return {"role": "assistant", "content": "I do it.", "tool_calls": calls, "extra": extra}

    model = DeterministicToolcallModel(
        outputs=[asked(0, "echo hi"), asked(1, "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT", "echo never")]
    )
    path = tmp_path / f"{TASK}.traj.json"
    settings: dict[str, Any] = {"system_template": "Be good.", "instance_template": "Do {{task}}", "output_path": path}
    agent: Any = InteractiveAgent(
        model, LocalEnvironment(cwd=str(tmp_path)), mode="yolo", confirm_exit=False, **settings
    )
    agent.run("it")
    (only,) = told(ADAPTER, path)
    done = [(result.ok, result.error, result.exit_code) for result in only.payloads(ToolResult)]
    assert done == [(True, None, 0), (True, None, 0), (False, "not_executed", -1)]
    assert only.payloads(EpisodeEnd)[0].stop_reason is StopReason.SUBMITTED
    assert not only.unread
