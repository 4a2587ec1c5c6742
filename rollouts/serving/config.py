"""How a model is served: which model, by which vLLM, how many replicas, how patiently they are kept alive."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...validation import validated
from ..config import read_overrides

__all__ = ["ServeConfig", "load_serve_config"]


class ServeConfig(BaseModel):
    """A model served by vLLM."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    model: str
    """Folder of a checkpoint, or a name that vLLM can download."""
    name: str | None = None
    """Name clients ask for; null: the last part of `model`."""
    host: str = "127.0.0.1"
    """Address to listen on. There is no authentication: open it to trusted networks only."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the service; null: a free one."""
    replicas: int = Field(default=1, ge=1)
    """Servers of the same model; more than one stand behind a router."""
    python: str | None = None
    """Python of the environment that holds vLLM; null: `TRAJHUB_VLLM_PYTHON`, this environment, or the one that
    `scripts/local_server.sh install` makes."""
    build: Literal["auto", "cpu", "gpu"] = "auto"
    """Which kind of vLLM that is; `auto` goes by the installed distribution."""
    dtype: str = "auto"
    """Type of the weights."""
    max_model_len: int | None = Field(default=None, ge=1)
    """Tokens of context; null: the model's own."""
    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs of one replica; replicas take consecutive ones of those that are visible."""
    gpu_memory: float | None = Field(default=None, gt=0, le=1)
    """Share of a GPU's memory; null: vLLM's default."""
    kv_cache_gib: int = Field(default=4, ge=1)
    """Room for the prefix cache of a replica on CPUs."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of a replica on CPUs, which share all cores; null: vLLM decides, and binds each to a core."""
    block_size: int | None = Field(default=None, ge=1)
    """Tokens of a block of the prefix cache; null: 32 on CPUs, vLLM's default elsewhere."""
    tool_parser: str | None = None
    """vLLM's parser of tool calls, for the chat endpoint (`chat:` policies and `vllm.format: native`)."""
    chat_template: str | None = None
    """File of a chat template to use instead of the model's own."""
    logprobs: Literal["processed", "raw"] = "processed"
    """Log-probabilities of the distribution that was sampled from (temperature and cuts applied), or before that."""
    extra_args: tuple[str, ...] = ()
    """Further arguments for vLLM, as its command line takes them; they win."""
    start_timeout: float = Field(default=600, gt=0)
    """Seconds a replica may take until it answers."""
    restarts: int = Field(default=5, ge=0)
    """Deaths of a replica, shortly one after another, that are answered with a restart."""
    backoff: float = Field(default=1.0, ge=0)
    """Seconds before the first restart; doubled each time, at most a minute."""
    healthy_after: float = Field(default=300, gt=0)
    """Seconds a replica must live for its earlier deaths to be forgotten."""
    hang_timeout: float = Field(default=60, gt=0)
    """Seconds of failing health checks after which a replica that is alive is killed and restarted."""

    @property
    def served_name(self) -> str:
        """The name clients ask for."""
        return self.name or self.model.rstrip("/").rpartition("/")[2] or self.model


def load_serve_config(items: Sequence[str], options: Mapping[str, Any]) -> ServeConfig:
    """Settings from `FILE.yaml` and `key=value` items, with `options` on top. Raises ConfigError."""
    return validated(ServeConfig, read_overrides(items) | dict(options))
