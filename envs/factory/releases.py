"""Releases: the difference between two consecutive published versions as a reference patch and a test patch."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..task import Provenance
from .baseline import test_files
from .behaviours import find_behaviours
from .catalogue import Package
from .diffs import diff_trees, is_text
from .distributions import Tree
from .drafts import Draft
from .package_images import PackageImage
from .source import Source
from .statements import Finding, leaks, release_statement, words_of
from .validation import RUNS, Decision, Refusal, decide
from .workshop import TestRun, Workshop

__all__ = ["Release"]

_MAX_LINES, _MAX_FAILING = 2500, 250
_SHOWN = 6
_LIMIT = 120.0
_NOTES = re.compile(r"(?i)^(docs/)?(changes|changelog|history|news|release[-_ ]?notes)[^/]*$")


@dataclass(frozen=True)
class Release:
    """Two versions of a package and what changed between them."""

    package: Package
    old: str
    new: str
    before: Tree
    after: Tree

    @property
    def instance_id(self) -> str:
        """Names the version that is mended, never the one that mends it."""
        owner, name = self.package.repo.lower().split("/")
        return f"{owner}__{name}-{self.old}-rel"

    @cached_property
    def _roots(self) -> tuple[str, ...]:
        prefix = "" if self.package.source == "." else f"{self.package.source}/"
        return tuple(prefix + module for module in self.package.modules)

    def _changes(self, *, tests: bool) -> tuple[dict[str, str], dict[str, str]]:
        """Old and new text of the files that differ: of the tests, or of the package without its tests."""
        roots = self.package.tests if tests else self._roots
        paths = {*self.before.below(*roots), *self.after.below(*roots)}
        if not tests:
            paths -= {*self.before.below(*self.package.tests), *self.after.below(*self.package.tests)}
        old: dict[str, str] = {}
        new: dict[str, str] = {}
        for path in sorted(paths):
            was, now = self.before.files.get(path), self.after.files.get(path)
            if was == now or not all(is_text(data) for data in (was, now) if data is not None) or " " in path:
                continue
            if now is None and tests:
                # A test that was given up does not decide, and its file does no harm.
                continue
            old |= {path: was.decode()} if was is not None else {}
            new |= {path: now.decode()} if now is not None else {}
        return old, new

    @cached_property
    def source(self) -> tuple[dict[str, str], dict[str, str]]:
        """Package files that differ, old and new."""
        return self._changes(tests=False)

    @cached_property
    def tests(self) -> tuple[dict[str, str], dict[str, str]]:
        """Test files that differ, old and new."""
        return self._changes(tests=True)

    def refuse_early(self) -> None:
        """Raise Refusal for a pair that cannot become a task, before anything runs."""
        if not any(path.endswith(".py") for path in self.source[1]):
            raise Refusal("the package's source did not change")
        if not self._deciding:
            raise Refusal("the tests did not change")
        lines = sum(1 for line in diff_trees(*self.source).splitlines() if re.match(r"[+-](?![+-])", line))
        if lines > _MAX_LINES:
            raise Refusal("the difference is too large")

    @cached_property
    def _deciding(self) -> list[str]:
        """Test files that changed, as pytest would find them."""
        changed = self.tests[1]
        return [path for path in test_files(self.after, self.package) if path in changed]

    def draft(self, workshop: Workshop, image: PackageImage) -> Draft:
        """Try the pair in the image of the old version. Raises Refusal."""
        (old_source, new_source), (old_tests, new_tests) = self.source, self.tests
        sources_now = {path: old_source.get(path) for path in {*old_source, *new_source}}
        sources_then = {path: new_source.get(path) for path in sources_now}
        workshop.put({path: new_tests.get(path) for path in {*old_tests, *new_tests}} | sources_then)
        mended = self._runs(workshop, _LIMIT)
        with workshop.slowed():
            mended += self._runs(workshop, _LIMIT, 1)
        workshop.put(sources_now)
        broken = self._runs(workshop, min(_LIMIT, 6 + 4 * max(run.seconds for run in mended)))
        workshop.put(sources_then)
        decision = decide(broken, mended)
        if len(decision.fail_to_pass) > _MAX_FAILING:
            raise Refusal("too many tests fail")
        patch = diff_trees(old_source, new_source)
        return Draft(
            instance_id=self.instance_id,
            image=image,
            tree=self.before,
            overlay={},
            patch=patch,
            test_patch=diff_trees(old_tests, new_tests),
            paths=self._deciding,
            decision=decision,
            statement=self._statement(workshop, (broken[0], mended[0]), decision, sources_now, sources_then, patch),
            hints=self._release_notes(),
            provenance=self._provenance(decision),
        )

    def _runs(self, workshop: Workshop, limit: float, count: int = RUNS) -> list[TestRun]:
        """The deciding test files, run as often as it takes. Raises Refusal at the first that takes too long."""
        runs = list[TestRun]()
        while len(runs) < count:
            run = workshop.test(self._deciding, cpu_seconds=limit)
            if run.timed_out:
                raise Refusal("tests time out")
            runs.append(run)
        return runs

    def _statement(
        self,
        workshop: Workshop,
        runs: tuple[TestRun, TestRun],
        decision: Decision,
        before: Mapping[str, str | None],
        after: Mapping[str, str | None],
        patch: str,
    ) -> str:
        sources = self._test_sources()
        findings: list[Finding] = find_behaviours(
            workshop, sources, *runs, decision.fail_to_pass, before=before, after=after, limit=_SHOWN
        )
        told = {finding.words for finding in findings}
        others = {words_of(name) for name in decision.fail_to_pass} - told
        kept = [finding for finding in findings if not leaks(release_statement("", "", [finding], ()), patch)]
        if not kept:
            raise Refusal("the statement would quote a changed line")
        return release_statement(self.package.name, self.old, kept, others)

    def _test_sources(self) -> dict[str, Source]:
        sources: dict[str, Source] = {}
        for path in self._deciding:
            # A test file may be there to be unreadable.
            with contextlib.suppress(SyntaxError, UnicodeDecodeError):
                sources[path] = Source(self.after.text(path))
        return sources

    def _release_notes(self) -> str:
        """What the new version's notes add, as a hint for whoever asks for hints."""
        added: list[str] = []
        for path, data in self.after.files.items():
            old = self.before.files.get(path)
            if _NOTES.match(path) and old is not None and is_text(data) and is_text(old):
                known = set(old.decode().splitlines())
                added += [line for line in data.decode().splitlines() if line not in known]
        return "\n".join(added[:200]).strip()

    def _provenance(self, decision: Decision) -> Provenance:
        old, new = self.package.sdist(self.old), self.package.sdist(self.new)
        more: dict[str, Any] = {
            "reference": new.file,
            "reference_sha256": new.sha256,
            "flaky_tests": list(decision.flaky),
            "validation_runs": RUNS,
        }
        return Provenance(
            source="release",
            origin=old.file,
            sha256=old.sha256,
            licence=self.package.licence,
            method=f"{self.old}..{self.new}",
            **more,
        )
