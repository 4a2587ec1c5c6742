#!/usr/bin/env python3
"""Behaves as OpenHands' command line 1.16 does without a person: `openhands --headless --json -t …`.

Written from what its real runs leave: a conversation of one file an event with its state beside them, its tools, the
events on its output, and its spans as OTLP. Needs Python alone and `agent_kit.py` beside it, so it runs in any task's
image.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import time
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent_kit import Shell, ask, edit, tool

SYSTEM = "You are OpenHands agent, a helpful AI assistant that can interact with a computer to solve tasks."
TEXT = {"type": "string"}
RISK = {"type": "string", "enum": ["LOW", "MEDIUM", "HIGH"]}
TOOLS = [
    tool("terminal", "Execute a shell command.", ("command", "security_risk"), command=TEXT, security_risk=RISK),
    tool(
        "file_editor", "Edit files.", ("command", "path", "security_risk"), command=TEXT, path=TEXT, security_risk=RISK
    ),
    tool("finish", "Signals the completion of the task.", ("message",), message=TEXT),
    tool("think", "Use the tool to think about something.", ("thought",), thought=TEXT),
]


def text(value: str) -> list[dict[str, Any]]:
    return [{"cache_prompt": False, "type": "text", "text": value}]


class Spans:
    """Spans of one trace, sent at the end."""

    def __init__(self) -> None:
        self._trace, self._spans = secrets.token_hex(16), list[dict[str, Any]]()

    def take(self, name: str, kind: str, began: int, **attributes: str | int) -> None:
        told = {"lmnr.span.type": kind, **attributes}
        values = [{"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
                  for key, value in told.items()]  # fmt: skip
        ids = {"traceId": self._trace, "spanId": secrets.token_hex(8)}
        times = {"startTimeUnixNano": str(began), "endTimeUnixNano": str(time.time_ns())}
        self._spans.append({**ids, "name": name, "kind": 1, **times, "attributes": values})

    def send(self) -> None:
        scope = {"scope": {"name": "lmnr.tracer"}, "spans": self._spans}
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "openhands"}}]}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}
        headers = {"Content-Type": "application/json"}
        name, _, value = os.environ["OTEL_EXPORTER_OTLP_HEADERS"].partition("=")
        headers[name] = value.replace("%20", " ")
        url = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces"
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60).close()


class Conversation:
    """One conversation, from the task to the answer that calls no tool."""

    def __init__(self, task: str) -> None:
        self._id = uuid.uuid4()
        self._folder = Path.home() / ".openhands" / "conversations" / self._id.hex
        (self._folder / "events").mkdir(parents=True)
        self._number = 0
        self._spans = Spans()
        self._shell = Shell(str(Path.cwd()))
        self._totals = {"prompt_tokens": 0, "completion_tokens": 0}
        self._messages: list[dict[str, Any]] = [
            {"role": "system", "content": text(SYSTEM)},
            {"role": "user", "content": text(task)},
        ]
        listed = [{"title": one["function"]["name"], "description": one["function"]["description"]} for one in TOOLS]
        self._tell("SystemPromptEvent", "agent", system_prompt=text(SYSTEM)[0], tools=listed)
        self._tell("MessageEvent", "user", llm_message={"role": "user", "content": text(task)}, activated_skills=[])

    def work(self) -> None:
        """Step after step."""
        while self._step():
            self._save("running")
        self._save("finished")
        self._spans.send()

    def _tell(self, kind: str, source: str, **fields: Any) -> str:
        second, parts = divmod(time.time_ns() // 1000, 10**6)
        now = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{parts:06}"
        event = {"id": str(uuid.uuid4()), "timestamp": now, "source": source, **fields, "kind": kind}
        name = f"event-{self._number:05}-{event['id']}.json"
        (self._folder / "events" / name).write_text(json.dumps(event))
        print(json.dumps(event))
        self._number += 1
        return event["id"]

    def _step(self) -> bool:
        model = os.environ["LLM_MODEL"].partition("/")[2]
        began = time.time_ns()
        body = {"messages": self._messages, "model": model, "reasoning_effort": "high", "tools": TOOLS}
        told = ask(os.environ["LLM_BASE_URL"], os.environ["LLM_API_KEY"], body)
        used = told["usage"]
        for name in self._totals:
            self._totals[name] += used[name]
        about = {"gen_ai.response.id": told["id"], "gen_ai.request.model": model, "gen_ai.system": "openai"}
        self._spans.take(
            "litellm.completion", "LLM", began, **about, **{"gen_ai.usage.output_tokens": used["completion_tokens"]}
        )
        message = told["choices"][0]["message"]
        calls: list[dict[str, Any]] = message.get("tool_calls") or []
        self._messages.append({"role": "assistant", "content": text(message["content"] or ""), "tool_calls": calls})
        if not calls:
            said = {"role": "assistant", "content": text(message["content"] or "")}
            self._tell("MessageEvent", "agent", llm_message=said, llm_response_id=told["id"])
            return False
        return all([self._call(call, message["content"] or "", told["id"]) for call in calls])

    def _call(self, call: dict[str, Any], thought: str, response: str) -> bool:
        name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
        risk = arguments.pop("security_risk", None)
        words = "".join(word.title() for word in name.split("_"))
        same = {"tool_name": name, "tool_call_id": call["id"]}
        more = {
            "tool_call": {"id": call["id"], **call["function"], "origin": "completion"},
            "llm_response_id": response,
        }
        wanted = {"action": {**arguments, "kind": f"{words}Action"}, "security_risk": risk or "UNKNOWN"}
        missing = risk is None and name in ("terminal", "file_editor")
        heading = {"thought": text(thought), "thinking_blocks": list[Any]()}
        action = self._tell("ActionEvent", "agent", **heading, **({} if missing else wanted), **same, **more)
        if missing:
            why = f"Error validating tool '{name}': Failed to provide security_risk field in tool '{name}'."
            self._tell("AgentErrorEvent", "agent", **same, error=why)
            self._answer(call, why)
            return True
        act: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
            "terminal": lambda: self._run(arguments["command"]),
            "file_editor": lambda: (edit(**arguments), {"command": arguments["command"], "path": arguments["path"]}),
        }
        began = time.time_ns()
        seen, facts = act.get(name, lambda: ("Your thought has been logged.", {}))()
        self._spans.take(f"{words}Action", "TOOL", began)
        observation = {"content": text(seen), "is_error": False, **facts, "kind": f"{words}Observation"}
        self._tell("ObservationEvent", "environment", **same, observation=observation, action_id=action)
        self._answer(call, seen)
        return name != "finish"

    def _run(self, command: str) -> tuple[str, dict[str, Any]]:
        seen, _, code = self._shell.run(f"{{ {command}\n}}; printf '\\n%s' $?").rpartition("\n")
        metadata = {"exit_code": int(code), "pid": -1, "working_dir": self._shell.run("pwd").strip()}
        return seen, {"command": command, "exit_code": int(code), "timeout": False, "metadata": metadata}

    def _answer(self, call: dict[str, Any], seen: str) -> None:
        self._messages.append(
            {"role": "tool", "tool_call_id": call["id"], "name": call["function"]["name"], "content": text(seen)}
        )

    def _save(self, status: str) -> None:
        model = os.environ["LLM_MODEL"]
        used = {
            "model_name": model,
            "accumulated_cost": 0.0,
            "accumulated_token_usage": {"model": model, **self._totals},
        }
        state = {
            "id": str(self._id),
            "agent": {"llm": {"model": model, "api_key": "**********", "base_url": os.environ["LLM_BASE_URL"]}},
            "workspace": {"working_dir": str(Path.cwd()), "kind": "LocalWorkspace"},
            "max_iterations": 500,
            "execution_status": status,
            "stats": {"usage_to_metrics": {"agent": used}},
        }
        (self._folder / "base_state.json").write_text(json.dumps(state))


def main() -> None:
    options = argparse.ArgumentParser()
    for flag in ("--headless", "--json", "--override-with-envs"):
        options.add_argument(flag, action="store_true", required=True)
    options.add_argument("-t", dest="task", required=True)
    Conversation(options.parse_args().task).work()


if __name__ == "__main__":
    main()
