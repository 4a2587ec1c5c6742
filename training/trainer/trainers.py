"""TRL's trainers, changed in as little as need be: they take examples as they are, with masks and weights by token.

Written for TRL 1.16, whose DPO and KTO collators take every token of a completion as learnt, tools' answers included.
"""

# TRL and torch tell little of their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from trl.data_utils import pack_dataset
from trl.trainer import dpo_trainer, grpo_trainer, kto_trainer, sft_trainer

from .sampling import LikeLengths

__all__ = [
    "MaskedDPOTrainer",
    "MaskedKTOTrainer",
    "PairCollator",
    "ServedGRPOTrainer",
    "UnpairedCollator",
    "WeightCollator",
    "WeightedSFTTrainer",
    "packed",
]

Batch = dict[str, Any]
_sft: Any = sft_trainer
_dpo: Any = dpo_trainer
_kto: Any = kto_trainer
_grpo: Any = grpo_trainer


class WeightedSFTTrainer(_sft.SFTTrainer):
    """Adds weights by token: the loss is the sum of `weight * -log p` over the *number* of learnt tokens."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.data_collator: Any = WeightCollator(self.data_collator)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """Batches of like lengths where they are asked for; transformers' own come in the order of their lengths."""
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        rows = self.train_dataset if train_dataset is None else train_dataset
        together = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return LikeLengths([len(ids) for ids in rows["input_ids"]], together, self.args.data_seed)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "weights" not in self._signature_columns:
            self._signature_columns += ["weights"]

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """As TRL's, when there are no weights."""
        weights = inputs.pop("weights", None)
        if weights is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)
        total = -(outputs.log_probs * weights[:, 1:]).sum()
        learnt = outputs.label_mask.sum() if num_items_in_batch is None else num_items_in_batch
        loss = total / torch.as_tensor(learnt).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # DDP averages gradients over processes
        self._count(inputs, outputs)
        return (loss, outputs) if return_outputs else loss

    def _count(self, inputs: Batch, outputs: Any) -> None:
        mode = "train" if self.model.training else "eval"
        seen = (
            inputs["attention_mask"].sum()
            if "attention_mask" in inputs
            else inputs["input_ids"].new_tensor(inputs["input_ids"].numel())
        )
        if mode == "train":
            self._total_train_tokens += int(self.accelerator.gather_for_metrics(seen).sum())
        right = self.accelerator.gather_for_metrics(outputs.is_top1.sum()).sum()
        learnt = self.accelerator.gather_for_metrics(outputs.label_mask.sum()).sum().clamp(min=1)
        self._metrics[mode]["mean_token_accuracy"].append(float(right / learnt))
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]


@dataclass
class WeightCollator:
    """Pads, or joins, `weights` as the collator inside pads, or joins, the ids."""

    inside: Any

    def __call__(self, examples: Sequence[Batch]) -> Batch:
        """A batch; without `weights` in the examples that of the collator inside."""
        batch: Batch = self.inside(examples)
        if "weights" in examples[0]:
            rows = [torch.tensor(example["weights"], dtype=torch.float32) for example in examples]
            if self.inside.padding_free:
                rows = [torch.cat(rows)]
            width = batch["input_ids"].shape[1]
            batch["weights"] = torch.stack([torch.nn.functional.pad(row, (0, width - len(row))) for row in rows])
        return batch


@dataclass
class PairCollator(_dpo.DataCollatorForPreference):
    """TRL's, with the completion mask narrowed to what the agent said."""

    def torch_call(self, examples: list[Batch]) -> Batch:
        """A batch; its first half are the chosen sides."""
        batch = super().torch_call(examples)
        masks = [_whole(example, f"{side}_mask") for side in ("chosen", "rejected") for example in examples]
        return batch | {"completion_mask": _padded(masks, batch["input_ids"].shape[1])}


@dataclass
class UnpairedCollator(_kto.DataCollatorForUnpairedPreference):
    """TRL's, with the completion masks narrowed to what the agent said."""

    def torch_call(self, examples: list[Batch]) -> Batch:
        """A batch; with the mismatched completions of the KL term where the examples have them."""
        batch = super().torch_call(examples)
        masks = {"completion_mask": [_whole(example, "completion_mask") for example in examples]}
        if "KL_completion_ids" in examples[0]:
            masks["KL_completion_mask"] = [_whole(example, "KL_completion_mask") for example in examples]
        widths = {"completion_mask": "input_ids", "KL_completion_mask": "KL_input_ids"}
        return batch | {name: _padded(rows, batch[widths[name]].shape[1]) for name, rows in masks.items()}


def _whole(example: Batch, name: str) -> list[int]:
    return [0] * len(example["prompt_ids"]) + list(example[name])


def _padded(masks: Sequence[Sequence[int]], width: int) -> torch.Tensor:
    return torch.tensor([[*mask, *[0] * (width - len(mask))] for mask in masks], dtype=torch.long)


class MaskedDPOTrainer(_dpo.DPOTrainer):
    """Takes pairs in tokens, with a mask for each side."""

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "chosen_mask" not in self._signature_columns:
            self._signature_columns += ["chosen_mask", "rejected_mask"]


class MaskedKTOTrainer(_kto.KTOTrainer):
    """Takes completions in tokens, with a mask and a label for each."""

    def _prepare_dataset(self, dataset: Any, _: Any, args: Any, *__: Any) -> Any:
        """For the KL term, each row gets the completion of the row before it in its batch, as in TRL's own."""
        if not self.calculate_KL:
            return dataset

        def rotated(rows: Batch) -> Batch:
            names = ("completion_ids", "completion_mask")
            return {f"KL_{name}": [rows[name][-1], *rows[name][:-1]] for name in names}

        return dataset.map(rotated, batched=True, batch_size=args.per_device_train_batch_size)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "completion_mask" not in self._signature_columns:
            self._signature_columns += ["completion_mask", "KL_completion_mask"]


class ServedGRPOTrainer(_grpo.GRPOTrainer):
    """Samples by a server that is given weights by other means than TRL's; TRL corrects them as those of its own."""

    def __init__(self, served: Any, **options: Any) -> None:
        """`served`: asked to `sync_weights` before each batch of episodes."""
        super().__init__(**options)
        served.trainer = self
        self.use_vllm, self.vllm_generation, self._last_loaded_step = True, served, -1


def packed(dataset: Any, length: int) -> Any:
    """Rows joined by best fit into sequences of at most `length` tokens, none cut, weights alongside."""
    return pack_dataset(dataset, length, "bfd")
