"""What an evaluation is told: everything a rollout is, and how the checkpoint is served."""

from collections.abc import Mapping
from typing import Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field

from ...errors import ConfigError
from ...rollouts.config import CONFIGS, RolloutConfig, load_config
from ...rollouts.serving import ServeConfig
from ...validation import validated

__all__ = ["EvalConfig", "load_eval_config"]

_OWN = ("url", "serve")


class EvalConfig(BaseModel):
    """An evaluation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rollout: RolloutConfig
    """Tasks, seeds, environment, sampling, limits; `grade` is always on."""
    url: str | None = None
    """Endpoint of a server that is up already; null: the checkpoint is served by this command."""
    serve: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """Settings of `ServeConfig` besides the model."""

    def server(self, model: str) -> ServeConfig:
        """How `model` is served. Raises ConfigError that names a wrong setting."""
        return validated(ServeConfig, {**self.serve, "model": model}, under="serve.")


def load_eval_config(overrides: Mapping[str, Any]) -> EvalConfig:
    """The shipped presets with `overrides` on top: keys of a rollout, `url`, and `serve.KEY`.

    Raises ConfigError that names each wrong value.
    """
    values = cast("dict[str, Any]", yaml.safe_load((CONFIGS / "eval.yaml").read_text(encoding="utf-8")))
    values |= overrides
    own = {name: values.pop(name) for name in _OWN if name in values}
    if not isinstance(own.get("serve"), Mapping):
        raise ConfigError("serve should hold settings, as serve.KEY=VALUE")
    if values.get("grade") is False:
        raise ConfigError("an evaluation is graded; for episodes without verdicts there is `trajhub rollout`")
    return EvalConfig(rollout=load_config({**values, "grade": True}), **own)
