"""Runs on a Ray cluster of four nodes on this machine: the semantics of a local run, and nodes that die."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from trajectory_hub.envs.engine import LABEL, Engine, Owner
from trajectory_hub.envs.task import Task
from trajectory_hub.rollouts.chain import verify_chain
from trajectory_hub.rollouts.events import ToolResultEvent
from trajectory_hub.rollouts.log import read_events

from .faulty import message, serving
from .gated import gated
from .test_killed import containers, task_row

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

SCRIPT = """
- {name: shell, arguments: {command: "sleep 0.2; echo one > one.txt"}}
- {name: shell, arguments: {command: "sleep 0.2; echo two > two.txt"}}
- {name: shell, arguments: {command: "sleep %s"}}
"""
NODES = 4


class Nodes:
    """The cluster of `ray_cluster.py`."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("ray_cluster.py")), str(NODES)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        told = self._answer()
        self.address, self.ids = str(told["address"]), list[str](told["nodes"])

    def do(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def replace(self, number: int) -> None:
        """Bring a fresh node in the place of one that was killed."""
        self.ids[number] = str(self.do("add")["added"])

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=180)
        self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise AssertionError("the cluster ended")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    cluster = Nodes()
    yield cluster
    cluster.close()


class Cli:
    """`trajhub rollout` on the cluster, of as many tasks as are given."""

    def __init__(self, tmp_path: Path, nodes: Nodes, tasks: Sequence[Task]) -> None:
        self.run_dir = tmp_path / f"run-{uuid4().hex}"  # others may test on the same engine
        self._script, self._tasks = tmp_path / "script.yaml", tmp_path / "tasks.jsonl"
        self._tasks.write_text("".join(json.dumps(task_row(task)) + "\n" for task in tasks))
        self.ray = ["--engine", "ray", "-c", f"ray.address={nodes.address}", "-c", "ray.resource=sandboxes"]

    def command(self, *options: str, policy: str | None = None) -> list[str]:
        chosen = policy or f"scripted:{self._script}"
        start = [sys.executable, "-m", "trajectory_hub", "rollout", "--tasks", str(self._tasks), "--policy", chosen]
        return [*start, "-o", str(self.run_dir), "--json", "-c", "warm=0", *options]

    def start(self, *options: str, pause: float = 0.1, **given: str) -> "subprocess.Popen[str]":
        self._script.write_text(SCRIPT % pause)
        command = self.command(*self.ray, *options, **given)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process: "subprocess.Popen[str]", code: int = 0) -> tuple[dict[str, Any], str]:
        out, error = process.communicate(timeout=280)
        assert process.returncode == code, error
        return json.loads(out), error

    def steps(self) -> dict[str, int]:
        """Finished steps in the driver's files, by episode."""
        logs = self.run_dir.glob("episodes/*/events.jsonl")
        return {log.parent.name: sum(isinstance(e, ToolResultEvent) for e in read_events(log)) for log in logs}

    def wait_for(self, what: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        deadline = time.monotonic() + 180
        while not what(steps := self.steps()):
            assert time.monotonic() < deadline, f"only {steps}"
            time.sleep(0.05)
        return steps


@pytest.fixture
def cli(tmp_path: Path, nodes: Nodes, tiny_task: Task) -> Cli:
    tasks = [tiny_task.model_copy(update={"instance_id": f"trajhub__tiny-{n}"}) for n in range(6)]
    return Cli(tmp_path, nodes, tasks)


def intact(run: Path) -> bool:
    """Whether every log of a run is a whole chain."""
    reports = [verify_chain(log) for log in run.glob("episodes/*/events.jsonl")]
    return all(report.events and report.events == report.chained and not report.breaks for report in reports)


def shape(run: Path) -> dict[str, list[tuple[str, list[str]]]]:
    """For each episode, the types of its events and the fields of each."""
    found = dict[str, list[tuple[str, list[str]]]]()
    for log in run.glob("episodes/*/events.jsonl"):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        found[log.parent.name] = [(line["event_type"], [*line, *line["payload"]]) for line in lines]
    return found


def test_a_run_on_the_cluster_is_like_a_local_one_and_either_resumes_the_other(
    cli: Cli, engine: Engine, tmp_path: Path
) -> None:
    summary, _ = cli.finish(cli.start("--grade", "--limit", "3", "--max-workers", "3", policy="reference"))
    assert summary["outcomes"] == {"resolved": 3}
    assert intact(cli.run_dir)
    assert containers(engine, cli.run_dir.name) == []
    on_nodes, cli.run_dir = cli.run_dir, tmp_path / "local"
    local = subprocess.run(
        cli.command("--grade", "--limit", "3", policy="reference"), capture_output=True, text=True, timeout=280
    )
    assert local.returncode == 0, local.stderr
    assert shape(on_nodes) == shape(cli.run_dir)
    lost = on_nodes / "episodes" / "trajhub__tiny-2--s0--a1" / "events.jsonl"
    lost.write_bytes(lost.read_bytes()[: lost.stat().st_size // 2])  # as a power cut would
    cli.run_dir = on_nodes
    again = subprocess.run(
        cli.command("--grade", "--limit", "3", policy="reference"), capture_output=True, text=True, timeout=280
    )
    assert again.returncode == 0, again.stderr
    assert (json.loads(again.stdout)["outcomes"], json.loads(again.stdout)["earlier_attempts"]) == ({"resolved": 3}, 1)


def test_a_node_killed_in_the_middle_loses_nothing(cli: Cli, nodes: Nodes, engine: Engine) -> None:
    with gated() as gate, cli.start("--max-workers", "4", policy=gate.policy) as process:
        gate.wait_for(4)
        before, crew = cli.steps(), owners(engine, cli.run_dir.name)
        dead = str(nodes.do("kill 1")["killed"])
        until(lambda: not all(owner.alive for owner in crew))  # its processes end when they see that their node is gone
        gate.opened.set()
        summary, said = cli.finish(process)
    nodes.replace(1)
    assert summary["outcomes"] == {"submitted": 6}
    assert summary["earlier_attempts"] >= 1
    assert [(row["outcome"], row["steps"]) for row in summary["rows"]] == [("submitted", 4)] * 6
    after = cli.steps()
    assert all(after[name] >= count for name, count in before.items()), "a finished step was lost"
    assert intact(cli.run_dir)
    assert "was lost" in said
    assert dead[:6] in said
    gone(engine, cli.run_dir.name)


def gone(engine: Engine, run: str) -> None:
    """Nobody but a guard on the node is left to remove the containers of whoever was killed."""
    until(lambda: not containers(engine, run))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline, "this did not come about in time"
        time.sleep(0.1)


def owners(engine: Engine, run: str) -> list[Owner]:
    """The processes that the containers of a run belong to."""
    labels = [box["Labels"] for box in engine.containers() if box["Labels"].get("trajhub.run") == run]
    return [owner for one in labels if (owner := Owner.parse(one[LABEL])) is not None]


def test_a_process_that_is_killed_on_a_living_node_is_started_again(cli: Cli, engine: Engine) -> None:
    with gated() as gate, cli.start("--max-workers", "4", policy=gate.policy) as process:
        gate.wait_for(4)
        os.kill(owners(engine, cli.run_dir.name)[0].pid, signal.SIGKILL)  # as the OOM killer would
        gate.opened.set()
        summary, said = cli.finish(process)
    assert summary["outcomes"] == {"submitted": 6}
    assert summary["earlier_attempts"] == 1
    assert "was lost: The actor died" in said
    assert "1 episodes are done again elsewhere" in said
    assert intact(cli.run_dir)
    assert containers(engine, cli.run_dir.name) == []


def test_ctrl_c_tears_down_on_every_node(cli: Cli, engine: Engine) -> None:
    with cli.start("--max-workers", "4", pause=120) as process:
        cli.wait_for(lambda steps: sum(count >= 2 for count in steps.values()) >= 4)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        summary, said = cli.finish(process, 130)
    assert time.monotonic() - began < 100, "the step that was under way takes two minutes"
    assert summary["excluded"] == {"interrupted": 4}
    assert containers(engine, cli.run_dir.name) == []
    assert "resumes" in said
    assert intact(cli.run_dir)


def test_no_container_outlives_a_driver_that_was_killed(cli: Cli, engine: Engine) -> None:
    with gated() as gate:
        with cli.start("--max-workers", "4", policy=gate.policy) as process:
            gate.wait_for(4)
            before = cli.steps()
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        gone(engine, cli.run_dir.name)
        after = cli.steps()
        assert all(after[name] >= count for name, count in before.items())
        gate.opened.set()
        summary, _ = cli.finish(cli.start("--max-workers", "4", policy=gate.policy))
    assert summary["outcomes"] == {"submitted": 6}
    assert intact(cli.run_dir)


def test_the_budget_of_a_run_is_counted_across_nodes(cli: Cli) -> None:
    price = ["-c", "prices={as_of: 2026-01-01, models: {m-1: {input: 1000, output: 1000}}}"]
    with serving(message(None, [("submit", "{}")])) as seen:
        policy = f"chat:m-1@{seen.url}"
        limit = ["--max-workers", "2", "-c", "budget.run_cost_usd=0.15"]
        summary, _ = cli.finish(cli.start(*price, *limit, policy=policy))
        done = sum(summary["outcomes"].values())
        assert 2 <= done <= 3, "each costs 0.11 USD, and those under way when the budget is spent are paid for"
        more, _ = cli.finish(cli.start(*price, "--max-workers", "4", policy=policy))
    assert more["outcomes"] == {"submitted": 6}
    assert more["cost_usd"] == pytest.approx(6 * 0.11)


def test_an_image_that_a_node_lacks_is_blamed_on_the_node(
    cli: Cli, tmp_path: Path, nodes: Nodes, tiny_task: Task
) -> None:
    broken = tiny_task.model_copy(update={"image": "trajhub/no-such-image:1"})
    mine = Cli(tmp_path, nodes, [broken])
    summary, said = mine.finish(mine.start("-c", "retries=1"), 3)
    assert summary["excluded"] == {"environment": 1}
    assert "lacks 1 of 1 images" in said
    ends = [log.read_text() for log in mine.run_dir.glob("episodes/*/events.jsonl")]
    assert len(ends) == 2
    assert all("on node " in text and "trajhub/no-such-image:1" in text for text in ends)


def test_nodes_that_can_do_nothing_are_named(cli: Cli, nodes: Nodes) -> None:
    nodes.do("add-without-docker")
    process = cli.start("-c", "ray.resource=nothing")
    _, said = process.communicate(timeout=280)
    assert process.returncode == 3, said
    assert "no node of the cluster can do episodes:\n  node " in said
    assert "does no episodes: no Docker API answers" in said
    process = cli.start("-c", "ray.resource=magic")
    _, said = process.communicate(timeout=280)
    assert process.returncode == 3, said
    assert "no living node of the cluster offers the resource 'magic'" in said
    assert not cli.run_dir.exists()
