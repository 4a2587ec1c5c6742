"""What is learnt from trajectories: preferences, and data sets to train on. Names are imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import ExportConfig, PairsConfig, load_export_config, load_pairs_config
    from .conversation import Conversation, conversation_of
    from .dpo import train_dpo
    from .export import Exported, Request, export_preferences, export_sft
    from .finder import PairFinder
    from .grpo import train_grpo
    from .kto import train_kto
    from .pair_files import PairSource, write_pairs
    from .preference import Preference, Side
    from .records import find_episodes, open_sources, read_record
    from .sampling import Alternatives, branch_and_score
    from .sft import train_sft
    from .trainer.config import DpoConfig, GrpoConfig, KtoConfig, SftConfig, load_train_config
    from .trainer.output import Trained

_HOMES = {
    "Alternatives": "sampling",
    "Conversation": "conversation",
    "DpoConfig": "trainer.config",
    "ExportConfig": "config",
    "Exported": "export",
    "GrpoConfig": "trainer.config",
    "KtoConfig": "trainer.config",
    "PairFinder": "finder",
    "PairSource": "pair_files",
    "PairsConfig": "config",
    "Preference": "preference",
    "Request": "export",
    "SftConfig": "trainer.config",
    "Side": "preference",
    "Trained": "trainer.output",
    "branch_and_score": "sampling",
    "conversation_of": "conversation",
    "export_preferences": "export",
    "export_sft": "export",
    "find_episodes": "records",
    "load_export_config": "config",
    "load_pairs_config": "config",
    "load_train_config": "trainer.config",
    "open_sources": "records",
    "read_record": "records",
    "train_dpo": "dpo",
    "train_grpo": "grpo",
    "train_kto": "kto",
    "train_sft": "sft",
    "write_pairs": "pair_files",
}

__all__ = [
    "Alternatives",
    "Conversation",
    "DpoConfig",
    "ExportConfig",
    "Exported",
    "GrpoConfig",
    "KtoConfig",
    "PairFinder",
    "PairSource",
    "PairsConfig",
    "Preference",
    "Request",
    "SftConfig",
    "Side",
    "Trained",
    "branch_and_score",
    "conversation_of",
    "export_preferences",
    "export_sft",
    "find_episodes",
    "load_export_config",
    "load_pairs_config",
    "load_train_config",
    "open_sources",
    "read_record",
    "train_dpo",
    "train_grpo",
    "train_kto",
    "train_sft",
    "write_pairs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
