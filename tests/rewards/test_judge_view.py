"""What the judge is shown: everything it needs, bounded, and nothing that it must not know."""

from pathlib import Path

import pytest
from trajectory_hub.errors import ConfigError
from trajectory_hub.rewards.judge.config import ContextConfig, RevealConfig
from trajectory_hub.rewards.judge.prompt import SLOTS, load_prompt, shipped_prompts
from trajectory_hub.rewards.judge.view import EpisodeView

from .judging import TASK, make_step, view_of

PROMPT = load_prompt("step-1")


def shown(*steps: object, **options: object) -> str:
    return view_of(*steps, **options).messages(PROMPT)[1]["content"]  # pyright: ignore[reportArgumentType]


def test_the_task_the_steps_before_and_this_step_are_shown() -> None:
    said = shown(make_step(0, action="first"), make_step(1, action="second", thought="why", observation="saw"))
    assert "The total is wrong." in said
    assert said.index("first") < said.index("## The step to judge: number 1") < said.index("second")
    assert "Step 1: done, exit code 0" in said
    assert all(text in said for text in ("why", "saw"))


def test_the_reference_patch_and_the_outcome_are_shown_only_on_request() -> None:
    assert "SECRET" not in shown(make_step())
    said = shown(make_step(), reveal=RevealConfig(patch=True))
    assert "SECRET_NEW" in said
    episode = EpisodeView(TASK, ContextConfig(), RevealConfig(outcome=True), resolved=False)
    view = episode.look(make_step())
    assert "The task was not resolved." in view.messages(PROMPT)[1]["content"]
    assert [kind for kind, _ in view.revealed] == ["outcome"]


def test_what_is_not_known_cannot_be_revealed() -> None:
    bare = TASK.model_copy(update={"patch": ""})
    with pytest.raises(ConfigError, match="reference patch of shop-1 is not known"):
        EpisodeView(bare, ContextConfig(), RevealConfig(patch=True))
    with pytest.raises(ConfigError, match="has no verdict"):
        EpisodeView(TASK, ContextConfig(), RevealConfig(outcome=True))


def test_recent_steps_are_in_full_older_ones_in_a_line_and_the_oldest_left_out() -> None:
    context = ContextConfig(recent=2, older_chars=60, older_total=200)
    steps = [make_step(n, action=f"action-{n}", observation=f"begin-{n} " + "x" * 300) for n in range(12)]
    view = view_of(*steps, context=context)
    assert (len(view.recent), len(view.older), view.left_out) == (2, 3, 6)
    assert all(len(line) <= 61 for line in view.older)
    said = view.messages(PROMPT)[1]["content"]
    assert "Steps 0 to 5 are not shown." in said
    assert "action-5" not in said
    assert "[6] action-6 -> done, exit code 0: begin-6" in said
    assert "begin-9 " + "x" * 300 in said


def test_a_view_is_bounded_whatever_the_episode() -> None:
    context = ContextConfig()
    episode = EpisodeView(TASK, context, RevealConfig())
    sizes = list[int]()
    for n in range(60):
        huge = make_step(n, action="a" * 200_000, observation="o" * 200_000, thought="t" * 50_000)
        sizes.append(len(episode.look(huge).messages(PROMPT)[1]["content"]))
    bound = 3 * context.step_chars + context.recent * 3 * context.recent_chars + context.older_total + 6_000
    assert max(sizes) < bound
    assert sizes[-1] == pytest.approx(sizes[30], abs=50)


def test_a_long_text_keeps_its_head_and_tail_and_says_what_is_missing() -> None:
    said = shown(make_step(observation="HEAD" + "x" * 20_000 + "TAIL"))
    assert "HEAD" in said
    assert "TAIL" in said
    assert "[… 14008 characters left out …]" in said


def test_a_thought_that_stands_in_the_action_is_shown_once() -> None:
    action = '{"name": "shell", "thought": "Find \\"it\\"."}'
    said = shown(make_step(action=action, thought='Find "it".'))
    assert said.count("Find") == 1
    assert 'kind="thought"' not in said


def test_equal_steps_make_equal_requests_and_different_ones_do_not() -> None:
    one, same, other = (shown(make_step(action=action)) for action in ("ls", "ls", "ls -l"))
    assert one == same != other


def test_shipped_prompts_have_a_version_and_a_hash() -> None:
    assert "step-1" in shipped_prompts()
    for name in shipped_prompts():
        prompt = load_prompt(name)
        assert f"{prompt.name}-{prompt.version}" == name
        assert len(prompt.sha256) == 64


def test_a_prompt_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.md"
    slots = " ".join(f"{{{{{slot}}}}}" for slot in SLOTS)
    path.write_text(f"---\nname: mine\nversion: 3\n---\n# system\nJudge.\n# user\n{slots}\n")
    prompt = load_prompt(str(path))
    assert (prompt.name, prompt.version) == ("mine", "3")
    system, user = view_of(make_step(observation="{{task}} {{nonce}}")).messages(prompt)
    assert system["content"] == "Judge."
    assert "{{task}} {{nonce}}" in user["content"], "what an agent writes is no slot"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no head", "should be a head"),
        ("---\nname: x\n---\n# system\na\n# user\nb\n", "a name and a version"),
        ("---\nname: x\nversion: 1\n---\n# system\na\n# user\n{{task}} {{steps}}\n", "should have the slots"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.md"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_prompt(str(path))


def test_an_unknown_prompt_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no prompt 'steps'; there are step-1"):
        load_prompt("steps")
