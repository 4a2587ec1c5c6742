"""A training on data: rows become examples, with everything checked and shown before a model is loaded."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from .checks import refuse_leaks
from .config import DataConfig
from .data import DataSource, Row, selected
from .examples import Example
from .output import PREPARED, Trained
from .prepare import Prepared, held_out, write_examples
from .session import Session
from .show import show

__all__ = ["DataSession"]

_TOKENS = ("input_ids", "prompt_ids")


class DataSession(Session):
    """Adds the data to a session; the algorithms say how a row becomes examples."""

    def __init__(self, config: DataConfig, stream: TextIO | None = None, *, dry_run: bool = False) -> None:
        """Raises ConfigError, UsageError or DiskFull for whatever can be known before a model is loaded."""
        self.config = config
        self._sources = [DataSource(Path(path)) for path in config.data]
        self._held_out = [DataSource(Path(path)) for path in config.eval_data]
        super().__init__(config, [source.facts() for source in self._sources], stream, dry_run=dry_run)
        self._prepared: dict[str, Prepared] = {}
        self._scratch = self.output.folder / PREPARED
        if self.finished is None:
            self._check()

    def _check(self) -> None:
        _ = self.max_length
        first = next(chain.from_iterable(source.rows() for source in self._sources), None)
        if first is None or any(name in first for name in _TOKENS):
            self.renderer = None
        _ = self.renderer
        refuse_leaks(self.config, [*self._sources, *self._held_out])

    def prepare(self, make: Callable[[Row], Iterable[Example | None]]) -> None:
        """Write the examples of all rows, and show the first. Raises ConfigError or UsageError."""
        if self.state.is_main_process:
            if self.dry_run:
                self._scratch = Path(self.stack.enter_context(TemporaryDirectory()))
            else:
                self.open()
            for side in ("train", "eval") if self._evaluates else ("train",):
                self._prepared[side] = write_examples(
                    self._examples(side),
                    self._rows(train=side == "train"),
                    make,
                    max_length=self.max_length,
                    too_long=self.config.too_long,
                )
            self.say(show(self._prepared["train"], self.tokenizer))
        if not self.dry_run:
            self.begin()

    def checked(self) -> Trained:
        """What a dry run found: nothing was written."""
        found = {"algorithm": self.config.algorithm, "counts": self._counts(), "max_length": self.max_length}
        return Trained(output=self.output.folder, manifest={**found, "masks": self.masks})

    def dataset(self, side: str = "train") -> Any:
        """The examples as a `datasets.Dataset`, by memory map; None of `eval` when nothing is held out."""
        from datasets import Dataset

        return Dataset.from_file(str(self._examples(side))) if side == "train" or self._evaluates else None

    def parts(self) -> dict[str, Any]:
        """For TRL's trainer: model, tokenizer, adapters, data."""
        return {**super().parts(), "train_dataset": self.dataset(), "eval_dataset": self.dataset("eval")}

    def fit(self, trainer: Any, **facts: Any) -> Trained:
        """Train from the last checkpoint on, or from the beginning; `facts` go into the manifest. Raises DiskFull."""
        from transformers import EarlyStoppingCallback

        if self.config.early_stopping is not None:
            trainer.add_callback(EarlyStoppingCallback(self.config.early_stopping, self.config.early_stopping_delta))
        others = [source.facts() for source in self._held_out]
        return super().fit(trainer, held_out=others, counts=self._counts(), **facts)

    def _counts(self) -> dict[str, Any]:
        return {side: prepared.counts.as_dict() for side, prepared in self._prepared.items()}

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
