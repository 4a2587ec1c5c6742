"""Policy `vllm` against a real vLLM on this machine's CPUs: ids in, ids out, and what goes wrong in between.

The model has random weights. Where it has to write something certain, the real server is told to sample from a choice.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from trajectory_hub.errors import ConfigError, Failure, ServiceError, StopReason
from trajectory_hub.rollouts import TokenTurn, token_turns
from trajectory_hub.rollouts.budget import Budget, Ledger, RunLedger
from trajectory_hub.rollouts.events import LlmRequestEvent, LlmResponseEvent, PhaseEvent
from trajectory_hub.rollouts.llm import VllmConfig
from trajectory_hub.rollouts.log import EventWriter, Header, read_events
from trajectory_hub.rollouts.payloads import LlmRequest, LlmResponse, Payload
from trajectory_hub.rollouts.policies import Action, Context, PolicyStop, TaskView
from trajectory_hub.rollouts.policies.conversation import REMINDER
from trajectory_hub.rollouts.policies.tool_formats import grammar_of
from trajectory_hub.rollouts.policies.vllm import VllmPolicy
from trajectory_hub.tools.registry import MalformedAction, ParsedCall, ToolRegistry

from .faulty_proxy import Fault, proxied
from .model_server import Served, installed

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]

VIEW = TaskView(instance_id="t", repo="a/b", base_commit="c", problem_statement="mend it", workdir="/testbed")
HEADER = Header(run_id="r", episode_id="e", task_id="t", agent="vllm", agent_version="1", repo="a/b", commit="c")
GRAMMAR_CHECK = Path(__file__).parents[1] / "support" / "grammar_check.py"
CALL = '<tool_call>\n{"name": "shell", "arguments": {"command": "ls"}}\n</tool_call>'


def forced(text: str) -> dict[str, Any]:
    """What makes the real server sample this text, in whatever tokens it likes."""
    return {"structured_outputs": {"grammar": f"root ::= {json.dumps(text)}"}}


class Talk:
    """A session of the policy, and its log."""

    def __init__(
        self, url: str, folder: Path, *, budget: Budget | None = None, seconds: float = 120, **config: Any
    ) -> None:
        given = {
            "base_url": url,
            "model": "tiny",
            "max_tokens": 120,
            "temperature": 1.0,
            "reminders": 99,
            "max_wait": 0.2,
        }
        self.policy = VllmPolicy(VllmConfig.model_validate({**given, **config}))
        self.folder = folder
        self._writer = EventWriter(folder / "events.jsonl", HEADER)
        context = Context(
            tools=ToolRegistry().schemas(),
            seed=7,
            log=self._log,
            ledger=Ledger(RunLedger(budget or Budget()), None),
            deadline=time.monotonic() + seconds,
        )
        self.session = self.policy.start(VIEW, context)

    def _log(self, payload: Payload, **times: Any) -> None:
        self._writer.write(payload, **times)

    def act(self, observation: str = "The task.") -> Action:
        return self.session.act(observation, {})

    def close(self) -> None:
        self._writer.close()
        self.policy.close()

    @property
    def turns(self) -> tuple[TokenTurn, ...]:
        return token_turns(self.folder)

    @property
    def requests(self) -> list[LlmRequest]:
        return [e.payload for e in read_events(self.folder / "events.jsonl") if isinstance(e, LlmRequestEvent)]

    @property
    def responses(self) -> list[LlmResponse]:
        return [e.payload for e in read_events(self.folder / "events.jsonl") if isinstance(e, LlmResponseEvent)]

    @property
    def phases(self) -> list[str]:
        return [e.payload.name for e in read_events(self.folder / "events.jsonl") if isinstance(e, PhaseEvent)]


TalkTo = Callable[..., Talk]


@pytest.fixture
def talk(server: Served, tmp_path: Path) -> Iterator[TalkTo]:
    """Begin talking with the server."""
    begun = list[Talk]()

    def begin(url: str | None = None, **config: Any) -> Talk:
        folder = tmp_path / f"talk-{len(begun)}"
        folder.mkdir()
        begun.append(Talk(url or server.url, folder, **config))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def text_of(server: Served, ids: tuple[int, ...]) -> str:
    return str(server.post("/detokenize", tokens=list(ids))["prompt"])


# Tokens ---------------------------------------------------------------------------------------------------------------


def test_a_prompt_is_the_last_one_what_was_sampled_and_the_templates_words_between(
    server: Served, talk: TalkTo
) -> None:
    one = talk()
    for observation in ("The task.", "a.py\nb.py", "", "<|im_end|> is no end here"):
        one.act(observation)
    turns = one.turns
    assert len(turns) == 4
    for earlier, later in pairwise(turns):
        assert later.continues(earlier)
        added = later.prompt_ids[len(earlier.prompt_ids) + len(earlier.completion_ids) :]
        said = text_of(server, added)
        ended = earlier.finish_reason == "stop"
        assert said.startswith("<|im_start|>user\n" if ended else "<|im_end|><|im_start|>user\n")
        assert said.endswith("<|im_end|><|im_start|>assistant\n")
    assert text_of(server, turns[0].prompt_ids).endswith("The task.<|im_end|><|im_start|>assistant\n")
    whole = server.post(
        "/tokenize",
        messages=[dict(message) for message in one.requests[0].messages],
        tools=ToolRegistry().schemas(),
        add_generation_prompt=True,
    )
    assert list(turns[0].prompt_ids) == whole["tokens"], "the first prompt is what the chat endpoint would have made"


def test_only_what_is_new_is_written_to_the_log(talk: TalkTo) -> None:
    one = talk()
    for _ in range(4):
        one.act("seen")
    sizes = [len(request.token_ids or ()) for request in one.requests]
    assert sizes[0] > 1000
    assert max(sizes[1:]) < 200
    assert [len(request.messages) for request in one.requests] == [2, 2, 2, 2]


def test_log_probabilities_are_those_of_the_sampled_tokens(server: Served, talk: TalkTo) -> None:
    """The server, asked afterwards what it thinks of prompt and answer, says the same."""
    one = talk()
    one.act()
    one.act("seen")
    turn = one.turns[1]
    assert turn.logprobs is not None
    assert len(turn.logprobs) == len(turn.completion_ids) > 0
    again = server.post(
        "/v1/completions", prompt=[*turn.prompt_ids, *turn.completion_ids], max_tokens=1, prompt_logprobs=0
    )
    scored = cast("Any", again)["choices"][0]["prompt_logprobs"][len(turn.prompt_ids) :]
    said = [step[str(token)]["logprob"] for step, token in zip(scored, turn.completion_ids, strict=True)]
    assert turn.logprobs == pytest.approx(said, abs=1e-3)


def test_nearly_all_that_an_earlier_request_had_comes_from_the_prefix_cache(server: Served, talk: TalkTo) -> None:
    one = talk()
    before = one.policy.counters()
    for _ in range(6):
        one.act("a line of output\n" * 40)
    now = one.policy.counters()
    responses = one.responses
    usage = responses[0].usage
    for response in responses[1:]:
        usage = usage.plus(response.usage)
    assert usage.repeated_input_tokens == sum(request.kept_tokens for request in one.requests)
    assert usage.repeated_hit_share is not None
    assert usage.repeated_hit_share >= 0.95
    assert now["prefix_cache_hits"] - before["prefix_cache_hits"] == usage.cached_input_tokens
    assert now["prefix_cache_queries"] - before["prefix_cache_queries"] == usage.input_tokens


# Formats --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["hermes", "plain", "native"])
def test_answers_held_to_the_grammar_are_valid_calls(talk: TalkTo, form: str) -> None:
    """A model of random weights seldom closes a string in time: about one answer in four is whole."""

    def valid(attempt: int) -> bool:
        one = talk(format=form, constrain=True, max_tokens=400)
        calls = [ToolRegistry().parse(one.act(f"seen {attempt}.{k}").call) for k in range(2)]
        turns = one.turns  # one where the first answer holds two calls
        assert all(len(turn.completion_ids) == len(turn.logprobs or ()) > 0 for turn in turns)
        assert form == "native" or all(later.continues(earlier) for earlier, later in pairwise(turns))
        return any(isinstance(call, ParsedCall) for call in calls) and any(r.tool_calls for r in one.responses)

    assert any(valid(attempt) for attempt in range(60))


@pytest.mark.parametrize("thought", [False, True])
def test_the_grammar_lets_quotes_newlines_and_backslashes_through_but_nothing_that_is_no_json(thought: bool) -> None:
    def call(name: str, **arguments: str) -> str:
        said = {"thought": 'Say "so".\n'} if thought else {}
        return json.dumps({**said, "name": name, "arguments": arguments})

    valid = [
        call("shell", command="printf \"a\tb\n\" | grep '\\t'\nls"),
        call("file_write", path="a/b c.py", content='x = "\\n"\n\ty = "é"\n'),
        call("file_edit", path="a.py", old='"old"\n', new="\\new\n"),
        call("search", pattern=r"def \w+\(", include="*.py"),
        call("submit"),
    ]
    invalid = [valid[0].replace("\\t", "\t", 1), valid[0][:-1], call("shell"), call("nothing")]
    python, _ = installed()
    given = {"grammar": grammar_of(ToolRegistry().schemas(), thought=thought), "texts": [*valid, *invalid]}
    checked = subprocess.run(
        [python, str(GRAMMAR_CHECK)], input=json.dumps(given), capture_output=True, text=True, timeout=120, check=True
    )
    assert json.loads(checked.stdout) == [True] * len(valid) + [False] * len(invalid)


def test_a_call_is_answered_as_its_tool(server: Served, talk: TalkTo) -> None:
    one = talk(extra_body=forced(CALL))
    action = one.act()
    assert action.call == {"name": "shell", "arguments": '{"command": "ls"}', "id": action.call_id}
    one.act("a.py")
    assert [message["role"] for message in one.requests[1].messages] == ["assistant", "tool"]
    first, second = one.turns
    said = text_of(server, second.prompt_ids[len(first.prompt_ids) :])
    assert said.startswith(CALL)
    assert said.endswith("<|im_start|>tool\na.py<|im_end|><|im_start|>assistant\n")
    assert second.continues(first)


def test_several_calls_are_one_answer_and_their_results_one_addition(talk: TalkTo) -> None:
    one = talk(extra_body=forced(f"Both.\n{CALL}\n{CALL}"), max_tokens=250)
    assert one.act().thought == "Both."
    one.act("first")
    one.act("second")
    assert len(one.requests) == 2
    assert [message["role"] for message in one.requests[1].messages] == ["assistant", "tool", "tool"]
    first, second = one.turns
    assert second.continues(first)


def test_a_call_that_cannot_be_read_is_explained_to_the_model(talk: TalkTo) -> None:
    broken = '<tool_call>\n{"name": "shell", "arguments": {"command": }}\n</tool_call>'
    one = talk(extra_body=forced(broken))
    problem = ToolRegistry().parse(one.act().call)
    assert isinstance(problem, MalformedAction)
    assert "not valid JSON" in problem.message
    one.act(problem.message)
    assert one.requests[1].messages[-1]["content"] == problem.message
    assert (one.responses[0].content, one.responses[0].tool_calls) == (broken, ())
    assert one.turns[1].continues(one.turns[0])


def test_a_call_that_was_cut_off_is_data_and_the_model_is_told(server: Served, talk: TalkTo) -> None:
    one = talk(extra_body=forced(CALL), max_tokens=8)
    problem = ToolRegistry().parse(one.act().call)
    assert isinstance(problem, MalformedAction)
    one.act(problem.message)
    assert one.responses[0].finish_reason == "length"
    assert one.requests[1].messages[-1]["content"].endswith("Your answer was cut off after 8 tokens; be briefer.")
    first, second = one.turns
    assert second.continues(first)
    added = second.prompt_ids[len(first.prompt_ids) + 8 :]
    assert text_of(server, added).startswith("<|im_end|><|im_start|>user\n"), "the template's end of turn is added"


def test_text_without_a_call_is_reminded_and_then_given_up(talk: TalkTo) -> None:
    one = talk(extra_body=forced("I am done."), reminders=2)
    for _ in range(3):
        assert isinstance(ToolRegistry().parse(one.act("seen").call), MalformedAction)
    with pytest.raises(PolicyStop) as stop:
        one.act("seen")
    assert (stop.value.reason, stop.value.blame) == (StopReason.POLICY_ERROR, Failure.MODEL)
    assert one.requests[-1].messages[-1]["content"] == REMINDER


def test_a_conversation_that_the_server_renders_anew_is_seen_to_be_so(talk: TalkTo) -> None:
    one = talk(format="native", extra_body=forced(f"  two blanks go first\n\n{CALL}"), max_tokens=100)
    one.act()
    one.act("seen")
    first, second = one.turns
    kept = one.responses[1].usage.repeated_input_tokens
    told = first.prompt_ids + first.completion_ids
    assert kept is not None
    assert second.prompt_ids[:kept] == told[:kept]
    assert ("new_token_segment" in one.phases) == (kept < len(told))


# Contexts that are full -----------------------------------------------------------------------------------------------


def test_a_full_context_stops_the_episode(talk: TalkTo) -> None:
    one = talk(overflow="stop", extra_body=forced(CALL))
    with pytest.raises(PolicyStop) as stop:
        for _ in range(10):
            one.act("a line of output\n" * 150)
    assert (stop.value.reason, stop.value.blame) == (StopReason.TOKEN_LIMIT, Failure.MODEL)
    assert one.phases == []


def test_or_it_goes_on_without_the_oldest_observations(server: Served, talk: TalkTo) -> None:
    one = talk(overflow="drop_oldest", overflow_target=0.7, extra_body=forced(CALL))
    for number in range(14):
        one.act(f"observation {number}\n" + "a line of output\n" * 60)
    turns = one.turns
    assert len(turns) == 14
    breaks = [index for index, (old, new) in enumerate(pairwise(turns), 1) if not new.continues(old)]
    assert one.phases == ["context_overflow"] * len(breaks)
    assert 1 <= len(breaks) <= 5, "room is made for several answers at once"
    after = turns[breaks[0]]
    assert len(after.prompt_ids) <= 0.7 * 8192
    assert max(len(turn.prompt_ids) for turn in turns) < 8192
    prompt = text_of(server, after.prompt_ids)
    assert "characters were dropped here to make room]" in prompt
    assert f"observation {breaks[0]}\n" in prompt, "the latest is always there"
    assert "observation 1\n" not in prompt
    sent = list[Any]()
    for request in one.requests[: breaks[0] + 1]:
        sent = [*sent[: request.kept_messages], *request.messages]
    assert "characters were dropped" in sent[3]["content"], "the messages in the log tell the same"
    for turn in turns[: breaks[0]]:
        assert text_of(server, turn.completion_ids) in prompt, "answers stay as they were sampled"


def test_an_issue_beyond_the_context_ends_the_episode_before_anything_is_asked(talk: TalkTo) -> None:
    one = talk(overflow="drop_oldest")
    with pytest.raises(PolicyStop) as stop:
        one.act("it does not work " * 8000)
    assert stop.value.reason is StopReason.TOKEN_LIMIT
    assert one.requests == []


# Faults ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(status=429, headers={"Retry-After": "0.1"}), 429),
        (Fault(status=500), 500),
        (Fault(status=503), 503),
        (Fault(delay=60), None),
        (Fault(cut=True), None),
    ],
    ids=["429", "500", "503", "time-out", "cut"],
)
def test_what_may_pass_is_tried_again_and_leaves_no_trace_in_the_tokens(
    server: Served, talk: TalkTo, fault: Fault, status: int | None
) -> None:
    with proxied(server.model.root, lambda number, _: fault if number in (1, 2) else None) as proxy:
        one = talk(proxy.url, request_timeout=5 if fault.delay else 60, max_tokens=10)
        one.act()
        one.act("seen")
        one.act("seen")
    first, second, third = one.turns
    assert second.continues(first)
    assert third.continues(second)
    tries = one.responses[1].failed_attempts
    assert [attempt.status for attempt in tries] == [status, status]
    assert [body["prompt"] for body in proxy.asked[1:4]] == [list(second.prompt_ids)] * 3


def test_what_does_not_pass_is_the_services_fault(server: Served, talk: TalkTo) -> None:
    with proxied(server.model.root, lambda number, _: Fault(status=503)) as proxy:
        one = talk(proxy.url, retries=2)
        with pytest.raises(ServiceError, match="failed 3 times, last: HTTP 503"):
            one.act()


@pytest.mark.parametrize("form", ["hermes", "plain"])
def test_a_model_that_is_not_served_is_a_usage_error(server: Served, talk: TalkTo, form: str) -> None:
    one = talk(format=form, model="other")
    with pytest.raises(ConfigError, match="has no model 'other'"):
        one.act()


def test_what_the_server_does_not_take_is_a_usage_error(talk: TalkTo) -> None:
    one = talk(extra_body={"temperature": -1})
    with pytest.raises(ConfigError, match="does not take what it is asked"):
        one.act()


def test_a_conversation_that_the_template_refuses_is_a_usage_error(server: Served, talk: TalkTo) -> None:
    one = talk(chat_template_kwargs={"tools": 3})
    with pytest.raises(ConfigError, match="chat template cannot tell this conversation"):
        one.act()


def test_the_episodes_token_budget_holds(talk: TalkTo) -> None:
    one = talk(budget=Budget(tokens=2000))
    one.act()
    with pytest.raises(PolicyStop) as stop:
        one.act("seen")
    assert stop.value.reason is StopReason.TOKEN_LIMIT


def test_dropping_observations_needs_prompts_of_our_own() -> None:
    with pytest.raises(ValueError, match="needs format hermes or plain"):
        VllmConfig(format="native", overflow="drop_oldest")


def test_a_recorded_grammar_is_what_the_server_was_sent(talk: TalkTo) -> None:
    one = talk(constrain=True, max_tokens=5)
    one.act()
    tag = json.loads(one.requests[0].parameters["structured_outputs"]["structural_tag"])
    assert tag["format"]["begin"] == "<tool_call>\n"
