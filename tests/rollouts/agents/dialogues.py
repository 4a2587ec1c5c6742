"""Exchanges as a proxy records them, of a conversation that `support/playback.py` answers in any API's words."""

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from trajectory_hub.rewards.service.usage import Usage
from trajectory_hub.rollouts.proxy import Exchange

from ...support import playback

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COMMANDS = ["ls", "sed -i s/a/b/ shapes.py", "python3 -m pytest tests"]
OUTPUTS = ["shapes.py tests", "", "3 passed"]
MODEL = "some-model"


def at(seconds: float) -> datetime:
    """So many seconds after the conversation began."""
    return BEGAN + timedelta(seconds=seconds)


def _bodies(api: str) -> list[dict[str, Any]]:
    tools: dict[str, list[dict[str, Any]]] = {
        "openai.chat": [{"type": "function", "function": {"name": "bash", "parameters": {}}}],
        "openai.responses": [{"type": "function", "name": "exec_command"}],
        "anthropic.messages": [{"name": "Bash", "input_schema": {}}],
        "gemini.generate": [{"functionDeclarations": [{"name": "run_shell_command"}]}],
    }
    said: list[dict[str, Any]] = [{"role": "user", "content": "Mend it."}]
    key = {"openai.responses": "input", "gemini.generate": "contents"}.get(api, "messages")
    if api == "gemini.generate":
        said = [{"role": "user", "parts": [{"text": "Mend it."}]}]
    bodies = list[dict[str, Any]]()
    for output in [*OUTPUTS, ""]:
        body = {"model": MODEL, "tools": tools[api], "temperature": 0, key: copy.deepcopy(said)}
        bodies.append(body)
        answer = answered(api, body)
        if api == "openai.chat":
            message = answer["choices"][0]["message"]
            calls = message.get("tool_calls") or [{"id": ""}]
            said += [message, {"role": "tool", "tool_call_id": calls[0]["id"], "content": output}]
        elif api == "openai.responses":
            call_id = answer["output"][-1].get("call_id")
            said += [*answer["output"], {"type": "function_call_output", "call_id": call_id, "output": output}]
        elif api == "anthropic.messages":
            block = {"type": "tool_result", "tool_use_id": answer["content"][-1].get("id"), "content": output}
            said += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [block]}]
        else:
            response = {"functionResponse": {"name": "run_shell_command", "response": {"output": output}}}
            said += [answer["candidates"][0]["content"], {"role": "user", "parts": [response]}]
    return bodies


def answered(api: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer without streaming."""
    if api == "gemini.generate":
        return playback.gemini(COMMANDS, body, streamed=False)[0]
    answer = {"openai.chat": playback.chat, "openai.responses": playback.responses,
              "anthropic.messages": playback.anthropic}[api]  # fmt: skip
    return answer(COMMANDS, body)[0]


def exchanges(api: str = "openai.chat") -> list[Exchange]:
    """Four requests, ten seconds apart, each answered within two: three commands, and that all is done."""
    found = list[Exchange]()
    for number, body in enumerate(_bodies(api)):
        answer = json.loads(json.dumps(answered(api, body)))
        found.append(
            Exchange(
                id=f"x{number}",
                t_start=at(10 * number),
                t_first_byte=at(10 * number + 1),
                t_end=at(10 * number + 2),
                duration_ms=2000,
                ttft_ms=1000,
                api=api,
                method="POST",
                path="/v1/somewhere",
                model=MODEL,
                status=200,
                request_id=f"req-{number}",
                response_id=str(answer.get("id") or answer.get("responseId")),
                usage=Usage(input_tokens=1000 + 50 * number, output_tokens=20 + number),
                cost_usd=0.01,
                request=body,
                response=answer,
            )
        )
    return found
