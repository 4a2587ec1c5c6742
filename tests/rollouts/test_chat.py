"""The chat policy against a server that misbehaves on demand."""

import time
from typing import Any

import pytest
from trajectory_hub.errors import ConfigError, Failure, ServiceError, StopReason
from trajectory_hub.rollouts.budget import Budget, Ledger, Price, RunLedger
from trajectory_hub.rollouts.llm import ChatConfig
from trajectory_hub.rollouts.payloads import LlmRequest, LlmResponse, Payload
from trajectory_hub.rollouts.policies import Action, Context, PolicyStop, Session, TaskView
from trajectory_hub.rollouts.policies.chat import REMINDER, ChatPolicy
from trajectory_hub.tools.registry import MalformedAction, ParsedCall, ToolRegistry

from .faulty import Reply, Seen, message, serving

VIEW = TaskView(instance_id="t", repo="a/b", base_commit="c", problem_statement="mend it", workdir="/testbed")
PRICE = Price(input=10.0, output=100.0, cached_input=1.0)


class Talk:
    """A session, and everything it wrote to the log."""

    def __init__(
        self,
        seen: Seen,
        *,
        budget: Budget | None = None,
        price: Price | None = PRICE,
        seconds: float = 20,
        **config: Any,
    ) -> None:
        self.logged: list[Payload] = []
        self.run = RunLedger(budget or Budget())
        self.ledger = Ledger(self.run, price)
        given: dict[str, Any] = {"base_url": seen.url, "model": "m", "max_wait": 0.2, "retries": 3, **config}
        chat = ChatConfig.model_validate(given)
        self.policy = ChatPolicy(chat)
        self.session: Session = self.policy.start(
            VIEW,
            Context(
                tools=ToolRegistry().schemas(),
                seed=7,
                log=self._log,
                ledger=self.ledger,
                deadline=time.monotonic() + seconds,
            ),
        )

    def _log(self, payload: Payload, **_: Any) -> None:
        self.logged.append(payload)

    def act(self, observation: str = "go") -> Action:
        return self.session.act(observation, {})

    def requests(self) -> list[LlmRequest]:
        return [payload for payload in self.logged if isinstance(payload, LlmRequest)]

    def responses(self) -> list[LlmResponse]:
        return [payload for payload in self.logged if isinstance(payload, LlmResponse)]


CALL = message("Looking.", [("shell", '{"command": "ls"}')])


def test_a_conversation_grows_and_is_recorded_as_what_was_added() -> None:
    with serving(CALL) as seen:
        talk = Talk(seen)
        action = talk.act("the task")
        talk.act("a.py b.py")
    assert isinstance(ToolRegistry().parse(action.call), ParsedCall)
    assert (action.thought, action.call_id) == ("Looking.", "call-0")
    first, second = (body["messages"] for body in seen.bodies)
    assert second[: len(first)] == first
    assert [m["role"] for m in second] == ["system", "user", "assistant", "tool"]
    assert second[-1] == {"role": "tool", "tool_call_id": "call-0", "content": "a.py b.py"}
    rebuilt = list[Any]()
    for request in talk.requests():
        rebuilt = [*rebuilt[: request.kept_messages], *request.messages]
    assert rebuilt == second


def test_several_calls_in_one_answer_are_taken_one_after_another() -> None:
    two = message("Both.", [("shell", '{"command": "a"}'), ("shell", '{"command": "b"}')])
    with serving(two, CALL) as seen:
        talk = Talk(seen)
        names = [dict(talk.act(text).call)["arguments"] for text in ("go", "A", "B")]  # pyright: ignore
    assert names == ['{"command": "a"}', '{"command": "b"}', '{"command": "ls"}']
    assert len(seen.bodies) == 2
    answered = [(m["tool_call_id"], m["content"]) for m in seen.bodies[1]["messages"] if m["role"] == "tool"]
    assert answered == [("call-0", "A"), ("call-1", "B")]


def test_arguments_that_cannot_be_read_become_a_malformed_action() -> None:
    with serving(message(None, [("shell", '{"command": ')]), CALL) as seen:
        talk = Talk(seen)
        assert isinstance(ToolRegistry().parse(talk.act().call), MalformedAction)
        talk.act("that was not valid")
    sent = seen.bodies[1]["messages"][2]["tool_calls"][0]["function"]["arguments"]
    assert sent == '{"unreadable": "{\\"command\\": "}'  # services refuse a history that is not JSON
    assert talk.responses()[0].tool_calls[0]["function"]["arguments"] == '{"command": '


def test_text_without_a_call_is_reminded_and_then_given_up() -> None:
    with serving(message("I am done.")) as seen:
        talk = Talk(seen, reminders=2)
        for _ in range(3):
            assert isinstance(ToolRegistry().parse(talk.act("observed").call), MalformedAction)
        with pytest.raises(PolicyStop) as stop:
            talk.act("observed")
    assert (stop.value.reason, stop.value.blame) == (StopReason.POLICY_ERROR, Failure.MODEL)
    assert seen.bodies[-1]["messages"][-1] == {"role": "user", "content": REMINDER}


@pytest.mark.parametrize(
    "fault",
    [
        Reply(429, {"error": "slow down"}, {"Retry-After": "0.1"}),
        Reply(503, b"busy"),
        Reply(500, {"error": "oops"}),
        Reply(200, b"<html>not json</html>"),
        Reply(200, {"error": {"message": "overloaded"}}),
        Reply(200, {"choices": []}, cut=True),
    ],
)
def test_what_may_pass_is_tried_again(fault: Reply) -> None:
    with serving(fault, fault, CALL) as seen:
        talk = Talk(seen)
        talk.act()
    assert len(seen.bodies) == 3
    failed = talk.responses()[0].failed_attempts
    assert len(failed) == 2
    assert all(attempt.error and attempt.waited_s > 0 for attempt in failed)


def test_the_pause_that_the_service_asks_for_is_kept() -> None:
    with serving(Reply(429, {}, {"Retry-After": "0.6"}), CALL) as seen:
        talk = Talk(seen, max_wait=5)
        began = time.monotonic()
        talk.act()
    assert time.monotonic() - began >= 0.6
    assert talk.responses()[0].failed_attempts[0].waited_s == 0.6


def test_retries_end() -> None:
    with serving(Reply(503, b"busy")) as seen:
        with pytest.raises(ServiceError, match=r"failed 4 times, last: HTTP 503: busy"):
            Talk(seen).act()
        assert len(seen.bodies) == 4


def test_no_retry_goes_beyond_the_episodes_time() -> None:
    with serving(Reply(429, {}, {"Retry-After": "30"})) as seen:
        began = time.monotonic()
        with pytest.raises(ServiceError):
            Talk(seen, seconds=1, max_wait=60).act()
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(("status", "said"), [(401, "Set MY_KEY"), (404, "has no model 'm'")])
def test_what_will_not_pass_stops_the_run_and_shows_no_key(
    status: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    with serving(Reply(status, {"error": "bad key sk-very-secret"})) as seen:
        talk = Talk(seen, api_key_env="MY_KEY")
        with pytest.raises(ConfigError, match=said) as refused:
            talk.act()
    assert seen.keys == ["Bearer sk-very-secret"]
    assert "sk-very-secret" not in str(refused.value)
    assert "sk-very-secret" not in "".join(payload.model_dump_json() for payload in talk.logged)


def test_the_key_of_one_service_is_never_sent_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-openai-only")
    monkeypatch.delenv("TRAJHUB_API_KEY", raising=False)
    with serving(CALL) as seen:
        Talk(seen).act()
    assert seen.keys == [None]


def test_a_conversation_that_is_too_long_is_the_models_limit() -> None:
    said = {"error": {"message": "This model's maximum context length is 8192 tokens"}}
    with serving(Reply(400, said)) as seen, pytest.raises(PolicyStop) as stop:
        Talk(seen).act()
    assert (stop.value.reason, stop.value.blame) == (StopReason.TOKEN_LIMIT, Failure.MODEL)


def test_tokens_and_money_are_counted() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 400}}
    with serving(message(None, [("submit", "{}")], usage)) as seen:
        talk = Talk(seen)
        talk.act()
        talk.act()
    cost = (600 * 10 + 400 * 1 + 50 * 100) / 1e6
    assert talk.responses()[0].cost_usd == pytest.approx(cost)
    assert talk.ledger.cost_usd == pytest.approx(2 * cost)
    assert talk.run.spent_usd == pytest.approx(2 * cost)
    assert (talk.ledger.usage.input_tokens, talk.ledger.usage.output_tokens) == (2000, 100)


def test_without_a_price_the_cost_is_unknown_and_not_zero() -> None:
    with serving(CALL) as seen:
        talk = Talk(seen, price=None)
        assert talk.ledger.cost_usd == 0.0
        talk.act()
    assert talk.ledger.cost_usd is None
    assert talk.responses()[0].cost_usd is None


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(cost_usd=0.003), StopReason.COST_LIMIT),
        (Budget(tokens=150), StopReason.TOKEN_LIMIT),
        (Budget(run_cost_usd=0.003), StopReason.INTERRUPTED),
    ],
)
def test_a_spent_budget_stops_new_requests(budget: Budget, reason: StopReason) -> None:
    with serving(CALL) as seen:
        talk = Talk(seen, budget=budget)
        talk.act()
        talk.act()
        with pytest.raises(PolicyStop) as stop:
            talk.act()
    assert stop.value.reason is reason
    assert len(seen.bodies) == 2


def test_a_limit_that_cannot_be_kept_stops_the_run() -> None:
    with serving(message(None, [("submit", "{}")], {})) as seen, pytest.raises(ConfigError, match="no token usage"):
        Talk(seen, budget=Budget(cost_usd=1)).act()


def test_cancelling_ends_a_pause() -> None:
    import threading

    with serving(Reply(429, {}, {"Retry-After": "10"})) as seen:
        talk = Talk(seen, max_wait=60)
        threading.Timer(0.3, talk.session.cancel).start()
        began = time.monotonic()
        with pytest.raises(ServiceError, match="cancelled"):
            talk.act()
    assert time.monotonic() - began < 9
