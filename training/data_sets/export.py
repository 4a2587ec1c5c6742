"""From runs, or from pairs, to a data set on disk: rows, statistics and a card.

Episodes are read one at a time (pairs: those of one task) and rows are written as they come, so memory does not grow
with the data; what is kept of each row are some figures and, to find near-duplicates, a kilobyte.
"""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

from ...errors import UsageError
from ..config import ExportConfig
from ..preferences.finder import PairFinder
from ..preferences.preference import Preference
from ..trajectories.filters import EpisodeFilter
from ..trajectories.intake import Intake, known_tasks, leakage_against
from ..trajectories.records import Outline, find_episodes, open_sources
from ..trajectories.refusal import Refusals
from .columns import columns_of
from .dataset import DataSet, Exported, Request
from .export_rows import preference_rows, sft_rows, wanted_pairs
from .pair_files import PairSource, is_pairs
from .provenance import decisions, licences_of, run_facts
from .token_rows import TokenRows

__all__ = ["Exported", "Request", "export_preferences", "export_sft"]

_OF_SFT = {"formats", "unit", "near_duplicate", "seed", "filter", "conversation", "leakage"}
_OF_PAIRS = {"formats", "min_margin", "min_confidence", "conversation", "leakage"}
_OF_FOUND = _OF_PAIRS | {"pairs"}


def export_sft(request: Request) -> Exported:
    """Conversations for supervised fine-tuning. Raises UsageError, TaskError, ConfigError or MissingExtra."""
    config, by_step = request.config, request.config.unit == "step"
    sources = open_sources(request.sources)
    intake = Intake(
        filter=EpisodeFilter(config.filter, every_step=not by_step),
        conversation=config.conversation,
        leakage=leakage_against(request.eval_tasks, config.leakage),
        tasks=known_tasks(request.tasks, sources),
        sources={source.run_id: source for source in sources},
    )
    with_kwargs = _with_kwargs(config, any(source.chat_template_kwargs for source in sources))
    tokens = TokenRows(sources) if config.conversation.tokens else None
    columns = columns_of("sft", by_step=by_step, template_kwargs=with_kwargs, tokens=tokens is not None)
    outlines = _ordered(list(find_episodes(sources, request.pattern)), config.seed)
    rows = sft_rows(intake, outlines, request, tokens, with_kwargs=with_kwargs)
    build = DataSet("sft", columns, request)
    return build.write(
        rows,
        intake.refusals,
        lambda: {
            "episodes": intake.seen,
            **decisions(_settings(config, _OF_SFT), intake.refusals, leakage=intake.leakage),
            "runs": run_facts(sources, intake.digests),
        },
        licences_of(intake.tasks),
    )


def export_preferences(request: Request) -> Exported:
    """Preferences, found in runs or read from pairs. Raises UsageError, TaskError or ConfigError."""
    refusals = Refusals()
    stored = [PairSource(path) for path in request.sources if is_pairs(path)]
    if not stored:
        return _export_found(request, refusals)
    if len(request.sources) > 1:
        raise UsageError("give either runs, or one folder of pairs")
    if request.config.conversation.tokens:
        raise UsageError("pairs hold messages; give the runs themselves for rows in token form")
    said = stored[0].statistics()
    leakage = leakage_against(request.eval_tasks, request.config.leakage)
    with_kwargs = any(pair.chat_template_kwargs for pair in stored[0])
    chosen = (pair for pair in stored[0] if fnmatchcase(pair.task_id, request.pattern or "*"))
    pairs = wanted_pairs(_ticked(chosen, request), request, refusals, leakage)
    columns = columns_of("preference", template_kwargs=_with_kwargs(request.config, with_kwargs))
    return DataSet("preference", columns, request).write(
        preference_rows(pairs, request.config, columns, None, refusals),
        refusals,
        lambda: {
            **decisions(_settings(request.config, _OF_PAIRS), refusals, leakage=leakage),
            "runs": said.get("runs", []),
            "pairs": {key: said[key] for key in ("config", "refused", "leaks", "evaluation") if key in said},
        },
        {**said.get("task_licences", {}), **licences_of(known_tasks(request.tasks, ()))},
    )


def _export_found(request: Request, refusals: Refusals) -> Exported:
    """Find pairs and export them at once."""
    sources = open_sources(request.sources)
    config = request.config
    pairs_config = config.pairs.model_copy(update={"leakage": config.leakage})
    finder = PairFinder(sources, pairs_config, request.tasks, request.eval_tasks, request.pattern)
    with_kwargs = _with_kwargs(config, any(source.chat_template_kwargs for source in sources))
    tokens = TokenRows(sources) if config.conversation.tokens else None
    columns = columns_of("preference", template_kwargs=with_kwargs, tokens=tokens is not None)
    found = (pair for _, outlines in finder.groups() for pair in finder.find(outlines))
    pairs = wanted_pairs(_ticked(found, request), request, refusals, None)
    return DataSet("preference", columns, request).write(
        preference_rows(pairs, config, columns, tokens, refusals),
        refusals,
        lambda: {
            "episodes": finder.intake.seen,
            **decisions(
                _settings(config, _OF_FOUND),
                refusals,
                finder.intake.refusals,
                finder.refusals,
                leakage=finder.intake.leakage,
            ),
            "runs": run_facts(sources, finder.intake.digests),
        },
        licences_of(finder.intake.tasks),
    )


def _settings(config: ExportConfig, names: set[str]) -> dict[str, Any]:
    """The settings that took part."""
    return config.model_dump(mode="json", include=names)


def _with_kwargs(config: ExportConfig, sent: bool) -> bool:
    given = config.conversation.chat_template_kwargs
    return bool(given) if given is not None else sent


def _ticked(pairs: Iterable[Preference], request: Request) -> Iterator[Preference]:
    for pair in pairs:
        yield pair
        if request.advance is not None:
            request.advance()


def _ordered(outlines: list[Outline], seed: int | None) -> list[Outline]:
    """By run and episode, or in an order drawn from the seed."""
    if seed is None:
        return outlines
    return sorted(outlines, key=lambda outline: sha256(f"{seed} {outline.name}".encode()).digest())
