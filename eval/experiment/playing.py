"""Rollouts of an experiment: a policy, or a checkpoint that is served meanwhile, over some tasks into one run."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ... import console
from ...envs.task import Task
from ...errors import StopReason
from ...rollouts.config import load_config, resolve
from ...rollouts.plan import latest
from ...rollouts.policies.choose import make_policy
from ...rollouts.run_dir import Episode, read_episodes
from ...rollouts.runner import Runner
from ...rollouts.start import opened
from .config import ServingConfig, merged
from .lab import Lab

__all__ = ["play", "run_figures", "run_in", "served", "submitted_and_resolved", "watched"]

_NAME = "model"
"""What servers call every checkpoint: who acts is told by the run's folder."""


@contextmanager
def served(checkpoint: Path, config: ServingConfig, logs: Path) -> Generator[str]:
    """Serve a checkpoint; the policy to roll out with."""
    if config.engine == "transformers":
        from .generation import GenerationServer

        with GenerationServer(checkpoint, batch=config.batch) as server:
            yield f"vllm:{_NAME}@{server.base_url}"
        return
    from ...rollouts.serving.config import load_serve_config
    from ...rollouts.serving.server import ModelServer

    settings = load_serve_config((), {**config.serve, "model": str(checkpoint), "name": _NAME})
    with ModelServer(settings, logs=logs) as server:
        yield f"vllm:{_NAME}@{server.base_url}"


def run_in(folder: Path) -> Path:
    """The run of a stage; named after it, since runs that are used together need names of their own."""
    return folder / f"{folder.parent.name}-{folder.name}"


def play(
    lab: Lab, run: Path, tasks: Sequence[Task], spec: str, policy: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Do a run, or what is left of it; its figures. Raises KeyboardInterrupt when it was interrupted."""
    values = merged(lab.config.rollout, settings, {"tasks": spec, "policy": policy})
    config = resolve(load_config(values))
    actor = make_policy(config.policy, config.chat, config.vllm)
    try:
        with opened(run, config, actor, list(tasks), lab.host) as runner, watched(runner):
            runner.run()
    finally:
        actor.close()
    return run_figures(run, graded=config.grade)


@contextmanager
def watched(runner: Runner) -> Generator[None]:
    """Show how a run gets on."""
    with console.progress("episodes", runner.total) as tick:
        runner.on_episode = lambda episode: tick()
        yield


def submitted_and_resolved(episode: Episode) -> bool | None:
    """The gate's predicate; None for an episode that has no verdict, or says nothing about its agent."""
    if episode.end is None or episode.verdict is None or episode.excluded:
        return None
    return bool(episode.verdict.resolved) and episode.end.stop_reason is StopReason.SUBMITTED


def run_figures(run: Path, *, graded: bool) -> dict[str, Any]:
    """Counts over the last attempts of a run."""
    episodes = list(latest(list(read_episodes(run))).values())
    ends = [episode.end for episode in episodes if episode.end is not None]
    told: dict[str, Any] = {"episodes": len(episodes), "steps": sum(end.steps for end in ends)}
    if graded:
        outcomes = [outcome for episode in episodes if (outcome := submitted_and_resolved(episode)) is not None]
        told |= {"graded": len(outcomes), "resolved_and_submitted": sum(outcomes)}
        told["rate"] = round(sum(outcomes) / len(outcomes), 4) if outcomes else None
    told["not_counted"] = sum(episode.excluded for episode in episodes)
    if any(end.requests for end in ends):
        told["requests"] = sum(end.requests for end in ends)
        told["output_tokens"] = sum(end.usage.output_tokens or 0 for end in ends)
    return told
