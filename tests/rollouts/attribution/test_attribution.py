"""Who is to blame: faults put into real episodes, and the words of errors."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from trajectory_hub.benchmarks.attribution import read_fault
from trajectory_hub.benchmarks.fault_stage import Fault, Stage, make_stage
from trajectory_hub.benchmarks.faults import FAULTS
from trajectory_hub.envs.engine import Engine
from trajectory_hub.errors import Failure
from trajectory_hub.rollouts.attribution import Attribution, Kind, attribute_run
from trajectory_hub.rollouts.attribution.attribute import attribute
from trajectory_hub.rollouts.attribution.kinds import FAILURES
from trajectory_hub.rollouts.attribution.messages import environment_kind, service_kind
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.log_file import EVENTS
from typer.testing import CliRunner

RUNS = Path(__file__).parents[2] / "data" / "runs-1.0"
CHOSEN = (
    "changes nothing that matters",
    "a module that ends the interpreter",
    "submits at once",
    "actions cut in half",
    "never calls a tool",
    "reads one file for ever",
    "explores until the last step",
    "talks beyond its context",
    "uses up the memory",
    "fills the disk",
    "no way to run tests",
    "tests slower than they may be",
    "an image that is not there",
    "the container vanishes",
    "container and image vanish",
    "the image vanishes before grading",
    "429, too many requests",
    "502 of a proxy",
    "nobody listens",
    "hangs up after some steps",
    "does not answer",
    "answers with a page",
    "an evaluation that ends before its tests",
    "a patch that forges the report",
    "SWE-agent: exit_format",
    "SWE-agent: exit_environment_error",
    "mini: RateLimitError",
    "Claude Code: overloaded",
)
"""Those that are quick; `python -m trajectory_hub.benchmarks.attribution` does all."""


@pytest.fixture(scope="module")
def stage(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    yield make_stage(tmp_path_factory.mktemp("faults"), engine)


@pytest.mark.docker
@pytest.mark.parametrize("name", CHOSEN)
def test_a_fault_is_blamed_on_who_caused_it(stage: Stage, name: str) -> None:
    (fault,) = (one for one in FAULTS if one.name == name)
    reading, found = read_fault(fault, stage)
    assert found.kind in fault.expected, reading
    assert found.failure is FAILURES[fault.expected[0]]
    assert found.evidence, "a finding shows what it points at"


def test_there_are_faults_of_every_kind_of_failure() -> None:
    assert {FAILURES[fault.expected[0]] for fault in FAULTS} == set(Failure)
    assert len(FAULTS) >= 40
    assert all(len({FAILURES[kind] for kind in fault.expected}) == 1 for fault in FAULTS), "one failure each"


def test_every_kind_belongs_to_one_failure() -> None:
    assert set(FAILURES) == set(Kind)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("HTTP 429: slow down", Kind.RATE_LIMITED),
        ("API Error: 529 {'type': 'overloaded_error'}", Kind.SERVER_ERROR),
        ("HTTP 400: maximum context length is 8192 tokens", Kind.CONTEXT_OVERFLOW),
        ("HTTP 422: tools are not supported", Kind.REFUSED),
        ("ReadTimeout: timed out", Kind.SERVICE_TIMEOUT),
        ("RemoteProtocolError: Server disconnected", Kind.CONNECTION),
        ("litellm.AuthenticationError: bad", Kind.UNAUTHORIZED),
        ("an answer that is not JSON: <html>", Kind.BAD_ANSWER),
    ],
)
def test_words_of_a_service(message: str, kind: Kind) -> None:
    assert service_kind(message) is kind


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("ImageMissing: the image x:1 is not on this engine and could not be pulled", Kind.IMAGE_MISSING),
        ("write /var/lib/x: no space left on device", Kind.DISK_FULL),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock", Kind.ENGINE_UNAVAILABLE),
        ("SandboxLost: the container died", Kind.SANDBOX_LOST),
        ("something else", Kind.ENVIRONMENT_BROKEN),
    ],
)
def test_words_of_an_environment(message: str, kind: Kind) -> None:
    assert environment_kind(message) is kind


def test_what_is_resolved_is_nobodys_fault() -> None:
    for _, _, found in attribute_run(RUNS / "reference"):
        assert found == Attribution(resolved=True, why_none="it is resolved")


def test_the_same_log_gets_the_same_attribution() -> None:
    first, second = (list(attribute_run(RUNS / "random")) for _ in range(2))
    assert first == second
    assert {found.failure for _, _, found in first} == {Failure.MODEL}


def test_an_episode_without_an_end_blames_nobody() -> None:
    folder = next((RUNS / "random" / "episodes").iterdir())
    events = [event for event in read_events(folder / EVENTS) if event.event_type not in ("episode_end", "verdict")]
    found = attribute(event for event in events if event.event_type != "final_patch")
    assert found.failure is None
    assert found.why_none == "it has not ended, or its process died"


def test_the_command_prints_a_table_and_json() -> None:
    from trajectory_hub.cli import app

    shown = CliRunner().invoke(app, ["trace", "attribute", str(RUNS / "random"), str(RUNS / "reference")])
    assert shown.exit_code == 0
    assert "model: wrong_patch 2" in shown.output
    assert "4 resolved" in shown.output
    told = CliRunner().invoke(app, ["trace", "attribute", str(RUNS / "random"), "--limit", "1", "--json"])
    (row,) = json.loads(told.stdout)
    assert row["failure"] == "model"
    assert row["evidence"]


def test_a_fault_says_its_name() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert set(CHOSEN) <= {fault.name for fault in FAULTS}
    assert isinstance(FAULTS[0], Fault)
