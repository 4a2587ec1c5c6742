"""Group relative policy optimization (arXiv 2402.03300) over TRL: the model acts in our environment, in real sandboxes.

TRL's `rollout_func` is given tasks and gives back what was sampled: each update's episodes are a run like any other,
recorded and graded, under OUTPUT/rollouts. The reward is 1 for an episode that was submitted and resolved.

`trajhub train grpo -c FILE`, or on several devices `accelerate launch -m trajectory_hub.training.grpo -c FILE`.
"""

from typing import Any, TextIO

from .train_cli import launched
from .trainer.checks import refuse_task_leaks, training_tasks
from .trainer.config import GrpoConfig
from .trainer.episodes import Stage, rollout_config
from .trainer.local_policy import LocalService, Sampled
from .trainer.output import Trained
from .trainer.session import Session

__all__ = ["train_grpo"]


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
        refuse_task_leaks(config, list(tasks.values()))
        context, tokenizer = session.max_length, session.tokenizer
        masks = session.masks
        if dry_run:
            counts = {"train": {"examples": len(tasks)}}
            return Trained(
                output=session.output.folder, manifest={"algorithm": "grpo", "counts": counts, "masks": masks}
            )
        session.begin()
        from datasets import Dataset
        from trl import GRPOConfig, GRPOTrainer

        service = LocalService(tokenizer, context, config.chat_template_kwargs, [tokenizer.eos_token_id])
        stage = Stage(config, tasks, service, session.output.folder / "rollouts")

        def rollouts(prompts: list[Any], trainer: Any) -> dict[str, Any]:
            def sample(ids: list[list[int]]) -> Sampled:
                return trainer._generate_single_turn(ids, None, {}, num_generations=1)

            step, rank = trainer.state.global_step, session.state.process_index
            names = [prompt[0]["content"] for prompt in prompts]
            seed = config.seed + 1_000_000 * step + 10_000 * rank
            played = stage.play(names, f"step-{step:05d}-{rank}", sample, seed)
            known = all(each.logprobs is not None for each in played)
            return {
                "prompt_ids": [each.prompt_ids for each in played],
                "completion_ids": [each.completion_ids for each in played],
                "env_mask": [each.mask for each in played],
                "logprobs": [each.logprobs for each in played] if known else None,
                "outcome": [each.reward for each in played],
            }

        def outcome(outcome: list[float], **_: Any) -> list[float]:
            return outcome

        args = GRPOConfig(
            **session.arguments(),
            num_generations=config.group,
            max_completion_length=config.max_tokens,
            temperature=config.temperature,
            top_p=config.top_p,
            beta=config.beta,
            loss_type=config.loss_type,
            scale_rewards=config.scale_rewards,
        )
        dataset = Dataset.from_list([{"prompt": [{"role": "user", "content": name}]} for name in tasks])
        trainer = GRPOTrainer(
            args=args, reward_funcs=[outcome], rollout_func=rollouts, train_dataset=dataset, **session.parts()
        )
        return session.fit(trainer, counts={"train": {"examples": len(tasks)}})


if __name__ == "__main__":
    launched("grpo")
