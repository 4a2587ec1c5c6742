"""Rows in the conversational formats of TRL: `messages`, `prompt` and `completion`, `prompt`, `chosen` and `rejected`.

Arguments of calls are objects, results name their tool, `tools` is a list of JSON schemas.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..preferences.preference import Preference
from ..trajectories.filters import EpisodeFilter
from ..trajectories.intake import Usable

__all__ = ["Row", "origin", "pair_facts", "preference_row", "reward_of", "step_rows", "trajectory_row"]

Row = dict[str, Any]


def trajectory_row(usable: Usable, template_kwargs: Mapping[str, Any] | None = None) -> Row:
    """A whole trajectory, for language modelling; `template_kwargs` becomes a column unless None.

    `rewards` has one value an answer: the mean of its steps' rewards.
    """
    conversation = usable.conversation
    return {
        "messages": list(conversation.messages),
        "tools": list(conversation.tools),
        **origin(usable),
        "rewards": [reward_of(usable, turn.steps) for turn in conversation.turns],
        **_extra(template_kwargs),
    }


def step_rows(
    usable: Usable, wanted: EpisodeFilter, template_kwargs: Mapping[str, Any] | None = None
) -> Iterator[Row | None]:
    """One row an answer, for prompt and completion; None for one whose steps are not worth enough.

    Steps that a branched episode took over from its parent are the parent's, and are left out.
    """
    messages = usable.conversation.messages
    inherited = usable.inherited
    for turn in usable.conversation.turns:
        if turn.steps[0] < inherited:
            continue
        if not all(wanted.reward(reward) for reward in usable.step_rewards(turn.steps)):
            yield None
            continue
        yield {
            "prompt": list(messages[: turn.message]),
            "completion": [messages[turn.message]],
            "tools": list(usable.conversation.tools),
            **origin(usable),
            "step": turn.steps[0],
            "reward": reward_of(usable, turn.steps),
            **_extra(template_kwargs),
        }


def preference_row(pair: Preference, template_kwargs: Mapping[str, Any] | None = None) -> Row:
    """A preference."""
    return {
        "prompt": list(pair.prompt),
        "chosen": list(pair.chosen.messages),
        "rejected": list(pair.rejected.messages),
        "tools": list(pair.tools),
        **pair_facts(pair),
        **_extra(template_kwargs),
    }


def pair_facts(pair: Preference) -> Row:
    """What is known of a pair besides its messages."""
    chosen, rejected = pair.chosen, pair.rejected
    return {
        "pair_id": pair.pair_id,
        "level": pair.level,
        "task_id": pair.task_id,
        "repo": pair.repo,
        "step": pair.step,
        "reason": str(pair.reason),
        "why": pair.why,
        "layers": list(pair.layers),
        "margin": pair.margin,
        "confidence": pair.confidence,
        "basis": str(pair.basis),
        "chosen_value": chosen.value,
        "rejected_value": rejected.value,
        "chosen_rollouts": chosen.rollouts,
        "rejected_rollouts": rejected.rollouts,
        "chosen_episode": f"{chosen.run_id}/{chosen.episode_id}",
        "rejected_episode": f"{rejected.run_id}/{rejected.episode_id}",
    }


def reward_of(usable: Usable, steps: Sequence[int]) -> float | None:
    """The mean reward of some steps; None when nobody scored them."""
    known = [reward for reward in usable.step_rewards(steps) if reward is not None]
    return round(sum(known) / len(known), 6) if known else None


def origin(usable: Usable) -> Row:
    """Where a row is from."""
    header, end = usable.trajectory.header, usable.trajectory.end
    return {
        "task_id": header.task_id,
        "repo": header.repo,
        "run_id": usable.outline.source.run_id,
        "episode_id": header.episode_id,
        "agent": header.agent,
        "model": header.model,
        "resolved": usable.trajectory.resolved,
        "stop_reason": str(end.stop_reason) if end is not None else None,
        "process_score": usable.trajectory.process_score,
        "steps": len(usable.trajectory.steps),
    }


def _extra(template_kwargs: Mapping[str, Any] | None) -> Row:
    return {} if template_kwargs is None else {"chat_template_kwargs": dict(template_kwargs)}
