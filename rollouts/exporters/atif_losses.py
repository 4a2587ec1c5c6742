"""What an ATIF document does not hold of an episode, and what is not read back from one."""

from collections.abc import Mapping

__all__ = ["LOSES", "UNREAD"]

LOSES: Mapping[str, str] = {
    "event.schema_version": "the document has a version of its own",
    "event.seq": "steps have numbers of their own; the order of events that belong to no step is told by their times",
}


_DELTAS = "told whole at each step; read back as text, not as what a request adds"
_BESIDE = "in the `extra` of a result; read back as data of the result"
UNREAD: Mapping[str, str] = {
    "llm_request.endpoint": "in the `extra` of a step",
    "llm_request.kept_messages": _DELTAS,
    "llm_request.kept_tokens": _DELTAS,
    "llm_request.token_ids": _DELTAS,
    "llm_request.messages": _DELTAS,
    "llm_request.parts": "in the `extra` of a step",
    "llm_request.parameters": "read back with `llm_call_count` among them",
    "llm_request.model": "the model that answered is read back for both",
    "llm_request.thread": "read back as the id of the embedded trajectory",
    "llm_response.prompt_token_ids": "read back for every answer, where the log holds what a request adds",
    "llm_response.tool_calls": "read back as the calls that were carried out",
    "llm_response.failed_attempts": "in the `extra` of a step",
    "llm_response.parts": "in the `extra` of a step",
    "llm_response.time_to_first_token_ms": "in the `extra` of the metrics",
    "llm_response.usage.repeated_input_tokens": "in the `extra` of the metrics",
    "llm_response.usage.repeated_cached_tokens": "in the `extra` of the metrics",
    "tool_call.call_id": "a call without one is given one",
    "tool_result.data": "read back with what else the file tells of the result",
    "tool_result.internal_ms": _BESIDE,
    "sandbox_metric.*": f"that of a step is {_BESIDE}",
    "unknown.*": "in the `extra` of the document",
}
