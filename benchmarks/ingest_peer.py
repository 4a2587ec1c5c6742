"""What ingestion is measured beside: sessions to TraceLab's rounds in one pass, and nothing else.

A stand-in for TraceLab's extractor, written for the measurement: the same fields of the same rounds, by a plain loop
over `json.loads`, which keeps no text and checks nothing. `upstream` calls the real one from a checkout.
"""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

__all__ = ["extract", "session_files", "upstream"]

Json = dict[str, Any]
_FAILED = re.compile(r"(?:Exit code|Process exited with code)[: ]+(-?\d+)")
_WALL = re.compile(r"^Wall time:\s*([0-9.]+)\s*seconds\b", re.MULTILINE)


def extract(files: list[Path], out: Path) -> int:
    """Write the rounds of sessions; how many there are."""
    count = 0
    with out.open("w", encoding="utf-8") as target:
        for path in files:
            for told in _rounds(path):
                target.write(json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n")
                count += 1
    return count


def upstream(checkout: Path, files: list[Path], out: Path) -> int:
    """The same by TraceLab's own scripts."""
    sys.path.insert(0, str(checkout / "scripts"))
    claude, codex = importlib.import_module("extract_claude_rounds"), importlib.import_module("extract_codex_rounds")
    rounds: list[Json] = []
    for path in files:
        with path.open(encoding="utf-8") as file:
            is_codex = '"session_meta"' in file.readline()
        rounds += codex.extract_codex_session(path) if is_codex else claude.extract_session(path, "bench")
    claude.write_rounds_jsonl(out, rounds, append_dedup=False)
    return len(rounds)


def _rounds(path: Path) -> list[Json]:
    extractor: _Claude | _Codex | None = None
    with path.open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if extractor is None:
                extractor = _Codex(path) if record["type"] == "session_meta" else _Claude(path)
            extractor.take(record)
    return extractor.rounds if extractor is not None else []


def _chars(value: Any) -> int:
    if value is None:
        return 0
    return len(value) if isinstance(value, str) else len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _ms(start: str, end: str) -> int:
    begun, ended = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (start, end))
    return round((ended - begun).total_seconds() * 1000)


def _summary(told: Json) -> None:
    inputs = [event for event in told["timing_events"] if event["event_type"] in ("user_message", "tool_result")]
    users = [event["content_chars"] for event in inputs if event["event_type"] == "user_message"]
    results = [event["result_chars"] for event in inputs if event["event_type"] == "tool_result"]
    told |= {"current_input_event_count": len(inputs), "current_user_message_count": len(users)}
    told |= {"current_tool_result_count": len(results), "current_user_message_chars": sum(users)}
    told |= {"current_tool_result_chars": sum(results), "current_input_chars": sum(users) + sum(results)}
    told["first_input_event_type"] = inputs[0]["event_type"] if inputs else None


def _finished(tool: Json, at: str, chars: int, internal: int | None, failed: bool | None) -> None:
    tool |= {"result_at": at, "result_chars": chars, "tool_wall_latency_ms": _ms(tool["emitted_at"], at)}
    tool |= {"tool_internal_latency_ms": internal, "is_error": failed}


class _Claude:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.rounds: list[Json] = []
        self._by_id: dict[str, Json] = {}
        self._tools: dict[str, Json] = {}
        self._pending: list[Json] = []

    def take(self, record: Json) -> None:
        message: Json | None = record.get("message")
        if message is None:
            return
        if record["type"] == "assistant":
            self._assistant(record["timestamp"], message)
        elif message.get("role") == "user":
            self._user(record, message["content"])

    def _assistant(self, at: str, message: Json) -> None:
        told = self._by_id.get(message["id"])
        if told is None:
            told = self._by_id[message["id"]] = {
                "provider": "claude",
                "session_id": f"claude:{self.path.stem}",
                "session_file": str(self.path),
                "round_index": len(self.rounds),
                "round_id": message["id"],
                "model": message.get("model"),
                "timing_events": self._pending,
                "tools": [],
                "trace_key": f"claude:claude:{self.path.stem}:{message['id']}",
            }
            self._pending = []
            self.rounds.append(told)
        usage = message["usage"]
        plain, read, made = (usage.get(f"{name}input_tokens", 0) for name in ("", "cache_read_", "cache_creation_"))
        told |= {"input_tokens_total": plain + read + made, "prefix_tokens": read, "newly_append_tokens": plain + made}
        told |= {"claude_uncached_input_tokens": plain, "claude_cache_creation_input_tokens": made}
        told |= {"claude_cache_read_input_tokens": read, "output_tokens": usage["output_tokens"]}
        for block in message["content"]:
            self._block(told, block, at)
        _summary(told)

    def _block(self, told: Json, block: Json, at: str) -> None:
        kind, event = block["type"], {"timestamp": at, "source": f"assistant.content.{block['type']}"}
        if kind == "tool_use":
            tool = {"tool_index": len(told["tools"]), "tool_name": block["name"], "tool_call_id": block["id"]}
            told["timing_events"].append({"event_type": "tool_call", **event, **tool})
            tool |= {"emitted_at": at, "input": block["input"], "input_chars": _chars(block["input"])}
            told["tools"].append(tool)
            self._tools[block["id"]] = tool
        else:
            name = {"thinking": "reasoning"}.get(kind, kind)
            told["timing_events"].append({"event_type": name, **event, "content_chars": _chars(block.get(kind))})

    def _user(self, record: Json, content: Any) -> None:
        at: str = record["timestamp"]
        results: list[Json] = [] if isinstance(content, str) else content
        for block in results:
            chars, failed = _chars(block.get("content")), bool(block.get("is_error", False))
            event = {"event_type": "tool_result", "timestamp": at, "source": "user.content.tool_result"}
            self._pending.append(
                {**event, "tool_call_id": block["tool_use_id"], "result_chars": chars, "is_error": failed}
            )
            told, tool = record.get("toolUseResult"), self._tools.get(block["tool_use_id"])
            if tool is not None:
                facts = cast("Json", told) if isinstance(told, dict) else {}
                took = facts.get("durationMs")
                _finished(tool, at, chars, None if took is None else round(took), failed)
        if not results:
            event = {"event_type": "user_message", "timestamp": at, "source": "user.message"}
            self._pending.append({**event, "content_chars": _chars(content)})


class _Codex:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.rounds: list[Json] = []
        self._tools: dict[str, Json] = {}
        self._inputs: list[Json] = []
        self._pieces: list[Json] = []
        self._calls: list[Json] = []
        self._total = ""
        self._about: Json = {"turn_id": None, "cwd": None, "model": None}
        self._session = path.stem
        self._numbers: dict[str, int] = {}

    def take(self, record: Json) -> None:
        at, kind, payload = record["timestamp"], record["type"], record["payload"]
        what = f"{kind}.{payload.get('type')}"
        if kind == "session_meta":
            self._session = payload["id"]
        elif kind == "turn_context":
            self._about |= {name: payload.get(name) for name in self._about}
        elif what == "event_msg.user_message":
            self._event(self._inputs, "user_message", at, what, content_chars=_chars(payload["message"]))
        elif what == "response_item.reasoning":
            self._event(self._pieces, "reasoning", at, what)
        elif what == "response_item.message" and payload["role"] == "assistant":
            self._event(self._pieces, "text", at, what, content_chars=_chars(payload["content"]))
        elif what in ("response_item.function_call", "response_item.custom_tool_call"):
            self._call(at, what, payload)
        elif what in ("response_item.function_call_output", "response_item.custom_tool_call_output"):
            self._output(at, what, payload)
        elif what == "event_msg.token_count":
            self._count(at, payload.get("info") or {})

    def _event(self, events: list[Json], kind: str, at: str, source: str, **more: Any) -> None:
        events.append({"event_type": kind, "timestamp": at, "source": source, **more})

    def _call(self, at: str, source: str, payload: Json) -> None:
        given = payload.get("arguments", payload.get("input"))
        tool = {"tool_index": len(self._calls), "tool_name": payload["name"], "tool_call_id": payload["call_id"]}
        self._event(self._pieces, "tool_call", at, source, **tool)
        tool |= {"emitted_at": at, "input": given, "input_chars": _chars(given)}
        self._calls.append(tool)
        self._tools[payload["call_id"]] = tool

    def _output(self, at: str, source: str, payload: Json) -> None:
        tool, output = self._tools.get(payload["call_id"]), payload["output"]
        if tool is None or not isinstance(output, str):
            return
        failed, wall = _FAILED.search(output), _WALL.search(output)
        error = int(failed[1]) != 0 if failed else None
        _finished(tool, at, len(output), round(float(wall[1]) * 1000) if wall else None, error)
        more = {"tool_call_id": payload["call_id"], "result_chars": len(output)}
        self._event(self._inputs, "tool_result", at, source, **more, **({} if error is None else {"is_error": error}))

    def _count(self, at: str, info: Json) -> None:
        usage, total = info.get("last_token_usage"), json.dumps(info.get("total_token_usage"), sort_keys=True)
        if usage is None or total == self._total:
            return
        self._total, turn = total, self._about["turn_id"] or self.path.stem
        number = self._numbers[turn] = self._numbers.get(turn, -1) + 1
        self._event(self._pieces, "usage_report", at, "event_msg.token_count")
        told: Json = {"provider": "codex", "session_id": f"codex:{self._session}", "session_file": str(self.path)}
        told |= {"round_index": len(self.rounds), "round_id": f"{turn}:{number}", **self._about}
        told |= {"input_tokens_total": usage["input_tokens"], "prefix_tokens": usage["cached_input_tokens"]}
        told |= {"newly_append_tokens": max(0, usage["input_tokens"] - usage["cached_input_tokens"])}
        told |= {name: usage[name] for name in ("output_tokens", "reasoning_output_tokens")}
        told |= {"timing_events": [*self._inputs, *self._pieces], "tools": self._calls}
        _summary(told)
        self.rounds.append(told)
        self._inputs, self._pieces, self._calls = [], [], []


def session_files(folder: Path) -> Iterator[Path]:
    """The sessions in a folder."""
    return iter(sorted(folder.rglob("*.jsonl")))
