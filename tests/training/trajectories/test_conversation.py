"""Messages are those that a model was sent, or those that a chat policy would have sent."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import StopReason
from trajectory_hub.rollouts.budget import Budget, Ledger, RunLedger
from trajectory_hub.rollouts.llm import ChatConfig
from trajectory_hub.rollouts.payloads import LlmResponse, Parent, Payload
from trajectory_hub.rollouts.policies import Context, TaskView
from trajectory_hub.rollouts.policies.chat import REMINDER, ChatPolicy
from trajectory_hub.tools.prompt import SYSTEM_PROMPT
from trajectory_hub.tools.reading import read_action
from trajectory_hub.training.config import ConversationConfig
from trajectory_hub.training.trajectories.conversation import Conversation, conversation_of
from trajectory_hub.training.trajectories.messages import NotPortable
from trajectory_hub.training.trajectories.records import Record, find_episodes, open_sources, read_record

from ...rollouts.faulty import Reply, message, serving
from ..episodes import FAILED, FIX, GREP, SUBMIT, TOOLS, Act, make_run, write_episode

RUNS = Path(__file__).parents[2] / "data" / "runs-1.0"


def only(run: Path) -> Record:
    """The record of a run's only episode."""
    (outline,) = find_episodes(open_sources([run]))
    return read_record(outline)


def told(run: Path, config: ConversationConfig | None = None) -> Conversation:
    """Its conversation."""
    found = conversation_of(only(run), config)
    assert found is not None
    return found


def play(observations: Sequence[str], *replies: Reply, **chat: Any) -> tuple[list[Payload], list[Act], list[Any]]:
    """The real chat policy against a server: what it logged, the acts it made, and the bodies it sent."""
    logged, acts = list[Payload](), list[Act]()
    with serving(*replies) as seen:
        policy = ChatPolicy(ChatConfig(base_url=seen.url, model="m", **chat))
        view = TaskView(instance_id="t", repo="a/b", base_commit="c", problem_statement="p", workdir="/testbed")

        def log(payload: Payload, **_: Any) -> None:
            logged.append(payload)

        context = Context(
            tools=TOOLS.schemas(),
            seed=0,
            log=log,
            ledger=Ledger(RunLedger(Budget()), None),
            deadline=time.monotonic() + 20,
        )
        session = policy.start(view, context)
        for before, after in zip(observations, [*observations[1:], "Submitted."], strict=True):
            action = session.act(before, {})
            if isinstance(action.call, str):
                acts.append(Act("", {}, after, action.call))
            else:
                given: Any = action.call["arguments"]
                acts.append(Act(action.call["name"], json.loads(given), after, action.thought))
        policy.close()
    return logged, acts, seen.bodies


def test_what_a_model_was_sent_and_answered_is_the_conversation(tmp_path: Path) -> None:
    observations = ["Repository demo/shop at /testbed.", "shop/cart.py", "changed"]
    replies = [
        message("Where is it?", [("search", '{"pattern": "LIMIT"}')]),
        message("Mend it.", [("file_edit", '{"path": "a.py", "old": "x", "new": "y"}')]),
        message("", [("submit", "{}")]),
    ]
    logged, acts, bodies = play(observations, *replies, system_prompt="Be brief.")
    write_episode(make_run(tmp_path / "run"), acts, talk=logged)
    found = told(tmp_path / "run")
    assert found.recorded
    sent = bodies[-1]["messages"]
    assert [m["role"] for m in found.messages] == [m["role"] for m in sent] + ["assistant"]
    assert [m["content"] for m in found.messages] == [m["content"] for m in sent] + [""]
    assert found.messages[0]["content"] == "Be brief."
    calls = [m["tool_calls"][0] for m in found.messages if m["role"] == "assistant"]
    assert [call["id"] for call in calls] == ["call00001", "call00002", "call00003"]
    assert calls[1]["function"] == {"name": "file_edit", "arguments": {"path": "a.py", "old": "x", "new": "y"}}
    results = [(m["name"], m["tool_call_id"]) for m in found.messages if m["role"] == "tool"]
    assert results == [("search", "call00001"), ("file_edit", "call00002")]
    assert [turn.steps for turn in found.turns] == [(0,), (1,), (2,)]


def test_a_request_that_was_never_answered_adds_nothing(tmp_path: Path) -> None:
    search = message("", [("search", '{"pattern": "a"}')])
    logged, acts, _ = play(["go", "A", "B"], search, search, search)
    answered = [payload for payload in logged if not (isinstance(payload, LlmResponse) and payload is logged[-1])]
    assert len(answered) == 5
    write_episode(make_run(tmp_path / "run"), acts[:2], talk=answered, stop=StopReason.TOKEN_LIMIT)
    found = told(tmp_path / "run")
    assert found.recorded
    assert [m["role"] for m in found.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert found.messages[3]["content"] == "A"


def test_a_conversation_of_which_only_the_end_was_asked_of_a_model_is_built(tmp_path: Path) -> None:
    logged, acts, _ = play(["A"], message("", [("submit", "{}")]))
    parent = Parent(run_id="run", episode_id="x", steps=1)
    write_episode(make_run(tmp_path / "run"), [GREP, *acts], talk=logged, parent=parent)
    found = told(tmp_path / "run")
    assert not found.recorded
    assert [turn.steps for turn in found.turns] == [(0,), (1,)]


def test_several_calls_in_one_answer_are_one_turn_of_several_steps(tmp_path: Path) -> None:
    two = message("Both.", [("search", '{"pattern": "a"}'), ("search", '{"pattern": "b"}')])
    logged, acts, _ = play(["go", "A", "B"], two, message("", [("submit", "{}")]))
    write_episode(make_run(tmp_path / "run"), acts, talk=logged)
    found = told(tmp_path / "run")
    assert [turn.steps for turn in found.turns] == [(0, 1), (2,)]
    assert [m["content"] for m in found.messages if m["role"] == "tool"] == ["A", "B"]


def test_an_answer_without_a_call_stays_an_answer_and_is_followed_by_the_reminder(tmp_path: Path) -> None:
    replies = [message("I think it is fine."), message("", [("submit", "{}")])]
    logged, acts, _ = play(["go", "not a call"], *replies)
    acts[0] = Act("", {}, "not a call")
    write_episode(make_run(tmp_path / "run"), acts, talk=logged)
    found = told(tmp_path / "run")
    assert found.recorded
    assert [m["content"] for m in found.messages[2:4]] == ["I think it is fine.", REMINDER]


def test_what_a_program_did_is_told_as_a_chat_policy_would_have_sent_it() -> None:
    record = next(map(read_record, find_episodes(open_sources([RUNS / "reference"]))))
    found = conversation_of(record)
    assert found is not None
    replies = list[Reply]()
    for step in record.trajectory.steps:
        call = read_action(step.action)
        replies.append(message(step.thought, [(call.name, json.dumps(dict(call.arguments)))]))
    seen = [record.trajectory.start.observation, *(step.observation for step in record.trajectory.steps[:-1])]
    _, _, bodies = play(seen, *replies)
    sent = bodies[-1]["messages"]
    assert not found.recorded
    assert [(m["role"], m["content"]) for m in found.messages[:-1]] == [(m["role"], m["content"]) for m in sent]
    assert found.messages[0]["content"] == SYSTEM_PROMPT
    assert [m["tool_calls"][0]["function"]["arguments"] for m in found.messages if m["role"] == "assistant"][:-1] == [
        json.loads(m["tool_calls"][0]["function"]["arguments"]) for m in sent if m["role"] == "assistant"
    ]
    assert [dict(tool) for tool in found.tools] == list(record.trajectory.start.tools)  # as they were then
    assert [tool["function"]["name"] for tool in found.tools] == list(TOOLS.names)


def test_an_unreadable_action_is_text_and_a_reminder(tmp_path: Path) -> None:
    write_episode(make_run(tmp_path / "run"), [Act("", raw="just words"), SUBMIT])
    found = told(tmp_path / "run")
    assert [m["role"] for m in found.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert found.messages[2]["content"] == "just words"
    assert found.messages[3]["content"] == REMINDER


def test_one_system_prompt_for_all_and_recorded_reasoning_on_request(tmp_path: Path) -> None:
    answer = message("", [("submit", "{}")])
    answer.body["choices"][0]["message"]["reasoning_content"] = "Nothing is left."
    logged, acts, _ = play(["go"], answer)
    write_episode(make_run(tmp_path / "run"), acts, talk=logged)
    assert "reasoning_content" not in told(tmp_path / "run").messages[-1]
    found = told(tmp_path / "run", ConversationConfig(system_prompt="Mine.", reasoning=True))
    assert found.messages[0] == {"role": "system", "content": "Mine."}
    assert found.messages[-1]["reasoning_content"] == "Nothing is left."


@pytest.mark.parametrize("number", [1 << 63, float("inf"), float("nan")])
def test_a_number_that_readers_disagree_on_is_refused(tmp_path: Path, number: float) -> None:
    write_episode(make_run(tmp_path / "run"), [Act("file_read", {"path": "a", "start": number}), SUBMIT])
    with pytest.raises(NotPortable):
        told(tmp_path / "run")


def test_an_episode_in_which_nothing_was_done_has_no_conversation(tmp_path: Path) -> None:
    write_episode(make_run(tmp_path / "run"), [])
    assert conversation_of(only(tmp_path / "run")) is None


def test_equal_episodes_have_equal_conversations_whatever_the_ids(tmp_path: Path) -> None:
    for name in ("one", "two"):
        logged, acts, _ = play(
            ["go", "A"], message("", [("search", '{"pattern": "a"}')]), message("", [("submit", "{}")])
        )
        write_episode(make_run(tmp_path / name), acts, talk=logged)
    assert told(tmp_path / "one").messages == told(tmp_path / "two").messages


def test_tools_and_prompt_are_those_of_the_episode(tmp_path: Path) -> None:
    write_episode(make_run(tmp_path / "run"), FAILED, tools=TOOLS.schemas()[:3])
    found = told(tmp_path / "run")
    assert len(found.tools) == 3
    assert [m["role"] for m in found.prompt] == ["system", "user"]
    assert found.characters == sum(len(m["content"]) for m in found.messages) + sum(
        len(json.dumps(c["function"], ensure_ascii=False, sort_keys=True))
        for m in found.messages
        for c in m.get("tool_calls", ())
    )
    assert FIX.thought not in [m["content"] for m in found.messages]
