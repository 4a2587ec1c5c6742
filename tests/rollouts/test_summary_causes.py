"""Why episodes are not counted is told where the run is shown."""

from pathlib import Path

from trajectory_hub.errors import Failure, StopReason
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.log import EventWriter, Header
from trajectory_hub.rollouts.run_dir import ensure_run
from trajectory_hub.rollouts.summary import summarise


def _episode(run: Path, name: str, failure: Failure | None, message: str | None) -> None:
    header = Header(
        run_id=run.name,
        episode_id=name,
        task_id=name,
        repo="",
        commit="",
        seed=0,
        agent="a",
        agent_version="1",
        model=None,
    )
    stop = StopReason.ENVIRONMENT_ERROR if failure else StopReason.SUBMITTED
    with EventWriter(run / "episodes" / name / "events.jsonl", header) as writer:
        writer.write(payloads.EpisodeStart())
        writer.write(payloads.EpisodeEnd(stop_reason=stop, failure=failure, message=message, steps=0))


def test_the_commonest_cause_comes_first_and_is_harmless(tmp_path: Path) -> None:
    run = tmp_path / "run"
    ensure_run(run)
    _episode(run, "a", Failure.ENVIRONMENT, "disk \x1b[31mfull")
    _episode(run, "b", Failure.ENVIRONMENT, "no image x" + "y" * 1000)
    _episode(run, "c", Failure.ENVIRONMENT, "no image x" + "y" * 1000)
    _episode(run, "d", None, "all is well")
    found = summarise(run)
    assert list(found.causes.values()) == [2, 1]
    first, second = (sentence for sentence in found.sentences if " x " in sentence)
    assert first.startswith("  2 x no image xyyy")
    assert len(first) < 400
    assert second == "  1 x disk \\x1b[31mfull"
