"""Injected bugs: operators applied to covered functions of a package, each candidate tried in the workshop."""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..task import Provenance
from .baseline import Baseline
from .behaviours import find_behaviours
from .catalogue import Package
from .diffs import diff_file, diff_trees
from .distributions import Tree
from .drafts import Draft
from .operators import Mutation, mutations
from .package_images import PackageImage
from .source import Source
from .statements import injected_statement, leaks
from .testfiles import without_tests
from .validation import RUNS, Decision, Refusal, decide
from .workshop import TestRun, Workshop

__all__ = ["Candidate", "InjectedBugs"]

_PER_FUNCTION = 2
_MAX_FAILING, _MAX_SHARE = 40, 0.5
_SHOWN = 2


@dataclass(frozen=True)
class Candidate:
    """One mutation of one file."""

    package: Package
    path: str
    mutation: Mutation
    tests: tuple[str, ...]
    """Test files with a test that calls the function."""

    @cached_property
    def key(self) -> str:
        """A short hash of what is changed and where."""
        version = self.package.inject
        text = f"{self.package.name} {version} {self.path} {self.mutation.edits}"
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def instance_id(self) -> str:
        """Says nothing of the bug."""
        owner, name = self.package.repo.lower().split("/")
        return f"{owner}__{name}-{self.package.inject}-inj-{self.key}"

    @property
    def place(self) -> str:
        """File and function."""
        return f"{self.path}::{self.mutation.function.name}"


class InjectedBugs:
    """The candidates of one package version in a fixed order, and how one of them becomes a draft."""

    def __init__(self, package: Package, tree: Tree, baseline: Baseline, seed: int) -> None:
        self.package, self.tree, self.baseline, self.seed = package, tree, baseline, seed
        self._sources: dict[str, Source] = {}

    def _source(self, path: str) -> Source:
        if path not in self._sources:
            self._sources[path] = Source(self.tree.text(path))
        return self._sources[path]

    @cached_property
    def candidates(self) -> dict[str, list[Candidate]]:
        """By operator, each list shuffled by the seed."""
        found: dict[str, list[Candidate]] = {}
        for path in _package_files(self.package, self.tree):
            for candidate in self._of_file(path):
                found.setdefault(candidate.mutation.operator, []).append(candidate)
        for name in sorted(found):
            random.Random(f"{self.seed} {self.package.name} {name}").shuffle(found[name])
        return found

    def _of_file(self, path: str) -> Iterator[Candidate]:
        lines = self.baseline.lines.get(path)
        try:
            source = self._source(path)
        except (SyntaxError, UnicodeDecodeError):
            return
        if not lines:
            return
        for function in source.functions:
            tests = {test for test in self.baseline.tests_of(path, function)}
            files = tuple(sorted({test.split("::")[0] for test in tests}))
            body = function.node.body[0].lineno
            for mutation in mutations(source, function) if files else ():
                if mutation.line in lines or mutation.line < body:
                    yield Candidate(self.package, path, mutation, files)

    def order(self, accepted: Counter[str]) -> Iterator[Candidate]:
        """Candidates, the operator with the fewest accepted so far first; `accepted` is the caller's to update.

        Of one function at most two are handed out for each operator's turn, and never two for one line.
        """
        waiting = {name: list(reversed(found)) for name, found in self.candidates.items()}
        tried: Counter[str] = Counter()
        while waiting:
            name = min(waiting, key=lambda name: (accepted[name], tried[name], name))
            candidate = waiting[name].pop()
            if not waiting[name]:
                del waiting[name]
            if accepted[candidate.place] >= _PER_FUNCTION or accepted[f"{candidate.path}:{candidate.mutation.line}"]:
                continue
            tried[name] += 1
            yield candidate

    def draft(self, workshop: Workshop, candidate: Candidate, image: PackageImage) -> Draft:
        """Try a candidate. Raises Refusal with the reason when it does not become a task."""
        source = self._source(candidate.path)
        text = candidate.mutation.apply(source)
        if text is None:
            raise Refusal("does not compile or changes nothing")
        self._refuse_copies(candidate, source)
        changed = {candidate.path: text}
        original = {candidate.path: source.text}
        with workshop.changed(original, changed):
            runs = self._runs(workshop, candidate)
            decision = decide(runs, self.baseline.restricted(candidate.tests))
            stripped = self._strip(decision.fail_to_pass)
            self._refuse_visible(workshop, candidate, decision, stripped)
        patch = diff_file(candidate.path, text, source.text)
        statement = self._statement(workshop, candidate, runs[0], decision, changed, patch)
        originals = {path: self.tree.text(path) for path in stripped}
        provenance = Provenance(
            source="injected",
            origin=self.package.sdist(self.package.inject).file,
            sha256=self.package.sdist(self.package.inject).sha256,
            licence=self.package.licence,
            method=candidate.mutation.operator,
            seed=self.seed,
            **{"function": candidate.place, "flaky_tests": list(decision.flaky), "validation_runs": RUNS},
        )
        return Draft(
            instance_id=candidate.instance_id,
            image=image,
            tree=self.tree,
            overlay={**changed, **stripped},
            patch=patch,
            test_patch=diff_trees(stripped, originals),
            paths=candidate.tests,
            decision=decision,
            statement=statement,
            provenance=provenance,
        )

    def _refuse_copies(self, candidate: Candidate, source: Source) -> None:
        """The function's original text must not be elsewhere in the repository."""
        start, end = source.line_span(candidate.mutation.function.node)
        body = source.text[start:end].encode()
        for path, data in self.tree.files.items():
            if path != candidate.path and len(body) > 80 and body in data:
                raise Refusal("the function has a copy in the repository")

    def _runs(self, workshop: Workshop, candidate: Candidate) -> list[TestRun]:
        limit = self.baseline.time_limit(candidate.tests)
        first = workshop.test(candidate.tests, cpu_seconds=limit)
        expected = self.baseline.restricted(candidate.tests)
        self._strip(self._failing(first, expected))
        runs = [first]
        for _ in range(RUNS - 1):
            runs.append(workshop.test(candidate.tests, cpu_seconds=limit))
            if runs[-1].timed_out:
                raise Refusal("tests time out")
        return runs

    def _failing(self, first: TestRun, expected: Sequence[TestRun]) -> Sequence[str]:
        """The tests that fail now and did not, after one run. Raises Refusal when they cannot decide."""
        if first.timed_out:
            raise Refusal("tests time out")
        stable = expected[0].having("PASSED")
        for run in expected[1:]:
            stable &= run.having("PASSED")
        failing = stable & first.having("FAILED", "ERROR")
        if stable - set(first.statuses):
            raise Refusal("tests can no longer be collected")
        if not failing:
            raise Refusal("no test fails")
        if len(failing) > _MAX_FAILING or len(failing) > _MAX_SHARE * len(stable):
            raise Refusal("too many tests fail")
        return sorted(failing)

    def _refuse_visible(
        self, workshop: Workshop, candidate: Candidate, decision: Decision, stripped: Mapping[str, str]
    ) -> None:
        """What stays visible must say nothing of the bug: without the deciding tests, nothing fails."""
        with workshop.changed({path: self.tree.text(path) for path in stripped}, stripped):
            seen = workshop.test(candidate.tests, cpu_seconds=self.baseline.time_limit(candidate.tests))
        if seen.having("FAILED", "ERROR") & set(decision.pass_to_pass) or set(decision.fail_to_pass) & set(
            seen.statuses
        ):
            raise Refusal("visible tests show the bug")

    def _strip(self, failing: Sequence[str]) -> dict[str, str]:
        """Test files without the tests that decide."""
        by_file: dict[str, list[str]] = {}
        for name in failing:
            by_file.setdefault(name.split("::")[0], []).append(name)
        stripped: dict[str, str] = {}
        for path, names in by_file.items():
            try:
                text = without_tests(self._source(path), names)
            except (SyntaxError, UnicodeDecodeError):
                text = None
            if text is None:
                raise Refusal("a deciding test cannot be taken out of its file")
            stripped[path] = text
        return stripped

    def _statement(
        self,
        workshop: Workshop,
        candidate: Candidate,
        run: TestRun,
        decision: Decision,
        changed: Mapping[str, str],
        patch: str,
    ) -> str:
        findings = find_behaviours(
            workshop,
            {name.split("::")[0]: self._source(name.split("::")[0]) for name in decision.fail_to_pass},
            run,
            run,
            decision.fail_to_pass,
            before=changed,
            after={candidate.path: self._source(candidate.path).text},
            limit=_SHOWN,
        )
        statement = injected_statement(self.package.name, self.package.inject, findings)
        if leaks(statement, patch):
            raise Refusal("the statement would quote a changed line")
        return statement


def _package_files(package: Package, tree: Tree) -> list[str]:
    prefix = "" if package.source == "." else f"{package.source}/"
    tests = set(tree.below(*package.tests))
    found = tree.below(*(prefix + module for module in package.modules), suffix=".py")
    return [path for path in found if path not in tests]
