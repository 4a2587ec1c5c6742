"""Graded runs for tests, written by our own recorder and in the words of our own grader."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from trajectory_hub.envs.verdict import Reason, Verdict
from trajectory_hub.errors import Failure, StopReason
from trajectory_hub.rollouts.config import load_config
from trajectory_hub.rollouts.episode_log import EVENTS, EpisodeLog
from trajectory_hub.rollouts.episode_place import EpisodeFolder
from trajectory_hub.rollouts.events import SCHEMA_VERSION
from trajectory_hub.rollouts.files import write_json
from trajectory_hub.rollouts.log import Header, first_event
from trajectory_hub.rollouts.payloads import EpisodeStart
from trajectory_hub.rollouts.run_dir import EPISODES, MANIFEST, episode_name
from trajectory_hub.rollouts.run_model import PolicyRecord, RunManifest
from trajectory_hub.rollouts.verdicts import append_verdict

PATCH = """\
diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -1 +1 @@
-x = 1
+x = {value}
"""
Outcome = bool | Failure | Reason | None
"""Resolved or not; who is to blame instead; a reason of the grader; None for an episode that nobody graded."""


def tasks(count: int) -> list[str]:
    """Instance ids of `count` tasks of four repositories."""
    return [f"lab__repo{index % 4}-{index}" for index in range(count)]


def manifest(run: Path, names: list[str], seeds: int, **changes: Any) -> dict[str, Any]:
    """`run.json` as the runner writes it."""
    config = load_config({"tasks": "lab", "policy": "vllm:m@http://127.0.0.1:1/v1", "seeds": seeds, "grade": True})
    told = RunManifest(
        schema_version=SCHEMA_VERSION,
        run_id=run.name,
        created="2026-01-01T00:00:00+00:00",
        config=config.model_dump(mode="json"),
        policy=PolicyRecord(name="vllm", version="1", model=run.name),
        seeds=tuple(range(seeds)),
        tasks={name: sha256(name.encode()).hexdigest()[:16] for name in names},
        images={f"image-{name}": f"sha256:{name}" for name in names},
        versions={"trajectory_hub": "0.1.0", "swebench": "5.0.2", "python": "3.12"},
        commit="f" * 40,
    ).model_dump(mode="json")
    return told | changes


def graded_run(
    run: Path,
    count: int,
    outcome: Callable[[int, int], Outcome],
    *,
    seeds: int = 1,
    said: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """A run over `tasks(count)`; `outcome` says what becomes of the task of that index with that seed.

    `said` is what every verdict says besides, `changes` are those of `run.json`.
    """
    names = tasks(count)
    write_json(run / MANIFEST, manifest(run, names, seeds, **changes))
    for index, name in enumerate(names):
        for seed in range(seeds):
            graded_episode(run, name, seed, outcome(index, seed), said=said)
    return run


def graded_episode(
    run: Path,
    task: str,
    seed: int,
    outcome: Outcome,
    *,
    attempt: int = 1,
    stop: StopReason | None = StopReason.SUBMITTED,
    privileged: bool = False,
    said: Mapping[str, Any] | None = None,
) -> Path:
    """One episode with its verdict. `stop` None: its process died."""
    name = episode_name(task, seed, attempt)
    header = Header(
        run_id=run.name,
        episode_id=name,
        task_id=task,
        agent="vllm",
        agent_version="1",
        model=run.name,
        repo=task.rpartition("-")[0].replace("__", "/"),
        commit="c" * 40,
        seed=seed,
    )
    log = EpisodeLog(run / EPISODES / name, header, attempt=attempt, fsync="never")
    log.started(EpisodeStart(observation="the task", attempt=attempt, privileged=privileged), reset_ms=1.0)
    if stop is None:
        return log.folder
    patch = PATCH.format(value=f"{seed}{attempt}{outcome is True}")
    if outcome in (Failure.ENVIRONMENT, Failure.SERVICE):
        ends = {Failure.ENVIRONMENT: StopReason.ENVIRONMENT_ERROR, Failure.SERVICE: StopReason.POLICY_ERROR}
        log.end(ends[Failure(outcome)], Failure(outcome))
        return log.folder
    log.patch(patch)
    log.end(stop)
    if outcome is not None and stop is not StopReason.INTERRUPTED:
        judge(log.folder, verdict(task, patch, outcome, **(said or {})))
    return log.folder


def judge(folder: Path, said: Verdict) -> None:
    """Add a verdict to an episode, as the runner does."""
    first = first_event(folder / EVENTS)
    assert first is not None
    append_verdict(EpisodeFolder(folder), Header.of(first), said, duration_ms=1.0)


def verdict(task: str, patch: str, outcome: bool | Failure | Reason, **changes: Any) -> Verdict:
    """What the trusted grader says of a patch."""
    reasons = {True: Reason.RESOLVED, False: Reason.TESTS_FAILED, Failure.GRADER: Reason.LIMIT_REACHED}
    reason = outcome if isinstance(outcome, Reason) else reasons[outcome]
    failures: Mapping[Reason, Failure | None] = {
        Reason.RESOLVED: None,
        Reason.TESTS_FAILED: Failure.MODEL,
        Reason.LIMIT_REACHED: Failure.GRADER,
        Reason.FORGED: Failure.GRADER,
        Reason.ENVIRONMENT_BROKEN: Failure.ENVIRONMENT,
    }
    passed = reason in (Reason.RESOLVED, Reason.FORGED)
    status = {
        "FAIL_TO_PASS": {"success": ["t::a"] if passed else [], "failure": [] if passed else ["t::a"]},
        "PASS_TO_PASS": {"success": ["t::b"], "failure": []},
    }
    said: dict[str, Any] = {
        "instance_id": task,
        "resolved": reason is Reason.RESOLVED,
        "reason": reason,
        "failure": failures[reason],
        "patch_applied": True,
        "patch_sha256": sha256(patch.encode()).hexdigest(),
        "tests_status": status,
    }
    return Verdict(**(said | changes))
