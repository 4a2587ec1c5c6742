"""What a judge saw of one step and what it said, from the cache."""

from contextlib import closing
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..rewards.judge.cache import JudgeCache
from .score_log import StepScoreRow, read_scores, scored_layers

__all__ = ["exchanges"]


def exchanges(run: Path, place: str, cache: Path) -> list[dict[str, Any]]:
    """Every exchange about a step, by all judges that scored it. `place` is EPISODE:STEP, the id or how it begins.

    Raises UsageError when no judge scored such a step.
    """
    episode, _, step = place.rpartition(":")
    if not episode or not step.isdigit():
        raise UsageError(f"{place!r} should be EPISODE:STEP, for example trajhub__tiny-1--s0--a1:3")
    rows = [
        row
        for layer in scored_layers(run)
        for row in read_scores(run, layer)
        if row.step == int(step) and row.episode_id.startswith(episode) and row.record.get("answers")
    ]
    if not rows:
        raise UsageError(f"no judge has scored step {step} of {episode} in {run}; run `trajhub judge {run}`")
    if not cache.exists():
        raise UsageError(
            f"the exchanges were kept in {cache}, which is not there; name the file with -c judge.cache=FILE"
        )
    with closing(JudgeCache(cache)) as store:
        return [_exchange(row, answer, store) for row in rows for answer in row.record["answers"]]


def _exchange(row: StepScoreRow, answer: dict[str, Any], store: JudgeCache) -> dict[str, Any]:
    found = store.get(answer["key"])
    return {
        "episode_id": row.episode_id,
        "step": row.step,
        "layer": row.layer,
        **answer,
        "prompt_sha256": row.record["prompt_sha256"],
        "request": found.request if found is not None else None,
        "answer": found.answer if found is not None else None,
        "attempts": found.attempts if found is not None else (),
    }
