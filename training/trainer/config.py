"""What can be set about training. The defaults are `configs/train/<algorithm>.yaml`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, cast

from pydantic import Field, model_validator

from ...rollouts.config import CONFIGS, read_overrides
from ...validation import validated
from ..config import LeakageConfig
from .settings import Count, LoraSettings, Names, NotNegative, Positive, Selection, Share, StepWeights, Strict

__all__ = [
    "CONFIG_OF",
    "DataConfig",
    "DpoConfig",
    "GrpoConfig",
    "KtoConfig",
    "LoraSettings",
    "Selection",
    "SftConfig",
    "StepWeights",
    "TrainConfig",
    "load_train_config",
]


class TrainConfig(Strict):
    """What all algorithms share."""

    algorithm: ClassVar[str]

    model: str
    """Folder or name of a causal language model of transformers."""
    output: str
    """Folder of the checkpoint, its manifest (`training.json`), metrics and card."""
    tokenizer: str | None = None
    """Folder or name of a tokenizer; null: the model's own."""
    chat_template: str | None = None
    """File of a chat template in place of the tokenizer's."""
    chat_template_kwargs: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """For the chat template, under what a row brings itself."""
    trust_remote_code: bool = False

    tasks: str | None = None
    """The training tasks: task repo, dataset or file."""
    eval_tasks: str | None = None
    """The evaluation tasks, which the data must not give away; null: no search for leaks."""
    leakage: LeakageConfig = LeakageConfig()

    epochs: Positive = 1.0
    max_steps: Count | None = None
    """Updates, in place of epochs."""
    batch_size: Count = 8
    """Rows of one process at once."""
    gradient_accumulation: Count = 1
    learning_rate: Positive = 1e-5
    scheduler: str = "cosine"
    """Name of a schedule of transformers: cosine, linear, constant_with_warmup, …"""
    warmup: NotNegative = 0.03
    """Share of all updates; from 1 on, their number."""
    weight_decay: NotNegative = 0.0
    max_grad_norm: NotNegative = 1.0
    """0: no clipping."""
    optimizer: str = "adamw_torch_fused"
    adam_beta2: Share = 0.999

    lora: LoraSettings | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the weights; with `bf16` the arithmetic is bfloat16 all the same."""
    bf16: bool | None = None
    """bfloat16 arithmetic; null: where the device has it."""
    device: Literal["auto", "cpu"] = "auto"
    gradient_checkpointing: bool | None = None
    """Less memory for more time; null: on a GPU, yes."""
    attention: str | None = None
    """Implementation of attention in transformers: sdpa, eager, flash_attention_2, …"""

    seed: int = 0
    """Of the order of the rows, of dropout and of new weights."""
    logging_steps: Count = 10
    save_steps: Count | None = None
    """Updates between two checkpoints to resume from; null: one an epoch."""
    keep_checkpoints: bool = False
    """Keep the checkpoints to resume from when training has finished."""
    report_to: Names = ()
    """Reporters of transformers besides the files here: tensorboard, wandb, trackio, …"""


class DataConfig(TrainConfig):
    """What the algorithms share that learn from data."""

    data: Annotated[Names, Field(min_length=1)]
    """Folders that `trajhub export` wrote, or JSONL or parquet files of such rows."""
    selection: Selection = Selection()
    max_length: Count | None = None
    """Most tokens of a row; null: what the model can read. Nothing is ever cut."""
    too_long: Literal["refuse", "filter"] = "refuse"
    """What becomes of longer rows: an error before training, or they are left out and counted."""

    eval_data: Names = ()
    """Held-out data for the loss."""
    eval_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Or this share of the training tasks, drawn by `seed`; a task is on one side only."""
    eval_steps: Count | None = None
    """Updates between two evaluations; null: one an epoch."""
    early_stopping: Count | None = None
    """Stop after so many evaluations without a lower loss, and keep the best checkpoint."""
    early_stopping_delta: NotNegative = 0.0
    """How much lower it has to be."""
    eval_batch_size: Count = 8

    @model_validator(mode="after")
    def _early_stopping_needs_data(self) -> Self:
        held_out = bool(self.eval_data) or self.eval_share > 0
        if self.eval_data and self.eval_share:
            raise ValueError("give eval_data or eval_share, not both")
        if self.early_stopping is not None and not held_out:
            raise ValueError("early_stopping needs eval_data or eval_share")
        return self


class SftConfig(DataConfig):
    """Supervised fine-tuning on what the agent said: never on what a tool, a user or the system said."""

    algorithm: ClassVar[str] = "sft"

    step_weights: StepWeights | None = None
    """Weigh each turn's loss by its reward; null: all alike."""
    packing: bool = False
    """Several rows in one sequence of `max_length` tokens, none cut; attention keeps them apart."""
    group_by_length: bool = False
    """Rows of like length in a batch: less padding. Without it, and where rows are packed, batches are random."""


class _PreferenceConfig(DataConfig):
    beta: Positive = 0.1
    """How strongly the reference model holds."""
    precompute_reference: bool = True
    """Ask the reference model once, before training, and keep no second model in memory."""


class DpoConfig(_PreferenceConfig):
    """Direct preference optimization, with the tools' answers inside a completion left out of every loss."""

    algorithm: ClassVar[str] = "dpo"

    loss_type: Annotated[Names, Field(min_length=1)] = ("sigmoid",)
    """Losses of TRL that are added up: sigmoid, ipo, hinge, robust, apo_zero, sigmoid_norm, …"""
    loss_weights: tuple[NotNegative, ...] | None = None
    """Weight of each; null: 1."""
    sft_weight: NotNegative = 20.0
    """Weight of the likelihood of the chosen side, which keeps both sides' likelihoods from falling; 0: none."""
    at: Literal["first_step", "completion"] = "first_step"
    """What of a pair is compared: the first answers that differ, or all that follows."""
    levels: tuple[Literal["trajectory", "step"], ...] = ("trajectory", "step")
    """Which pairs are used."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0

    @model_validator(mode="after")
    def _one_weight_a_loss(self) -> Self:
        if self.loss_weights is not None and len(self.loss_weights) != len(self.loss_type):
            raise ValueError(f"loss_weights has {len(self.loss_weights)} values for {len(self.loss_type)} losses")
        if "sft" in self.loss_type:
            raise ValueError("give the weight of the sft loss as sft_weight")
        return self

    @property
    def losses(self) -> dict[str, float]:
        """Every loss with its weight."""
        weights = self.loss_weights or (1.0,) * len(self.loss_type)
        found = dict(zip(self.loss_type, weights, strict=True))
        return found | ({"sft": self.sft_weight} if self.sft_weight else {})


class KtoConfig(_PreferenceConfig):
    """Kahneman-Tversky optimization: each trajectory, or step, is simply good or bad."""

    algorithm: ClassVar[str] = "kto"

    loss_type: Literal["kto", "apo_zero_unpaired"] = "kto"
    good: Literal["resolved", "process", "reward"] = "resolved"
    """What makes a row good: the verdict with `submit` called, the process score, or (steps) the reward."""
    threshold: Share = 0.5
    """From which process score, or reward, on."""
    at: Literal["first_step", "completion"] = "first_step"
    """Of preferences: what is compared."""
    desirable_weight: NotNegative | None = None
    """Weight of the good rows; null: so that both sides weigh the same."""
    undesirable_weight: NotNegative = 1.0


class GrpoConfig(TrainConfig):
    """Group relative policy optimization (arXiv 2402.03300): the model acts in the environment and learns from that."""

    algorithm: ClassVar[str] = "grpo"

    tasks: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    """The training tasks: task repo, dataset or file."""
    filter: str | None = None
    """Only tasks whose id matches this glob."""
    limit: Count | None = None
    """Only the first so many tasks."""
    group: Annotated[int, Field(ge=2)] = 8
    """Episodes of one task that are compared. An update has `batch_size * gradient_accumulation * processes`."""
    workers: Count = 4
    """Episodes at once, in one process."""
    rollout: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """Settings of `trajhub rollout` for the episodes: env, rubric, budget, retries, vllm.reminders, …"""
    max_tokens: Count = 512
    """Of one answer."""
    temperature: Positive = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    process_weight: NotNegative = 0.0
    """What the process score adds to the reward, which is 1 when the task is resolved and was submitted, else 0."""
    sampler: Annotated[str, Field(pattern=r"^(local|vllm|vllm:.+@https?://.+)$")] = "local"
    """Who samples: `local`, the model in training itself; `vllm`, a server of our own beside it; `vllm:MODEL@URL`, one
    that sees `output` and was started with VLLM_SERVER_DEV_MODE=1, so that its weights can be replaced."""
    serve: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """Settings of `trajhub serve` for sampler `vllm`: dtype, replicas, threads, kv_cache_gib, …"""
    serve_every: Count = 1
    """Updates after which the server is given new weights; from 2 on some samples are of older weights."""
    correction: Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"] | None = "token_truncate"
    """How samples of a server weigh: by the ratio of the model's probability to the server's, cut at, or left out from
    `correction_max` on, by token or by episode (TRL's `vllm_importance_sampling_mode`); null: all alike."""
    correction_max: Positive = 3.0
    beta: NotNegative = 0.0
    """How strongly the reference model holds; 0: there is none."""
    loss_type: str = "dapo"
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """By which standard deviation advantages are divided."""

    @model_validator(mode="before")
    @classmethod
    def _vllm_is_not_trls(cls, values: object) -> object:
        """Keys of TRL's own configuration are known by people, and mean something else here."""
        given = cast("Mapping[str, Any]", values if isinstance(values, Mapping) else {})
        theirs = [key for key in given if key.startswith(("use_vllm", "vllm_"))]
        if theirs:
            raise ValueError(
                f"{', '.join(theirs)}: TRL's own way to vLLM is not used here; take sampler=vllm (a server of our own) "
                "or sampler=vllm:MODEL@URL, settings of it as serve.KEY=VALUE, and correction for importance sampling"
            )
        return cast("object", values)

    @model_validator(mode="after")
    def _whole_weights_are_served(self) -> Self:
        if self.sampler != "local" and self.lora is not None and self.lora.bits is not None:
            raise ValueError(
                "sampler vllm serves adapters merged into the weights, which is not done to quantised ones: leave out "
                "lora.bits, or take sampler=local"
            )
        return self


CONFIG_OF: Mapping[str, type[TrainConfig]] = {
    each.algorithm: each for each in (SftConfig, DpoConfig, KtoConfig, GrpoConfig)
}
"""The configuration of each algorithm."""
Config = TypeVar("Config", bound=TrainConfig)


def load_train_config(
    model: type[Config], items: Sequence[str] = (), options: Mapping[str, Any] | None = None
) -> Config:
    """`configs/train/<algorithm>.yaml` with `FILE.yaml` and `key=value` items on top, then `options`.

    Raises ConfigError that names each wrong value.
    """
    preset = CONFIGS / "train" / f"{model.algorithm}.yaml"
    values: dict[str, Any] = {**read_overrides([str(preset), *items]), **(options or {})}
    return validated(model, values)
