"""A preference: two answers to the same prompt, which is better, why, by whose word, and how surely."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..trajectories.sketch import PatchSketch
from .confidence import Basis

__all__ = ["SCHEMA_VERSION", "Preference", "Reason", "Side"]

SCHEMA_VERSION = "1.1"
"""Written into every preference. A new field raises the second number, any other change the first."""
Share = Annotated[float, Field(ge=0, le=1)]
Messages = Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]


class Reason(StrEnum):
    """What decided."""

    OUTCOME = "outcome"
    """The trusted grader's verdicts."""
    PROCESS = "process"
    """Process scores, where the outcomes are the same or there is none."""


class Side(BaseModel):
    """One of the two answers, and what is known of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    messages: Messages
    """From the first message that differs; they begin with an answer of the agent."""
    run_id: str
    episode_id: str
    """The episode that the messages are taken from."""
    agent: str
    agent_version: str
    model: str | None = None
    privileged: bool = False
    """The policy was shown the reference patch."""
    value: Share
    """Of what decided: 1 or 0 by the verdict, a process score, or the mean of such over the continuations."""
    rollouts: int = Field(default=1, ge=1)
    """How many episodes `value` is the mean of; 1 for a whole trajectory."""
    continuations: tuple[str, ...] = ()
    """Those episodes, as `run/episode`; of a step."""
    resolved: bool | None = None
    """The verdict of `episode_id`."""
    process_score: float | None = None
    """Of `episode_id`."""
    steps: int = Field(ge=1)
    """That the messages hold."""
    patch_sha256: str | None = None
    """Of the final patch of `episode_id`."""
    patch_sketch: PatchSketch | None = None
    """Of the same patch, to compare it with others; since 1.1."""


class Preference(BaseModel):
    """One pair. `trajhub pairs` writes them, `trajhub export preference` turns them into a data set."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: str = SCHEMA_VERSION
    pair_id: str
    """Follows from the level and the two episodes: the same pair has the same id wherever it is found."""
    level: Literal["trajectory", "step"]
    """What is compared: all that follows, or one answer."""
    task_id: str
    repo: str
    base_commit: str
    step: int = Field(ge=0)
    """Position of the first step that differs."""
    prompt: Messages
    """What both sides share, as the chosen one has it."""
    tools: tuple[dict[str, Any], ...] = ()
    """The action space, in OpenAI's function-calling format."""
    chat_template_kwargs: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    chosen: Side
    rejected: Side
    reason: Reason
    why: str
    """In a sentence."""
    layers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Who says so: `verdict`, or the layers of the scores, such as `rules@1`."""
    margin: Annotated[float, Field(gt=0, le=1)]
    """Value of the chosen side less that of the rejected one."""
    confidence: Share
    basis: Basis
    """What `confidence` is the probability of."""
    reference_sketch: PatchSketch | None = None
    """Of the task's reference patch, where that was known; since 1.1."""

    def sketches(self) -> list[PatchSketch]:
        """Of the reference patch and of final patches that are not known to be wrong, as far as there are any."""
        sides = [side.patch_sketch for side in (self.chosen, self.rejected) if side.resolved is not False]
        return [sketch for sketch in (self.reference_sketch, *sides) if sketch is not None]

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.chosen.value <= self.rejected.value:
            raise ValueError("the chosen side is not worth more than the rejected one")
        for side in (self.chosen, self.rejected):
            if side.messages[0].get("role") != "assistant" or side.messages[-1].get("role") != "assistant":
                raise ValueError("each side must begin and end with an answer of the agent")
        if self.chosen.messages == self.rejected.messages:
            raise ValueError("both sides are the same")
        return self
