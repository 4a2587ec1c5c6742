"""The data card: what a data set is, what it was made of, how to check both. README.md with the hub's YAML header."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ...console import safe
from .columns import Columns, yaml_features
from .writers import DataFile

__all__ = ["Card", "size_category"]

_SIZES = (("n<1K", 1_000), ("1K<n<10K", 10_000), ("10K<n<100K", 100_000), ("100K<n<1M", 1_000_000))
_KNOWN_LICENCES = {
    "apache-2.0": "apache-2.0",
    "mit": "mit",
    "bsd-3-clause": "bsd-3-clause",
    "bsd-2-clause": "bsd-2-clause",
    "isc": "isc",
    "mpl-2.0": "mpl-2.0",
    "cc0-1.0": "cc0-1.0",
}
_ABOUT = {
    "sft": "Conversations of coding agents for supervised fine-tuning",
    "preference": "Preferences between conversations of coding agents",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All that a card says."""

    kind: str
    """`sft` or `preference`."""
    columns: Columns
    files: Sequence[DataFile]
    statistics: Mapping[str, Any]
    """What `statistics.json` holds."""

    def render(self) -> str:
        """The file."""
        header = yaml.safe_dump(self._header(), sort_keys=False, allow_unicode=True, width=110)
        parts = [
            f"---\n{header}---",
            f"# {_ABOUT[self.kind]}",
            self._use(),
            self._contents(),
            self._refused(),
            self._provenance(),
            self._licences(),
            self._files(),
        ]
        return "\n\n".join(parts) + "\n"

    def _header(self) -> dict[str, Any]:
        licences: Mapping[str, int] = self.statistics["licences"]
        single = _KNOWN_LICENCES.get(next(iter(licences)).lower()) if len(licences) == 1 else None
        licence = {"license": single} if single else {"license": "other", "license_name": "see-the-tasks"}
        rows: int = self.statistics["rows"]
        # All configurations of a folder share one reader: the header names the parquet file where there is one.
        main = max((file.name for file in self.files), key=lambda name: name.endswith(".parquet"))
        return {
            **licence,
            "task_categories": ["text-generation"],
            "tags": ["trajectories", "coding-agents", "tool-calling", "trl", self.kind],
            "size_categories": [size_category(rows)],
            "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": main}]}],
            "dataset_info": {"features": yaml_features(self.columns)},
        }

    def _use(self) -> str:
        trainer = "SFTTrainer" if self.kind == "sft" else "DPOTrainer"
        form = "TRL's conversational format, with tools," if "tools" in self.columns else "the model's own token ids,"
        return (
            f"{self.statistics['rows']} rows in {form} for `trajhub train` and `trl.{trainer}`:\n\n"
            "```python\nfrom datasets import load_dataset\n\n"
            'data = load_dataset("path/to/this/folder", split="train")\n```\n\n'
            "Messages are JSON in each file: read with these features, their keys are what they were. The JSON lines\n"
            'alone: `load_dataset("json", data_files="data/train.jsonl", features=data.features)`.'
        )

    def _contents(self) -> str:
        told: Mapping[str, Any] = self.statistics["contents"]
        values: Mapping[str, Mapping[str, float]] = told["values"]
        lines = ["## What is in it", "", f"{told['distinct_task_id']} tasks of {told['distinct_repo']} repositories."]
        rows = [[name, *(_figure(found[key]) for key in _KEYS)] for name, found in values.items()]
        lines += ["", _table(["", *_KEYS], rows)]
        for name, counts in told["counts"].items():
            if name != "task_id":
                lines += ["", f"By {name.replace('_', ' ')}: " + _listed(counts)]
        return "\n".join(lines)

    def _refused(self) -> str:
        rows = [[name, str(count)] for name, count in self.statistics["refused"].items()]
        text = "## What was left out\n\n" + (_table(["reason", "count"], rows) if rows else "Nothing.")
        before: Mapping[str, Any] = self.statistics.get("pairs") or {}
        if before.get("refused"):
            found = [[name, str(count)] for name, count in before["refused"].items()]
            text += "\n\nBefore, when the pairs were found:\n\n" + _table(["reason", "count"], found)
        text += "\n\n" + _checked(self.statistics["evaluation"] or before.get("evaluation"))
        leaks: Mapping[str, str] = {**before.get("leaks", {}), **self.statistics["leaks"]}
        if leaks:
            text += "\n\nTasks too near to the evaluation's:\n\n" + "\n".join(f"- {_code(name)}" for name in leaks)
        return text

    def _provenance(self) -> str:
        rows = [
            [str(run[key] if run[key] is not None else "-") for key in _RUN_KEYS] for run in self.statistics["runs"]
        ]
        config = yaml.safe_dump(self.statistics["config"], sort_keys=True, allow_unicode=True, width=110)
        return (
            "## Where it comes from\n\n"
            + _table(list(_RUN_KEYS), rows)
            + "\n\n`digest`: SHA-256 over the sorted lines `<episode> <SHA-256 of its log>` of the episodes used."
            + f"\n\nWritten by trajectory_hub {self.statistics['version']} with these settings:\n\n```yaml\n{config}```"
            + self._found()
        )

    def _found(self) -> str:
        """How the pairs were found, where that was done before."""
        before: Mapping[str, Any] = self.statistics.get("pairs") or {}
        if not before.get("config"):
            return ""
        config = yaml.safe_dump(before["config"], sort_keys=True, allow_unicode=True, width=110)
        return f"\n\nThe pairs were found with these:\n\n```yaml\n{config}```"

    def _licences(self) -> str:
        rows = [[name, str(count)] for name, count in self.statistics["licences"].items()]
        return "## Licences\n\nOf the tasks' repositories, by rows; conversations quote their code.\n\n" + _table(
            ["licence", "rows"], rows
        )

    def _files(self) -> str:
        rows = [[file.name, str(file.bytes), f"`{file.sha256}`"] for file in self.files]
        return "## Files\n\n" + _table(["file", "bytes", "SHA-256"], rows)


_KEYS = ("count", "min", "mean", "median", "p95", "max")
_RUN_KEYS = ("run", "agent", "model", "code", "episodes", "digest")


def size_category(rows: int) -> str:
    """The hub's word for a number of rows."""
    return next((name for name, below in _SIZES if rows < below), "n>1M")


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(columns), " | ".join("---" for _ in columns), *(" | ".join(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _checked(evaluation: Mapping[str, Any] | None) -> str:
    if evaluation is None:
        return "Not compared with the tasks of any evaluation."
    without = evaluation.get("without_patch") or 0
    told = f" Of {without} of what was examined no patch is known to compare." if without else ""
    return (
        f"Compared with the {evaluation['tasks']} tasks of an evaluation, the SHA-256 of whose sorted ids is "
        f"`{evaluation['sha256']}`.{told}"
    )


def _cell(text: str) -> str:
    """Names that agents or tasks chose are shown as code, with nothing in them that is markup."""
    return safe(text).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{safe(text).replace('`', chr(39))}`"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{_code(name)} {count}" for name, count in counts.items())
