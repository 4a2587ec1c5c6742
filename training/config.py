"""What can be set about pairs and exports. The defaults are `configs/pairs.yaml` and `configs/export.yaml`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..errors import StopReason
from ..rollouts.config import CONFIGS, read_overrides
from ..validation import validated

__all__ = [
    "ConversationConfig",
    "ExportConfig",
    "FilterConfig",
    "LeakageConfig",
    "PairsConfig",
    "load_export_config",
    "load_pairs_config",
]

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Ratio = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Outcome = Literal["resolved", "unresolved", "graded", "any"]
Level = Literal["trajectory", "step"]
By = Literal["outcome", "process"]
Format = Literal["jsonl", "parquet"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FilterConfig(_Strict):
    """Which episodes may be used.

    Nothing lets through an episode that is unfinished, interrupted, damaged, forged, or that failed by the environment,
    a service, a tool of ours or the grader.
    """

    outcome: Outcome = "any"
    """`resolved`, `unresolved`, `graded` (either of them) or `any`."""
    min_process: Share | None = None
    """Least process score."""
    min_step_reward: Share | None = None
    """Least reward of every single step; where a row is a step, of that step."""
    stop_reasons: tuple[StopReason, ...] | None = None
    """How an episode may have ended; None for every way that is the agent's own."""
    min_steps: Count | None = None
    max_steps: Count | None = None
    max_characters: Count | None = None
    """Of all messages together."""
    max_tokens: Count | None = None
    """Of the conversation with its tools, by `tokenizer` and its chat template."""
    tokenizer: str | None = None
    """Folder or name of a tokenizer."""
    privileged: bool = False
    """Use episodes whose policy was shown the reference patch."""

    @model_validator(mode="after")
    def _tokens_need_a_tokenizer(self) -> Self:
        if self.max_tokens is not None and self.tokenizer is None:
            raise ValueError("max_tokens needs tokenizer, the folder or name of one")
        return self


class ConversationConfig(_Strict):
    """How an episode is told as messages."""

    system_prompt: str | None = None
    """In place of the recorded one; one for all makes episodes of different agents comparable."""
    reasoning: bool = False
    """Give a model's recorded reasoning as `reasoning_content`; chat policies do not send it back."""
    chat_template_kwargs: Mapping[str, Any] | None = None
    """Column of that name, for the chat template; None for what the runs sent to their service."""
    tokens: bool = False
    """Give the token ids that the model's server recorded, in place of messages."""

    @model_validator(mode="after")
    def _tokens_are_as_they_were(self) -> Self:
        if self.tokens and (self.system_prompt is not None or self.reasoning or self.chat_template_kwargs):
            raise ValueError("tokens are given as recorded: leave out system_prompt, reasoning, chat_template_kwargs")
        return self


class LeakageConfig(_Strict):
    """When a training task is too near to an evaluation task."""

    instance: bool = True
    """The same instance id."""
    repository: bool = True
    """The same repository, mirrors included."""
    patch: Share | None = 0.8
    """Jaccard similarity of the lines that two patches change, from which on it is a leak."""
    statement: Share | None = 0.8
    """The same for problem statements."""


class PairsConfig(_Strict):
    """How preferences are found."""

    levels: tuple[Level, ...] = ("trajectory", "step")
    by: tuple[By, ...] = ("outcome", "process")
    """What may decide, first to last."""
    submitted: bool = False
    """Count an episode as resolved only when it was submitted as well, as the gate does."""
    margin: Share = 0.1
    """Least difference of two process scores."""
    step_margin: Share = 0.2
    """Least difference of two values of a step's alternatives."""
    min_confidence: Share = 0.5
    min_rollouts: Count = 1
    """Continuations that an alternative of a step needs."""
    max_length_ratio: Ratio | None = 4.0
    """How many times longer (characters of what differs) one side may be; for whole trajectories."""
    near_duplicate: Share = 0.9
    """Jaccard similarity from which on two texts are the same."""
    per_task: Count = 8
    """Pairs of whole trajectories a task may give."""
    per_state: Count = 1
    """Pairs of steps a state may give."""
    per_episode: Count = 4
    """Pairs of whole trajectories an episode may be part of."""
    score_layer: str | None = None
    """Layer whose recorded scores (`scores/<layer>.jsonl`) stand for the process score; None: the event log's own."""
    seed: int = 0
    """Decides between pairs that are equally good."""
    filter: FilterConfig = FilterConfig()
    conversation: ConversationConfig = ConversationConfig()
    leakage: LeakageConfig = LeakageConfig()


class ExportConfig(_Strict):
    """What is written."""

    formats: Annotated[tuple[Format, ...], Field(min_length=1)] = ("jsonl", "parquet")
    unit: Level = "trajectory"
    """Of `sft`: one row a trajectory (`messages`), or one a step (`prompt` and `completion`)."""
    near_duplicate: Share | None = 0.95
    """Of `sft`: Jaccard similarity from which on two trajectories of one task are the same; None keeps all."""
    min_margin: Share = 0.0
    """Of `preference`."""
    min_confidence: Share = 0.0
    """Of `preference`."""
    seed: int | None = None
    """Order of the rows; None for the order of runs and episodes."""
    filter: FilterConfig = FilterConfig(outcome="resolved", stop_reasons=(StopReason.SUBMITTED,))
    """Of `sft`."""
    conversation: ConversationConfig = ConversationConfig()
    leakage: LeakageConfig = LeakageConfig()
    pairs: PairsConfig = PairsConfig()
    """Of `preference`, when it is given runs."""


Config = TypeVar("Config", bound=_Strict)


def load_pairs_config(items: Sequence[str] = (), options: Mapping[str, Any] | None = None) -> PairsConfig:
    """`configs/pairs.yaml` with `FILE.yaml` and `key=value` items on top. Raises ConfigError."""
    return _load(PairsConfig, "pairs.yaml", items, options or {})


def load_export_config(items: Sequence[str] = (), options: Mapping[str, Any] | None = None) -> ExportConfig:
    """`configs/export.yaml` with `FILE.yaml` and `key=value` items on top. Raises ConfigError."""
    return _load(ExportConfig, "export.yaml", items, options or {})


def _load(model: type[Config], preset: str, items: Sequence[str], options: Mapping[str, Any]) -> Config:
    values: dict[str, Any] = {**read_overrides([str(CONFIGS / preset), *items]), **options}
    return validated(model, values)
