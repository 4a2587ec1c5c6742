"""What a timeline does not hold of an episode."""

from collections.abc import Mapping

__all__ = ["LOSES"]

_SHOWN = "a viewer shows spans, not conversations; the first characters of texts are shown (`-c text=N`)"
_TABLE = "a viewer shows spans, not tables of scores"

LOSES: Mapping[str, str] = {
    "event.schema_version": "the file has no version of ours",
    "event.seq": "the order of events is told by their times",
    "event.duration_ms": "a span's duration is the difference of its times",
    "episode_start.tools": _SHOWN,
    "episode_start.limits": "settings of the run, not of the timeline",
    "episode_start.sandbox": "settings of the run, not of the timeline",
    "llm_request.parameters": "settings of the run, not of the timeline",
    "llm_request.messages": "told as their number",
    "llm_request.token_ids": _SHOWN,
    "llm_response.failed_attempts": "told as their number",
    "llm_response.prompt_token_ids": _SHOWN,
    "llm_response.completion_token_ids": _SHOWN,
    "llm_response.logprobs": _SHOWN,
    "llm_response.parts": "the order of an answer's parts is told by the spans that they led to",
    "step_reward.criteria": _TABLE,
    "step_reward.process": _TABLE,
    "step_reward.record": _TABLE,
    "test_run.tests": "told as counts",
    "test_run.selected": "told as counts",
    "sandbox_metric.step": "a counter's points are told by their times",
    "sandbox_metric.sources": "a counter track has a name and figures only",
    "verdict.report": _TABLE,
}
