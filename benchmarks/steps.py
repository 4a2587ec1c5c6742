"""What a step, a reset and a teardown cost, beside mini-swe-agent and swe-rex, in one interleaved run on one image.

    python benchmarks/steps.py [--rounds 30] [--json steps.json]

Needs a Docker engine, a package index for the first run (the image), and the peers
(`pip install mini-swe-agent swe-rex`).
Contenders take turns command by command, so that a machine whose speed drifts drifts for all of them; figures are
medians in milliseconds, `x` is the ratio to ours (`env.step`, reward and record included). `true` is a builtin of the
attached shell and costs it no process; `/bin/true` is a program everywhere.
"""

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trajectory_hub.benchmarks.bench_image import WORKDIR, ensure_bench_image
from trajectory_hub.benchmarks.contenders import Contender, Env, Floor, MiniSweAgent, RawSandbox, SweRex
from trajectory_hub.console import table
from trajectory_hub.envs.engine import Engine

__all__ = [
    "COMMANDS",
    "commands",
    "lifecycle",
    "main",
    "quantile",
    "run",
    "throughput",
    "timeout_behaviour",
    "warm_resets",
]

COMMANDS = {
    "true": "true",
    "/bin/true": "/bin/true",
    "sed of 40 lines": "sed -n 1,40p django/db/models/query.py",
    "grep -rn": "grep -rn get_or_create --include=*.py .",
    "pytest, one test": "/opt/bench/bin/python -m pytest -q -p no:cacheprovider bench/test_one.py",
}
_SLOW = {"pytest, one test": 4, "grep -rn": 2}
_OURS = "env.step"


def _ms(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e3


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def commands(contenders: Sequence[Contender], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds by command and contender."""
    times: dict[str, dict[str, list[float]]] = {name: {c.name: [] for c in contenders} for name in COMMANDS}
    for contender in contenders:
        contender.open()
        for command in COMMANDS.values():
            contender.run(command)
    for number in range(rounds):
        for name, command in COMMANDS.items():
            if number % _SLOW.get(name, 1) == 0:
                for contender in contenders:
                    times[name][contender.name].append(_ms(lambda c=contender, x=command: c.run(x)))
    for contender in contenders:
        contender.close()
    return times


def lifecycle(contenders: Sequence[Contender], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds from nothing to the end of a first command, and of teardown."""
    times: dict[str, dict[str, list[float]]] = {
        "reset to first command": {c.name: [] for c in contenders},
        "teardown": {c.name: [] for c in contenders},
    }
    for _ in range(rounds):
        for contender in contenders:

            def begin(c: Contender = contender) -> None:
                c.open()
                c.run("true")

            times["reset to first command"][contender.name].append(_ms(begin))
            times["teardown"][contender.name].append(_ms(contender.close))
    return times


def warm_resets(env: Env, rounds: int) -> list[float]:
    """Milliseconds of `env.reset()` that finds a warm sandbox; the pool gets time to fill between them."""
    env.open()
    times: list[float] = []
    for _ in range(rounds):
        env.run("true")
        time.sleep(0.6)
        times.append(_ms(env.reset))
    env.close()
    return times


def throughput(make: Callable[[], Contender], count: int, seconds: float) -> float:
    """`sed` steps per second over `count` containers, each driven by a thread of its own."""
    contenders = [make() for _ in range(count)]
    for contender in contenders:
        contender.open()
        contender.run(COMMANDS["sed of 40 lines"])
    done = [0] * count
    start, stop = threading.Barrier(count + 1), time.perf_counter() + 1e9

    def drive(i: int) -> None:
        start.wait()
        while time.perf_counter() < stop:
            contenders[i].run(COMMANDS["sed of 40 lines"])
            done[i] += 1

    threads = [threading.Thread(target=drive, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    stop = began + seconds
    for thread in threads:
        thread.join()
    rate = sum(done) / (time.perf_counter() - began)
    for contender in contenders:
        contender.close()
    return rate


def timeout_behaviour(contender: Contender, engine: Engine) -> dict[str, Any]:
    """A busy loop with a deadline of 2 s: when the call returns, whether the loop runs on, whether the next works."""
    contender.open()
    began = time.perf_counter()
    try:
        contender.run("while :; do :; done", timeout=2)
        ended = "returned"
    except Exception as error:  # noqa: BLE001  # whatever a peer raises is its answer
        ended = type(error).__name__
    took = time.perf_counter() - began
    time.sleep(0.5)
    busy = _busy_shells()
    try:
        contender.run("true", timeout=2)
        following = "works"
    except Exception as error:  # noqa: BLE001
        following = type(error).__name__
    contender.close()
    return {"returned_after_s": round(took, 2), "ended": ended, "still_running": busy, "next_command": following}


def _busy_shells() -> int:
    """Processes on this host that are running a busy loop of the benchmark."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        shell = command.split(b"\0")[0].rsplit(b"/", 1)[-1]
        found += b"while :; do :; done" in command and state == "R" and shell in (b"sh", b"bash")
    return found


def _summary(times: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    return {
        row: {
            name: {
                "p50": round(statistics.median(values), 2),
                "p95": round(quantile(values, 0.95), 2),
                "n": len(values),
            }
            for name, values in columns.items()
        }
        for row, columns in times.items()
    }


def _print(title: str, summary: dict[str, Any], names: Sequence[str]) -> None:
    rows: list[list[str]] = []
    for row, columns in summary.items():
        ours = columns[_OURS]["p50"]
        cells = [f"{columns[n]['p50']:.1f} ({columns[n]['p50'] / ours:.1f}x)" if n in columns else "-" for n in names]
        rows.append([row, *cells])
    table(title, ["", *names], rows)


def run(rounds: int, seconds: float) -> dict[str, Any]:
    """The whole benchmark; everything it measured."""
    engine = Engine()
    image = ensure_bench_image(engine)
    ours = Env(engine, image, WORKDIR)
    contenders: list[Contender] = [
        Floor(engine, image, WORKDIR),
        RawSandbox(engine, image, WORKDIR),
        ours,
        MiniSweAgent(image, WORKDIR),
        SweRex(image),
        SweRex(image, check="ignore"),
    ]
    names = [contender.name for contender in contenders]
    result: dict[str, Any] = {"commands": _summary(commands(contenders, rounds))}
    _print("A command, p50 in ms (ratio to env.step)", result["commands"], names)
    overhead = {
        name: {
            "p50": round(row[_OURS]["p50"] - row["attached shell"]["p50"], 2),
            "p95": round(row[_OURS]["p95"] - row["attached shell"]["p50"], 2),
        }
        for name, row in result["commands"].items()
    }
    result["env.step over the raw command"] = overhead
    table(
        "env.step over the raw command, ms", ["", "p50", "p95"], [[n, o["p50"], o["p95"]] for n, o in overhead.items()]
    )
    result["lifecycle"] = _summary(lifecycle(contenders[1:-1], max(3, rounds // 10)))
    _print("Reset and teardown, p50 in ms", result["lifecycle"], names[1:-1])
    warm = warm_resets(Env(engine, image, WORKDIR, warm=True), max(5, rounds // 3))
    result["warm reset"] = {"p50": round(statistics.median(warm), 2), "p95": round(quantile(warm, 0.95), 2)}
    table("Reset with a warm pool, ms", ["", "p50", "p95"], [["env.reset", *result["warm reset"].values()]])
    makers: dict[str, Callable[[], Contender]] = {
        _OURS: lambda: Env(engine, image, WORKDIR),
        "attached shell": lambda: Floor(engine, image, WORKDIR),
        "mini-swe-agent": lambda: MiniSweAgent(image, WORKDIR),
    }
    rates = {name: {n: round(throughput(make, n, seconds), 1) for n in (1, 8)} for name, make in makers.items()}
    result["sed steps/s"] = rates
    table("sed steps/s", ["", "1 environment", "8 environments"], [[n, r[1], r[8]] for n, r in rates.items()])
    behaviour = {c.name: timeout_behaviour(c, engine) for c in contenders[1:-1]}
    result["timeout"] = behaviour
    table(
        "A busy loop with a deadline of 2 s",
        ["", *next(iter(behaviour.values()))],
        [[n, *b.values()] for n, b in behaviour.items()],
    )
    engine.close()
    return result


def main() -> None:
    """Run, print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="times each command is run")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each throughput measurement")
    parser.add_argument("--json", type=Path, default=Path("steps.json"), help="where the figures go")
    arguments = parser.parse_args()
    result = run(arguments.rounds, arguments.seconds)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"Results: {arguments.json}")


if __name__ == "__main__":
    main()
