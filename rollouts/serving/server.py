"""A served model as one thing: replicas that are kept alive, behind one URL."""

import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ...errors import InfrastructureError
from .checkpoint import check_model, check_tokenizer
from .config import ServeConfig
from .environment import Launch, VllmEnvironment, find_vllm, launch_of
from .metrics import scrape, total
from .replica import Replica, State
from .router import Router

__all__ = ["ModelServer"]

_LOCAL = "127.0.0.1"


class ModelServer:
    """Serves a model while its context is open.

    Entering it waits until every replica answers. Raises InfrastructureError with the end of the log when one does not,
    or when its port is taken; ConfigError when there is no such model, or no vLLM to serve it with.
    """

    def __init__(self, config: ServeConfig, *, logs: Path, tell: Callable[[str], None] | None = None) -> None:
        """`tell` is called, from other threads, with a sentence for each death of a replica."""
        check_model(config.model)
        if not any("tokenizer" in argument for argument in config.extra_args):
            check_tokenizer(config.model)
        self.config = config
        self.logs = logs
        self.name = config.served_name
        """Name of the model to send."""
        self.vllm: VllmEnvironment = find_vllm(config)
        many = config.replicas > 1
        # All ports at once, so that no two are the same.
        ports = _free_ports(config.replicas + 1)
        self._port = config.port or ports.pop()
        self._addresses = [(_LOCAL, port) for port in ports] if many else [(config.host, self._port)]
        self.replicas = [
            Replica(
                i,
                f"http://{_reachable(host)}:{port}",
                self._launch(i),
                logs / f"replica-{i}.log",
                config,
                tell or _ignore,
            )
            for i, (host, port) in enumerate(self._addresses)
        ]
        self._router = Router(config.host, self._port, [_Ready(replica) for replica in self.replicas]) if many else None

    @property
    def base_url(self) -> str:
        """Root of the API, `http://HOST:PORT/v1`."""
        return f"{self.root}/v1"

    @property
    def root(self) -> str:
        """The same without `/v1`."""
        return f"http://{_reachable(self.config.host)}:{self._port}"

    @property
    def launches(self) -> list[Launch]:
        """How each replica is started."""
        return [self._launch(index) for index in range(self.config.replicas)]

    def __enter__(self) -> Self:
        self._check_port()
        try:
            for replica in self.replicas:
                replica.start()
            if self._router is not None:
                self._router.start()
            self.wait()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_port(self) -> None:
        """Raise InfrastructureError when somebody listens there already, who would be taken for the model."""
        host, family = self.config.host, socket.AF_INET6 if ":" in self.config.host else socket.AF_INET
        with socket.socket(family) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((host, self._port))
            except OSError as error:
                raise InfrastructureError(
                    f"cannot listen on {host}:{self._port}: {error.strerror}; choose another --port, or leave it out "
                    "for a free one"
                ) from None

    def wait(self) -> None:
        """Wait until every replica answers. Raises InfrastructureError when one is given up first."""
        for replica in self.replicas:
            while replica.state is not State.UP:
                replica.changed.wait(1)
                replica.changed.clear()
                if replica.state in (State.FAILED, State.STOPPED):
                    raise self._failure(replica)

    def watch(self, stopping: threading.Event) -> None:
        """Wait until `stopping`. Raises InfrastructureError when no replica is left."""
        while not stopping.wait(0.5):
            if all(replica.state is State.FAILED for replica in self.replicas):
                raise self._failure(self.replicas[0])

    def close(self) -> None:
        """Stop everything, and wait until no process is left; may be called again."""
        if self._router is not None:
            self._router.stop()
        enders = [threading.Thread(target=replica.stop) for replica in self.replicas]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()

    def metrics(self) -> Mapping[str, float]:
        """Counters of all replicas together, by name, such as `prefix_cache_hits` and `prefix_cache_queries`."""
        return total(scrape(replica.root) for replica in self.replicas)

    def _launch(self, index: int) -> Launch:
        host, port = self._addresses[index]
        return launch_of(self.config, self.vllm, port, host=host, index=index)

    def _failure(self, replica: Replica) -> InfrastructureError:
        tail = replica.tail() or "(the log is empty)"
        return InfrastructureError(
            f"vLLM {self.vllm.version} ({self.vllm.python}) does not serve {self.config.model}; the end of "
            f"{replica.log}:\n{tail}"
        )


class _Ready:
    """A replica as the router sees it."""

    def __init__(self, replica: Replica) -> None:
        self.root = replica.root
        self._replica = replica

    @property
    def ready(self) -> bool:
        """Whether it can be asked."""
        return self._replica.state is State.UP


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((_LOCAL, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _reachable(host: str) -> str:
    """An address that answers for `host` on this machine."""
    return _LOCAL if host in ("0.0.0.0", "::", "") else host


def _ignore(sentence: str) -> None:
    pass
