"""From runs, or from pairs, to a data set on disk: rows, statistics and a card.

Episodes are read one at a time (pairs: those of one task) and rows are written as they come, so memory does not grow
with the data; what is kept of each row are some figures and, to find near-duplicates, a kilobyte.
"""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any

from ..errors import UsageError
from .columns import Columns, columns_of
from .compare import acts_of
from .config import ExportConfig
from .dataset import DataSet, Exported, Request
from .filters import EpisodeFilter
from .finder import PairFinder
from .intake import Intake, Usable, known_tasks, leakage_against
from .leakage import Leak, Leakage
from .pair_files import PairSource, is_pairs
from .preference import Preference
from .provenance import decisions, licences_of, run_facts
from .records import Outline, find_episodes, open_sources
from .refusal import Refusal, Refusals
from .rows import Row, preference_row, step_rows, trajectory_row
from .similarity import NearDuplicates
from .token_rows import NoTokens, TokenRows

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
    rows = _sft_rows(intake, outlines, request, tokens, with_kwargs=with_kwargs)
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
    pairs = _wanted(_ticked(chosen, request), request, refusals, leakage)
    columns = columns_of("preference", template_kwargs=_with_kwargs(request.config, with_kwargs))
    return DataSet("preference", columns, request).write(
        _preference_rows(pairs, request.config, columns, None, refusals),
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
    pairs = _wanted(_ticked(found, request), request, refusals, None)
    return DataSet("preference", columns, request).write(
        _preference_rows(pairs, config, columns, tokens, refusals),
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


def _sft_rows(
    intake: Intake, outlines: Sequence[Outline], request: Request, tokens: TokenRows | None, *, with_kwargs: bool
) -> Iterator[tuple[Row, str]]:
    config = request.config
    seen = NearDuplicates(config.near_duplicate) if config.near_duplicate is not None else None
    for outline in outlines:
        for usable in intake.usable([outline]):
            text = acts_of(usable.conversation.messages)
            if seen is not None and seen.like(outline.task_id, outline.name, text) is not None:
                intake.refusals.add(Refusal.NEAR_DUPLICATE, outline.name)
                continue
            try:
                yield from _of_episode(usable, intake, config, tokens, with_kwargs=with_kwargs)
            except NoTokens:
                intake.refusals.add(Refusal.NO_TOKENS, outline.name)
        if request.advance is not None:
            request.advance()


def _of_episode(
    usable: Usable, intake: Intake, config: ExportConfig, tokens: TokenRows | None, *, with_kwargs: bool
) -> Iterator[tuple[Row, str]]:
    given, sent = config.conversation.chat_template_kwargs, usable.outline.source.chat_template_kwargs
    kwargs = (sent if given is None else given) if with_kwargs else None
    name = usable.outline.name
    if config.unit == "step":
        rows = tokens.steps(usable, intake.filter) if tokens else step_rows(usable, intake.filter, kwargs)
    else:
        rows = tokens.trajectory(usable) if tokens else iter([trajectory_row(usable, kwargs)])
    made = list(rows)
    intake.use(usable.outline)
    for row in made:
        if row is None:
            intake.refusals.add(Refusal.STEP_REWARD, name)
        else:
            yield row, name


def _wanted(
    pairs: Iterable[Preference], request: Request, refusals: Refusals, leakage: Leakage | None
) -> Iterator[Preference]:
    """The pairs that are sure enough, of tasks that may be used."""
    config = request.config
    for pair in pairs:
        refused = None
        if pair.margin < config.min_margin:
            refused = Refusal.MARGIN
        elif pair.confidence < config.min_confidence:
            refused = Refusal.CONFIDENCE
        elif (pair.chosen.privileged or pair.rejected.privileged) and not config.pairs.filter.privileged:
            refused = Refusal.PRIVILEGED
        elif leakage is not None and (leak := _leak(leakage, pair)):
            refusals.leaks.setdefault(str(leak), leak.reason)
            refused = leak.reason
        if refused is None:
            yield pair
        else:
            refusals.add(refused, pair.pair_id)


def _leak(leakage: Leakage, pair: Preference) -> Leak | None:
    return leakage.find(pair.task_id, pair.repo, _statement(pair), pair.sketches())


def _statement(pair: Preference) -> str:
    return next((str(message["content"]) for message in pair.prompt if message["role"] == "user"), "")


def _preference_rows(
    pairs: Iterable[Preference],
    config: ExportConfig,
    columns: Columns,
    tokens: TokenRows | None,
    refusals: Refusals,
) -> Iterator[tuple[Row, str]]:
    given = config.conversation.chat_template_kwargs
    for pair in pairs:
        if tokens is not None:
            yield from _token_row(pair, tokens, refusals)
            continue
        kwargs = pair.chat_template_kwargs if given is None else given
        yield preference_row(pair, kwargs if "chat_template_kwargs" in columns else None), pair.pair_id


def _token_row(pair: Preference, tokens: TokenRows, refusals: Refusals) -> Iterator[tuple[Row, str]]:
    try:
        yield tokens.preference(pair), pair.pair_id
    except NoTokens:
        refusals.add(Refusal.NO_TOKENS, pair.pair_id)
