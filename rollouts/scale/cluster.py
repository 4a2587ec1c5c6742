"""Ray itself: found, joined, left."""

import os
import socket
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ...errors import ClusterUnavailable, ConfigError, MissingExtra
from .config import RayConfig

__all__ = ["Node", "connect", "disconnect", "nodes"]

_CONNECT_SECONDS = 5.0
_ADVICE = (
    "start one (`ray start --head` here, `ray start --address=HOST:6379` on the other nodes), or name its head with "
    "-c ray.address=HOST:6379"
)


@dataclass(frozen=True, slots=True)
class Node:
    """A living node."""

    id: str
    name: str
    """Its address, with part of its id where several nodes share one."""


def connect(config: RayConfig) -> bool:
    """Join the cluster as a driver; whether that was not done before. Raises MissingExtra or ClusterUnavailable."""
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise MissingExtra("--engine ray needs Ray: pip install 'agent-trajectory-hub[scale]'") from error
    if ray.is_initialized():
        return False
    _knock(config.address)
    try:
        ray.init(address=config.address, namespace="trajhub", log_to_driver=False, logging_level="ERROR")
    except ConnectionError as error:
        raise ClusterUnavailable(f"no Ray cluster can be reached at {config.address!r}: {error}; {_ADVICE}") from error
    except RuntimeError as error:  # versions of Ray or Python that differ
        raise ClusterUnavailable(f"the Ray cluster at {config.address!r} cannot be joined: {error}") from error
    # Else it prints what dying nodes say on standard output, among the results; there is no public way to say so.
    vars(import_module("ray._private.worker"))["_worker_logs_enabled"] = False
    return True


def disconnect() -> None:
    """Leave the cluster; what this driver started there ends."""
    ray = import_module("ray")

    ray.shutdown()


def nodes(config: RayConfig) -> list[Node]:
    """The living nodes that may do episodes."""
    ray = import_module("ray")

    found: list[dict[str, Any]] = [
        node
        for node in ray.nodes()
        if node["Alive"] and (config.resource is None or node["Resources"].get(config.resource))
    ]
    addresses = Counter(str(node["NodeManagerAddress"]) for node in found)
    return [Node(str(node["NodeID"]), _name(node, addresses)) for node in found]


def _name(node: dict[str, Any], addresses: Counter[str]) -> str:
    address = str(node["NodeManagerAddress"])
    return f"node {address}" if addresses[address] == 1 else f"node {address} ({str(node['NodeID'])[:6]})"


def _knock(address: str) -> None:
    """Raise at once what Ray would find out in minutes: that nobody listens there."""
    if address.startswith("ray://"):
        raise ConfigError(
            "ray.address: a run's driver has to be on a node of the cluster, since it keeps what the others send; "
            "run it there, with HOST:PORT or `auto`, and not through a client's address ray://"
        )
    place = os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address
    host, colon, port = place.rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise ClusterUnavailable(
            f"no Ray cluster can be reached at {place}: {error.strerror or error}; {_ADVICE}"
        ) from error
