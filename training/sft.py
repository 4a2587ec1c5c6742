"""Supervised fine-tuning on exported trajectories or steps, over TRL.

`trajhub train sft -c FILE`, or on several devices `accelerate launch -m trajectory_hub.training.sft -c FILE`.
"""

from typing import TextIO

from .train_cli import launched
from .trainer.config import SftConfig
from .trainer.data import Row
from .trainer.data_session import DataSession
from .trainer.examples import Example, sft_example
from .trainer.output import Trained

__all__ = ["train_sft"]


def train_sft(config: SftConfig, stream: TextIO | None = None, *, dry_run: bool = False) -> Trained:
    """Train, resume, or find it done; figures go to `stream` (standard output by default). `dry_run`: check only.

    Raises ConfigError or UsageError for what cannot be trained, before a model is loaded, and DiskFull.
    """
    with DataSession(config, stream, dry_run=dry_run) as session:
        if session.finished is not None:
            return session.finished

        def examples(row: Row) -> list[Example]:
            return [sft_example(row, session.renderer, config.step_weights)]

        session.prepare(examples)
        if dry_run:
            return session.checked()
        from trl.trainer.sft_config import SFTConfig

        from .trainer.trainers import WeightedSFTTrainer, packed

        order = "group_by_length" if config.group_by_length and not config.packing else "random"
        with session.building():
            args = SFTConfig(
                **session.arguments(),
                max_length=session.max_length,
                packing=config.packing,
                eval_packing=False,
                train_sampling_strategy=order,
                dataset_kwargs={"skip_prepare_dataset": True},  # examples are made; nothing is cut
            )
            parts = session.parts()
            if config.packing:
                parts["train_dataset"] = packed(parts["train_dataset"], session.max_length)
            trainer = WeightedSFTTrainer(args=args, **parts)
        return session.fit(trainer)


if __name__ == "__main__":
    launched("sft")
