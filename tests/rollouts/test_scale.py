"""What hosts and a driver say to each other, and what is kept when a call or a host is lost."""

import pickle
import queue
import resource
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.errors import (
    ClusterUnavailable,
    ConfigError,
    DiskFull,
    Failure,
    MissingExtra,
    StopReason,
    TrajHubError,
    UsageError,
)
from trajectory_hub.rollouts.budget import Budget, RunLedger
from trajectory_hub.rollouts.chain import verify_chain
from trajectory_hub.rollouts.config import RolloutConfig, load_config, read_overrides
from trajectory_hub.rollouts.crew import Order, Report
from trajectory_hub.rollouts.episode_log import EpisodeLog
from trajectory_hub.rollouts.log import Header
from trajectory_hub.rollouts.manifest import make_manifest, open_run
from trajectory_hub.rollouts.payloads import EpisodeStart
from trajectory_hub.rollouts.plan import make_plan
from trajectory_hub.rollouts.play import Job
from trajectory_hub.rollouts.policies.base import Action
from trajectory_hub.rollouts.policies.choose import make_policy
from trajectory_hub.rollouts.policies.scripted import ScriptedPolicy
from trajectory_hub.rollouts.run_dir import read_episode, read_episodes
from trajectory_hub.rollouts.runner import Runner
from trajectory_hub.rollouts.scale.clerk import Clerk
from trajectory_hub.rollouts.scale.cluster import connect
from trajectory_hub.rollouts.scale.config import RayConfig
from trajectory_hub.rollouts.scale.engines import EngineHosts
from trajectory_hub.rollouts.scale.host import Work
from trajectory_hub.rollouts.scale.line import HostLost, Line, Share, shares_of
from trajectory_hub.rollouts.scale.link import Gone, Link
from trajectory_hub.rollouts.scale.messages import Answer, Append, Charge, News, Orders
from trajectory_hub.rollouts.scale.outbox import Outbox
from trajectory_hub.rollouts.scale.remote import RemoteLedger, RemoteRun
from trajectory_hub.rollouts.scale.start import make_hosts, spread_crew

TASK = Task(instance_id="t-1", repo="a/b", base_commit="c", image="i", provenance=Provenance(source="dataset"))
HEADER = Header(
    run_id="r", episode_id="t-1--s0--a1", task_id="t-1", agent="a", agent_version="1", repo="a/b", commit="c", seed=0
)
ORDER = Order(job=Job(task=TASK, seed=0), header=HEADER)
START = EpisodeStart(task={}, observation="x", tools=())


def config(*items: str) -> RolloutConfig:
    return load_config(read_overrides(["tasks=x", "warm=0", *items]))


@pytest.mark.parametrize(
    ("given", "shares"),
    [
        ((8, 4, 4, None), [Share(2, 1)] * 4),
        ((5, 0, 4, None), [Share(2, 0), Share(1, 0), Share(1, 0), Share(1, 0)]),
        ((2, 2, 4, None), [Share(1, 1), Share(1, 1)]),
        ((10, 0, 2, 4), [Share(4, 0), Share(4, 0), Share(2, 0)]),
    ],
)
def test_workers_are_shared_out_to_the_last(given: Any, shares: list[Share]) -> None:
    assert shares_of(*given) == shares


class Driver(threading.Thread):
    """Answers an outbox by a clerk. Every second call of `collect` is lost on its way."""

    def __init__(self, outbox: Outbox, clerk: Clerk) -> None:
        super().__init__(daemon=True)
        self.outbox, self.clerk = outbox, clerk
        self.over = False
        self.start()

    def run(self) -> None:
        answers: dict[int, Answer] = {}
        while not self.over:
            self.outbox.settle(answers)
            self.outbox.collect(0.05)  # lost
            self.outbox.settle(answers)
            answers = {number: self._answer(message) for number, message in self.outbox.collect(0.05)}

    def _answer(self, message: Any) -> Answer:
        try:
            return Answer(self.clerk.take(message))
        except TrajHubError as error:
            return Answer(error=pickle.loads(pickle.dumps(error)))


def recorded(clerk: Clerk, outbox: Outbox) -> EpisodeLog:
    """A log that is kept by a clerk elsewhere, its first event written."""
    log = EpisodeLog(RemoteRun(outbox, "r").episode(HEADER.episode_id), HEADER, fsync="step")
    log.started(START, reset_ms=1.0)
    return log


def test_what_is_written_is_in_the_drivers_file_when_the_call_returns(tmp_path: Path) -> None:
    clerk, outbox = Clerk(tmp_path, RunLedger(Budget()), grades=False, retries=2), Outbox()
    driver = Driver(outbox, clerk)
    log = recorded(clerk, outbox)
    path = tmp_path / "episodes" / HEADER.episode_id / "events.jsonl"
    begun = verify_chain(path).events
    assert begun >= 1
    log.patch("diff --git a/x b/x\n")
    assert (path.parent / "patch.diff").read_text() == "diff --git a/x b/x\n"
    log.end(StopReason.SUBMITTED)
    driver.over = True
    report = verify_chain(path)
    assert (report.events, report.chained, report.breaks) == (begun + 2, begun + 2, ())


def test_money_is_counted_for_all_hosts_together(tmp_path: Path) -> None:
    money, outboxes = RunLedger(Budget(run_cost_usd=1.0), 0.4), [Outbox(), Outbox()]
    clerk = Clerk(tmp_path, money, grades=False, retries=2)
    drivers = [Driver(outbox, clerk) for outbox in outboxes]
    first, second = (RemoteLedger(money.budget, outbox) for outbox in outboxes)
    first.add(0.3)
    second.add(0.31)
    assert (money.spent_usd, money.exhausted, second.exhausted) == (pytest.approx(1.01), True, True)
    assert not first.exhausted
    first.learn(money.spent_usd)
    assert first.exhausted
    for driver in drivers:
        driver.over = True


@contextmanager
def no_file_grows() -> Generator[None]:
    """The system refuses this process to write a byte more, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_of_the_driver_is_raised_where_the_step_was_done(tmp_path: Path) -> None:
    clerk, outbox = Clerk(tmp_path, RunLedger(Budget()), grades=False, retries=2), Outbox()
    driver = Driver(outbox, clerk)
    with no_file_grows(), pytest.raises(DiskFull, match="cannot write"):
        recorded(clerk, outbox)
    driver.over = True


def test_a_place_where_the_driver_cannot_write_is_named_where_the_step_was_done(tmp_path: Path) -> None:
    clerk, outbox = Clerk(tmp_path, RunLedger(Budget()), grades=False, retries=2), Outbox()
    driver = Driver(outbox, clerk)
    (tmp_path / "episodes").write_text("in the way")
    with pytest.raises(UsageError, match=r"cannot write.*name another place"):
        recorded(clerk, outbox)
    driver.over = True


def test_an_answer_that_comes_twice_is_taken_once() -> None:
    outbox = Outbox()
    first = outbox.post(Charge(1.0))
    ((number, message),) = outbox.collect(1.0)
    assert message == Charge(1.0)
    assert outbox.collect(0.0) == ((number, message),), "it is repeated until it is answered"
    outbox.settle({number: Answer(7.0)})
    outbox.settle({number: Answer(8.0)})
    assert (first.result(0), outbox.collect(0.0)) == (7.0, ())


def test_the_episode_of_a_lost_host_is_the_environments_failure(tmp_path: Path) -> None:
    clerk, outbox = Clerk(tmp_path, RunLedger(Budget()), grades=False, retries=2), Outbox()
    assert clerk.lost(ORDER, "node 1", "it died").begun is False
    driver = Driver(outbox, clerk)
    recorded(clerk, outbox)
    report = clerk.lost(ORDER, "node 1", "it died")
    assert (report.begun, report.place) == (True, "node 1")
    episode = read_episode(tmp_path / "episodes" / HEADER.episode_id)
    assert episode is not None
    assert episode.to_retry
    assert episode.end is not None
    assert (episode.end.failure, episode.end.message) == (Failure.ENVIRONMENT, "node 1 was lost: it died")
    with pytest.raises(UsageError, match="is not open"):
        clerk.take(Append(HEADER.episode_id, b"{}\n"))
    driver.over = True
    assert not verify_chain(episode.folder / "events.jsonl").breaks


def test_a_verdict_that_was_lost_with_its_host_is_given_elsewhere(tmp_path: Path) -> None:
    clerk, outbox = Clerk(tmp_path, RunLedger(Budget()), grades=True, retries=2), Outbox()
    driver = Driver(outbox, clerk)
    log = recorded(clerk, outbox)
    log.patch("diff --git a/x b/x\n")
    log.end(StopReason.SUBMITTED)
    driver.over = True
    report = clerk.lost(ORDER, "node 1", "it died")
    job = report.order.job
    assert (report.begun, job.tries, job.avoid) == (False, 1, ("node 1",))
    assert job.only_grade is not None
    assert job.only_grade.patch is not None
    assert job.only_grade.patch.patch == "diff --git a/x b/x\n"
    given_up = Order(job=replace(job, tries=2), header=HEADER)
    assert clerk.lost(given_up, "node 2", "it died").begun is True, "a patch that kills its grader ends somewhere"


class Dead:
    """A line to a host that is gone."""

    name, share = "node 1", Share(1, 0)

    def exchange(self, orders: Orders) -> News:
        raise HostLost("it died")

    def nudge(self) -> None:
        raise AssertionError("nobody is there")

    def end(self) -> None:
        """It has ended."""


def test_an_order_that_crosses_the_loss_of_its_host_comes_back(tmp_path: Path) -> None:
    told: queue.SimpleQueue[Report | Gone] = queue.SimpleQueue()
    link = Link(Dead(), Clerk(tmp_path, RunLedger(Budget()), grades=False, retries=2), told.put)
    gone = told.get(timeout=10)
    assert isinstance(gone, Gone)
    assert (gone.orders, gone.why, link.room) == (0, "it died", 0)
    link.give(ORDER)
    assert told.get(timeout=10) == Report(order=ORDER, begun=False, place="node 1")


class Flaky:
    """A line that loses every third result."""

    def __init__(self, line: Line) -> None:
        self.line, self.count = line, 0

    @property
    def name(self) -> str:
        return self.line.name

    @property
    def share(self) -> Share:
        return self.line.share

    def exchange(self, orders: Orders) -> News:
        self.count += 1
        if self.count % 3 == 0:
            self.line.exchange(orders)
        return self.line.exchange(orders)

    def nudge(self) -> None:
        self.line.nudge()

    def end(self) -> None:
        self.line.end()


class FlakyHosts(EngineHosts):
    """Hosts behind flaky lines."""

    def ready(self) -> Sequence[Line]:
        return [Flaky(line) for line in super().ready()]


def play(run: Path, hosts: EngineHosts, settings: RolloutConfig, tasks: Sequence[Task], policy: Any) -> Runner:
    """A run on these hosts."""
    open_run(run, make_manifest(run, settings, policy, tasks, hosts.facts))
    plan, money = make_plan(run, settings, tasks), RunLedger(settings.budget)
    runner = Runner(run, run.name, settings, policy, tasks, plan, spread_crew(run, settings, hosts, money), money)
    runner.run()
    return runner


@pytest.mark.docker
def test_calls_whose_results_are_lost_do_nothing_twice(tmp_path: Path, three_tasks: list[Task], engine: Engine) -> None:
    steps = [Action(call={"name": "shell", "arguments": {"command": f"echo {n} > {n}.txt"}}) for n in range(4)]
    policy, settings = ScriptedPolicy({"default": steps}), config("workers=2", "grade=true")
    work = Work(label="flaky", config=settings, policy=lambda: policy)
    hosts = FlakyHosts(
        ["unix:///var/run/docker.sock"],
        settings,
        work,
        three_tasks,
    )
    runner = play(tmp_path / "flaky", hosts, settings, three_tasks, policy)
    assert (runner.ended, runner.total) == (3, 3)
    for episode in read_episodes(tmp_path / "flaky"):
        assert episode.attempt == 1
        assert episode.end is not None
        assert (episode.end.stop_reason, episode.end.steps) == (StopReason.SUBMITTED, 5)
        assert episode.verdict is not None
        report = verify_chain(episode.folder / "events.jsonl")
        assert (report.breaks, report.events) == ((), report.chained)
    assert not [box for box in engine.containers() if box["Labels"].get("trajhub.run") == "flaky"]


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"agent-trajectory-hub\[scale\]"):
        connect(RayConfig())


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        (
            "127.0.0.1:1",
            ClusterUnavailable,
            "no Ray cluster can be reached at 127.0.0.1:1: Connection refused; start one",
        ),
        ("ray://127.0.0.1:10001", ConfigError, "has to be on a node of the cluster"),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_said_at_once(address: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        connect(RayConfig(address=address))


def test_what_cannot_be_spread_is_refused_before_anything_starts(tmp_path: Path) -> None:
    judged = config(
        "engine=ray", "rubric.judge={models: ['m@http://h/v1'], budget: {requests: 5}}", "rubric.layers.combine=judge"
    )
    with pytest.raises(ConfigError, match=r"rubric\.judge\.budget\.requests"):
        make_hosts(tmp_path, judged, make_policy("random", judged.chat), [TASK], [])
    with pytest.raises(ConfigError, match="own Docker engine"):
        make_hosts(tmp_path, config("engine=ray"), make_policy("random", judged.chat), [TASK], ["a", "b"])


@pytest.mark.parametrize("spec", ["reference", "random", "chat:m@http://h/v1", "vllm:m@http://h/v1"])
def test_every_policy_can_be_sent_to_another_machine(spec: str) -> None:
    given = config()
    policy = make_policy(spec, given.chat, given.vllm)
    sent = pickle.loads(pickle.dumps(policy))
    assert (sent.name, sent.version, sent.model) == (policy.name, policy.version, policy.model)
    policy.close()
    sent.close()
