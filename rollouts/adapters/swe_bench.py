"""SWE-bench's predictions and reports: episodes of which only the patch and the verdict are known.

A report that lies beside the predictions it is about is read with them: one episode an instance, with its patch and
its verdict. Of a report without predictions each instance is an episode with a verdict.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import Failure, StopReason
from .. import payloads
from .base import Foreign, ForeignEpisode, Sample, Timed, Unread
from .documents import glimpse, open_document
from .reading import NotJson, Row, as_dict, as_str, as_text, compact
from .swe_bench_reports import Report, Said, is_report, read_report
from .tabular import dataset_rows, first_row
from .telling import Teller, final_patch, repo_of

__all__ = ["ADAPTER", "LOSES", "SweBenchAdapter"]

LOSES: Mapping[str, str] = {
    "*_instances": "counts that follow from the lists",
    "completed_ids, submitted_ids": "instances in one of the other lists",
    "schema_version": "all versions are read alike",
    "incomplete_ids": "instances without a prediction: counted as not read, as nobody tried them",
    "unstopped_containers, unremoved_images": "about the grader's machine",
}
"""What of the format has no place of its own in our log, and why."""

_TOLD = frozenset({"instance_id", "model_name_or_path", "model_patch", "patch", "prefix"})
_LARGEST = 64 << 20
_UNTRIED = "instance without a prediction"


class SweBenchAdapter:
    """See `base.Adapter`."""

    name = "swe-bench"
    version = "2"
    title = "SWE-bench predictions and reports"

    def recognise(self, sample: Sample) -> float:
        """By a row's `instance_id` and patch, or by what a report lists."""
        row = first_row(sample)
        if _is_prediction(row):
            return 1.0
        found = as_dict(glimpse(sample))
        first = as_dict(next(iter(found.values()), None))
        if "model_patch" in first and "trajectory" not in first:
            return 1.0
        return 0.9 if is_report(found) else 0.0

    def companions(self, path: Path) -> list[Path]:
        """The reports about these predictions, or the patch beside an instance's report."""
        if path.name == "report.json":
            return [patch] if (patch := path.parent / "patch.diff").is_file() else []
        if _report_at(path) is not None:
            return []
        ids, models = _ids(path)
        return _reports(path, ids, models)

    def episodes(self, path: Path, options: Mapping[str, Any]) -> Iterator[ForeignEpisode]:
        """One episode an instance."""
        report = _report_at(path)
        if report is not None:
            yield from _of_report(path, report)
            return
        ids, models = _ids(path)
        said = [(file, read_report(file)) for file in _reports(path, ids, models)]
        yield from _of_predictions(path, said)


def _is_prediction(row: Mapping[str, Any]) -> bool:
    if "instance_id" not in row or "trajectory" in row or "history" in row or "messages" in row:
        return False
    return "model_patch" in row or ("patch" in row and "prefix" in row)


def _report_at(path: Path) -> Report | None:
    """What the report at `path` says; None where it is none."""
    if path.suffix != ".json" or path.stat().st_size > _LARGEST:
        return None
    with path.open("rb") as file:
        if not is_report(glimpse(Sample(path=path, head=file.read(1 << 16)))):
            return None
    try:
        return read_report(path)
    except NotJson:
        return None


def _rows(path: Path) -> Iterator[Row | Unread]:
    """Predictions as rows; of a document by id each with its id."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if not _is_by_id(as_dict(glimpse(Sample(path=path, head=head)))):
        yield from dataset_rows(path)
        return
    document = open_document(path, frozenset())
    for number, (instance, value) in enumerate(document.fields.items(), 1):
        if isinstance(value, dict):
            yield Row(number, {"instance_id": instance, **as_dict(value)})
        else:
            yield Unread(kind="prediction that is no object", where=instance)
    if document.damage is not None:
        yield document.damage


def _is_by_id(found: Mapping[str, Any]) -> bool:
    return "instance_id" not in found and "model_patch" in as_dict(next(iter(found.values()), None))


def _ids(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """The instances and the models of some predictions."""
    rows = [as_dict(row.value) for row in _rows(path) if isinstance(row, Row)]
    models = {_model(row) for row in rows} - {None}
    return frozenset(as_text(row.get("instance_id")) for row in rows), frozenset(map(str, models))


def _model(row: Mapping[str, Any]) -> str | None:
    return as_str(row.get("model_name_or_path")) or as_str(row.get("prefix"))


def _reports(path: Path, ids: frozenset[str], models: frozenset[str]) -> list[Path]:
    """The reports in the same folder about these instances; those named after the model where there are such."""
    about = list[Path]()
    for file in sorted(path.parent.glob("*.json")):
        report = _report_at(file) if file != path and file.is_file() else None
        if report is not None and ids & report.said.keys():
            about.append(file)
    named = [file for file in about if any(file.name.startswith(model.replace("/", "__")) for model in models)]
    return named or about


def _of_predictions(path: Path, reports: list[tuple[Path, Report]]) -> Iterator[ForeignEpisode]:
    broken = [unread for file, report in reports for unread in _left_over(file, report)]
    seen = set[str]()
    for row in _rows(path):
        if isinstance(row, Unread):
            broken.append(row)
            continue
        value = as_dict(row.value)
        task = as_str(value.get("instance_id")) or row.where
        seen.add(task)
        said = [(file.name, report.said[task]) for file, report in reports if task in report.said]
        yield _episode(task, _model(value), _prediction(value, said, broken), row.where)
        broken = []
    for file, report in reports:
        for task in sorted(report.said.keys() - seen):
            broken.append(Unread(kind=_UNTRIED, where=f"{file.name}: {task}"))
    yield from _rest(broken)


def _left_over(file: Path, report: Report) -> Iterator[Unread]:
    """What of a report becomes no event."""
    if report.problem:
        yield Unread(kind="torn report", where=f"{file.name}: {report.problem}", broken=True)
    if report.untried:
        yield Unread(kind=_UNTRIED, where=f"{file.name}: {report.untried[0]}", records=len(report.untried))


def _rest(unread: list[Unread]) -> Iterator[ForeignEpisode]:
    """An episode for what belongs to none."""
    if unread:
        yield _episode("unread", None, iter([Timed(payload=payloads.EpisodeStart()), *unread]), "end")


def _episode(task: str, model: str | None, events: Iterator[Foreign], key: str) -> ForeignEpisode:
    return ForeignEpisode(
        key=f"{task} {key}", task_id=task, agent=model or "unknown", model=model, repo=repo_of(task), events=events
    )


def _prediction(row: dict[str, Any], said: list[tuple[str, Said]], broken: list[Unread]) -> Iterator[Foreign]:
    teller = Teller("swe-bench", _model(row))
    yield Timed(payload=payloads.EpisodeStart(), kind="prediction", records=1)
    yield from broken
    rest = {key: value for key, value in row.items() if key not in _TOLD}
    if rest:
        yield teller.note("prediction", rest, records=0)
    given = row["model_patch"] if "model_patch" in row else row.get("patch")
    patch = final_patch(given if isinstance(given, str | None) else compact(given), empty=True)
    if patch is not None:
        yield patch
    for name, found in said:
        yield teller.note("report", {"file": name}, records=0)
        yield Timed(payload=found.verdict(_sha256(patch)), kind="verdict")
    yield _ended(teller, bool(given))


def _sha256(patch: Timed | None) -> str | None:
    return patch.payload.sha256 if patch is not None and isinstance(patch.payload, payloads.FinalPatch) else None


def _ended(teller: Teller, patched: bool) -> Timed:
    message = None if patched else "it submitted no patch"
    return teller.end(StopReason.SUBMITTED, None if patched else Failure.MODEL, message)


def _of_report(path: Path, report: Report) -> Iterator[ForeignEpisode]:
    """The instances of a report that lies without its predictions."""
    beside = path.parent / "patch.diff"
    text = beside.read_text("utf-8", "replace") if path.name == "report.json" and beside.is_file() else None
    broken = list(_left_over(path, report))
    model = path.parent.parent.name if path.name == "report.json" else path.name.split(".")[0]
    for task, said in report.said.items():
        yield _episode(task, model.replace("__", "/") or None, _reported(said, text, broken), "report")
        broken = []
    yield from _rest(broken)


def _reported(said: Said, text: str | None, broken: list[Unread]) -> Iterator[Foreign]:
    teller = Teller("swe-bench")
    yield Timed(payload=payloads.EpisodeStart(), kind="report", records=1)
    yield from broken
    patch = final_patch(text)
    if patch is not None:
        yield patch
    yield Timed(payload=said.verdict(_sha256(patch)), kind="verdict")
    yield _ended(teller, said.outcome != "empty_patch")


ADAPTER = SweBenchAdapter()
