"""Labels in files: folders that Label Studio and Argilla read and write, and lines of JSON that hold all we have."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...errors import UsageError
from .argilla import argilla_dataset, argilla_settings, from_argilla, to_argilla
from .exchange import Arrived, Baggage, Record, ScoresOf, records_of
from .label_studio import from_label_studio, label_studio_config, to_label_studio
from .labels import PairItem, Side, StepItem
from .store import LabelStore

__all__ = ["TextsOf", "read_labels", "write_labels"]

TextsOf = Callable[[StepItem | PairItem, Side], Mapping[str, str] | None]
"""The texts of an item, of a pair with that trajectory on the left; None when its run was not given."""
_LAYER = "rules"
_ABSENT = "(the runs were not given, so their texts are not here)"
_NAMES = {"step": ("statement", "before", "step"), "pair": ("statement", "left", "right")}
_KINDS = ("step", "pair")
_Known = Mapping[str, StepItem | PairItem]


def write_labels(
    store: LabelStore,
    out: Path,
    form: str,
    texts_of: TextsOf | None = None,
    scores_of: ScoresOf | None = None,
    users: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Write a store in the format `form` (`label-studio`, `argilla` or `jsonl`); how many items of each kind.

    Raises UsageError when `out` is there already, or when a user is needed in another form.
    """
    if out.exists():
        raise UsageError(f"{out} is there already; name another, or remove it")
    records = list(records_of(store, texts_of or _absent, scores_of or (lambda _: {})))
    counts = {kind: sum(record.item.kind == kind for record in records) for kind in _KINDS}
    if form == "jsonl":
        lines = (Baggage(item=each.item, saves=tuple(each.saves)).model_dump_json() + "\n" for each in records)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("".join(lines), encoding="utf-8")
        return counts
    for kind in _KINDS:
        if counts[kind]:
            chosen = [record for record in records if record.item.kind == kind]
            _FOLDERS[form](out / f"{kind}s", kind, chosen, users or {})
    return counts


def _absent(item: StepItem | PairItem, _: Side) -> Mapping[str, str]:
    return dict.fromkeys(_NAMES[item.kind], _ABSENT)


def _label_studio_folder(folder: Path, kind: str, records: Iterable[Record], users: Mapping[str, str]) -> None:
    folder.mkdir(parents=True)
    (folder / "config.xml").write_text(label_studio_config(kind), encoding="utf-8")
    _write(folder / "tasks.json", to_label_studio(records, users, _LAYER))


def _argilla_folder(folder: Path, kind: str, records: Iterable[Record], users: Mapping[str, str]) -> None:
    hidden = folder / ".argilla"
    hidden.mkdir(parents=True)
    _write(hidden / "settings.json", argilla_settings(kind))
    _write(hidden / "dataset.json", argilla_dataset(f"trajhub-{kind}s"))
    _write(folder / "records.json", to_argilla(records, users, _LAYER))


_FOLDERS = {"label-studio": _label_studio_folder, "argilla": _argilla_folder}
_FILES = {"label-studio": "tasks.json", "argilla": "records.json"}
_READERS = {"label-studio": from_label_studio, "argilla": from_argilla}


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_labels(
    source: Path, form: str, users: Mapping[str, str] | None = None, known: _Known | None = None
) -> Arrived:
    """What a file, or the files of a folder as `write_labels` makes it, bring. Raises UsageError.

    `users` gives the identifiers that annotators have in the other tool; `known` are items that it may refer to by id.
    """
    paths = [source]
    if source.is_dir():
        paths = sorted(source.rglob(_FILES.get(form, "*.jsonl")))
    if not paths or not source.exists():
        raise UsageError(f"{source} is not there, or holds no {_FILES.get(form, '*.jsonl')}")
    total = Arrived()
    for path in paths:
        text = path.read_text(encoding="utf-8")
        try:
            found = _from_lines(text) if form == "jsonl" else _READERS[form](text, users or {}, known or {})
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error
        total.items += found.items
        total.saves += found.saves
        total.new += found.new
        total.ignored += found.ignored
    return total


def _from_lines(text: str) -> Arrived:
    arrived = Arrived()
    for number, line in enumerate(text.splitlines(), 1):
        try:
            baggage = Baggage.model_validate_json(line)
        except ValidationError as error:
            raise UsageError(f"line {number} is no item with its saves: {error.errors()[0]['msg']}") from error
        arrived.items.append(baggage.item)
        arrived.saves += baggage.saves
    return arrived
