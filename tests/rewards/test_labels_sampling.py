"""Which items are chosen to be labelled, and what annotators see of them."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from trajectory_hub.envs.step import Step
from trajectory_hub.errors import UsageError
from trajectory_hub.rewards.human.blind import Episode, names_to_mask, pair_view, step_view
from trajectory_hub.rewards.human.labels import StepItem
from trajectory_hub.rewards.human.plain import plain_texts
from trajectory_hub.rewards.human.sampling import Candidate, take
from trajectory_hub.rewards.human.visible import Mask, clipped, visible
from trajectory_hub.tools.base import Telemetry


def candidate(number: int, **known: Any) -> Candidate:
    return Candidate(item=StepItem.of(run_id="r", episode_id="e", task_id="t", step=number), **known)


def chosen(
    candidates: list[Candidate], strategy: str, limit: int | None = None, seed: int = 0, **more: Any
) -> list[int]:
    found = take(candidates, strategy, limit=limit, seed=seed, **more)
    return [each.item.step for each in found if isinstance(each.item, StepItem)]


def test_a_random_choice_depends_on_the_seed_alone() -> None:
    candidates = [candidate(n) for n in range(50)]
    first = chosen(candidates, "random", 10)
    assert chosen(candidates[::-1], "random", 10) == first
    assert chosen(candidates, "random", 10, seed=1) != first
    assert chosen(candidates, "random", 20)[:10] == first, "a larger sample holds the smaller one"
    assert sorted(chosen(candidates, "random")) == list(range(50))


def test_the_most_disputed_come_first() -> None:
    candidates = [candidate(n, rules={"tool_choice": n / 10}, judge={"tool_choice": 0.5}) for n in range(11)]
    candidates += [candidate(20, rules={"tool_choice": 1.0}), candidate(21, judge={"tool_choice": 1.0})]
    order = chosen(candidates, "disagreement")
    assert set(order[:2]) == {0, 10}
    assert order[-1] == 5
    assert not {20, 21} & set(order), "what one layer alone scored has no dispute"


@pytest.mark.parametrize(("known", "missing"), [({"rules": {"tool_choice": 1.0}}, "judge"), ({}, "rules")])
def test_a_dispute_needs_two_layers(known: dict[str, Any], missing: str) -> None:
    with pytest.raises(UsageError, match=f"no scores of the {missing}|no scores of a {missing}"):
        chosen([candidate(0, **known)], "disagreement")


def test_a_criterion_is_sampled_over_its_whole_range() -> None:
    """Ninety good steps and ten others: a random sample would hold few of those."""
    scores = [1.0] * 90 + [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.79]
    candidates = [candidate(n, rules={"tool_choice": score}) for n, score in enumerate(scores)]
    picked = [int(scores[n] * 5) for n in chosen(candidates, "criterion", 10, criterion="tool_choice")]
    assert Counter(min(each, 4) for each in picked) == {0: 2, 1: 2, 2: 2, 3: 2, 4: 2}


def test_outcomes_are_sampled_in_turn() -> None:
    candidates = [candidate(n, outcome="resolved" if n % 10 else "unresolved") for n in range(50)]
    picked = chosen(candidates, "outcome", 8)
    assert Counter(n % 10 == 0 for n in picked) == {True: 4, False: 4}
    assert chosen(candidates, "outcome", 8) == picked


def test_what_a_strategy_lacks_is_said() -> None:
    with pytest.raises(UsageError, match="choose one of random, disagreement, criterion, outcome"):
        chosen([], "best")
    with pytest.raises(UsageError, match="needs --criterion"):
        chosen([candidate(0)], "criterion")
    with pytest.raises(UsageError, match="and no other"):
        chosen([candidate(0)], "random", criterion="tool_choice")
    with pytest.raises(UsageError, match="there is no criterion 'speed'"):
        chosen([candidate(0)], "criterion", criterion="speed")
    with pytest.raises(UsageError, match="no score for tool_choice"):
        chosen([candidate(0)], "criterion", criterion="tool_choice")
    assert chosen([], "disagreement") == []


def step(index: int, tool: str | None = "shell", observation: str = "", **rest: Any) -> Step:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    error, thought = rest.pop("error", None), rest.pop("thought", None)
    spent = Telemetry(wall_ms=1)
    return Step(
        index=index,
        action="{}",
        tool=tool,
        arguments=rest,
        observation=observation,
        ok=error is None,
        error=error,
        thought=thought,
        telemetry=spent,
        t_start=now,
        t_end=now,
        duration_ms=1.0,
    )


def test_a_step_is_shown_with_what_came_before_and_nothing_after() -> None:
    episode = Episode(statement="fix it", steps=tuple(step(n, command=f"echo {n}") for n in range(5)))
    view = step_view(episode, 2)
    assert [each["number"] for each in view["before"]] == [1, 2]
    assert view["step"]["number"] == 3
    assert "echo 3" not in str(view)
    assert view["step"].keys() == {"number", "tool", "ok", "error", "exit_code", "thought", "parts", "observation"}


def test_arguments_are_shown_by_their_kind() -> None:
    tried = step(0, "edit", path="a.py", old="a = 1\nb = 2\n", new="a = 1\nb = 3\n", limit=5, end=None)
    parts = {part["label"]: part for part in step_view(Episode(statement="", steps=(tried,)), 0)["step"]["parts"]}
    assert parts["path"] == {"label": "path", "form": "value", "text": "a.py"}
    assert parts["limit"]["text"] == "5"
    assert "end" not in parts
    assert parts["change"]["form"] == "diff"
    assert parts["change"]["text"].splitlines() == [" a = 1", "-b = 2", "+b = 3"]
    diff = step(0, "git", observation="diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n")
    assert step_view(Episode(statement="", steps=(diff,)), 0)["step"]["observation"]["form"] == "diff"
    unread = step_view(Episode(statement="", steps=(step(0, None, error="malformed_action"),)), 0)["step"]
    assert unread["parts"] == [{"label": "action", "form": "code", "text": "{}"}]


def test_names_are_masked_but_plain_words_are_not() -> None:
    names = names_to_mask("coder", "acme/Zephyr-9B", None, "run-7", "default", "o3")
    assert set(names) == {"coder", "acme/Zephyr-9B", "Zephyr-9B", "run-7"}
    mask = Mask(names)
    assert mask("default: I am Coder, ZEPHYR-9b of acme/zephyr-9b in run-7, not in rerun-77") == (
        "default: I am ▇▇▇, ▇▇▇ of ▇▇▇ in ▇▇▇, not in rerun-77"
    )
    assert names_to_mask("random") == [], "it would take `import random` with it"
    assert Mask(())("as it was") == "as it was"


def test_hidden_characters_are_written_out() -> None:
    assert visible("a\r\nb\tc") == "a\nb\tc"
    assert visible("\x1b[0m\x07\x00\x7f\x85") == "⟨ESC⟩[0m⟨BEL⟩⟨NUL⟩⟨DEL⟩⟨U+0085⟩"
    assert visible("\u202e\u2066\u200b\ufeff\U000e0041\ud800") == ("⟨U+202E⟩⟨U+2066⟩⟨U+200B⟩⟨U+FEFF⟩⟨U+E0041⟩⟨U+D800⟩")
    assert visible("é 漢字 ⟨x⟩ 🙂") == "é 漢字 ⟨x⟩ 🙂"


def test_endless_text_is_cut_in_the_middle() -> None:
    text = clipped("a" * 500_000 + "z" * 500_000)
    assert len(text) < 210_000
    assert text.startswith("aaa")
    assert text.endswith("zzz")
    assert "800000 characters left out" in text


def test_plain_texts_for_other_tools() -> None:
    episode = Episode(
        statement="fix it", steps=(step(0, command="ls", observation="a.py", thought="look"),), patch="+x\n"
    )
    texts = plain_texts(step_view(episode, 0))
    assert texts["before"] == "This is the first step."
    assert texts["step"] == "=== Step 1: shell (ok) ===\nThought: look\ncommand:\nls\nObservation:\na.py"
    both = plain_texts(pair_view(episode, Episode(statement="fix it", steps=())))
    assert both["left"].endswith("=== Final change ===\n+x\n")
    assert both["right"].endswith("It changed nothing.")
