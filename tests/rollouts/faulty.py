"""An HTTP server that answers chat requests as a test tells it, for faults a real server cannot produce on demand."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from trajectory_hub.benchmarks.fault_service import Answer as Reply
from trajectory_hub.benchmarks.fault_service import Seen, service

__all__ = ["Reply", "Seen", "message", "serving"]


def message(
    content: str | None = None, calls: Sequence[tuple[str, str]] = (), usage: dict[str, Any] | None = None
) -> Reply:
    """A completion with tool calls of (name, raw arguments)."""
    tool_calls = [
        {"id": f"call-{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(calls)
    ]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, "tool_calls": tool_calls},
        "finish_reason": "tool_calls" if calls else "stop",
    }
    said = {"prompt_tokens": 100, "completion_tokens": 10} if usage is None else usage
    return Reply(body={"model": "m-1", "choices": [choice], "usage": said})


@contextmanager
def serving(*replies: Reply) -> Generator[Seen]:
    """Give the replies in order, the last one again and again."""
    with service(replies) as seen:
        yield seen
