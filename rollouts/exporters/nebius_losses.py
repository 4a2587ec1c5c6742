"""What rows of nebius' data sets do not hold of an episode."""

from collections.abc import Mapping

from ..payloads import EpisodeEnd, EpisodeStart, LlmResponse, ToolResult
from .losses import all_but

__all__ = ["LOSES_OPENHANDS", "LOSES_SWE_AGENT", "UNREAD_OPENHANDS", "UNREAD_SWE_AGENT"]

_NO_COLUMN = "the data set has no column for it"
_TIMES = "the data set tells no times"
_LESS: Mapping[str, str] = {
    "event.schema_version": _NO_COLUMN,
    "event.seq": _NO_COLUMN,
    "event.t_start": _TIMES,
    "event.t_end": _TIMES,
    "event.duration_ms": _TIMES,
    "event.agent": _NO_COLUMN,
    "event.agent_version": _NO_COLUMN,
    "event.commit": _NO_COLUMN,
    "phase.*": _NO_COLUMN,
    "llm_request.request_id": _NO_COLUMN,
    "llm_request.model": _NO_COLUMN,
    "llm_request.endpoint": _NO_COLUMN,
    "llm_request.kept_messages": "a conversation is told once, as it grew",
    "llm_request.kept_tokens": "the data set holds text, not tokens",
    "llm_request.token_ids": "the data set holds text, not tokens",
    "llm_request.parameters": _NO_COLUMN,
    "llm_request.thread": "conversations of subagents are told in one with the agent's",
    "llm_request.parts": _TIMES,
    **all_but(LlmResponse, _NO_COLUMN, "content"),
    "tool_call.step": "steps are counted",
    "tool_call.thought": "told where the answer has no words of its own",
    "tool_call.malformed": _NO_COLUMN,
    "tool_call.request_id": "a call stands in its answer",
    **all_but(ToolResult, _NO_COLUMN, "observation"),
    "test_run.*": _NO_COLUMN,
    "step_reward.*": _NO_COLUMN,
    "sandbox_metric.*": _NO_COLUMN,
    "error.*": _NO_COLUMN,
    "note.*": _NO_COLUMN,
    "final_patch.sha256": "follows from the patch",
    "final_patch.files": "follows from the patch",
    "final_patch.lines_added": "follows from the patch",
    "final_patch.lines_removed": "follows from the patch",
    "verdict.outcome": _NO_COLUMN,
    "verdict.patch_sha256": "follows from the patch",
    **all_but(EpisodeEnd, "only how it ended has a column", "stop_reason"),
    **all_but(EpisodeStart, _NO_COLUMN, "tools"),
    "episode_start.observation": "told where no model was asked; otherwise as the model was sent it",
    "unknown.*": _NO_COLUMN,
}
LOSES_SWE_AGENT: Mapping[str, str] = {
    **_LESS,
    "event.repo": _NO_COLUMN,
    "event.episode_id": _NO_COLUMN,
    "event.seed": _NO_COLUMN,
    "episode_start.tools": _NO_COLUMN,
    "tool_call.call_id": "calls and results stand in order",
}
LOSES_OPENHANDS: Mapping[str, str] = {
    **_LESS,
    "event.model": _NO_COLUMN,
    "event.seed": _NO_COLUMN,
    "verdict.report": _NO_COLUMN,
    "tool_call.action": "told as name and arguments",
}

_READ = "messages are read back with the results of calls as the data set tells them"
UNREAD_SWE_AGENT: Mapping[str, str] = {
    "llm_request.messages": _READ,
    "llm_response.content": "thought and action are told in one text",
    "tool_call.tool": "an action is told as a command",
    "tool_call.arguments": "an action is told as a command",
    "tool_call.action": "an action is told as a command",
    "tool_result.observation": "what follows the last action without a result",
    "episode_end.stop_reason": "told in that agent's words, of which some say less",
    "verdict.report": "read back as text",
}
UNREAD_OPENHANDS: Mapping[str, str] = {
    "llm_request.messages": _READ,
    "episode_start.tools": "fields that are null are left out",
    "tool_result.observation": "what an answer without a call was told is read back as a message",
}
