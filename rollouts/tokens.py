"""What a model read and wrote, as the tokens that the server worked with: never re-tokenised text."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from .episode_log import EVENTS
from .events import AnyEvent, LlmRequestEvent, LlmResponseEvent, ToolCallEvent
from .log import read_events
from .payloads import LlmRequest, LlmResponse

__all__ = ["TokenTurn", "token_turns", "turns_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTurn:
    """One answer of a model."""

    steps: tuple[int, ...]
    """Positions of the steps that it became; an answer without a call is a step too."""
    prompt_ids: tuple[int, ...]
    """The whole prompt."""
    completion_ids: tuple[int, ...]
    """What was sampled, the end token included."""
    logprobs: tuple[float, ...] | None
    """Of each sampled token; None when the server was not asked."""
    finish_reason: str | None = None
    """Why the server stopped: `stop`, or `length` for an answer that was cut off."""

    def continues(self, earlier: "TokenTurn") -> bool:
        """Whether its prompt begins with all that `earlier` read and wrote."""
        told = earlier.prompt_ids + earlier.completion_ids
        return self.prompt_ids[: len(told)] == told


def token_turns(folder: Path) -> tuple[TokenTurn, ...]:
    """The answers in an episode's folder, in order; none when no model was asked.

    Raises UsageError when an answer was recorded without its tokens.
    """
    path = folder / EVENTS
    if not path.exists():
        raise UsageError(f"{folder} is not an episode: it has no {EVENTS}")
    try:
        return tuple(turns_of(read_events(path)))
    except UsageError as error:
        raise UsageError(f"{folder.name}: {error}") from None


def turns_of(events: Iterable[AnyEvent]) -> Iterator[TokenTurn]:
    """The same from the events of one episode."""
    told: tuple[int, ...] = ()
    answer: tuple[tuple[int, ...], LlmResponse] | None = None
    steps = list[int]()
    request: LlmRequest | None = None
    for event in events:
        if isinstance(event, ToolCallEvent):
            steps.append(event.payload.step)
        elif isinstance(event, LlmRequestEvent):
            request = event.payload
        elif isinstance(event, LlmResponseEvent):
            if answer is not None:
                yield _turn(*answer, steps)
            prompt = _prompt(told, request, event.payload)
            answer, steps = (prompt, event.payload), []
            told = prompt + (event.payload.completion_token_ids or ())
    if answer is not None:
        yield _turn(*answer, steps)


def _prompt(told: tuple[int, ...], request: LlmRequest | None, answer: LlmResponse) -> tuple[int, ...]:
    if answer.prompt_token_ids is not None:
        return answer.prompt_token_ids
    if request is None or request.token_ids is None or request.request_id != answer.request_id:
        raise UsageError(
            "a model's answer was recorded without token ids; roll out with `--policy vllm:NAME@URL`, or have a "
            "`chat:` policy ask for them: -c 'chat.extra_body={return_token_ids: true, logprobs: true}'"
        )
    return told[: request.kept_tokens] + request.token_ids


def _turn(prompt: tuple[int, ...], answer: LlmResponse, steps: list[int]) -> TokenTurn:
    if answer.completion_token_ids is None:
        raise UsageError("a model's answer was recorded without the ids of its tokens")
    return TokenTurn(
        steps=tuple(steps),
        prompt_ids=prompt,
        completion_ids=answer.completion_token_ids,
        logprobs=answer.logprobs,
        finish_reason=answer.finish_reason,
    )
