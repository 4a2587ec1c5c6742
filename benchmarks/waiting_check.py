# ruff: noqa: PTH107, PTH110, PTH123
"""A check as agents write them, in a world that makes it wait. Runs in the sandbox, on the standard library alone.

    python3 check.py KIND SEED FULL        KIND: what it waits for; FULL: seconds that a command is given at most

How long it waits is drawn from SEED and from how often it was tried before, so that two runs of a rollout meet the same
world, and a second try another draw than the first.
"""

import fcntl
import os
import random
import socket
import subprocess
import sys
import threading
import time

__all__ = ["KINDS", "wait"]

KINDS = ("quick", "network", "lock", "threads", "slow", "leftover", "stuck")
_TRIED = "/tmp/tried"
_PID = "/tmp/check.pid"


def _tries(seed: str) -> int:
    """How often this check was tried before."""
    with open(_TRIED, "a+", encoding="utf-8") as file:
        file.seek(0)
        count = file.read().split().count(seed)
        file.write(f"{seed}\n")
    return count


def _network(chance: random.Random, full: float) -> None:
    """An answer of a server that is sometimes lost, and otherwise takes its time."""
    delay = 10 * full if chance.random() < 0.3 else chance.lognormvariate(-1.5, 0.8)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            near, _ = server.accept()
            near.recv(100)
            time.sleep(delay)
            near.sendall(b"ready")

        threading.Thread(target=serve, daemon=True).start()
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(b"GET")
            client.recv(100)


def _lock(chance: random.Random, full: float) -> None:
    """A lock that somebody else holds, mostly for a moment, sometimes for ages (Pareto with a tail index of 0.8)."""
    held = min(0.1 * chance.paretovariate(0.8), 10 * full)
    code = "import fcntl, sys, time; f = open('/tmp/lock', 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True)"
    holder = subprocess.Popen([sys.executable, "-c", f"{code}; time.sleep({held})"], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with open("/tmp/lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def _threads(chance: random.Random, full: float) -> None:
    """Two workers that take two locks in opposite order: a deadlock when both begin at about the same time."""
    first, second = threading.Lock(), threading.Lock()

    def work(begin: float, one: threading.Lock, other: threading.Lock) -> None:
        time.sleep(begin)
        with one:
            time.sleep(0.3)
            with other:
                pass

    begins = (0.0, 0.15) if chance.random() < 0.35 else (0.0, 0.6)
    workers = [
        threading.Thread(target=work, args=(begins[0], first, second)),
        threading.Thread(target=work, args=(begins[1], second, first)),
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _slow(chance: random.Random, full: float) -> None:
    """Work that takes long and is done in the end."""
    time.sleep(min(chance.lognormvariate(1.4, 0.5), 0.8 * full))


def _leftover(chance: random.Random, full: float) -> None:
    """A daemon that hangs now and then while it starts, and refuses to start beside what a killed one left behind."""
    if os.path.exists(_PID):
        sys.exit(f"{_PID} exists: is another check running?")
    with open(_PID, "w", encoding="utf-8") as file:
        file.write(str(os.getpid()))
    time.sleep(10 * full if chance.random() < 0.3 else chance.uniform(0.1, 0.4))
    os.remove(_PID)


def _stuck(chance: random.Random, full: float) -> None:
    """It never ends, however often it is tried."""
    time.sleep(10 * full)


def wait(kind: str, seed: str, full: float) -> None:
    """Wait as a world of this kind makes one wait."""
    ways = {"network": _network, "lock": _lock, "threads": _threads, "slow": _slow, "leftover": _leftover}
    chance = random.Random(f"{seed} {_tries(seed)}")
    if kind != "quick":
        ways.get(kind, _stuck)(chance, full)


if __name__ == "__main__":
    wait(sys.argv[1], sys.argv[2], float(sys.argv[3]))
