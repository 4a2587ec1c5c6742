"""One training from its configuration to its manifest; the algorithms add how rows become examples, and the trainer."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, TextIO

from ...rollouts.files import write_atomic
from ...rollouts.run_dir import RunLock
from .arguments import adapters, arguments, on_cpu, quantization
from .callbacks import Progress
from .card import model_card
from .checks import load_tokenizer, max_length_of, needed_bytes, refuse_leaks
from .config import TrainConfig
from .data import DataSource, Row, selected
from .examples import Example
from .manifest import manifest_of
from .output import CARD, PREPARED, Output, Trained, disk_errors
from .prepare import Prepared, held_out, write_examples
from .render import Renderer
from .show import show

__all__ = ["Session"]

_TOKENS = ("input_ids", "prompt_ids")


class Session:
    """Opens the output, prepares data, and trains. In several processes, the first one writes and the others wait."""

    def __init__(self, config: TrainConfig, stream: TextIO | None = None, *, dry_run: bool = False) -> None:
        """Raises ConfigError, UsageError or DiskFull for whatever can be known before a model is loaded."""
        _quiet()
        from accelerate import PartialState

        self.config = config
        self.state: Any = PartialState(cpu=on_cpu(config.device))
        self._stream = stream or sys.stdout
        self._output = Output(config)
        self._dry_run = dry_run
        self._stack = ExitStack()
        self._started = datetime.now(UTC)
        self._scratch = self._output.folder / PREPARED
        self._prepared: dict[str, Prepared] = {}
        self._sources = [DataSource(Path(path)) for path in config.data]
        self._held_out = [DataSource(Path(path)) for path in config.eval_data]
        self._data = [source.facts() for source in self._sources]
        self.finished = self._output.finished(self._data)
        """What is there already, by the same configuration and data."""
        if self.finished is None:
            self._check()

    def _check(self) -> None:
        self.max_length = max_length_of(self.config)
        self.tokenizer = load_tokenizer(self.config)
        self.renderer = self._renderer()
        refuse_leaks(self.config, [*self._sources, *self._held_out])
        if self._dry_run:
            self._scratch = Path(self._stack.enter_context(TemporaryDirectory()))
        elif self.state.is_main_process:
            self._stack.enter_context(RunLock(self._output.folder))
            self._output.begin(self._data, needed=needed_bytes(self.config))

    def _renderer(self) -> Renderer | None:
        """Renders conversations; None for data in token form, which need no chat template."""
        first = next(chain.from_iterable(source.rows() for source in self._sources), None)
        if first is None or any(name in first for name in _TOKENS):
            return None
        return Renderer(self.tokenizer, self.config.chat_template, self.config.chat_template_kwargs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def prepare(self, make: Callable[[Row], Iterable[Example | None]]) -> None:
        """Write the examples of all rows, and show the first. Raises ConfigError or UsageError."""
        if self.state.is_main_process:
            for side in ("train", "eval") if self._evaluates else ("train",):
                self._prepared[side] = write_examples(
                    self._examples(side),
                    self._rows(train=side == "train"),
                    make,
                    max_length=self.max_length,
                    too_long=self.config.too_long,
                )
            self._say(show(self._prepared["train"], self.tokenizer))
        self.state.wait_for_everyone()

    def checked(self) -> Trained:
        """What a dry run found: nothing was written."""
        found = {"algorithm": self.config.algorithm, "counts": self._counts(), "max_length": self.max_length}
        return Trained(output=self._output.folder, manifest={**found, "masks": self._masks()})

    def _counts(self) -> dict[str, Any]:
        return {side: prepared.counts.as_dict() for side, prepared in self._prepared.items()}

    def _masks(self) -> str:
        return self.renderer.how if self.renderer is not None else "tokens as recorded"

    @property
    def _evaluates(self) -> bool:
        return bool(self._held_out) or self.config.eval_share > 0

    def _examples(self, side: str) -> Path:
        return self._scratch / f"{side}.arrow"

    def _rows(self, *, train: bool) -> Iterator[Row]:
        config = self.config
        if not train and self._held_out:
            return chain.from_iterable(source.rows() for source in self._held_out)
        rows = selected(self._sources, config.selection)
        if not config.eval_share:
            return rows
        return (row for row in rows if held_out(row, config.eval_share, config.seed) is not train)

    def dataset(self, side: str = "train") -> Any:
        """The examples as a `datasets.Dataset`, by memory map; None of `eval` when nothing is held out."""
        from datasets import Dataset

        return Dataset.from_file(str(self._examples(side))) if side == "train" or self._evaluates else None

    def arguments(self) -> dict[str, Any]:
        """For TRL's configuration."""
        return arguments(self.config, self._output.checkpoints)

    def parts(self) -> dict[str, Any]:
        """For TRL's trainer: model, tokenizer, data, adapters."""
        lora = self.config.lora
        return {
            "model": self.config.model,
            "processing_class": self.tokenizer,
            "train_dataset": self.dataset(),
            "eval_dataset": self.dataset("eval"),
            "peft_config": adapters(lora),
            "quantization_config": quantization(lora),
        }

    def fit(self, trainer: Any) -> Trained:
        """Train from the last checkpoint on, or from the beginning, and write everything. Raises DiskFull."""
        from transformers import PrinterCallback
        from transformers.trainer_callback import EarlyStoppingCallback

        config = self.config
        with self.state.main_process_first():
            found = self._output.resumable()
        path, counted = found if found is not None else (None, None)
        if path is not None:
            self._say(f"resumed from {path.name}")
        progress = Progress(self._output, self._stream, counted)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(progress)
        if config.early_stopping is not None:
            trainer.add_callback(EarlyStoppingCallback(config.early_stopping, config.early_stopping_delta))
        with disk_errors(self._output.folder):
            trainer.train(resume_from_checkpoint=str(path) if path is not None else None)
            self._save(trainer)
        trained = self._finish(trainer, progress, resumed=path is not None)
        self.state.wait_for_everyone()
        return trained

    def _save(self, trainer: Any) -> None:
        """Weights and tokenizer, as transformers and vLLM load them."""
        folder, lora = self._output.folder, self.config.lora
        if lora is not None and lora.merges:
            whole = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
            if self.state.is_main_process:
                whole.save_pretrained(folder)
        else:
            trainer.save_model(str(folder))
        if self.state.is_main_process:
            self.tokenizer.save_pretrained(folder)
            (folder / "training_args.bin").unlink(missing_ok=True)

    def _finish(self, trainer: Any, progress: Progress, *, resumed: bool) -> Trained:
        output = self._output
        manifest: Mapping[str, Any] = {}
        if self.state.is_main_process:
            manifest = manifest_of(
                self.config,
                output,
                data=self._data,
                held_out=[source.facts() for source in self._held_out],
                counts=self._counts(),
                masks=self._masks(),
                steps=trainer.state.global_step,
                epochs=trainer.state.epoch,
                processes=self.state.num_processes,
                device=str(trainer.args.device),
                bf16=trainer.args.bf16,
                started=self._started,
                resumed=resumed,
                **progress.counted,
            )
            write_atomic(output.folder / CARD, model_card(manifest))
            output.finish(manifest)
        return Trained(output=output.folder, manifest=manifest)

    def _say(self, text: str) -> None:
        if self.state.is_main_process:
            print(text, file=self._stream, flush=True)


def _quiet() -> None:
    """Keep progress bars of the libraries off: figures are printed line by line."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    from datasets import disable_progress_bars

    disable_progress_bars()
