"""What a judge must answer, as JSON Schema for the service and as a model for what comes back."""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ..scores import CRITERIA
from .config import MemberConfig

__all__ = ["GRADES", "Answer", "MalformedAnswer", "Opinion", "answer_schema", "parse_answer", "response_format"]

GRADES = tuple(step / 10 for step in range(11))
"""The scores a schema allows. An enumeration is enforced by services that ignore `minimum` and `maximum`, and it ends:
the digits of a free number need not."""
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?```\s*", re.DOTALL)
_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_LONGEST = 20_000
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]
Score = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]


class MalformedAnswer(ValueError):
    """Raised when an answer is not what the schema asks for; says what is wrong without quoting the answer."""


class Opinion(BaseModel):
    """One criterion's score and the sentence that gives its reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Reason
    score: Score


class Answer(BaseModel):
    """A judge's answer on one step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    goal_progress: Opinion
    tool_choice: Opinion
    argument_correctness: Opinion
    use_of_information: Opinion
    non_redundancy: Opinion

    def opinion(self, criterion: str) -> Opinion:
        """What it says by one criterion."""
        return getattr(self, criterion)


def answer_schema(reason_chars: int | None) -> dict[str, Any]:
    """The JSON Schema, within what services that enforce schemas have in common: every key required, none besides."""
    bound = {"minLength": 1, "maxLength": reason_chars} if reason_chars is not None else {}
    reason = {"type": "string", "description": "One sentence.", **bound}
    opinion = _object({"reason": reason, "score": {"type": "number", "enum": list(GRADES)}})
    return _object(dict.fromkeys(CRITERIA, opinion))


def response_format(member: MemberConfig) -> dict[str, Any]:
    """The request's field that makes the service keep to the schema; empty where that is switched off."""
    if member.structured == "off":
        return {}
    if member.structured == "json_object":
        return {"response_format": {"type": "json_object"}}
    schema = {"name": "step_scores", "strict": True, "schema": answer_schema(member.reason_chars)}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def parse_answer(text: str) -> Answer:
    """Read an answer. Raises MalformedAnswer."""
    text = _THOUGHT.sub("", text, count=1) if text.lstrip().startswith("<think>") else text
    fenced = _FENCE.fullmatch(text)
    text = fenced[1] if fenced else text
    if len(text) > _LONGEST:
        raise MalformedAnswer(f"it has {len(text)} characters, more than {_LONGEST}")
    try:
        # Servers that bound the length of a string let bare control characters through; they break nothing.
        value = json.loads(text, object_pairs_hook=_unique, strict=False)
    except (ValueError, RecursionError) as error:
        raise MalformedAnswer(f"it is not JSON: {type(error).__name__}: {str(error)[:120]}") from None
    try:
        return Answer.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        said = "; ".join(f"{_place(item['loc'])}: {item['msg']}" for item in problems[:5])
        raise MalformedAnswer(f"it does not keep to the schema: {said}") from None


def _place(where: Sequence[str | int]) -> str:
    """A place in an answer; a key that the schema does not know is the answer's own text, and not repeated."""
    known = {*CRITERIA, "reason", "score"}
    return ".".join(str(part) if part in known else "(unknown key)" for part in where) or "answer"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
