"""What happened so far in an episode, kept so that a question costs about the same at step 300 as at step 3."""

import posixpath
from collections import deque
from dataclasses import dataclass
from functools import lru_cache

from .acts import Act, Edit, Span
from .checks import Check
from .facts import TaskFacts
from .files import FileState, merged
from .paths import Role
from .shell import Kind
from .text import path_key, words

__all__ = ["History", "Seen"]

_RECENT = 12
_LISTING = 60
_LISTED = -1
_WHOLE = 1_000_000
_LOOKING = frozenset((Kind.READ, Kind.SEARCH, Kind.LIST, Kind.VCS, Kind.IDLE))
_REPLACED = "replaced by a fresh copy"


@lru_cache(maxsize=8192)
def _keys(path: str, workdir: str) -> tuple[str, str, str]:
    """The words by which a text may name a path."""
    key = path_key(path)
    return key, f"{workdir}/{key}", path_key(posixpath.basename(path))


@dataclass(slots=True)
class Seen:
    """The last call that asked for the same."""

    index: int
    epoch: int
    failed: bool
    excused: bool
    observation: str
    times: int


class History:
    """The episode up to, and without, the step that is being judged."""

    def __init__(self, task: TaskFacts) -> None:
        self.task = task
        self.count = 0
        self.epoch = 0
        """How often the state of the repository changed."""
        self.files: dict[str, FileState] = {}
        self.seen: dict[str, Seen] = {}
        self.answers: dict[str, tuple[int, int]] = {}
        """Fingerprint of an observation: its last index and epoch."""
        self.words: dict[str, int] = {}
        """Words and paths that observations showed: the last step, or -1 when only a mere listing did."""
        self.lines: set[str] = set()
        """Every line that was shown."""
        self.recent: deque[Act] = deque(maxlen=_RECENT)
        self.last: Act | None = None
        """The step before."""
        self.checks: dict[str, Check] = {}
        """The last check by each command."""
        self.last_check: Check | None = None
        self.reproduced: float = 0.0
        """1 when a check about the issue failed before the first change, 0.5 when one ran and passed."""
        self.failed_at_first: set[str] = set()
        """Tests that failed before the first change to source."""
        self.ever_passed: set[str] = set()
        self.ever_failed: set[str] = set()
        self.located: set[str] = set()
        """Names of the statement that were seen in the repository."""
        self.searched: dict[str, list[tuple[int, int, str]]] = {}
        """Each pattern with the steps, epochs and places it was searched at."""
        self.pending_hits: frozenset[str] = frozenset()
        """Files a search found and nothing has opened yet."""
        self.searches_unopened = 0
        self.source_edit_at = -1
        self.source_epoch = 0
        """The epoch of the last change to a source file."""
        self.changed_sources: dict[str, None] = {}
        """Existing source files that differ, in more than comments, from what the episode began with."""
        self.changed_stems: set[str] = set()
        self.read_sources: set[str] = set()
        self.topical_scripts: set[str] = set()
        """Scripts of the agent's own that mention the issue."""
        self.looking = 0
        """Steps in a row that only looked."""
        self.edits_since_check = 0
        self.verified_times = 0
        """How many changes a check passed after."""
        self.fruitless = 0
        """Checks in a row that gave the same answer although something was changed between."""
        self.last_advance = -1
        self.tampered: dict[str, int] = {}
        """Existing tests and test infrastructure that differ from what the episode began with: the step."""
        self.refusals: dict[str, int] = {}
        """How often each kind of act ended by each error."""
        self.submitted = False
        self.thoughts = 0
        """How many steps came with a thought."""

    @property
    def unverified(self) -> bool:
        """Whether source changed since the last check."""
        return self.source_edit_at >= 0 and (self.last_check is None or self.last_check.epoch < self.source_epoch)

    @property
    def only_assumed(self) -> bool:
        """Whether nothing shows that any source did change."""
        return bool(self.changed_sources) and all(self.files[path].assumed for path in self.changed_sources)

    def known(self, path: str) -> FileState | None:
        """What is known of a file."""
        return self.files.get(path)

    def shown(self, path: str) -> int | None:
        """The step that last showed this path or its file name: -1 for a mere listing, None for never."""
        best = None
        for key in _keys(path, self.task.workdir):
            at = self.words.get(key)
            if at is not None and (best is None or at > best):
                best = at
        return best

    def is_new(self, edit: Edit) -> bool:
        """Whether the agent made the file. A shell does not tell; what nothing ever named is taken for new."""
        state = self.files.get(edit.path)
        if state is not None and state.edits:
            return state.created
        if edit.created or edit.existing or edit.before is not None:
            return edit.created
        seen = state is not None and (state.read_at is not None or state.found_at is not None)
        return not seen and self.shown(edit.path) is None

    def content_after(self, edit: Edit, state: FileState | None) -> str | None:
        """What an edit leaves, as far as the step tells."""
        return state.original if edit.after == "original" and state is not None else edit.after

    def times_before(self, edit: Edit) -> int:
        """How often the file had this content before."""
        state = self.files.get(edit.path)
        return state.visits.get(self.content_after(edit, state) or "", 0) if state is not None else 0

    def record(self, act: Act, check: Check | None, *, advanced: bool = False) -> None:
        """Take a judged step into account."""
        if act.excused and _REPLACED in act.observation[-500:]:
            self._forget_changes()
        self._record_edits(act)
        self._record_spans(act)
        self._record_shown_changes(act)
        self._record_check(act, check)
        self._record_search(act)
        self._record_text(act)
        self._record_call(act)
        self.last_advance = self.count if advanced else self.last_advance
        self.submitted = self.submitted or act.kind is Kind.SUBMIT
        self.thoughts += act.step.thought is not None
        self.recent.append(act)
        self.last = act
        self.count += 1

    def _record_call(self, act: Act) -> None:
        earlier = self.seen.get(act.signature)
        times = earlier.times + 1 if earlier else 1
        self.seen[act.signature] = Seen(act.index, self.epoch, act.failed, act.excused, act.observation[:300], times)
        self.looking = self.looking + 1 if act.kind in _LOOKING else 0
        if act.step.error is not None and not act.excused:
            key = f"{act.kind}:{act.step.error}"
            self.refusals[key] = self.refusals.get(key, 0) + 1

    def _file(self, path: str) -> FileState:
        state = self.files.get(path)
        if state is None:
            state = self.files[path] = FileState()
        return state

    def _forget_changes(self) -> None:
        """The sandbox was replaced: every file is again what it was."""
        for state in self.files.values():
            state.current = state.original
        self.changed_sources.clear()
        self.tampered.clear()

    def _record_edits(self, act: Act) -> None:
        effective = [edit for edit in act.edits if edit.changed]
        untold = act.kind in (Kind.EDIT, Kind.SETUP) and not act.edits and not act.failed
        if effective or untold:
            self.epoch += 1
        for edit in effective:
            for path in self._reached(edit):
                self._record_edit(edit, path, act)

    def _reached(self, edit: Edit) -> list[str]:
        """The files an edit changes: those under a folder that is restored, else the one it names."""
        if edit.after != "original" or edit.path in self.files:
            return [edit.path]
        folder = "" if edit.path == "." else f"{edit.path}/"
        return [path for path, state in self.files.items() if state.edits and path.startswith(folder)]

    def _record_edit(self, edit: Edit, path: str, act: Act) -> None:
        state = self._file(path)
        if state.edits == 0:
            state.created = self.is_new(edit)
            state.original = edit.before or ("absent" if state.created else state.read_content or "original")
            state.informed = state.read_at is not None
            state.visits[state.original] = 1
        after = self.content_after(edit, state) or f"unknown:{act.index}"
        state.edits += 1
        state.current = after
        state.visits[after] = state.visits.get(after, 0) + 1
        state.changed_at = act.index
        state.cosmetic = state.cosmetic and edit.cosmetic
        state.spans.clear()
        self._classify(path, state, act)

    def _classify(self, path: str, state: FileState, act: Act) -> None:
        role = self.task.role(path)
        if role is Role.SOURCE and (not state.created or path in self.task.reference):
            self.source_edit_at, self.source_epoch = act.index, self.epoch
            self.edits_since_check += 1
            self.changed_stems.add(posixpath.splitext(posixpath.basename(path))[0])
        elif state.created or role is Role.OUTSIDE:
            text = act.step.arguments.get("content") or act.step.arguments.get("command") or ""
            if not words(str(text)).isdisjoint(self.task.issue_names):
                self.topical_scripts.add(path)
        self._settle(path, state, act.index)

    def _settle(self, path: str, state: FileState, index: int) -> None:
        """Count a file among the changed sources or the tampered tests, or no longer."""
        role = self.task.role(path)
        self.changed_sources.pop(path, None)
        self.tampered.pop(path, None)
        if not state.net_changed:
            return
        if role is Role.SOURCE and not state.cosmetic and (not state.created or path in self.task.reference):
            self.changed_sources[path] = None
        elif role is Role.INFRA or (role is Role.TEST and not state.created):
            self.tampered[path] = index

    def _record_shown_changes(self, act: Act) -> None:
        """`git diff` and `git status` show that a file did change."""
        verb = act.step.data.get("subcommand") or (act.shell.normal if act.shell else "")
        if act.kind is not Kind.VCS or not any(word in str(verb) for word in ("diff", "status")):
            return
        for path in self.changed_sources:
            state = self.files[path]
            if state.assumed and path in act.observation:
                state.current = f"shown:{act.index}"

    def _record_spans(self, act: Act) -> None:
        for span in act.spans:
            self._record_span(act, span)
        if act.step.error == "not_found" and act.kind is Kind.READ:
            for path in act.paths:
                self._file(path).missing = True
        for path in act.hits:
            state = self._file(path)
            state.found_at = act.index if state.found_at is None else state.found_at

    def _record_span(self, act: Act, span: Span) -> None:
        state = self._file(span.path)
        content, total = act.step.data.get("sha256"), act.step.data.get("total_lines")
        if isinstance(content, str):
            state.read_content = content
            if state.assumed:  # only a read tells what a command left behind
                state.current = content
                self._settle(span.path, state, act.index)
        state.total_lines = total if isinstance(total, int) else state.total_lines
        state.read_at = act.index if state.read_at is None else state.read_at
        lines = (span.start, span.end if span.end is not None else _WHOLE)
        state.spans = merged(state.spans, lines)
        state.ever_read = merged(state.ever_read, lines)
        if self.task.role(span.path) is Role.SOURCE and not state.created:
            self.read_sources.add(span.path)

    def _record_check(self, act: Act, check: Check | None) -> None:
        if act.tests is not None:
            if self.source_edit_at < 0:
                self.failed_at_first |= act.tests.failed
            self.ever_passed |= act.tests.passed
            self.ever_failed |= act.tests.failed
        if check is None:
            return
        before = self.checks.get(act.signature)
        moot = act.kind is Kind.TEST and check.ok
        same = before is not None and not moot and before.ok == check.ok and before.answer == check.answer
        self.fruitless = self.fruitless + 1 if same and before and before.epoch < check.epoch else 0
        if check.before_change:
            self.reproduced = max(self.reproduced, 0.5 if check.ok else 1.0)
        self.verified_times += check.ok and self.unverified
        self.checks[act.signature] = check
        self.last_check = check
        self.edits_since_check = 0

    def _record_search(self, act: Act) -> None:
        where = act.paths[0] if act.paths else "."
        for pattern in act.patterns:
            self.searched.setdefault(pattern.casefold(), []).append((act.index, self.epoch, where))
        if act.kind is Kind.SEARCH and act.hits:
            self.searches_unopened += 1
            self.pending_hits = frozenset(act.hits)
        elif not self.pending_hits.isdisjoint(act.paths):
            self.pending_hits, self.searches_unopened = frozenset(), 0

    def _record_text(self, act: Act) -> None:
        fresh = act.text.words
        if act.failed and act.paths:
            # an error that echoes a wrong path does not make that path known
            echoed = {path_key(path) for path in act.paths}
            fresh = fresh.difference(echoed, {posixpath.basename(key) for key in echoed})
        if act.kind is Kind.LIST or len(act.hits) > _LISTING:
            self.words.update(dict.fromkeys(fresh.difference(self.words), _LISTED))
        elif act.kind is not Kind.IDLE:
            self.words.update(dict.fromkeys(fresh, act.index))
        if act.kind in (Kind.READ, Kind.SEARCH):
            self.located.update(fresh.intersection(self.task.issue_names))
        self.lines |= act.text.lines
        self.answers[act.text.print] = (act.index, self.epoch)
