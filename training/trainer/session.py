"""One training from its configuration to its manifest, whatever the algorithm."""

import logging
import os
import sys
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TextIO

from ...rollouts.files import write_atomic
from ...rollouts.run_dir import RunLock
from .arguments import adapters, arguments, quantization
from .callbacks import Progress
from .card import model_card
from .checks import check_names, load_tokenizer, max_length_of, needed_bytes
from .config import DataConfig, TrainConfig
from .failures import library_errors, memory_errors
from .manifest import manifest_of
from .output import CARD, Output, Trained, disk_errors
from .processes import kept_state, process_state, spread
from .render import Renderer
from .weights import refuse_scattered, save_whole

__all__ = ["Session"]


class Session:
    """Opens the output, and trains. In several processes, the first one writes and the others wait."""

    def __init__(
        self,
        config: TrainConfig,
        data: Sequence[Mapping[str, Any]],
        stream: TextIO | None = None,
        *,
        dry_run: bool = False,
    ) -> None:
        """`data`: facts about what is learnt from, with checksums. Raises ConfigError for what cannot be trained."""
        _quiet(config)
        check_names(config)
        self._config, self._data, self.dry_run = config, data, dry_run
        self.state: Any = process_state(config.device)
        self.output = Output(config)
        self.finished = self.output.finished(data)
        """What is there already, by the same configuration and data."""
        self.started = datetime.now(UTC)
        self.stack = ExitStack()
        self._stream = stream or sys.stdout

    @cached_property
    def max_length(self) -> int:
        """Most tokens of a sequence. Raises ConfigError."""
        wanted = self._config.max_length if isinstance(self._config, DataConfig) else None
        return max_length_of(self._config, wanted)

    @cached_property
    def tokenizer(self) -> Any:
        """Of the model. Raises ConfigError."""
        return load_tokenizer(self._config)

    @cached_property
    def renderer(self) -> Renderer | None:
        """By the tokenizer's chat template. Raises ConfigError without one."""
        return Renderer(self.tokenizer, self._config.chat_template, self._config.chat_template_kwargs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()

    def open(self) -> None:
        """Lock the output, in the first process. Raises ConfigError when another one has, or DiskFull."""
        self.output.check_room(needed_bytes(self._config))
        self.stack.enter_context(RunLock(self.output.folder))

    def begin(self) -> None:
        """Say in the output what it is for: everything is checked."""
        if self.state.is_main_process:
            self.output.begin(self._data)
        self.state.wait_for_everyone()

    def arguments(self) -> dict[str, Any]:
        """For TRL's configuration."""
        return arguments(self._config, self.output.checkpoints) | kept_state(self._config.device)

    def parts(self) -> dict[str, Any]:
        """For TRL's trainer: model, tokenizer, adapters."""
        lora = self._config.lora
        return {
            "model": self._config.model,
            "processing_class": self.tokenizer,
            "peft_config": adapters(lora),
            "quantization_config": quantization(lora),
        }

    @contextmanager
    def building(self) -> Generator[None]:
        """Around the making of a trainer. Raises ConfigError or InfrastructureError for what its libraries refuse."""
        with library_errors(), memory_errors():
            yield

    def fit(self, trainer: Any, **facts: Any) -> Trained:
        """Train from the last checkpoint on, or from the beginning; `facts` go into the manifest. Raises DiskFull."""
        from transformers import PrinterCallback

        refuse_scattered(trainer)
        with self.state.main_process_first():
            found = self.output.resumable()
        path, counted = found if found is not None else (None, None)
        if path is not None:
            self.say(f"resumed from {path.name}")
        progress = Progress(self.output, self._stream, counted)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(progress)
        with disk_errors(self.output.folder), memory_errors(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")  # TRL's, not the user's
            trainer.train(resume_from_checkpoint=str(path) if path is not None else None)
            self._save(trainer)
        trained = self._finish(trainer, progress, resumed=path is not None, **facts)
        self.state.wait_for_everyone()
        return trained

    def _save(self, trainer: Any) -> None:
        """Weights and tokenizer, as transformers and vLLM load them."""
        folder, lora = self.output.folder, self._config.lora
        merges = lora is not None and lora.merges
        if merges or (lora is None and trainer.is_fsdp_enabled):
            save_whole(trainer, folder)
        else:
            trainer.save_model(str(folder))
        if self.state.is_main_process:
            self.tokenizer.save_pretrained(folder)
            (folder / "training_args.bin").unlink(missing_ok=True)

    def _finish(self, trainer: Any, progress: Progress, **facts: Any) -> Trained:
        if not self.state.is_main_process:
            return Trained(output=self.output.folder, manifest={})
        manifest = manifest_of(
            self._config,
            self.output,
            data=self._data,
            masks=self.masks,
            steps=trainer.state.global_step,
            epochs=trainer.state.epoch,
            processes=self.state.num_processes,
            spread=spread(),
            device=str(trainer.args.device),
            bf16=trainer.args.bf16,
            started=self.started,
            **{name: fact() if callable(fact) else fact for name, fact in facts.items()},
            **progress.counted,
        )
        write_atomic(self.output.folder / CARD, model_card(manifest))
        return self.output.finish(manifest)

    @property
    def masks(self) -> str:
        """What tells the agent's tokens from all others."""
        return self.renderer.how if self.renderer is not None else "tokens as recorded"

    def say(self, text: str) -> None:
        """Print, in the first process."""
        if self.state.is_main_process:
            print(text, file=self._stream, flush=True)


def _quiet(config: TrainConfig) -> None:
    """Keep the libraries' progress bars off, since figures are printed line by line, and advice on what is not used."""
    if config.lora is None or config.lora.bits is None:
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
