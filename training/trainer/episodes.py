"""Episodes for GRPO: real ones, by the runner, in sandboxes, recorded and graded, played by the model in training."""

import shutil
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...envs.task import Task
from ...errors import InfrastructureError, StopReason
from ...rollouts.config import RolloutConfig, load_config
from ...rollouts.run_dir import Episode, read_episodes
from ...rollouts.start import run_rollout
from ...rollouts.tokens import token_turns
from .config import GrpoConfig
from .local_policy import Answers, LocalPolicy, LocalService
from .served import Served

__all__ = ["Played", "Stage", "rollout_config"]


@dataclass(frozen=True, slots=True)
class Played:
    """An episode as GRPO takes it."""

    prompt_ids: list[int]
    completion_ids: list[int]
    """All that follows the first prompt, what tools answered included."""
    mask: list[int]
    """1 for what the model sampled."""
    logprobs: list[float] | None
    reward: float
    resolved: bool
    submitted: bool


_LOCAL = "trajectory_hub.training.trainer.local_policy:LocalPolicy"


def rollout_config(config: GrpoConfig, seeds: int = 1, seed: int = 0, policy: str = _LOCAL) -> RolloutConfig:
    """The configuration of a batch of episodes. Raises ConfigError that names each wrong value of `rollout`."""
    given: dict[str, Any] = {
        **config.rollout,
        "tasks": config.tasks,
        "policy": policy,
        "seeds": seeds,
        "seed": seed,
        "workers": config.workers,
        "grade": True,
    }
    return load_config(given)


class Stage:
    """Where episodes are played: one run a batch, in `folder`."""

    def __init__(
        self, config: GrpoConfig, tasks: Mapping[str, Task], asked: LocalService | Served, folder: Path
    ) -> None:
        self._config, self._tasks, self._asked, self._folder = config, tasks, asked, folder

    def play(self, task_ids: Sequence[str], batch: str, sample: Answers, seed: int) -> list[Played]:
        """One episode for each id; the same id more than once is played with different seeds.

        `sample` answers for the model in training, where no server does.

        Raises InfrastructureError when an episode failed by the environment or the grader after all its tries.
        """
        counts = Counter(task_ids)
        run = self._folder / batch
        if run.exists():
            shutil.rmtree(run)  # of weights that an interruption took back
        self._run(run, [self._tasks[name] for name in counts], max(counts.values()), sample, seed)
        found = _last_attempts(run)
        taken, played = defaultdict[str, int](int), list[Played]()
        for name in task_ids:
            episode = found.get((name, seed + taken[name]))
            taken[name] += 1
            played.append(self._played(episode, name, run))
        return played

    def _run(self, run: Path, tasks: list[Task], seeds: int, sample: Answers, seed: int) -> None:
        update = {"overflow": "stop", "max_tokens": self._config.max_tokens}
        if isinstance(self._asked, Served):
            config = rollout_config(self._config, seeds, seed, self._asked.address)
            settings = self._asked.asked(config.vllm.model_copy(update=update))
            run_rollout(run, config.model_copy(update={"vllm": settings}), tasks=tasks)
            return
        config = rollout_config(self._config, seeds, seed)
        policy = LocalPolicy(self._asked, self._config.model, config.vllm.model_copy(update=update))
        busy = min(config.workers, len(tasks) * seeds)
        self._answer(self._asked, lambda: run_rollout(run, config, policy=policy, tasks=tasks), sample, busy)

    def _answer(self, service: LocalService, roll: Callable[[], object], sample: Answers, busy: int) -> None:
        """The runner works in a thread of its own; this one answers it, since the model belongs to it."""
        errors, done = list[BaseException](), threading.Event()

        def work() -> None:
            try:
                roll()
            except BaseException as error:
                errors.append(error)
                if not isinstance(error, Exception):
                    raise
            finally:
                done.set()

        thread = threading.Thread(target=work, name="trajhub-grpo", daemon=True)
        thread.start()
        try:
            service.answer(sample, lambda: busy, done.is_set)
        except BaseException:
            service.stop()
            raise
        finally:
            thread.join()
        if errors:
            raise errors[0]

    def _played(self, episode: Episode | None, name: str, run: Path) -> Played:
        if episode is None or episode.end is None or episode.excluded or episode.verdict is None:
            blamed = episode.failure if episode is not None else "no record"
            raise InfrastructureError(f"an episode of {name} cannot be learnt from ({blamed}); see {run}")
        turns = token_turns(episode.folder)
        if not turns:
            raise InfrastructureError(f"the model was never asked in an episode of {name}; see {run}")
        resolved, submitted = bool(episode.verdict.resolved), episode.end.stop_reason is StopReason.SUBMITTED
        ids = turns[-1].prompt_ids + turns[-1].completion_ids
        mask, logprobs = [0] * len(ids), [0.0] * len(ids)
        for turn in turns:
            start, end = len(turn.prompt_ids), len(turn.prompt_ids) + len(turn.completion_ids)
            mask[start:end] = [1] * (end - start)
            logprobs[start:end] = turn.logprobs or logprobs[start:end]
        first = len(turns[0].prompt_ids)
        known = all(turn.logprobs is not None for turn in turns)
        return Played(
            prompt_ids=list(ids[:first]),
            completion_ids=list(ids[first:]),
            mask=mask[first:],
            logprobs=logprobs[first:] if known else None,
            reward=float(resolved and submitted) + self._config.process_weight * (episode.end.process_score or 0.0),
            resolved=resolved,
            submitted=submitted,
        )


def _last_attempts(run: Path) -> dict[tuple[str, int | None], Episode]:
    """The last attempt of each task and seed; episodes come by name, so later attempts come later."""
    return {(episode.first.task_id, episode.first.seed): episode for episode in read_episodes(run)}
