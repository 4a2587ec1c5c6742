"""Generation by transformers behind the token endpoints that a `vllm:` policy uses, where there is no vLLM.

`/tokenize`, `/v1/completions` and `/metrics`, for one process on one machine: requests that wait are answered in one
batch. No continuous batching, no prefix cache; a policy gets the same ids and log-probabilities as from vLLM.
"""

import json
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from ...errors import MissingExtra
from ...rollouts.serving.metrics import page_of

__all__ = ["GenerationServer"]

_GATHER_SECONDS = 0.01
"""How long a first request waits for others."""


@dataclass(slots=True)
class _Asked:
    """A request that waits for its tokens."""

    ids: list[int]
    max_tokens: int
    temperature: float
    done: threading.Event = field(default_factory=threading.Event)
    tokens: list[int] = field(default_factory=list[int])
    logprobs: list[float] = field(default_factory=list[float])
    error: str | None = None


class GenerationServer:
    """Serves a checkpoint while its context is open. Raises MissingExtra without transformers."""

    def __init__(self, checkpoint: Path, *, batch: int = 64, seed: int = 0) -> None:
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError:
            raise MissingExtra("generation needs transformers: pip install 'agent-trajectory-hub[train]'") from None
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self._device == "cuda" else torch.float32
        model: Any = cast(Any, AutoModelForCausalLM).from_pretrained(checkpoint, dtype=dtype)
        self._model = model.to(self._device).eval()
        self._tokenizer: Any = cast(Any, AutoTokenizer).from_pretrained(checkpoint)
        self._context = int(self._model.config.max_position_embeddings)
        self._batch = batch
        self._waiting: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._counted = {"prompt_tokens": 0.0, "generation_tokens": 0.0, "request_success": 0.0}
        torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._threads = [
            threading.Thread(target=self._http.serve_forever, daemon=True, name="trajhub-generation-http"),
            threading.Thread(target=self._generate, daemon=True, name="trajhub-generation"),
        ]

    @property
    def base_url(self) -> str:
        """Root of the API."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._http.server_close()

    # What requests call, each in a thread of its own ------------------------------------------------------------

    def tokenize(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ids of messages by the chat template, or of a text."""
        if "messages" in body:
            ids = self._tokenizer.apply_chat_template(
                body["messages"],
                tools=body.get("tools") or None,
                add_generation_prompt=bool(body.get("add_generation_prompt", True)),
                return_dict=True,
                **(body.get("chat_template_kwargs") or {}),
            )["input_ids"]
        else:
            ids = self._tokenizer(body["prompt"], add_special_tokens=body.get("add_special_tokens", True))["input_ids"]
        return {"tokens": list(ids), "count": len(ids), "max_model_len": self._context}

    def complete(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ids that continue a prompt of ids, with their log-probabilities."""
        prompt = list(cast("Sequence[int]", body["prompt"]))
        room = self._context - len(prompt)
        asked = _Asked(prompt, min(int(body.get("max_tokens") or room), room), float(body.get("temperature", 1.0)))
        self._waiting.put(asked)
        asked.done.wait()
        if asked.error is not None:
            raise RuntimeError(asked.error)
        ended = bool(asked.tokens) and asked.tokens[-1] == self._tokenizer.eos_token_id
        text = self._tokenizer.decode(asked.tokens[:-1] if ended else asked.tokens)
        choice = {
            "index": 0,
            "text": text,
            "token_ids": asked.tokens,
            "logprobs": {"token_logprobs": asked.logprobs},
            "finish_reason": "stop" if ended else "length",
            "stop_reason": None,
        }
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(asked.tokens)}
        return {"object": "text_completion", "model": body.get("model"), "choices": [choice], "usage": usage}

    def metrics(self) -> str:
        """Counters as vLLM names them."""
        return page_of(self._counted)

    # What the generating thread does -----------------------------------------------------------------------------

    def _generate(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first, *self._others(first)]
            try:
                self._answer(batch)
            except RuntimeError as error:  # out of memory, or a broken device: the requests fail, not the server
                for asked in batch:
                    asked.error = str(error)
            for asked in batch:
                asked.done.set()

    def _others(self, first: _Asked) -> list[_Asked]:
        """Requests that came meanwhile and are sampled alike; others wait for their turn."""
        found, later = list[_Asked](), list[_Asked | None]()
        while len(found) + 1 < self._batch:
            try:
                asked = self._waiting.get(timeout=_GATHER_SECONDS)
            except queue.Empty:
                break
            if asked is None or asked.temperature != first.temperature:
                later.append(asked)
                if asked is None:
                    break
            else:
                found.append(asked)
        for asked in later:
            self._waiting.put(asked)
        return found

    def _answer(self, batch: Sequence[_Asked]) -> None:
        import torch

        longest = max(len(asked.ids) for asked in batch)
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[pad] * (longest - len(asked.ids)) + asked.ids for asked in batch], device=self._device)
        mask = torch.tensor(
            [[0] * (longest - len(asked.ids)) + [1] * len(asked.ids) for asked in batch], device=self._device
        )
        sampled = batch[0].temperature > 0
        options = {"do_sample": True, "temperature": batch[0].temperature, "top_k": 0, "top_p": 1.0} if sampled else {}
        with torch.inference_mode():
            out = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max(asked.max_tokens for asked in batch),
                pad_token_id=pad,
                return_dict_in_generate=True,
                output_scores=True,
                **(options or {"do_sample": False}),
            )
        new = out.sequences[:, longest:]
        scores = self._model.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)
        for row, asked in enumerate(batch):
            self._take(asked, new[row].tolist(), scores[row].tolist())

    def _take(self, asked: _Asked, tokens: list[int], logprobs: list[float]) -> None:
        """One row of a batch, up to its own end."""
        end = self._tokenizer.eos_token_id
        size = tokens.index(end) + 1 if end in tokens else len(tokens)
        size = min(size, asked.max_tokens)
        asked.tokens, asked.logprobs = tokens[:size], logprobs[:size]
        for name, count in (("prompt_tokens", len(asked.ids)), ("generation_tokens", size), ("request_success", 1)):
            self._counted[name] += count


def _handler(server: GenerationServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # as http.server wants it
            answer = {"/tokenize": server.tokenize, "/v1/completions": server.complete}.get(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if answer is None:
                self._send(404, json.dumps({"error": {"message": f"no endpoint {self.path}"}}))
            else:
                self._send(*_answered(answer, body))

        def do_GET(self) -> None:
            known = self.path == "/metrics"
            self._send(200 if known else 404, server.metrics() if known else "")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the log of a rollout says what was asked."""

        def _send(self, status: int, text: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def _answered(answer: Callable[[Mapping[str, Any]], Mapping[str, Any]], body: bytes) -> tuple[int, str]:
    try:
        return 200, json.dumps(answer(json.loads(body)))
    except (ValueError, KeyError, TypeError) as error:
        return 400, json.dumps({"error": {"message": f"{type(error).__name__}: {error}"}})
    except RuntimeError as error:
        return 500, json.dumps({"error": {"message": str(error)}})
