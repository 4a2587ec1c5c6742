"""Tool calls as models write them, read without a server's help.

`hermes`: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>` as Hermes and Qwen models write it, or, inside the
same tags, `<function=NAME><parameter=KEY>VALUE</parameter></function>` as Qwen's coders do. `plain`: one line that is
a JSON object with `thought`, `name` and `arguments`. What cannot be read is handed on as it is: the environment calls
it malformed and explains why.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

__all__ = ["ReadAnswer", "grammar_of", "read_hermes", "read_plain"]

_BLOCK = re.compile(r"<tool_call>(.*?)(</tool_call>|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"<function=([^>\n]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\n]+)>\n?(.*?)\n?(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL)

Tools = Sequence[Mapping[str, Any]]
"""In OpenAI's function-calling format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAnswer:
    """An answer taken apart."""

    content: str
    """The text around the calls; the whole answer when a call in it cannot be read."""
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    """Name and arguments, the latter as JSON text."""
    unreadable: str | None = None
    """The first call that cannot be read, as it stands; then none of the answer's calls is taken."""


def read_hermes(text: str, tools: Tools, *, ended: bool) -> ReadAnswer:
    """Read an answer; without `ended` it was cut off, and what it ends with may be half a call."""
    reasoning, said = _split_reasoning(text)
    calls = list[tuple[str, str]]()
    for match in _BLOCK.finditer(said):
        body = match[1].strip()
        call = _block(body, tools, whole=bool(match[2]) or ended)
        if call is None:
            return ReadAnswer(content=said.strip(), reasoning=reasoning, unreadable=body or match[0])
        calls.append(call)
    content = _BLOCK.sub("", said).strip() if calls else said.strip()
    return ReadAnswer(content=content, reasoning=reasoning, calls=tuple(calls))


def read_plain(text: str, tools: Tools, *, ended: bool) -> ReadAnswer:
    """Read a line; one that was cut off is no JSON object, so `ended` says nothing more."""
    line = text.strip()
    value = _object(line)
    call = _call(value) if value is not None else None
    if value is None or call is None:
        return ReadAnswer(content=line, unreadable=line if line.startswith("{") else None)
    return ReadAnswer(content=str(value.get("thought") or ""), calls=(call,))


def _split_reasoning(text: str) -> tuple[str, str]:
    """What was thought, and what was said after it. Templates may have opened `<think>` in the prompt."""
    thought, closed, said = text.partition("</think>")
    if closed:
        return thought.replace("<think>", "").strip(), said
    before, opened, thought = text.partition("<think>")
    return (thought.strip(), before) if opened else ("", text)


def _block(body: str, tools: Tools, *, whole: bool) -> tuple[str, str] | None:
    """The call between a pair of tags; None when it cannot be read, or is not known to be `whole`."""
    if body.startswith("<function="):
        found = _FUNCTION.match(body)
        complete = found is not None and (whole or body.endswith("</function>"))
        return _from_xml(found[1].strip(), found[2], tools) if found and complete else None
    value = _object(body)
    return None if value is None else _call(value)


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _call(value: Mapping[str, Any]) -> tuple[str, str] | None:
    name, arguments = value.get("name"), value.get("arguments", value.get("parameters", {}))
    if not isinstance(name, str) or not name:
        return None
    return name, arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _from_xml(name: str, body: str, tools: Tools) -> tuple[str, str]:
    types = _types(name, tools)
    arguments = {key.strip(): _typed(value, types.get(key.strip(), set())) for key, value in _PARAMETER.findall(body)}
    return name, json.dumps(arguments, ensure_ascii=False)


def _types(name: str, tools: Tools) -> dict[str, set[str]]:
    """The JSON types that each parameter of a tool may have."""
    for tool in tools:
        function = cast("Mapping[str, Any]", tool["function"])
        if function["name"] == name:
            properties = cast("Mapping[str, Mapping[str, Any]]", function["parameters"].get("properties", {}))
            return {key: _kinds(schema) for key, schema in properties.items()}
    return {}


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    choices = cast("Sequence[Mapping[str, Any]]", schema.get("anyOf") or (schema,))
    return {str(choice.get("type", "string")) for choice in choices}


def _typed(value: str, kinds: set[str]) -> Any:
    """A parameter's value, which XML has as text, in a type that its schema allows."""
    if "string" in kinds or not kinds:
        return None if value == "null" and "null" in kinds else value
    try:
        return json.loads(value)
    except ValueError:
        return value


def grammar_of(tools: Tools, *, opening: str = "", closing: str = "", thought: bool = False) -> dict[str, Any]:
    """A structural tag (xgrammar) of exactly one valid call between `opening` and `closing`."""
    calls = [_call_schema(cast("Mapping[str, Any]", tool["function"]), thought) for tool in tools]
    content = {"type": "json_schema", "json_schema": {"anyOf": calls}, "max_whitespace_cnt": 1}
    tagged = {"type": "tag", "begin": opening, "content": content, "end": closing} if opening else content
    return {"type": "structural_tag", "format": tagged}


def _call_schema(function: Mapping[str, Any], thought: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"thought": {"type": "string"}} if thought else {}
    properties = {**said, "name": {"const": function["name"]}, "arguments": function["parameters"]}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
