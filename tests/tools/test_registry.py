"""What an agent may write, and what it hears when it writes something else."""

import json
import re
from typing import Any

import numpy as np
import pytest
from trajectory_hub.tools.prompt import chat_tools, system_prompt
from trajectory_hub.tools.registry import MalformedAction, ParsedCall, ToolRegistry

REGISTRY = ToolRegistry()
CALL = {"name": "file_read", "arguments": {"path": "a.py", "start": 2}}
TEXT = json.dumps(CALL)


@pytest.mark.parametrize(
    "action",
    [
        CALL,
        TEXT,
        f"\n  {TEXT}  \n",
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```",
        f"I will read it.\n```json\n{TEXT}\n```\n",
        {"name": "file_read", "arguments": json.dumps(CALL["arguments"])},
        {"id": "c1", "type": "function", "function": {"name": "file_read", "arguments": '{"path":"a.py","start":2}'}},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": CALL}]},
        json.dumps({"tool_calls": [{"function": CALL}]}),
    ],
)
def test_accepted_forms(action: str | dict[str, Any]) -> None:
    call = REGISTRY.parse(action)
    assert isinstance(call, ParsedCall), call
    assert call.name == "file_read"
    assert call.arguments.model_dump() == {"path": "a.py", "start": 2, "end": None}


def test_thought_and_call_id_are_kept() -> None:
    call = REGISTRY.parse(json.dumps(CALL | {"thought": "look"}))
    assert isinstance(call, ParsedCall)
    assert call.thought == "look"
    fenced = REGISTRY.parse(f"Because.\n```json\n{TEXT}\n```")
    assert isinstance(fenced, ParsedCall)
    assert fenced.thought == "Because."
    chat = REGISTRY.parse({"content": "Hm.", "tool_calls": [{"id": "c9", "function": {"name": "submit"}}]})
    assert isinstance(chat, ParsedCall)
    assert (chat.thought, chat.call_id) == ("Hm.", "c9")
    broken = REGISTRY.parse({"id": "c7", "function": {"name": "shell", "arguments": "{oops"}})
    assert isinstance(broken, MalformedAction)
    assert broken.call_id == "c7"


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("", "empty"),
        ("let me think", "not one JSON object"),
        (f"{TEXT}\n{TEXT}", "not valid JSON"),
        (f"```json\n{TEXT}\n```\n```json\n{TEXT}\n```", "2 fenced blocks"),
        ("[1]", "not one JSON object"),
        ('{"name": "shell", "arguments": {"command": "a\nb"}}', "line 1"),
        ("{" * 100_000, "not valid JSON"),
        ('{"name":"shell","arguments":' * 20_000, "not valid JSON"),
        ('{"x":' + "[" * 100_000, "too deep"),
        ('{"name": ' + "9" * 5000 + "}", "number too long"),
        ("{}", 'no "name"'),
        ('{"name": 3}', 'no "name"'),
        ('{"name": "submit", "arguments": [1]}', "JSON array"),
        ('{"name": "submit", "arguments": "[1]"}', "JSON array"),
        ('{"name": "submit", "args": {}}', "unknown key 'args'"),
        ('{"tool_calls": []}', "exactly one tool call"),
        ('{"tool_calls": ["x"]}', "not an object"),
        ('{"name": "fileread"}', "Did you mean 'file_read'?"),
        ('{"name": "' + "z" * 9999 + '"}', "There is no tool"),
        ('{"name": "file_read"}', "`path`: is required"),
        ('{"name": "file_read", "arguments": {"path": "x", "from": 3}}', "takes path, start, end"),
        ('{"name": "file_read", "arguments": {"path": "x", "start": 0}}', "`start`"),
        ('{"name": "file_read", "arguments": {"path": "x\\u0000"}}', "NUL"),
        ('{"name": "file_read", "arguments": {"path": "\\ud800"}}', "`path`"),
        ('{"name": "shell", "arguments": {"command": "x", "timeout": 1e999}}', "`timeout`"),
        ('{"name": "shell", "arguments": {"command": "x", "timeout": NaN}}', "`timeout`"),
        ('{"name": "submit", "arguments": {"x": 1}}', "no arguments"),
        ('{"name": "run_tests", "arguments": {"tests": ["-x"]}}', "cannot begin with a dash"),
        ("x" * 5_000_000, "at most"),
    ],
)
def test_malformed_actions_are_explained(action: str, said: str) -> None:
    parsed = REGISTRY.parse(action)
    assert isinstance(parsed, MalformedAction), parsed
    assert said in parsed.message
    assert len(parsed.message) < 2500
    parsed.message.encode()


def test_the_message_has_an_example_that_is_valid() -> None:
    for tool in REGISTRY:
        example = {"name": tool.name, "arguments": dict(tool.example)}
        assert isinstance(REGISTRY.parse(example), ParsedCall)
        bad = REGISTRY.parse({"name": tool.name, "arguments": {"no_such": 1}})
        assert isinstance(bad, MalformedAction)
        assert json.dumps(example) in bad.message
        assert (bad.tool, bad.arguments) == (tool.name, {"no_such": 1})


def test_samples_are_valid_and_reproducible() -> None:
    first = [REGISTRY.sample(np.random.default_rng(7)) for _ in range(3)]
    assert len(set(first)) == 1
    rng = np.random.default_rng(0)
    calls = [REGISTRY.parse(REGISTRY.sample(rng)) for _ in range(400)]
    assert {call.name for call in calls if isinstance(call, ParsedCall)} == set(REGISTRY.names)
    assert all(isinstance(call, ParsedCall) for call in calls)


def test_schemas_are_openai_tools() -> None:
    schemas = REGISTRY.schemas()
    assert [schema["function"]["name"] for schema in schemas] == [
        "file_read",
        "file_write",
        "file_edit",
        "shell",
        "search",
        "git",
        "run_tests",
        "submit",
    ]
    for schema in schemas:
        parameters = schema["function"]["parameters"]
        assert schema["type"] == "function"
        assert (parameters["type"], parameters["additionalProperties"]) == ("object", False)
        assert all("description" in field for field in parameters["properties"].values())
    json.dumps(schemas)


def test_two_tools_of_one_name_are_refused() -> None:
    shell = REGISTRY["shell"]
    with pytest.raises(ValueError, match="same name"):
        ToolRegistry([shell, shell])


def test_prompt() -> None:
    assert chat_tools() == REGISTRY.schemas()
    assert "submit" in system_prompt()
    text = system_prompt(native_tools=False)
    assert all(f'"name": "{name}"' in text for name in REGISTRY.names)


def test_schemas_leave_bounds_of_strings_to_the_tools() -> None:
    """A server that compiles them into a grammar would forbid quotes and newlines in such strings."""
    registry = ToolRegistry()
    assert not re.search(r'"(minLength|maxLength)": \d|"pattern": "', json.dumps(registry.schemas()))
    problem = registry.parse('{"name": "shell", "arguments": {"command": ""}}')
    assert isinstance(problem, MalformedAction)
    assert "at least 1 character" in problem.message
