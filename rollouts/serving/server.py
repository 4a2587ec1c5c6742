"""A served model as one thing: replicas that are kept alive, behind one URL."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from .config import ServeConfig

__all__ = ["ModelServer"]


class ModelServer:
    """Serves a model while its context is open.

    Entering it waits until the model answers. Raises InfrastructureError with the end of the log when it does not,
    ConfigError when there is no vLLM to serve it with.
    """

    base_url: str
    """Root of the API, `http://HOST:PORT/v1`; known from the beginning."""
    name: str
    """Name of the model to send."""

    def __init__(self, config: ServeConfig, *, logs: Path) -> None:
        self.config = config
        self.logs = logs
        self.name = config.served_name

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError

    def metrics(self) -> Mapping[str, float]:
        """Counters of all replicas together, by name, such as `prefix_cache_hits` and `prefix_cache_queries`."""
        raise NotImplementedError
