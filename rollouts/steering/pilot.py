"""Predictions while an episode goes on: when it is to be stopped, and how long the next command may take."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...envs.deadline import Deadline
from ...envs.step import Step
from ...errors import ConfigError
from ...tools.registry import MalformedAction, ParsedCall
from .. import payloads
from ..policies.base import Recorder
from .config import DynamicTimeout, EarlyStop, SteeringConfig
from .facts import Reader
from .features import History
from .predictor import Predictor, read_predictor

__all__ = ["Pilot", "Steering", "settle"]

SOURCE = "steering"
_COMMANDS = ("shell", "run_tests")


def settle(config: SteeringConfig) -> SteeringConfig:
    """With the checksums of the predictors' files. Raises ConfigError for a file that cannot serve."""
    changes: dict[str, Any] = {}
    for name, target in (("early_stop", "success"), ("timeout", "tool_latency")):
        one: EarlyStop | DynamicTimeout | None = getattr(config, name)
        if one is not None:
            predictor, digest = _load(one, target)
            if isinstance(one, DynamicTimeout):
                predictor.head_for(one.quantile)
            changes[name] = one.model_copy(update={"sha256": digest})
    return config.model_copy(update=changes)


def _load(config: EarlyStop | DynamicTimeout, target: str) -> tuple[Predictor, str]:
    predictor, digest = read_predictor(config.predictor, config.sha256)
    if predictor.target != target:
        raise ConfigError(f"{config.predictor} predicts {predictor.target}; this policy needs {target}")
    return predictor, digest


class Steering:
    """The policies of a run that are switched on, with their predictors. One serves many episodes at once."""

    def __init__(self, config: SteeringConfig) -> None:
        """Raises ConfigError when a predictor's file is missing or another than the one that was asked for."""
        self.config = config
        self.success = _load(config.early_stop, "success")[0] if config.early_stop is not None else None
        self.latency = _load(config.timeout, "tool_latency")[0] if config.timeout is not None else None

    @classmethod
    def of(cls, config: SteeringConfig) -> "Steering | None":
        """None when nothing is switched on."""
        return None if config.early_stop is None and config.timeout is None else cls(config)

    def pilot(self, log: Recorder, workdir: str) -> "Pilot":
        """For one episode, whose decisions go to `log`."""
        return Pilot(self, log, workdir)


@dataclass(frozen=True, slots=True)
class _Aim:
    """What was predicted of the call under way."""

    predicted_ms: float
    deadline: Deadline
    key: str


class Pilot:
    """Follows one episode and decides; used by the thread that plays it."""

    def __init__(self, steering: Steering, log: Recorder, workdir: str) -> None:
        self._steering, self._record = steering, log
        self._reader, self._history = Reader(workdir), History()
        self._aim: _Aim | None = None
        self._endless: set[str] = set()
        """Commands that did not end in the full time either, since the last edit."""

    def log(
        self,
        payload: payloads.Payload,
        *,
        t_start: datetime | None = None,
        t_end: datetime | None = None,
        duration_ms: float = 0.0,
    ) -> None:
        """Pass an event on to the log, and count what it says was asked of a model."""
        self._record(payload, t_start=t_start, t_end=t_end, duration_ms=duration_ms)
        if isinstance(payload, payloads.LlmResponse):
            usage = payload.usage
            self._history.spending.add(usage.input_tokens, usage.output_tokens)

    def deadline(self, action: str, call: ParsedCall | MalformedAction) -> Deadline | None:
        """How long the next command may take; None where that is not predicted."""
        config, predictor = self._steering.config.timeout, self._steering.latency
        self._aim = None
        if config is None or predictor is None or isinstance(call, MalformedAction) or call.name not in _COMMANDS:
            return None
        if getattr(call.arguments, "timeout", None) is not None:
            return None
        facts = self._reader.call(_planned(action, call))
        head = predictor.head_for(config.quantile)
        predicted = head.predict(self._history.call_vector(facts))
        key = f"{call.name} {call.arguments.model_dump_json()}"
        retry = config.retry and key not in self._endless
        deadline = Deadline(seconds=round(config.deadline(predicted), 3), retry=retry)
        self._aim = _Aim(predicted, deadline, key)
        return deadline

    def took(self, step: Step, reward: float | None) -> None:
        """A step is over."""
        facts = self._reader.step(step, reward)
        self._history.take(facts)
        aim, config = self._aim, self._steering.config.timeout
        if facts.action == "edit":
            self._endless.clear()
        if aim is not None and config is not None:
            retried = step.data.get("retried_after") is not None
            if step.error == "timeout" and step.data.get("cut_after") is None:
                self._endless.add(aim.key)
            data = {
                "policy": "timeout",
                "predicted_ms": round(aim.predicted_ms, 3),
                "quantile": config.quantile,
                "deadline_s": aim.deadline.seconds,
                "hit": retried or step.data.get("cut_after") is not None,
                "retried": retried,
            }
            self._note(step.index, data)
        self._aim = None

    def stop(self) -> str | None:
        """Why the episode is to be stopped now; None to go on."""
        config, predictor = self._steering.config.early_stop, self._steering.success
        head = predictor.head_at(self._history.steps) if predictor is not None else None
        if config is None or head is None:
            return None
        chance = head.predict(self._history.vector())
        stopped = chance < config.threshold
        data = {"policy": "early_stop", "prediction": chance, "threshold": config.threshold, "stopped": stopped}
        self._note(self._history.steps - 1, data)
        if not stopped:
            return None
        return f"predicted success {chance:.3f} is below {config.threshold:g} after step {self._history.steps}"

    def _note(self, step: int, data: Mapping[str, Any]) -> None:
        self._record(payloads.Note.of(kind=SOURCE, source=SOURCE, step=step, data=dict(data)))


def _planned(action: str, call: ParsedCall) -> Step:
    """A call as a step that nothing is known of yet."""
    from ...tools.base import Telemetry

    never = datetime.min.replace(tzinfo=UTC)
    return Step(
        index=0,
        action=action,
        tool=call.name,
        arguments=call.arguments.model_dump(mode="json", exclude_none=True),
        observation="",
        ok=True,
        telemetry=Telemetry(wall_ms=0.0),
        t_start=never,
        t_end=never,
        duration_ms=0.0,
    )
