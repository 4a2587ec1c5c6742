"""Data sets in token form: the ids that a model's server recorded, with what it wrote marked, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from trajectory_hub.errors import UsageError
from trajectory_hub.rollouts.payloads import LlmRequest, LlmResponse
from trajectory_hub.rollouts.tokens import TokenTurn
from trajectory_hub.training.config import ConversationConfig, load_export_config
from trajectory_hub.training.data_sets.export import Exported, Request, export_preferences, export_sft
from trajectory_hub.training.data_sets.token_rows import sequences
from trajectory_hub.training.trainer.data import DataSource
from trajectory_hub.training.trainer.examples import pair_example, sft_example

from ..episodes import FAILED, PATCH, SOLVED, make_run, write_episode

TOKENS = "conversation.tokens=true"


def turn(prompt: list[int], answer: list[int], *steps: int) -> TokenTurn:
    return TokenTurn(steps=steps, prompt_ids=tuple(prompt), completion_ids=tuple(answer), logprobs=None)


def test_turns_that_continue_each_other_are_one_sequence() -> None:
    first, second = turn([1, 2], [3], 0), turn([1, 2, 3, 4], [5, 6], 1)
    anew = turn([1, 9], [7], 2)
    over = turn([1, 9, 7, 8], [5], *())
    one, two = sequences([first, second, anew, over])
    assert (one.ids, one.mask) == ((1, 2, 3, 4, 5, 6), (0, 0, 1, 0, 1, 1))
    assert (two.ids, two.mask) == ((1, 9, 7, 8, 5), (0, 0, 1, 0, 0)), "an answer that became no step is not learnt"
    assert [found.steps for found in two.turns] == [(2,)]


def talk(answers: int, shift: int) -> list[list[Any]]:
    """Request and answer of each turn in tokens: a prompt of three, answers of two, observations of one."""
    turns, prompt = list[list[Any]](), [1, 2, 3]
    for number in range(answers):
        answer = [100 + shift * number, 99]
        request = {"request_id": f"r{number}", "model": "m", "endpoint": "http://localhost/v1"}
        asked = LlmRequest.of(**request, kept_messages=0, messages=[], parameters={})
        told = LlmResponse.of(
            request_id=f"r{number}",
            model="m",
            content="",
            finish_reason="stop",
            prompt_token_ids=prompt,
            completion_token_ids=answer,
        )
        turns.append([asked, told])
        prompt = [*prompt, *answer, 4]
    return turns


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = make_run(tmp_path / "run")
    write_episode(run, SOLVED[-1:], turns=talk(1, 1))
    write_episode(run, FAILED[-1:], seed=1, resolved=False, patch=PATCH + "+", talk=talk(1, 1)[0][:1], task="shop-2")
    return run


def export(run: Path, out: Path, *items: str) -> tuple[Exported, list[Any]]:
    done = export_sft(Request(sources=[run], out=out, config=load_export_config([TOKENS, *items])))
    return done, list(DataSource(out).rows()) if done.rows else []


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_trajectories_and_steps_in_tokens(run: Path, tmp_path: Path, form: str) -> None:
    done, (row,) = export(run, tmp_path / "sft", f"formats=[{form}]", "filter.outcome=any")
    assert row["input_ids"] == [1, 2, 3, 100, 99]
    assert row["assistant_masks"] == [0, 0, 0, 1, 1]
    assert row["rewards"] == [0.8]
    assert "messages" not in row
    assert (row["stop_reason"], row["resolved"]) == ("submitted", True)
    assert done.statistics["refused"] == {"no_tokens": 1}, "the other one's answer was not recorded in tokens"
    assert sft_example(row, None)["labels"] == [-100, -100, -100, 100, 99]
    _, (step,) = export(run, tmp_path / "steps", f"formats=[{form}]", "unit=step")
    assert (step["prompt_ids"], step["completion_ids"], step["reward"]) == ([1, 2, 3], [100, 99], 0.8)


def test_preferences_in_tokens(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    write_episode(run, SOLVED, turns=talk(4, 1))
    write_episode(run, FAILED, seed=1, resolved=False, process=0.3, patch=PATCH + "+", turns=talk(3, 7))
    found = export_preferences(
        Request(sources=[run], out=tmp_path / "pairs", config=load_export_config([TOKENS, "pairs.levels=[trajectory]"]))
    )
    assert found.rows == 1
    (row,) = DataSource(tmp_path / "pairs").rows()
    prompt = [1, 2, 3, 100, 99, 4]
    assert row["step"] == 1
    assert row["prompt_ids"] == prompt, "the first answer is the same in both, and part of the prompt"
    assert row["chosen_ids"] == [101, 99, 4, 102, 99, 4, 103, 99]
    assert row["chosen_masks"] == [1, 1, 0, 1, 1, 0, 1, 1]
    assert (row["rejected_ids"], row["rejected_masks"]) == ([107, 99, 4, 114, 99], [1, 1, 0, 1, 1])
    first = pair_example(row, None, "first_step")
    assert first is not None
    assert (first["chosen_ids"], first["rejected_ids"]) == ([101, 99], [107, 99])


def test_tokens_are_not_made_of_pairs_or_of_other_messages(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text("")
    (tmp_path / "statistics.json").write_text('{"kind": "pairs"}')
    with pytest.raises(UsageError):
        export_preferences(Request(sources=[tmp_path], out=None, config=load_export_config([TOKENS])))
    with pytest.raises(ValidationError, match="tokens are given as recorded"):
        ConversationConfig(tokens=True, system_prompt="Be brief.")
