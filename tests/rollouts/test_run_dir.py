"""Whether an episode counts, by how it ended and what the grader said."""

from pathlib import Path

import pytest
from trajectory_hub.errors import Failure, StopReason
from trajectory_hub.rollouts.events import AnyEvent
from trajectory_hub.rollouts.payloads import EpisodeEnd, Verdict
from trajectory_hub.rollouts.run_dir import Episode, read_episodes

RUN = Path(__file__).parents[1] / "data" / "runs-1.0" / "reference"


@pytest.fixture(scope="module")
def first() -> AnyEvent:
    return next(iter(read_episodes(RUN))).first


def episode(first: AnyEvent, failure: Failure | None, verdict: Verdict | None) -> Episode:
    end = EpisodeEnd(stop_reason=StopReason.SUBMITTED, failure=failure, steps=1)
    return Episode(folder=RUN, first=first, end=end, duration_ms=1.0, patch=None, verdict=verdict)


def verdict(resolved: bool | None, failure: str | None) -> Verdict:
    return Verdict(resolved=resolved, report={"failure": failure})


def test_a_forged_report_counts_against_the_agent(first: AnyEvent) -> None:
    assert not episode(first, None, verdict(False, "grader")).excluded


def test_a_grader_that_could_not_do_its_work_says_nothing_about_the_agent(first: AnyEvent) -> None:
    assert episode(first, None, verdict(None, "grader")).excluded
    assert episode(first, None, verdict(None, "environment")).excluded


@pytest.mark.parametrize("failure", [Failure.ENVIRONMENT, Failure.SERVICE])
def test_an_episode_that_the_infrastructure_ended_never_counts(first: AnyEvent, failure: Failure) -> None:
    assert episode(first, failure, verdict(False, None)).excluded


def test_the_agents_own_failures_count(first: AnyEvent) -> None:
    assert not episode(first, Failure.MODEL, verdict(False, None)).excluded
    assert not episode(first, None, verdict(True, None)).excluded
