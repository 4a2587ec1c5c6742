"""Rows in the conversational formats of TRL: `messages`, `prompt` and `completion`, `prompt`, `chosen` and `rejected`.

Arguments of calls are objects, results name their tool, `tools` is a list of JSON schemas.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from .filters import EpisodeFilter
from .intake import Usable
from .preference import Preference

__all__ = ["preference_row", "step_rows", "trajectory_row"]

Row = dict[str, Any]


def trajectory_row(usable: Usable, template_kwargs: Mapping[str, Any] | None = None) -> Row:
    """A whole trajectory, for language modelling; `template_kwargs` becomes a column unless None."""
    return {
        "messages": list(usable.conversation.messages),
        **_origin(usable),
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
        found = [usable.trajectory.rewards[position] for position in turn.steps]
        rewards = [reward.reward if reward is not None else None for reward in found]
        known = [reward for reward in rewards if reward is not None]
        if not all(wanted.reward(reward) for reward in rewards):
            yield None
            continue
        yield {
            "prompt": list(messages[: turn.message]),
            "completion": [messages[turn.message]],
            **_origin(usable),
            "step": turn.steps[0],
            "reward": round(sum(known) / len(known), 6) if known else None,
            **_extra(template_kwargs),
        }


def preference_row(pair: Preference, template_kwargs: Mapping[str, Any] | None = None) -> Row:
    """A preference."""
    chosen, rejected = pair.chosen, pair.rejected
    return {
        "prompt": list(pair.prompt),
        "chosen": list(chosen.messages),
        "rejected": list(rejected.messages),
        "tools": list(pair.tools),
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
        **_extra(template_kwargs),
    }


def _origin(usable: Usable) -> Row:
    header = usable.trajectory.header
    return {
        "tools": list(usable.conversation.tools),
        "task_id": header.task_id,
        "repo": header.repo,
        "run_id": usable.outline.source.run_id,
        "episode_id": header.episode_id,
        "agent": header.agent,
        "model": header.model,
        "resolved": usable.trajectory.resolved,
        "process_score": usable.trajectory.process_score,
        "steps": len(usable.trajectory.steps),
    }


def _extra(template_kwargs: Mapping[str, Any] | None) -> Row:
    return {} if template_kwargs is None else {"chat_template_kwargs": dict(template_kwargs)}
