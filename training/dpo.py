"""Direct preference optimization on exported pairs, over TRL, with the tools' answers out of every loss.

`trajhub train dpo -c FILE`, or on several devices `accelerate launch -m trajectory_hub.training.dpo -c FILE`.
"""

from typing import TextIO

from .train_cli import launched
from .trainer.config import DpoConfig
from .trainer.data import Row
from .trainer.data_session import DataSession
from .trainer.examples import Example, pair_example
from .trainer.output import Trained

__all__ = ["train_dpo"]


def train_dpo(config: DpoConfig, stream: TextIO | None = None, *, dry_run: bool = False) -> Trained:
    """Train, resume, or find it done; figures go to `stream` (standard output by default). `dry_run`: check only.

    Raises ConfigError or UsageError for what cannot be trained, before a model is loaded, and DiskFull.
    """
    with DataSession(config, stream, dry_run=dry_run) as session:
        if session.finished is not None:
            return session.finished

        def examples(row: Row) -> list[Example | None]:
            wanted = row.get("level") in (None, *config.levels)
            return [pair_example(row, session.renderer, config.at)] if wanted else []

        session.prepare(examples)
        if dry_run:
            return session.checked()
        from trl.trainer.dpo_config import DPOConfig

        from .trainer.trainers import MaskedDPOTrainer, PairCollator

        with session.building():
            losses = config.losses
            args = DPOConfig(
                **session.arguments(),
                max_length=None,  # examples fit; nothing is cut
                beta=config.beta,
                loss_type=list(losses),
                loss_weights=list(losses.values()),
                label_smoothing=config.label_smoothing,
                precompute_ref_log_probs=config.precompute_reference,
            )
            collator = PairCollator(pad_token_id=session.tokenizer.pad_token_id)
            trainer = MaskedDPOTrainer(args=args, data_collator=collator, **session.parts())
        return session.fit(trainer)


if __name__ == "__main__":
    launched("dpo")
