"""A policy whose model is the one being trained: episodes ask in their threads, the trainer answers in batches."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from queue import Empty, Queue
from typing import Any

from ...errors import InfrastructureError, ServiceError
from ...rewards.service.client import Reply
from ...rollouts.llm import VllmConfig
from ...rollouts.policies.conversation import Message
from ...rollouts.policies.token_service import TokenService, Wait
from ...rollouts.policies.vllm import VllmPolicy

__all__ = ["Answers", "LocalPolicy", "LocalService"]

Ids = tuple[int, ...]
_Answer = tuple[list[int], list[float] | None]
Sampled = tuple[list[list[int]], list[list[float]] | None]
Answers = Callable[[list[list[int]]], Sampled]
"""From prompts to what was sampled, with log-probabilities where they are known."""
_PAUSE = 0.05


class LocalService(TokenService):
    """Takes the place of a server: what is asked waits until the trainer's thread answers."""

    def __init__(self, tokenizer: Any, context: int, template_kwargs: Mapping[str, Any]) -> None:
        self._tokenizer, self._kwargs = tokenizer, dict(template_kwargs)
        self.context = context
        """Tokens of prompt and answer together."""
        self._stopped = threading.Event()
        self._asked: Queue[tuple[list[int], int, Future[_Answer]]] = Queue()

    def render(self, wait: Wait, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> Ids:
        """Ids of messages by the chat template, up to where an answer begins."""
        told = self._tokenizer.apply_chat_template(
            list(messages), tools=list(tools) or None, add_generation_prompt=True, return_dict=True, **self._kwargs
        )
        return tuple(told["input_ids"])

    def complete(self, wait: Wait, session: str, prompt: Sequence[int], parameters: Mapping[str, Any]) -> Reply:
        """Ids that continue `prompt`; for the threads of episodes. Raises ServiceError when nobody answers in time."""
        began, clock = datetime.now(UTC), time.monotonic()
        future = Future[_Answer]()
        most = int(parameters["max_tokens"])
        self._asked.put((list(prompt), most, future))
        ids, logprobs = self._wait(future, wait)
        closed = bool(ids) and ids[-1] == self._tokenizer.eos_token_id
        ended = closed or len(ids) < most
        choice = {
            "text": self._tokenizer.decode(ids[:-1] if closed else ids, skip_special_tokens=False),
            "token_ids": ids,
            "finish_reason": "stop" if ended else "length",
            "logprobs": {"token_logprobs": logprobs} if logprobs is not None else None,
        }
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(ids)}
        spent = (time.monotonic() - clock) * 1000
        body = {"choices": [choice], "usage": usage}
        return Reply(body=body, failed=(), t_start=began, t_end=datetime.now(UTC), duration_ms=spent)

    def _wait(self, future: Future[_Answer], wait: Wait) -> _Answer:
        while True:
            try:
                return future.result(timeout=_PAUSE)
            except TimeoutError:
                if self._stopped.is_set():
                    raise InfrastructureError("the trainer has stopped, and answers no more") from None
                if wait.cancelled.is_set() or time.monotonic() > wait.deadline:
                    raise ServiceError("the model being trained did not answer in time") from None

    def stop(self) -> None:
        """Answer no more: whoever still asks is told so."""
        self._stopped.set()

    def answer(self, sample: Answers, busy: Callable[[], int], over: Callable[[], bool]) -> None:
        """Answer in batches until it is `over`; `busy`: how many episodes may still ask. In the trainer's thread."""
        while not over():
            batch = self._waiting(busy)
            if batch:
                found, logprobs = sample([prompt for prompt, _, _ in batch])
                for position, (ids, (_, most, future)) in enumerate(zip(found, batch, strict=True)):
                    known = logprobs[position][:most] if logprobs is not None else None
                    future.set_result((list(ids)[:most], known))

    def _waiting(self, busy: Callable[[], int]) -> list[Any]:
        """What is asked, once every episode asks or nothing more comes for a moment."""
        batch = list[Any]()
        while len(batch) < max(busy(), 1):
            try:
                batch.append(self._asked.get(timeout=_PAUSE if batch else 4 * _PAUSE))
            except Empty:
                break
        return batch

    def close(self) -> None:
        """There is no connection."""


class LocalPolicy(VllmPolicy):
    """The policy for models served by vLLM, with the model in this process: the same prompts, formats and records."""

    name = "grpo"

    def __init__(self, service: LocalService, model: str, config: VllmConfig) -> None:
        self.model = model
        self.config = config
        self._service = service

    def counters(self) -> Mapping[str, float]:
        """There is no server that counts."""
        return {}
