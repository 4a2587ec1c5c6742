"""Gemini's API."""

import json
from datetime import datetime

from ....rewards.service.usage import Usage
from ..upstream import Dialect
from .base import Answer, Json, Reading, obj, objs

__all__ = ["Contents", "read_gemini"]


class Contents(Answer):
    """Gemini's streams: every event is an answer that goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: Json = {}
        self._candidates = dict[int, Json]()

    def _take(self, event: Json, at: datetime) -> None:
        self._answer.update({name: value for name, value in event.items() if name != "candidates"})
        for candidate in objs(event.get("candidates")):
            index = candidate.get("index", 0)
            known = self._candidates.setdefault(index, {"content": {"parts": []}})
            content = obj(candidate.get("content"))
            known.update({name: value for name, value in candidate.items() if name != "content"})
            known["content"].update({name: value for name, value in content.items() if name != "parts"})
            for part in objs(content.get("parts")):
                self._part(known["content"]["parts"], part, index, at)

    def _part(self, parts: list[Json], part: Json, index: int, at: datetime) -> None:
        last = parts[-1] if parts else {}
        thought = bool(part.get("thought"))
        if "text" in part and "text" in last and thought == bool(last.get("thought")):
            parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
        else:
            parts.append(part)
        place = (index, len(parts))
        if "functionCall" in part:
            self.parts.note(place, "tool_call", json.dumps(part["functionCall"]), at, part["functionCall"].get("id"))
        elif "text" in part:
            self.parts.note(place, "reasoning" if thought else "text", part["text"], at)

    def whole(self) -> Json | None:
        if not self._answer and not self._candidates:
            return None
        return {**self._answer, "candidates": [self._candidates[index] for index in sorted(self._candidates)]}


def read_gemini(dialect: Dialect, body: Json) -> Reading:
    """What an answer says; thoughts count as output."""
    usage = obj(body.get("usageMetadata"))
    prompt, thoughts = usage.get("promptTokenCount"), usage.get("thoughtsTokenCount")
    written = usage.get("candidatesTokenCount")
    counted = Usage(
        input_tokens=None if prompt is None else prompt + (usage.get("toolUsePromptTokenCount") or 0),
        cached_input_tokens=usage.get("cachedContentTokenCount"),
        output_tokens=None if written is None and thoughts is None else (written or 0) + (thoughts or 0),
        reasoning_tokens=thoughts,
    )
    candidates = objs(body.get("candidates")) or [{}]
    return Reading(counted, body.get("modelVersion"), body.get("responseId"), candidates[0].get("finishReason"))
