"""The rubric for records of any agent: rules that a record does not let apply give nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from trajectory_hub.envs.step import Step
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.rewards.foreign import canonical
from trajectory_hub.rewards.recorded import LEFT_OUT, RecordedRubric, recorded_layer, unreadable
from trajectory_hub.rewards.rubric import Rubric
from trajectory_hub.tools.base import Telemetry

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_TASK = Task(
    instance_id="t", repo="o/r", base_commit="c", problem_statement="area is wrong", network=True,
    provenance=Provenance(source="recorded"),
)  # fmt: skip
_ABSENT = "sh: foo: command not found"
_CRASH = "Traceback (most recent call last):\nValueError: x"


def step(index: int, tool: str, arguments: Mapping[str, Any], saw: str = "seen", **more: Any) -> Step:
    """A step of some agent."""
    facts: dict[str, Any] = {"action": str(arguments), "ok": True, "thought": None, **more}
    times: dict[str, Any] = {"t_start": _NOW, "t_end": _NOW, "duration_ms": 1.0}
    return Step(
        index=index, tool=tool, arguments=arguments, observation=saw, telemetry=Telemetry(wall_ms=0.0), **facts, **times
    )


def bash(index: int, command: str, saw: str = "seen", **more: Any) -> Step:
    """A command in a foreign shell."""
    return step(index, "Bash", {"command": command}, saw, **more)


def rules(*steps: Step) -> list[set[str]]:
    """Names of the rules that say something, by step."""
    scores = RecordedRubric().score(_TASK, steps)
    return [{rule.rule for one in score.criteria.values() for rule in one.rules} for score in scores]


def test_a_shell_is_not_held_against_an_agent_that_may_have_nothing_else() -> None:
    read = bash(0, "cat src/a.py")
    assert "dedicated_tool" in LEFT_OUT
    assert "dedicated_tool" not in rules(read)[0]
    ours = Rubric().score(_TASK, [canonical(read)])[0].criteria["tool_choice"]
    assert "dedicated_tool" in {rule.rule for rule in ours.rules}


def test_silence_is_no_fault_where_another_step_has_a_thought() -> None:
    told, silent = rules(bash(0, "cat src/area.py", thought="I read src/area.py."), bash(1, "cat b.py"))
    assert "says_what_it_does" in told
    assert not silent & {"says_what_it_does", "takes_up_the_result"}
    assert "builds_on_the_result" in silent


def test_using_the_network_is_no_fault() -> None:
    assert "can_work_here" not in rules(bash(0, "curl https://example.org/x"))[0]


def test_scores_name_their_layer_and_quote_evidence() -> None:
    score = RecordedRubric().score(_TASK, [bash(0, "cat src/area.py")])[0]
    for criterion in score.criteria.values():
        assert criterion.layer == recorded_layer()
        assert all(rule.evidence for rule in criterion.rules)
    assert "src/area.py" in score.criteria["argument_correctness"].evidence


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([], "has no steps"),
        ([step(0, "Bash", {}, action="Bash")], "does not say what its tools were given"),
        ([bash(0, "ls", ""), bash(1, "cat a", "")], "does not say what its tools answered"),
        ([bash(0, "ls", ""), bash(1, "cat a", "x")], None),
    ],
)
def test_a_record_without_content_is_not_judged(steps: list[Step], why: str | None) -> None:
    assert unreadable(steps) == why


@pytest.mark.parametrize(
    ("more", "command", "saw", "code"),
    [
        ({"ok": False, "error": "tool_error"}, "pytest", "1 failed, 6 passed in 0.05s", 1),
        ({"ok": False, "error": "tool_error"}, "foo", _ABSENT, 127),
        ({"ok": False, "error": "tool_error"}, "grep -c x a", "Exit code 2\nno such file", 2),
        ({}, "pytest -q", "=== 1 failed, 2 passed in 0.2s ===", 1),
        ({}, "python a.py", _CRASH, 1),
        ({}, "./runtests.py", "Ran 3 tests\n\nFAILED (failures=1)", 1),
        ({}, "cat log", _CRASH, None),
        ({}, "pytest -q", "3 passed in 0.1s", None),
        ({"exit_code": 0}, "python a.py", _CRASH, 0),
    ],
)
def test_how_a_command_ended_is_read_from_what_it_said(
    more: dict[str, Any], command: str, saw: str, code: int | None
) -> None:
    read = canonical(bash(0, command, saw, **more))
    assert read.exit_code == code
    assert read.ok
    assert read.error is None


def test_a_command_that_was_not_run_is_refused() -> None:
    said = "Cannot execute multiple commands at once.\nPlease run each command separately"
    read = canonical(bash(0, "a\nb", said, ok=False, error="failed"))
    assert not read.ok
    assert read.exit_code is None


def test_a_list_of_plans_that_changed_is_another_one() -> None:
    plans = [step(n, "TodoWrite", {"todos": [{"content": "x", "status": state}]}) for n, state in enumerate("ab")]
    scores = RecordedRubric().score(_TASK, plans)
    assert scores[1].criteria["non_redundancy"].score != 0.0
