"""Predictions as SWE-bench's harness takes them: which patch for which task."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ...errors import Failure, StopReason
from ..files import slug
from .base import Exporter, NoOptions, NotExported, RecordedEpisode, Sink, Target
from .output import Output
from .parts import line
from .story import Story

__all__ = ["EXPORTER", "PredictionsExporter", "model_of", "prediction"]

_ONLY = "a prediction holds task, model and patch only"
_KINDS = (
    "episode_start phase llm_request llm_response tool_call tool_result test_run step_reward sandbox_metric error note "
    "verdict episode_end unknown"
)
LOSES: Mapping[str, str] = {
    **{f"event.{name}": _ONLY for name in ("schema_version", "seq", "t_start", "t_end", "duration_ms")},
    **{f"event.{name}": _ONLY for name in ("agent_version", "repo", "commit")},
    **{f"{kind}.*": _ONLY for kind in _KINDS.split()},
    "event.seed": "told where there are several, in the file's name",
    "event.episode_id": _ONLY,
    "event.agent": "told where no model is known",
    **{f"final_patch.{name}": "follows from the patch" for name in ("sha256", "files", "lines_added", "lines_removed")},
}


UNREAD: Mapping[str, str] = {"event.model": "read back as the agent"}


class PredictionsExporter:
    """See `base.Exporter`."""

    name = "predictions"
    title = "SWE-bench predictions"
    output = ".jsonl; one for each run and seed, and for each further record of a task, where there are several"
    options: type[BaseModel] = NoOptions
    loses: Mapping[str, str] = LOSES
    unread: Mapping[str, str] = UNREAD

    def open(self, target: Target) -> Sink:
        """See `base.Exporter`."""
        return _Sink(target)


class _Sink:
    """A file may hold one prediction for a task, so that several runs, seeds or records of it need several files."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._files: dict[Path, Output] = {}
        self._told = Counter[tuple[str, int | None, str]]()

    def write(self, episode: RecordedEpisode) -> None:
        if reason := _unfit(episode):
            raise NotExported(reason)
        header = episode.header
        own = header.model or header.agent
        name = own if _is_foreign(episode) else model_of(episode.manifest, own)
        key = (episode.run_id, header.seed, header.task_id)
        self._told[key] += 1
        again = str(self._told[key]) if self._told[key] > 1 else ""
        seed = f"seed{header.seed}" if len(self._target.seeds) > 1 else ""
        path = self._target.path
        parts = [slug(episode.run_id) if len(self._target.runs) > 1 else "", seed, again]
        ending = "".join(f".{part}" for part in parts if part)
        path = path.with_name(f"{path.stem}{ending}{path.suffix}")
        file = self._files.get(path) or self._files.setdefault(path, Output(path))
        model = f"{name}.{seed}" if seed else name
        file.write(line(prediction(header.task_id, model, episode.story.patch)))

    def close(self) -> list[Path]:
        if not self._files:
            self._files[self._target.path] = Output(self._target.path)
        return [path for file in self._files.values() for path in file.close()]

    def abandon(self) -> None:
        for file in self._files.values():
            file.abandon()


EXPORTER: Exporter = PredictionsExporter()


def model_of(manifest: Mapping[str, Any], otherwise: str) -> str:
    """The name that predictions of a run go by."""
    policy: Mapping[str, Any] = manifest.get("policy") or {}
    return str(policy.get("model") or policy.get("name") or otherwise)


def prediction(task: str, model: str, patch: str | None) -> dict[str, str]:
    """One row."""
    return {"instance_id": task, "model_name_or_path": model, "model_patch": patch or ""}


def _is_foreign(episode: RecordedEpisode) -> bool:
    """Whether it was made from another agent's record; a run of such may hold several agents' episodes."""
    start = episode.story.start
    return start is not None and start.payload.origin is not None


def _unfit(episode: RecordedEpisode) -> str | None:
    """Why an episode is no prediction: the harness would count it against the model."""
    story: Story = episode.story
    if not episode.counts and not _is_foreign(episode):
        return "a later attempt counts"
    if _is_foreign(episode) and story.patch is None:
        return "its record tells no patch"
    if story.end is None or story.end.payload.stop_reason is StopReason.INTERRUPTED:
        return "it did not end by itself"
    if story.end.payload.failure in (Failure.ENVIRONMENT, Failure.SERVICE):
        return f"the {story.end.payload.failure} failed, not the agent"
    return None
