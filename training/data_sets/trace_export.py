"""TRL's conversational format, for `trajhub trace export`: every episode as `messages` and `tools`, none chosen.

Data for training are made by `trajhub export sft`, which chooses episodes, looks for leaks and writes a card; this is
the plain conversion, of any agent's episodes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ...rollouts.exporters import Exporter, NotExported, RecordedEpisode, Sink, Target
from ...rollouts.exporters.losses import all_but
from ...rollouts.exporters.output import LineSink
from ...rollouts.exporters.parts import as_items, as_mapping
from ...rollouts.payloads import EpisodeEnd, EpisodeStart, LlmRequest, LlmResponse, ToolCall, ToolResult
from ...rollouts.trajectory import Trajectory, trajectory_of
from ..config import ConversationConfig
from ..trajectories.conversation import conversation_of
from ..trajectories.messages import NotPortable
from ..trajectories.records import Outline, Record, Source
from .columns import arrow_schema, columns_of

__all__ = ["EXPORTER", "LOSES", "TrlExporter", "TrlOptions"]

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_NO_COLUMN = "the format has no place for it"
_TIMES = "the format tells no times"
_TALK = "a conversation tells what was said, not how it was asked"

LOSES: Mapping[str, str] = {
    **{f"event.{name}": _NO_COLUMN for name in ("schema_version", "seq", "agent_version", "commit", "seed")},
    **{f"event.{name}": _TIMES for name in ("t_start", "t_end", "duration_ms")},
    **{f"{kind}.*": _NO_COLUMN for kind in ("phase", "test_run", "sandbox_metric", "error", "note", "final_patch")},
    **all_but(EpisodeStart, _NO_COLUMN, "tools", "observation"),
    "episode_start.observation": "told where no model was asked; otherwise as the model was sent it",
    **{f"llm_request.{name}": _TALK for name in ("request_id", "model", "endpoint", "kept_tokens", "parameters")},
    **{f"llm_request.{name}": _TALK for name in ("thread", "parts")},
    "llm_request.token_ids": "the format holds text; `trajhub export sft` writes token ids",
    **all_but(LlmResponse, _TALK, "content"),
    "llm_response.tool_calls": "told as the next request repeats them, the last answer's aside",
    **all_but(ToolCall, "where a model was asked, calls are told as it wrote them", "tool"),
    **all_but(ToolResult, "where a model was asked, results are told as it was sent them"),
    "step_reward.criteria": "`rewards` holds one figure an answer",
    "step_reward.process": _NO_COLUMN,
    "step_reward.record": _NO_COLUMN,
    "step_reward.step": "`rewards` stand in order",
    "verdict.outcome": "`resolved` holds what was decided",
    "verdict.patch_sha256": _NO_COLUMN,
    "verdict.report": _NO_COLUMN,
    **all_but(EpisodeEnd, "`stop_reason` and `process_score` have columns", "stop_reason", "process_score"),
    "unknown.*": _NO_COLUMN,
}


class TrlOptions(BaseModel):
    """Settings of the export."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    system_prompt: str | None = None
    """In place of the recorded one; one for all makes episodes of different agents comparable."""
    reasoning: bool = False
    """Give a model's recorded reasoning as `reasoning_content`."""


class TrlExporter:
    """See `rollouts.exporters.base.Exporter`."""

    name = "trl"
    title = "TRL conversations (messages and tools)"
    output = ".jsonl or .parquet"
    options: type[BaseModel] = TrlOptions
    loses: Mapping[str, str] = LOSES
    unread: Mapping[str, str] = {}

    def open(self, target: Target) -> Sink:
        """See `rollouts.exporters.base.Exporter`."""
        assert isinstance(target.options, TrlOptions)
        config = ConversationConfig(**target.options.model_dump())
        return LineSink(target, lambda episode: [_row(episode, config)], lambda: arrow_schema(columns_of("sft")))


EXPORTER: Exporter = TrlExporter()


def _row(episode: RecordedEpisode, config: ConversationConfig) -> dict[str, Any]:
    trajectory = trajectory_of(iter(episode.events), episode.folder)
    assert trajectory is not None
    talk = [event.payload for event in episode.events]
    own = {item.request_id for item in talk if isinstance(item, LlmRequest) and item.thread is None}
    said = tuple(item for item in talk if isinstance(item, LlmRequest | LlmResponse) and item.request_id in own)
    record = Record(outline=_outline(episode, trajectory), trajectory=trajectory, talk=said if _is_chat(said) else ())
    try:
        conversation = conversation_of(record, config)
    except NotPortable as error:
        raise NotExported(str(error)) from None
    if conversation is None:
        raise NotExported("the agent never answered")
    rewards = [
        [step.reward for index in turn.steps if (step := trajectory.rewards[index]) is not None]
        for turn in conversation.turns
    ]
    header, end = trajectory.header, trajectory.end
    return {
        "messages": list(conversation.messages),
        "tools": list(conversation.tools),
        "task_id": header.task_id,
        "repo": header.repo,
        "run_id": episode.run_id,
        "episode_id": header.episode_id,
        "agent": header.agent,
        "model": header.model,
        "resolved": trajectory.resolved,
        "stop_reason": str(end.stop_reason) if end is not None else None,
        "process_score": trajectory.process_score,
        "steps": len(trajectory.steps),
        "rewards": [round(sum(found) / len(found), 6) if found else None for found in rewards],
    }


def _is_chat(talk: Sequence[LlmRequest | LlmResponse]) -> bool:
    """Whether all that was sent are chat messages; other agents' records may hold items of other interfaces."""
    sent = [message for item in talk if isinstance(item, LlmRequest) for message in item.messages]
    calls = [call for message in sent for call in as_items(message.get("tool_calls")) or ()]
    calls += [call for item in talk if isinstance(item, LlmResponse) for call in item.tool_calls]
    functions = [as_mapping((as_mapping(call) or {}).get("function")) or {} for call in calls]
    return all(message.get("role") in _ROLES for message in sent) and all("name" in one for one in functions)


def _outline(episode: RecordedEpisode, trajectory: Trajectory) -> Outline:
    folder = episode.folder or Path(episode.header.episode_id)
    return Outline(
        source=Source(folder.parent.parent, dict(episode.manifest)),
        folder=folder,
        task_id=episode.header.task_id,
        resolved=trajectory.resolved,
        process=trajectory.process_score,
    )
