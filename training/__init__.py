"""What is learnt from trajectories: data sets made of them, and one script an algorithm that trains on them.

`trajectories` says which episodes may be used, and tells them as messages; `preferences` says which of two answers is
better; `data_sets` writes both to disk (each imports only those before it). `sft`, `dpo`, `kto` and `grpo` train, and
share `trainer`. `*_cli` are the commands. Names are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import ExportConfig, PairsConfig, load_export_config, load_pairs_config
    from .data_sets.export import Exported, Request, export_preferences, export_sft
    from .data_sets.pair_files import PairSource, write_pairs
    from .dpo import train_dpo
    from .grpo import train_grpo
    from .kto import train_kto
    from .preferences.finder import PairFinder
    from .preferences.preference import Preference, Side
    from .preferences.sampling import Alternatives, branch_and_score
    from .sft import train_sft
    from .trainer.config import DpoConfig, GrpoConfig, KtoConfig, SftConfig, load_train_config
    from .trainer.output import Trained
    from .trajectories.conversation import Conversation, conversation_of
    from .trajectories.records import find_episodes, open_sources, read_record

_HOMES = {
    "Alternatives": "preferences.sampling",
    "Conversation": "trajectories.conversation",
    "DpoConfig": "trainer.config",
    "ExportConfig": "config",
    "Exported": "data_sets.export",
    "GrpoConfig": "trainer.config",
    "KtoConfig": "trainer.config",
    "PairFinder": "preferences.finder",
    "PairSource": "data_sets.pair_files",
    "PairsConfig": "config",
    "Preference": "preferences.preference",
    "Request": "data_sets.export",
    "SftConfig": "trainer.config",
    "Side": "preferences.preference",
    "Trained": "trainer.output",
    "branch_and_score": "preferences.sampling",
    "conversation_of": "trajectories.conversation",
    "export_preferences": "data_sets.export",
    "export_sft": "data_sets.export",
    "find_episodes": "trajectories.records",
    "load_export_config": "config",
    "load_pairs_config": "config",
    "load_train_config": "trainer.config",
    "open_sources": "trajectories.records",
    "read_record": "trajectories.records",
    "train_dpo": "dpo",
    "train_grpo": "grpo",
    "train_kto": "kto",
    "train_sft": "sft",
    "write_pairs": "data_sets.pair_files",
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
