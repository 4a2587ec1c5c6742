"""What can be set about the judge. The defaults of a recorded run's judge are `configs/judge.yaml`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..service.config import ServiceConfig, split_address

__all__ = ["ContextConfig", "JudgeBudget", "JudgeConfig", "MemberConfig", "RevealConfig"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MemberConfig(ServiceConfig):
    """One model that judges, and how it is asked."""

    temperature: float | None = 0.0
    max_tokens: int = Field(default=1500, ge=1)
    request_timeout: float = Field(default=120, gt=0)
    structured: Literal["json_schema", "json_object", "off"] = "json_schema"
    """How the service is made to keep to the schema; the answer is validated all the same."""
    reason_chars: int | None = Field(default=300, ge=20)
    """Characters a reason may have, in the schema; null leaves the bound out, for services that refuse `maxLength`."""


class ContextConfig(_Strict):
    """How much of an episode the judge sees, in characters of each text."""

    policy: Literal["recent-full"] = "recent-full"
    """`recent-full`: this step and the latest ones before it in full, the older ones in a line each, the oldest left
    out. What is longer than its bound keeps its head and tail."""
    recent: int = Field(default=4, ge=0)
    """Steps before this one that are shown in full."""
    statement_chars: int = Field(default=6_000, ge=100)
    step_chars: int = Field(default=6_000, ge=100)
    """For each of thought, action and observation of the step that is judged."""
    recent_chars: int = Field(default=2_000, ge=50)
    """The same for the steps shown in full."""
    older_chars: int = Field(default=160, ge=20)
    """For the line of an older step."""
    older_total: int = Field(default=4_000, ge=0)
    """For all older steps together."""
    revealed_chars: int = Field(default=8_000, ge=100)
    """For the reference patch, where it is shown."""


class RevealConfig(_Strict):
    """What the judge sees beyond what the agent saw. Each score records it."""

    patch: bool = False
    """The reference patch of the task."""
    outcome: bool = False
    """Whether the episode resolved the task; only for recorded episodes."""


class JudgeBudget(_Strict):
    """What one sitting may spend; None is no limit. What lies in the cache costs nothing."""

    usd: float | None = Field(default=None, ge=0)
    requests: int | None = Field(default=None, ge=0)
    """Requests that are answered, answers that have to be asked for again included."""
    tokens: int | None = Field(default=None, ge=0)
    """Input and output tokens."""


class JudgeConfig(_Strict):
    """The judge: who is asked, what it is shown, within which limits."""

    models: tuple[str | Mapping[str, Any], ...] = ()
    """`MODEL@URL`, or a mapping with `model`, `base_url` and what differs from `request`; several make an ensemble."""
    request: MemberConfig = MemberConfig()
    """How each model is asked, unless it says otherwise."""
    samples: int = Field(default=1, ge=1)
    """Answers asked of each model; more than one needs a temperature above 0."""
    prompt: str = "step-1"
    """Name of a prompt that comes with the package, or a file of your own (ends in `.md`)."""
    context: ContextConfig = ContextConfig()
    reveal: RevealConfig = RevealConfig()
    malformed_retries: int = Field(default=2, ge=0)
    """How often an answer that is not valid is asked for again before the step is recorded as failed."""
    retry_failed: bool = False
    """Ask again where the cache says that no valid answer came."""
    on_injection: Literal["flag", "unscored"] = "flag"
    """What an attempt to instruct the judge in the agent's own words leads to; it is always recorded."""
    budget: JudgeBudget = JudgeBudget()
    workers: int = Field(default=8, ge=1)
    """Requests at once."""
    give_up_after: int = Field(default=5, ge=1)
    """Requests that fail one after another, retries included, before no more are made."""
    cache: Path | None = None
    """SQLite file of all answers; null: `scores/judge.sqlite` in the folder of the run."""

    @property
    def members(self) -> tuple[MemberConfig, ...]:
        """Every model with its settings."""
        return tuple(self._member(item) for item in self.models)

    def _member(self, item: str | Mapping[str, Any]) -> MemberConfig:
        if isinstance(item, str):
            model, url = split_address(item)
            item = {"model": model, "base_url": url}
        return MemberConfig.model_validate({**self.request.model_dump(), **item})

    @model_validator(mode="after")
    def _each_member_is_valid(self) -> Self:
        cold = [member.model for member in self.members if self.samples > 1 and member.temperature == 0]
        if cold:
            raise ValueError(f"{self.samples} samples of {cold[0]} at temperature 0 are one and the same: raise it")
        return self
