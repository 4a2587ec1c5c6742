"""From usable episodes, and from pairs, to the rows of a data set; whatever is left out is counted."""

from collections.abc import Iterable, Iterator, Sequence

from ..config import ExportConfig
from ..preferences.compare import acts_of
from ..preferences.preference import Preference
from ..trajectories.intake import Intake, Usable
from ..trajectories.leakage import Leak, Leakage
from ..trajectories.records import Outline
from ..trajectories.refusal import Refusal, Refusals
from ..trajectories.similarity import NearDuplicates
from .columns import Columns
from .dataset import Request
from .rows import Row, preference_row, step_rows, trajectory_row
from .token_rows import NoTokens, TokenRows

__all__ = ["preference_rows", "sft_rows", "wanted_pairs"]


def sft_rows(
    intake: Intake, outlines: Sequence[Outline], request: Request, tokens: TokenRows | None, *, with_kwargs: bool
) -> Iterator[tuple[Row, str]]:
    """Rows of the episodes that may be used, each with the name of its episode; all others are counted."""
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


def wanted_pairs(
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


def preference_rows(
    pairs: Iterable[Preference],
    config: ExportConfig,
    columns: Columns,
    tokens: TokenRows | None,
    refusals: Refusals,
) -> Iterator[tuple[Row, str]]:
    """Rows of pairs, each with its id."""
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
