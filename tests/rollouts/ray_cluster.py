"""A Ray cluster of several nodes on this machine, in a process of its own.

    python ray_cluster.py NODES

Prints the address of its head and the ids of its nodes as one line of JSON, then does what standard input says, a line
each: `kill N` (the node and all its processes, by SIGKILL), `add`, or `add-without-docker` (which offers the resource
`nothing`); each is answered by a line of JSON. It ends with its input. The head does no episodes: it does not offer
the resource `sandboxes`.
"""

import json
import logging
import os
import sys
import warnings
from importlib import import_module
from typing import Any

os.environ.update(
    {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_worker_maximum_startup_concurrency": "2",
        "RAY_prestart_worker_first_driver": "0",
    }
)
warnings.simplefilter("ignore")

STORE = 80 << 20
"""Bytes of a node's object store; Ray wants at least 75 MiB."""
DETECT = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, "health_check_failure_threshold": 5}


def main(count: int) -> None:
    """Serve until standard input ends."""
    logging.disable(logging.WARNING)
    head: dict[str, Any] = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    make = import_module("ray.cluster_utils").Cluster
    cluster = make(initialize_head=True, head_node_args={**head, "_system_config": DETECT})
    nodes = [_add(cluster) for _ in range(count)]
    cluster.wait_for_nodes()
    _say({"address": cluster.address, "nodes": [node.node_id for node in nodes]})
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "kill":
            node = nodes[int(arguments[0])]
            cluster.remove_node(node, allow_graceful=False)
            _say({"killed": node.node_id})
        else:
            nodes.append(_add(cluster) if command == "add" else _add_without_docker(cluster))
            cluster.wait_for_nodes()
            _say({"added": nodes[-1].node_id})
    cluster.shutdown()


def _add(cluster: Any) -> Any:
    return cluster.add_node(num_cpus=1, object_store_memory=STORE, resources={"sandboxes": 1}, wait=False)


def _add_without_docker(cluster: Any) -> Any:
    environment = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    return cluster.add_node(
        num_cpus=1, object_store_memory=STORE, resources={"nothing": 1}, wait=False, env_vars=environment
    )


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
