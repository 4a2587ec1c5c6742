"""Kahneman-Tversky optimization (arXiv 2402.01306) on exported trajectories, steps or pairs, over TRL.

`trajhub train kto -c FILE`, or on several devices `accelerate launch -m trajectory_hub.training.kto -c FILE`.
"""

from collections.abc import Iterator
from typing import TextIO

from ..errors import ConfigError
from .train_cli import launched
from .trainer.config import KtoConfig
from .trainer.data import Row
from .trainer.data_session import DataSession
from .trainer.examples import Example, unpaired_examples
from .trainer.output import Trained

__all__ = ["is_good", "train_kto"]


def is_good(row: Row, config: KtoConfig) -> bool | None:
    """Whether a row is to be wanted more; None when nobody knows."""
    if config.good == "resolved":
        resolved = row.get("resolved")
        return resolved if not resolved else row.get("stop_reason") in (None, "submitted")
    value = row.get("process_score" if config.good == "process" else "reward")
    return None if value is None else value >= config.threshold


def train_kto(config: KtoConfig, stream: TextIO | None = None, *, dry_run: bool = False) -> Trained:
    """Train, resume, or find it done; figures go to `stream` (standard output by default). `dry_run`: check only.

    Raises ConfigError or UsageError for what cannot be trained, before a model is loaded, and DiskFull.
    """
    with DataSession(config, stream, dry_run=dry_run) as session:
        if session.finished is not None:
            return session.finished

        def examples(row: Row) -> Iterator[Example]:
            return unpaired_examples(row, session.renderer, config.at, is_good(row, config))

        session.prepare(examples)
        if dry_run and not session.state.is_main_process:
            return session.checked()
        labels: list[bool] = session.dataset()["label"][:]
        good, bad = sum(labels), len(labels) - sum(labels)
        if not good or not bad:
            raise ConfigError(
                f"KTO needs good and bad rows, and there are {good} and {bad}; export with filter.outcome=any"
            )
        if dry_run:
            return session.checked()
        from trl.trainer.kto_config import KTOConfig

        from .trainer.trainers import MaskedKTOTrainer, UnpairedCollator

        weight = config.desirable_weight
        with session.building():
            args = KTOConfig(
                **session.arguments(),
                max_length=None,  # examples fit; nothing is cut
                beta=config.beta,
                loss_type=config.loss_type,
                desirable_weight=config.undesirable_weight * bad / good if weight is None else weight,
                undesirable_weight=config.undesirable_weight,
                precompute_ref_log_probs=config.precompute_reference,
            )
            collator = UnpairedCollator(pad_token_id=session.tokenizer.pad_token_id)
            trainer = MaskedKTOTrainer(args=args, data_collator=collator, **session.parts())
        return session.fit(trainer)


if __name__ == "__main__":
    launched("kto")
