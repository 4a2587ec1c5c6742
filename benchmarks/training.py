"""Tokens a second of our SFT and DPO against plain TRL scripts on the same rows, in turns, in one process.

`python -m trajectory_hub.benchmarks.training [--rounds 5] [--steps 8] [--kinds sft dpo]`
makes a model and rows, trains each way once to
warm up, then alternates. Both ways run the same number of updates on the same batches; rows are in token form, with the
same masks. Counted is the time within `Trainer.train`. On a machine that others use as well, set OMP_NUM_THREADS=1 and
look at the ratio by CPU time.
"""

# TRL, transformers and torch tell little of their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import argparse
import io
import json
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from ..training.dpo import train_dpo
from ..training.sft import train_sft
from ..training.trainer.config import DpoConfig, SftConfig

__all__ = ["main"]

_ROWS = 32
_LENGTHS = (256, 768)
_VOCABULARY = 4096


def _model(folder: Path) -> None:
    """Four layers of 256: small, yet most of the time is arithmetic."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=_VOCABULARY,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    # Special tokens are found anywhere in a text: none may be the beginning of a word.
    words = {"<unk>": 0, "<eos>": 1, "<pad>": 2} | {f"w{number}": number for number in range(3, _VOCABULARY)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>", pad_token="<pad>"
    ).save_pretrained(folder)


def _rows(folder: Path) -> None:
    """Trajectories and pairs in token form: a third of the tokens is the agent's, in turns of twenty."""
    random.seed(0)
    sft, pairs = list[Mapping[str, Any]](), list[Mapping[str, Any]]()
    for number in range(_ROWS):
        ids = [random.randrange(3, _VOCABULARY) for _ in range(random.randint(*_LENGTHS))]
        mask = [int(place % 60 >= 40) for place in range(len(ids))]
        sft.append({"task_id": f"t{number}", "input_ids": ids, "assistant_masks": mask})
        sides = {name: [random.randrange(3, _VOCABULARY) for _ in range(60)] for name in ("chosen", "rejected")}
        tokens = {f"{name}_ids": side for name, side in sides.items()}
        masks = {f"{name}_masks": [1] * len(side) for name, side in sides.items()}
        pairs.append({"task_id": f"t{number}", "prompt_ids": ids, **tokens, **masks})
    for name, rows in (("sft", sft), ("dpo", pairs)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _shared(work: Path, steps: int) -> dict[str, Any]:
    return {
        "max_steps": steps,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-4,
        "lr_scheduler_type": "cosine",
        "seed": 0,
        "data_seed": 0,
        "max_length": None,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "output_dir": str(work / "plain"),
    }


Seconds = tuple[float, float]
"""By the clock, and of the CPU."""


class _Timed:
    """Takes the time of the next `Trainer.train`."""

    def __enter__(self) -> "_Timed":
        from transformers import Trainer

        self._train, self.seconds = Trainer.train, (0.0, 0.0)

        def timed(trainer: Any, *args: Any, **kwargs: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            done = self._train(trainer, *args, **kwargs)
            self.seconds = (time.perf_counter() - wall, time.process_time() - cpu)
            return done

        Trainer.train = timed  # pyright: ignore[reportAttributeAccessIssue]
        return self

    def __exit__(self, *_: object) -> None:
        from transformers import Trainer

        Trainer.train = self._train  # pyright: ignore[reportAttributeAccessIssue]


def _ours(kind: str, work: Path, steps: int) -> Seconds:
    """Of training by our script."""
    common: dict[str, Any] = {
        "model": str(work / "model"),
        "output": str(work / f"ours-{time.monotonic_ns()}"),
        "data": (str(work / f"{kind}.jsonl"),),
        "max_steps": steps,
        "batch_size": 4,
        "learning_rate": 1e-4,
        "bf16": False,
        "device": "cpu",
        "save_steps": 1_000_000,
    }
    with _Timed() as timed:
        if kind == "sft":
            train_sft(SftConfig(**common), io.StringIO())
        else:
            train_dpo(DpoConfig(at="completion", sft_weight=0, **common), io.StringIO())
    return timed.seconds


def _plain(kind: str, work: Path, steps: int) -> Seconds:
    """Of training by a script as TRL's documentation has it."""
    from datasets import Dataset
    from transformers import PreTrainedTokenizerFast
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    rows = [json.loads(line) for line in (work / f"{kind}.jsonl").read_text().splitlines()]
    # AutoTokenizer would take the class of the model's family, which splits texts in another way.
    tokenizer = PreTrainedTokenizerFast.from_pretrained(work / "model")
    if kind == "sft":
        data = Dataset.from_list([{key: row[key] for key in ("input_ids", "assistant_masks")} for row in rows])
        trainer: Any = SFTTrainer(
            str(work / "model"), SFTConfig(**_shared(work, steps)), train_dataset=data, processing_class=tokenizer
        )
    else:
        said = {"prompt": "prompt_ids", "chosen": "chosen_ids", "rejected": "rejected_ids"}
        data = Dataset.from_list(
            [{name: " ".join(f"w{token}" for token in row[ids]) for name, ids in said.items()} for row in rows]
        )
        args = DPOConfig(precompute_ref_log_probs=True, **_shared(work, steps))
        trainer = DPOTrainer(str(work / "model"), args=args, train_dataset=data, processing_class=tokenizer)
    with _Timed() as timed:
        trainer.train()
    return timed.seconds


def _compare(kind: str, work: Path, rounds: int, steps: int) -> dict[str, Seconds]:
    ways: dict[str, Callable[[str, Path, int], Seconds]] = {"ours": _ours, "plain TRL": _plain}
    seconds: dict[str, list[Seconds]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in list(ways) if number % 2 else list(ways)[::-1]:
            taken = ways[name](kind, work, steps)
            if number:
                seconds[name].append(taken)
    return {
        name: (median(wall), median(cpu)) for name, found in seconds.items() for wall, cpu in [zip(*found, strict=True)]
    }


def main() -> None:
    """Print tokens a second, medians over the rounds, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--kinds", nargs="+", choices=("sft", "dpo"), default=("sft", "dpo"))
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        work = Path(folder)
        _model(work / "model")
        _rows(work)
        for kind in options.kinds:
            found = _compare(kind, work, options.rounds, options.steps)
            tokens = _tokens(kind, work, options.steps)
            told = ", ".join(f"{name} {tokens / wall:,.0f} tokens/s" for name, (wall, _) in found.items())
            wall, cpu = (plain / own for plain, own in zip(found["plain TRL"], found["ours"], strict=True))
            print(f"{kind}: {told}; ratio {wall:.3f}, by CPU time {cpu:.3f} (medians of {options.rounds} rounds)")


def _tokens(kind: str, work: Path, steps: int) -> float:
    """Tokens of so many batches of four rows, on average."""
    rows = [json.loads(line) for line in (work / f"{kind}.jsonl").read_text().splitlines()]
    if kind == "sft":
        sizes = [len(row["input_ids"]) for row in rows]
    else:
        sizes = [2 * len(row["prompt_ids"]) + len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in rows]
    return sum(sizes) / len(sizes) * 4 * steps


if __name__ == "__main__":
    main()
