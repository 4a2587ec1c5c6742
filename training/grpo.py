"""Group relative policy optimization (arXiv 2402.03300) over TRL: the model acts in our environment, in real sandboxes.

TRL's `rollout_func` is given tasks and gives back what was sampled: each update's episodes are a run like any other,
recorded and graded, under OUTPUT/rollouts. The reward is 1 for an episode that was submitted and resolved.

`trajhub train grpo -c FILE`, or on several devices `accelerate launch -m trajectory_hub.training.grpo -c FILE`.
"""

import os
from collections.abc import Callable
from typing import Any, TextIO, cast

from ..errors import ConfigError
from .train_cli import launched
from .trainer.checks import check_groups, refuse_task_leaks, training_tasks
from .trainer.config import GrpoConfig
from .trainer.episodes import Stage, rollout_config
from .trainer.local_policy import LocalService, Sampled
from .trainer.output import Trained
from .trainer.processes import spread
from .trainer.served import Served
from .trainer.session import Session

__all__ = ["outcome", "train_grpo"]


def train_grpo(config: GrpoConfig, stream: TextIO | None = None, *, dry_run: bool = False) -> Trained:
    """Train, resume, or find it done; figures go to `stream` (standard output by default). `dry_run`: check only.

    Raises ConfigError, UsageError or TaskError for what cannot be trained, before a model is loaded, DiskFull, and
    InfrastructureError when the environment fails.
    """
    tasks, facts = training_tasks(config)
    with Session(config, [facts], stream, dry_run=dry_run) as session:
        if session.finished is not None:
            return session.finished
        rollout_config(config)
        check_groups(config, len(tasks), session.state.num_processes)
        refuse_task_leaks(config, list(tasks.values()))
        counts = {"train": {"examples": len(tasks)}}
        told = {"algorithm": config.algorithm, "counts": counts, "masks": session.masks}
        asked = _asked(config, session)
        if dry_run:
            return Trained(output=session.output.folder, manifest=told)
        if session.state.is_main_process:
            session.open()
        session.begin()
        os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # of rollout_func, which TRL may change
        from datasets import Dataset
        from trl.trainer.grpo_config import GRPOConfig
        from trl.trainer.grpo_trainer import GRPOTrainer

        from .trainer.trainers import ServedGRPOTrainer

        with session.building():
            args = GRPOConfig(
                **session.arguments(),
                num_generations=config.group,
                max_completion_length=config.max_tokens,
                temperature=config.temperature,
                top_p=config.top_p,
                beta=config.beta,
                loss_type=config.loss_type,
                scale_rewards=config.scale_rewards,
                vllm_importance_sampling_correction=config.correction is not None,
                vllm_importance_sampling_mode=config.correction or "token_truncate",
                vllm_importance_sampling_clip_max=config.correction_max,
            )
            dataset: Any = cast("Any", Dataset).from_list([_prompt(name) for name in tasks])
            stage = Stage(config, tasks, asked, session.output.folder / "rollouts")
            options: dict[str, Any] = {
                "args": args,
                "reward_funcs": [outcome],
                "rollout_func": _rollouts(stage, asked, config.seed, session.state.process_index),
                "train_dataset": dataset,
                **session.parts(),
            }
            trainer = ServedGRPOTrainer(asked, **options) if isinstance(asked, Served) else GRPOTrainer(**options)
        if not isinstance(asked, Served):
            return session.fit(trainer, counts=counts)
        session.stack.callback(asked.close)
        return session.fit(trainer, counts=counts, sampled=asked.facts)


def _asked(config: GrpoConfig, session: Session) -> LocalService | Served:
    """Whom episodes ask for answers. Raises ConfigError for what cannot answer."""
    if config.sampler != "local":
        return Served(config, session.output.folder / "served", session.max_length, session.state)
    if spread() is not None and session.state.num_processes > 1:
        raise ConfigError(
            "the weights are spread over processes, whose episodes ask at different times, so none can sample by "
            "itself; take sampler=vllm, or a launch with whole copies (ddp.yaml)"
        )
    return LocalService(session.tokenizer, session.max_length, config.chat_template_kwargs)


def _prompt(task_id: str) -> dict[str, Any]:
    """A row for TRL: all that it carries is which task to play."""
    return {"prompt": [{"role": "user", "content": task_id}]}


def _rollouts(
    stage: Stage, asked: LocalService | Served, seed: int, rank: int
) -> Callable[[list[Any], Any], dict[str, Any]]:
    """TRL's `rollout_func`: it is given each task as often as it is to be played."""

    def rollouts(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        def sample(ids: list[list[int]]) -> Sampled:
            return trainer._generate_single_turn(ids, None, {}, num_generations=1)

        step = trainer.state.global_step
        names = [prompt[0]["content"] for prompt in prompts]
        played = stage.play(names, f"step-{step:05d}-{rank}", sample, seed + 1_000_000 * step + 10_000 * rank)
        if isinstance(asked, Served):
            for name, value in asked.count(sum(sum(each.mask) for each in played)).items():
                trainer._metrics["train"][name].append(value)
        known = all(each.logprobs is not None for each in played)
        return {
            "prompt_ids": [each.prompt_ids for each in played],
            "completion_ids": [each.completion_ids for each in played],
            "env_mask": [each.mask for each in played],
            "logprobs": [each.logprobs for each in played] if known else None,
            "outcome": [each.reward for each in played],
        }

    return rollouts


def outcome(outcome: list[float], **_: Any) -> list[float]:
    """TRL's reward function: what the episodes were worth is known already."""
    return outcome


if __name__ == "__main__":
    launched("grpo")
