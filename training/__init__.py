"""What is learnt from trajectories: data sets made of them, and one script per training algorithm.

`trajectories` says which episodes may be used, and tells them as messages; `preferences` says which of two answers is
better; `data_sets` writes both to disk (each imports only those before it). `sft`, `dpo`, `kto` and `grpo` train, and
share `trainer`. `*_cli` are the commands. Names are imported on first use.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy

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

__getattr__ = lazy(
    __name__,
    {
        "config": ["ExportConfig", "PairsConfig", "load_export_config", "load_pairs_config"],
        "data_sets.export": ["Exported", "Request", "export_preferences", "export_sft"],
        "data_sets.pair_files": ["PairSource", "write_pairs"],
        "dpo": ["train_dpo"],
        "grpo": ["train_grpo"],
        "kto": ["train_kto"],
        "preferences.finder": ["PairFinder"],
        "preferences.preference": ["Preference", "Side"],
        "preferences.sampling": ["Alternatives", "branch_and_score"],
        "sft": ["train_sft"],
        "trainer.config": ["DpoConfig", "GrpoConfig", "KtoConfig", "SftConfig", "load_train_config"],
        "trainer.output": ["Trained"],
        "trajectories.conversation": ["Conversation", "conversation_of"],
        "trajectories.records": ["find_episodes", "open_sources", "read_record"],
    },
)
