"""What a chat model is told: a minimal system prompt and the tools in its format."""

from typing import Any

from .registry import ToolRegistry

__all__ = ["SYSTEM_PROMPT", "TEXT_PROTOCOL", "chat_tools", "system_prompt"]

SYSTEM_PROMPT = """\
You are a software engineer working in a repository. Solve the issue you are given by changing the \
repository's source code, using the tools.

Work in small steps: find the code that matters, reproduce the problem, change as little as is needed, and \
run the tests that show it works. Do not change existing tests to make them pass. Make one tool call at a \
time and read its result before the next. When you are done, call `submit`."""

TEXT_PROTOCOL = """\
Answer with one JSON object and nothing else: {"thought": "<why>", "name": "<tool>", "arguments": {...}}.
The tools and the JSON Schema of their arguments:"""


def chat_tools(registry: ToolRegistry | None = None) -> list[dict[str, Any]]:
    """The `tools` parameter of an OpenAI-compatible chat request."""
    return (registry or ToolRegistry()).schemas()


def system_prompt(registry: ToolRegistry | None = None, *, native_tools: bool = True) -> str:
    """The system prompt; without `native_tools` it describes the tools and how to call them as text."""
    if native_tools:
        return SYSTEM_PROMPT
    import json

    described = [json.dumps(schema["function"], ensure_ascii=False) for schema in chat_tools(registry)]
    return "\n\n".join([SYSTEM_PROMPT, TEXT_PROTOCOL]) + "\n" + "\n".join(described)
