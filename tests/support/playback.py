"""A model service that plays back commands, in the words of whichever API it is asked with: `playback.py PORT FILE`.

Deterministic and without state: the turn is the number of tool results that a request holds. Each turn the agent is
told to run the next command with whatever shell tool it offered; after the last one it is told that all is done.
Speaks OpenAI's chat completions and responses, Anthropic's messages, and Gemini's generateContent, each with and
without streaming. FILE holds a JSON list of commands.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, cast

SHELLS = {
    "bash": "command",
    "Bash": "command",
    "exec_command": "cmd",
    "shell": "command",
    "shell_command": "command",
    "run_shell_command": "command",
    "terminal": "command",
}
"""Names of shell tools, and the argument that takes the command."""
MORE = {
    "Bash": {"description": "run a command"},
    "run_shell_command": {"description": "run a command"},
    "terminal": {"security_risk": "LOW"},
}
"""What else they want to be told."""
DONE = "All is done."
Events = Iterator[tuple[str | None, Any]]
Commands = Sequence[str | tuple[str, dict[str, Any]]]
"""What the model wants done: commands for whatever shell it is offered, or another tool with its arguments."""


class Turn:
    """What the model says in answer to one request."""

    def __init__(self, commands: Commands, taken: int, tools: dict[str, Any]) -> None:
        shell = next((name for name in tools if name in SHELLS), None)
        self.offered = shell is not None
        self.number = taken
        self.tool: str | None = None
        self.arguments: dict[str, Any] = {}
        if shell is not None and taken < len(commands):
            command = commands[taken]
            self.tool, self.arguments = _shell(shell, command) if isinstance(command, str) else command
        self.text = DONE if self.tool is None else f"Step {taken + 1}: I run a command."
        self.usage = (1000 + 50 * taken, 20 + taken)


def _shell(shell: str, command: str) -> tuple[str, dict[str, Any]]:
    value: Any = ["bash", "-lc", command] if shell == "shell" else command
    return shell, {SHELLS[shell]: value, **MORE.get(shell, {})}


class Playback:
    """The service, in a thread; `requests` is what it was asked. `commands` may depend on a request's text."""

    def __init__(
        self, commands: Commands | Callable[[str], Commands], *, delay: float = 0.0, port: int = 0, fail: int = 0
    ) -> None:
        self.commands, self.delay, self.fail = commands, delay, fail
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._json({"data": [{"id": "playback", "object": "model"}], "object": "list", "models": []})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
                path = self.path.partition("?")[0]
                service.requests.append((path, body))
                time.sleep(service.delay)
                if service.fail:
                    service.fail -= 1
                    self._json({"error": {"type": "overloaded_error", "message": "try again"}}, 529)
                elif path.endswith("/count_tokens") or path.endswith(":countTokens"):
                    self._json({"input_tokens": 1000, "totalTokens": 1000})
                else:
                    self._answer(path, body)

            def _answer(self, path: str, body: dict[str, Any]) -> None:
                wanted = service.commands
                commands = wanted(json.dumps(body, ensure_ascii=False)) if callable(wanted) else wanted
                if path.endswith("/messages"):
                    plain, stream, on = anthropic(commands, body)
                elif path.endswith("/responses"):
                    plain, stream, on = responses(commands, body)
                elif "enerateContent" in path:
                    plain, stream, on = gemini(commands, body, streamed="stream" in path)
                else:
                    plain, stream, on = chat(commands, body)
                if on:
                    self._events(stream)
                else:
                    self._json(plain)

            def _json(self, value: object, status: int = 200) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("request-id", f"req_{len(service.requests):04d}")
                self.send_header("x-request-id", f"req_{len(service.requests):04d}")
                self.end_headers()
                self.wfile.write(data)

            def _events(self, events: Events) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("request-id", f"req_{len(service.requests):04d}")
                self.send_header("x-request-id", f"req_{len(service.requests):04d}")
                self.send_header("Connection", "close")
                self.end_headers()
                for name, data in events:
                    text = data if isinstance(data, str) else json.dumps(data)
                    head = f"event: {name}\n" if name else ""
                    self.wfile.write(f"{head}data: {text}\n\n".encode())
                    self.wfile.flush()
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def chat(commands: Commands, body: dict[str, Any]) -> tuple[dict[str, Any], Events, bool]:
    taken = sum(message["role"] == "tool" for message in body["messages"])
    turn = Turn(commands, taken, {tool["function"]["name"]: tool for tool in body.get("tools") or ()})
    message: dict[str, Any] = {"role": "assistant", "content": turn.text}
    if turn.tool is not None:
        function = {"name": turn.tool, "arguments": json.dumps(turn.arguments)}
        message["tool_calls"] = [{"id": f"call_{turn.number:04d}", "type": "function", "function": function}]
    finish = "tool_calls" if turn.tool is not None else "stop"
    prompt, completion = turn.usage
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    head = {"id": f"chatcmpl-{turn.number:04d}", "created": 1, "model": body.get("model")}
    plain = {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }

    def stream() -> Events:
        head["object"] = "chat.completion.chunk"
        calls = [{"index": i, **call} for i, call in enumerate(message.get("tool_calls", ()))]
        for delta in ({"role": "assistant", "content": turn.text}, {"tool_calls": calls} if calls else {}):
            yield None, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield None, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
        yield None, {**head, "choices": [], "usage": usage}
        yield None, "[DONE]"

    return plain, stream(), bool(body.get("stream"))


def anthropic(commands: Commands, body: dict[str, Any]) -> tuple[dict[str, Any], Events, bool]:
    blocks = [block for message in body["messages"] if isinstance(message["content"], list)
              for block in message["content"]]  # fmt: skip
    taken = sum(block["type"] == "tool_result" for block in blocks)
    turn = Turn(commands, taken, {tool["name"]: tool for tool in body.get("tools") or () if "name" in tool})
    content: list[dict[str, Any]] = [{"type": "text", "text": turn.text}]
    if turn.tool is not None:
        call = {"type": "tool_use", "id": f"toolu_{turn.number:04d}", "name": turn.tool, "input": turn.arguments}
        content.append(call)
    reason = "tool_use" if turn.tool is not None else "end_turn"
    prompt, completion = turn.usage
    usage = {"input_tokens": 100, "cache_read_input_tokens": prompt - 100, "cache_creation_input_tokens": 0}
    kind = "main" if turn.offered else "side"
    plain = {
        "id": f"msg_{kind}_{turn.number:04d}_{len(json.dumps(body)):06d}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": completion},
    }

    def stream() -> Events:
        begin = {**plain, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        yield "message_start", {"type": "message_start", "message": begin}
        for index, block in enumerate(content):
            empty: dict[str, Any] = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
            yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": empty}
            if block["type"] == "text":
                delta = {"type": "text_delta", "text": block["text"]}
            else:
                delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
            yield "content_block_stop", {"type": "content_block_stop", "index": index}
        told = {"stop_reason": reason, "stop_sequence": None}
        yield "message_delta", {"type": "message_delta", "delta": told, "usage": {"output_tokens": completion}}
        yield "message_stop", {"type": "message_stop"}

    return plain, stream(), bool(body.get("stream"))


def responses(commands: Commands, body: dict[str, Any]) -> tuple[dict[str, Any], Events, bool]:
    given = body["input"]
    items = cast("list[dict[str, Any]]", given) if isinstance(given, list) else []
    taken = sum(str(item.get("type")).endswith("_call_output") for item in items)
    turn = Turn(commands, taken, {tool["name"]: tool for tool in body.get("tools") or () if "name" in tool})
    text: dict[str, Any] = {"type": "output_text", "text": turn.text, "annotations": []}
    output: list[dict[str, Any]] = [
        {
            "type": "message",
            "id": f"msg_{turn.number:04d}",
            "role": "assistant",
            "status": "completed",
            "content": [text],
        }
    ]
    if turn.tool is not None:
        output.append(
            {
                "type": "function_call",
                "id": f"fc_{turn.number:04d}",
                "call_id": f"call_{turn.number:04d}",
                "name": turn.tool,
                "arguments": json.dumps(turn.arguments),
                "status": "completed",
            }
        )
    prompt, completion = turn.usage
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": prompt - 100},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + completion,
    }
    plain = {
        "id": f"resp_{turn.number:04d}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": body.get("model"),
        "output": output,
        "usage": usage,
        "error": None,
        "incomplete_details": None,
    }

    def stream() -> Events:
        begin = {**plain, "status": "in_progress", "output": [], "usage": None}
        events: list[dict[str, Any]] = [{"type": "response.created", "response": begin}]
        for index, item in enumerate(output):
            events.append({"type": "response.output_item.added", "output_index": index, "item": item})
            if item["type"] == "message":
                where = {"item_id": item["id"], "output_index": index, "content_index": 0}
                events.append({"type": "response.output_text.delta", **where, "delta": turn.text})
            events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        events.append({"type": "response.completed", "response": plain})
        for number, event in enumerate(events):
            yield event["type"], {**event, "sequence_number": number}

    return plain, stream(), bool(body.get("stream"))


def gemini(commands: Commands, body: dict[str, Any], *, streamed: bool) -> tuple[dict[str, Any], Events, bool]:
    parts = [part for content in body["contents"] for part in content.get("parts", ())]
    taken = sum("functionResponse" in part for part in parts)
    declared = [one for tool in body.get("tools") or () for one in tool.get("functionDeclarations", ())]
    turn = Turn(commands, taken, {one["name"]: one for one in declared})
    said: list[dict[str, Any]] = [{"text": turn.text}]
    if turn.tool is not None:
        said.append({"functionCall": {"name": turn.tool, "args": turn.arguments}})
    prompt, completion = turn.usage
    plain = {
        "candidates": [{"content": {"role": "model", "parts": said}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": prompt,
            "candidatesTokenCount": completion,
            "cachedContentTokenCount": prompt - 100,
            "totalTokenCount": prompt + completion,
        },
        "modelVersion": "playback",
        "responseId": f"gem_{turn.number:04d}",
    }

    def stream() -> Events:
        yield None, plain

    return plain, stream(), streamed


if __name__ == "__main__":
    with Playback(json.loads(Path(sys.argv[2]).read_text()), port=int(sys.argv[1])):
        threading.Event().wait()
