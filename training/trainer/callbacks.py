"""Along the way: figures to a file and to the terminal, checkpoints marked as whole, a halt at nonsense."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any, TextIO

from accelerate import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ...errors import UsageError
from ...rollouts.files import room_for, write_atomic
from .output import METRICS, Output

__all__ = ["Progress"]

_SHOWN = {
    "loss": "loss",
    "eval_loss": "held-out loss",
    "rewards/accuracies": "pairs right",
    "rewards/margins": "margin",
    "reward": "reward",
    "learning_rate": "rate",
}


class Progress(TrainerCallback):
    """Counts tokens and seconds over interruptions, and tells them."""

    def __init__(self, output: Output, stream: TextIO, counted: Mapping[str, Any] | None) -> None:
        self._output, self._stream = output, stream
        self._path = output.folder / METRICS
        self._before = counted or {"step": 0, "tokens": 0, "seconds": 0.0}
        self._tokens = 0
        self._since = monotonic()
        self.last: dict[str, Any] = {}
        """The last figures logged."""

    @property
    def counted(self) -> dict[str, Any]:
        """Tokens and seconds so far, those before an interruption included."""
        seconds = float(self._before["seconds"]) + monotonic() - self._since
        return {"tokens": int(self._before["tokens"]) + self._tokens, "seconds": round(seconds, 3)}

    @property
    def speed(self) -> float:
        """Tokens a second since this process began to train."""
        return self._tokens / max(monotonic() - self._since, 1e-9)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take out of the figures what happened after the checkpoint that is resumed from."""
        self._since = monotonic()
        if state.is_world_process_zero and self._path.exists():
            kept = [line for line in _lines(self._path) if json.loads(line)["step"] <= int(self._before["step"])]
            write_atomic(self._path, "".join(f"{line}\n" for line in kept))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The last step is logged, whatever `logging_steps` says."""
        if state.global_step >= state.max_steps:
            control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write a line, and stop at a loss that is no number, or a gradient that will make it none."""
        told = dict(logs or {})
        for name in ("loss", "eval_loss", "grad_norm"):
            if name in told and not math.isfinite(float(told[name])):
                raise UsageError(
                    f"the {name} became {told[name]} at step {state.global_step}: training has diverged; lower "
                    f"learning_rate, or look in {self._path} for when it began"
                )
        self._tokens = int(told.get("num_tokens", self._tokens))
        if not state.is_world_process_zero:
            return
        self.last |= told
        row = {"step": state.global_step, **told, **self.counted}
        with room_for(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if line := self._line(state, told):
            print(line, file=self._stream, flush=True)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The checkpoint is whole: every process has written its part."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            self._output.complete(state.global_step, {"step": state.global_step, **self.counted})

    def _line(self, state: TrainerState, told: Mapping[str, Any]) -> str:
        """For people; empty when there is nothing to tell."""
        figures = [f"{name} {_figure(told[key])}" for key, name in _SHOWN.items() if key in told]
        if not figures:
            return ""
        left = (state.max_steps - state.global_step) * self._pace(state)
        timing = [f"{self.speed:,.0f} tokens/s", f"{_clock(left)} left"] if "loss" in told else []
        return "  ".join([f"step {state.global_step}/{state.max_steps}", *figures, *timing])

    def _pace(self, state: TrainerState) -> float:
        """Seconds a step since this process began to train."""
        done = state.global_step - int(self._before["step"])
        return (monotonic() - self._since) / done if done > 0 else 0.0


def _lines(path: Path) -> list[str]:
    """The whole lines; one that a kill cut off is left out."""
    text = path.read_text("utf-8")
    return text[: text.rfind("\n") + 1].splitlines()


def _figure(value: Any) -> str:
    number = float(value)
    return f"{number:.2e}" if 0 < abs(number) < 1e-3 else f"{number:.4f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
