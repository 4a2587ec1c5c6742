"""How agents search, edit and test, per episode and by outcome, and whether they find the files of the reference patch.

Steps before the first edit are the search; its depth is how many of them read, search or list. Edits are local when
two consecutive ones touch the same file, or lie within 10 lines of it. A test run before the first edit reproduces, one
after the last edit verifies. Files are compared with those of the reference patch by their path in the repository:
recall is the share of its files that were seen or edited, precision the share of edited files that are among them.
"""

from collections.abc import Mapping, Sequence

from ...page import Block, Table, Text
from .figures import Distribution, Figures, number, p_value
from .section import Options
from .source import Source
from .statistics import holm, mann_whitney

__all__ = ["HABITS", "SECTION", "Habit", "Patterns", "PatternsSection"]

_NEAR_LINES, _SOON = 10, 3
HABITS = f"""
    WITH placed AS (
        SELECT key, step, action, row_number() OVER line AS place, count(*) OVER (PARTITION BY key) AS length,
            action = 'edit' AS edits, action = 'test' AS tests, coalesce(edited[1], paths[1]) AS file, edit_line, paths,
            reverted, repeated, tests_failed,
            max(CASE WHEN action = 'test' THEN 1 ELSE 0 END) OVER (line ROWS BETWEEN 1 FOLLOWING AND {_SOON} FOLLOWING)
                AS test_soon
        FROM s WHERE action IS NOT NULL WINDOW line AS (PARTITION BY key ORDER BY step)
    ), bounds AS (
        SELECT key, min(place) FILTER (edits) AS first_edit, max(place) FILTER (edits) AS last_edit,
            max(place) FILTER (tests) AS last_test FROM placed GROUP BY 1
    ), pairs AS (
        SELECT key, avg((file = other)::INT) AS same_file, median(jump) AS jump,
            avg((jump <= {_NEAR_LINES})::INT) AS near
        FROM (
            SELECT key, file, lag(file) OVER line AS other,
                CASE WHEN file = lag(file) OVER line THEN abs(edit_line - lag(edit_line) OVER line) END AS jump
            FROM placed WHERE edits AND file IS NOT NULL WINDOW line AS (PARTITION BY key ORDER BY place)
        ) WHERE other IS NOT NULL GROUP BY 1
    ), sight AS (
        SELECT key, count(DISTINCT path) AS files_before_edit
        FROM (SELECT key, unnest(paths) AS path FROM placed JOIN bounds USING (key)
            WHERE action = 'read' AND place < first_edit)
        GROUP BY 1
    )
    SELECT key, any_value(length) AS length,
        CASE WHEN any_value(first_edit) IS NOT NULL
            THEN count(*) FILTER (place < first_edit AND action IN ('read', 'search', 'list')) END AS search_depth,
        CASE WHEN any_value(first_edit) IS NOT NULL THEN coalesce(any_value(files_before_edit), 0) END
            AS files_before_edit,
        (any_value(first_edit) - 1) / any_value(length) AS first_edit_at,
        any_value(same_file) AS same_file, any_value(jump) AS jump, any_value(near) AS near,
        count(*) FILTER (tests) AS test_runs,
        CASE WHEN any_value(first_edit) IS NOT NULL THEN (count(*) FILTER (tests AND place < first_edit) > 0)::INT END
            AS reproduces,
        CASE WHEN any_value(last_edit) IS NOT NULL THEN (count(*) FILTER (tests AND place > last_edit) > 0)::INT END
            AS verifies,
        avg(test_soon) FILTER (edits) AS tested_soon,
        (arg_max(tests_failed, place) FILTER (tests AND tests_failed IS NOT NULL) = 0)::INT AS last_test_passes,
        count(*) FILTER (reverted) AS reverting, avg(repeated::INT) AS repeated
    FROM placed JOIN bounds USING (key) LEFT JOIN pairs USING (key) LEFT JOIN sight USING (key)
    GROUP BY key
"""
"""One row an episode with a known action."""

_COVERAGE = """
    SELECT key, len(list_intersect(files, files_edited)) / len(files) AS recall_edited,
        len(list_intersect(files, list_distinct(coalesce(files_read, []) || files_edited))) / len(files) AS recall_seen,
        CASE WHEN len(files_edited) > 0
            THEN len(list_intersect(files, files_edited)) / len(list_distinct(files_edited)) END
            AS precision_edited
    FROM e JOIN reference ON e.task_id = reference.task_id WHERE files_edited IS NOT NULL AND len(files) > 0
"""
_LABELS = {
    "search_depth": "search depth: steps that read, search or list before the first edit",
    "files_before_edit": "files read before the first edit",
    "first_edit_at": "first edit after this share of steps",
    "same_file": "share of consecutive edits in the same file",
    "jump": "lines between consecutive edits of a file, median of the episode",
    "near": f"share of these within {_NEAR_LINES} lines",
    "test_runs": "test runs",
    "reproduces": "tests run before the first edit (share of episodes)",
    "verifies": "tests run after the last edit (share of episodes)",
    "tested_soon": f"share of edits followed by a test run within {_SOON} steps",
    "last_test_passes": "last test run without failures (share of episodes)",
    "reverting": "steps that revert a file",
    "repeated": "share of steps asked before in the episode",
    "recall_seen": "files of the reference patch that were seen or edited",
    "recall_edited": "files of the reference patch that were edited",
    "precision_edited": "edited files that the reference patch changes",
}
_SHARES = frozenset(_LABELS) - {"search_depth", "files_before_edit", "jump", "test_runs", "reverting"}
"""Those that lie between 0 and 1."""


class Habit(Figures):
    """One measure of episodes, over all and by outcome."""

    every: Distribution
    resolved: Distribution
    unresolved: Distribution
    delta: float | None
    """Cliff's, resolved against unresolved."""
    p_holm: float | None
    """Mann-Whitney, adjusted over all measures; it takes episodes for independent."""


class Patterns(Figures):
    """Search, edits, tests, coverage."""

    habits: dict[str, Habit]
    references: int
    """Tasks whose reference patch was given."""
    compared: int
    """Episodes of those tasks with known edits."""


class PatternsSection:
    """Search, edits, tests, coverage."""

    name = "patterns"
    family = "behaviour"
    title = "Searching, editing, testing"
    silent = "no step tells what it did"

    def measure(self, source: Source, options: Options) -> Patterns | None:
        """Everything of this module's description; None where no action is known."""
        source.connection.execute(f"CREATE OR REPLACE TEMP TABLE habits AS {HABITS}")
        if not source.row("SELECT count(*) AS n FROM habits")["n"]:
            return None
        _references(source, options.references)
        source.connection.execute(f"CREATE OR REPLACE TEMP TABLE coverage AS {_COVERAGE}")
        compared = source.row("SELECT count(*) AS n FROM coverage")["n"]
        relation = "habits" if not compared else "(FROM habits LEFT JOIN coverage USING (key))"
        names = [name for name in _LABELS if compared or not name.startswith(("recall", "precision"))]
        return Patterns(habits=_habits(source, relation, names), references=len(options.references), compared=compared)

    def headline(self, found: Patterns) -> Sequence[tuple[str, str]]:
        """Search depth, locality, testing."""
        return tuple(
            (_LABELS[name] + ", mean", number(found.habits[name].every.mean))
            for name in ("search_depth", "same_file", "verifies", "test_runs", "recall_edited")
            if name in found.habits
        )

    def blocks(self, found: Patterns, options: Options) -> Sequence[Block]:
        """One row a measure."""
        rows = tuple(
            (_LABELS[name], f"{one.every.n:,}", _mean(name, one.every), number(one.every.p50),
             _mean(name, one.resolved), _mean(name, one.unresolved), number(one.delta), p_value(one.p_holm))
            for name, one in found.habits.items() if one.every.n
        )  # fmt: skip
        columns = ("per episode", "n", "mean [95% interval]", "median", "resolved: mean", "unresolved: mean",
                   "Cliff's delta", "p (Holm)")  # fmt: skip
        said = (
            f"Files are compared with the reference patches of {found.references:,} tasks, {found.compared:,} episodes."
            if found.references
            else "No reference patches were given (--tasks): files are not compared with them."
        )
        return [Table("Search, edits and tests", columns, rows), Text(said)]


def _references(source: Source, references: Mapping[str, Sequence[str]]) -> None:
    source.connection.execute("CREATE OR REPLACE TEMP TABLE reference (task_id VARCHAR, files VARCHAR[])")
    if references:
        rows = [(task, sorted(set(files))) for task, files in references.items()]
        source.connection.executemany("INSERT INTO reference VALUES (?, ?)", rows)


def _habits(source: Source, relation: str, names: Sequence[str]) -> dict[str, Habit]:
    expressions = {name: name for name in names}
    sides = [
        source.describe(f"(FROM {relation} WHERE key IN (SELECT key FROM o WHERE resolved = {good}))", expressions)
        for good in ("TRUE", "FALSE")
    ]
    every = source.describe(relation, expressions)
    tested = {name: _test(source, relation, name) for name in names}
    p = [one[1] for one in tested.values() if one[1] is not None]
    adjusted = iter(holm(p) if p else ())
    return {
        name: Habit(
            every=every[name],
            resolved=sides[0][name],
            unresolved=sides[1][name],
            delta=delta,
            p_holm=None if p_value is None else next(adjusted),
        )
        for name, (delta, p_value) in tested.items()
    }


def _test(source: Source, relation: str, name: str) -> tuple[float | None, float | None]:
    sides = [
        source.values(
            f"SELECT CAST({name} AS DOUBLE) AS x FROM {relation} WHERE key IN (SELECT key FROM o WHERE resolved = "
            f"{good})"
        )
        for good in ("TRUE", "FALSE")
    ]
    return mann_whitney(*sides)


def _mean(name: str, one: Distribution) -> str:
    if one.mean is None:
        return "-"
    if one.low is None or one.high is None:
        return number(one.mean)
    high = min(one.high, 1.0) if name in _SHARES else one.high
    return f"{number(one.mean)} [{number(one.least)}, {number(high)}]"


SECTION = PatternsSection()
