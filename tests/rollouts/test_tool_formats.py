"""Tool calls as models write them: what can be read is read, what cannot is handed on as it stands."""

import json

import pytest
from trajectory_hub.rollouts.policies.tool_formats import grammar_of, read_hermes, read_plain
from trajectory_hub.tools.registry import MalformedAction, ToolRegistry

TOOLS = ToolRegistry().schemas()
SHELL = '{"name": "shell", "arguments": {"command": "ls -l"}}'


def test_hermes_json_with_text_around_it() -> None:
    read = read_hermes(f"I look.\n<tool_call>\n{SHELL}\n</tool_call>\n", TOOLS, ended=True)
    assert (read.content, read.unreadable) == ("I look.", None)
    assert read.calls == (("shell", '{"command": "ls -l"}'),)


def test_several_calls_keep_their_order() -> None:
    text = f'<tool_call>{SHELL}</tool_call>\n<tool_call>{{"name": "submit", "arguments": {{}}}}</tool_call>'
    assert [name for name, _ in read_hermes(text, TOOLS, ended=True).calls] == ["shell", "submit"]


def test_arguments_given_as_text_stay_text() -> None:
    text = '<tool_call>{"name": "shell", "arguments": "{\\"command\\": \\"ls\\"}"}</tool_call>'
    assert read_hermes(text, TOOLS, ended=True).calls == (("shell", '{"command": "ls"}'),)


def test_xml_parameters_take_the_types_of_the_schema() -> None:
    text = (
        "<tool_call>\n<function=file_read>\n<parameter=path>\nsrc/a.py\n</parameter>\n<parameter=start>\n3\n</parameter>\n"
        "<parameter=end>\n9\n</parameter>\n</function>\n</tool_call>"
    )
    ((name, arguments),) = read_hermes(text, TOOLS, ended=True).calls
    assert (name, json.loads(arguments)) == ("file_read", {"path": "src/a.py", "start": 3, "end": 9})


def test_xml_keeps_lines_and_angle_brackets_of_a_value() -> None:
    body = "if a < b:\n    return '<b>'\n"
    text = (
        "<tool_call>\n<function=file_write>\n<parameter=path>\na.py\n</parameter>\n"
        f"<parameter=content>\n{body}\n</parameter>\n</function>\n</tool_call>"
    )
    ((_, arguments),) = read_hermes(text, TOOLS, ended=True).calls
    assert json.loads(arguments)["content"] == body


def test_what_was_thought_is_no_call() -> None:
    thought = f"Maybe <tool_call>{SHELL}</tool_call>?"
    read = read_hermes(
        f'<think>{thought}</think>\n<tool_call>{{"name": "submit", "arguments": {{}}}}</tool_call>', TOOLS, ended=True
    )
    assert read.reasoning == thought
    assert [name for name, _ in read.calls] == ["submit"]
    opened_by_the_template = read_hermes(f"hm</think>done <tool_call>{SHELL}</tool_call>", TOOLS, ended=True)
    assert (opened_by_the_template.reasoning, opened_by_the_template.content) == ("hm", "done")


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ('<tool_call>{"name": "shell", "arguments": {"command": }}</tool_call>', True),
        ('<tool_call>{"arguments": {"command": "ls"}}</tool_call>', True),
        ("<tool_call>run ls</tool_call>", True),
        ("<tool_call></tool_call>", True),
        ('<tool_call>{"name": "shell", "arguments": {"comm', False),
        ("<tool_call><function=shell><parameter=command>rm -rf /tmp/a", False),
    ],
)
def test_a_call_that_cannot_be_read_is_one_malformed_action(text: str, ended: bool) -> None:
    good = f"<tool_call>{SHELL}</tool_call>"
    read = read_hermes(good + text, TOOLS, ended=ended)
    assert read.calls == (), "nothing of such an answer is done"
    assert read.unreadable is not None
    assert read.content == good + text
    if ended:
        assert isinstance(ToolRegistry().parse(read.unreadable), MalformedAction)


@pytest.mark.parametrize("ended", [True, False])
def test_a_call_that_is_complete_counts_without_its_closing_tag(ended: bool) -> None:
    assert read_hermes(f"<tool_call>{SHELL}", TOOLS, ended=ended).calls == (("shell", '{"command": "ls -l"}'),)


def test_an_answer_without_a_call_has_none() -> None:
    read = read_hermes("I am done.", TOOLS, ended=True)
    assert (read.calls, read.unreadable, read.content) == ((), None, "I am done.")


def test_a_plain_line() -> None:
    line = '{"thought": "Look.", "name": "shell", "arguments": {"command": "ls"}}'
    read = read_plain(line + "\n", TOOLS, ended=True)
    assert (read.content, read.calls) == ("Look.", (("shell", '{"command": "ls"}'),))
    assert read_plain(line[:-1], TOOLS, ended=False).unreadable == line[:-1]
    assert read_plain('{"name": ', TOOLS, ended=True).unreadable == '{"name":'
    assert read_plain("no call", TOOLS, ended=True) == read_plain(" no call ", TOOLS, ended=True)
    assert read_plain("no call", TOOLS, ended=True).unreadable is None


def test_the_grammar_names_every_tool_and_its_parameters() -> None:
    calls = grammar_of(TOOLS, opening="<tool_call>\n", closing="\n</tool_call>")["format"]["content"]["json_schema"]
    names = [call["properties"]["name"]["const"] for call in calls["anyOf"]]
    assert names == [tool["function"]["name"] for tool in TOOLS]
    assert all(call["properties"]["arguments"]["type"] == "object" for call in calls["anyOf"])
