"""A build: every package of the catalogue turned into validated tasks, several packages at a time."""

import fnmatch
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ...errors import DiskFull, EngineUnavailable, TrajHubError
from ..engine import Engine
from ..sources.task_repo import write_task_repo
from .baseline import Baseline, leaked_copies, measure_baseline, test_files
from .catalogue import Catalogue, Package
from .distributions import Tree, fetch, read_tree
from .drafts import DATASET, Draft, publish
from .injected import Candidate, InjectedBugs
from .journal import Journal, Outcome
from .package_images import PackageImage, ensure_package_image, testbed_tree
from .recipes import write_recipe
from .releases import Release
from .validation import Refusal
from .workshop import Workshop

__all__ = ["Build", "BuildPlan", "Kind", "Unit", "plan_build"]

Kind = Literal["injected", "release"]
_TRIES_PER_TASK = 5
"""Candidates tried for each task wanted, before a package is given up."""


@dataclass(frozen=True)
class Unit:
    """What one worker does at a time: the injected bugs of a package, or one of its releases."""

    kind: Kind
    package: Package
    wanted: int
    pair: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """What is to be built."""

    catalogue: Catalogue
    units: tuple[Unit, ...]
    seed: int = 0
    pattern: str = "*"
    """Only candidates whose `package/path::function/operator` or `package/old..new` matches."""

    @property
    def wanted(self) -> int:
        """Tasks asked for."""
        return sum(unit.wanted for unit in self.units)

    def config(self) -> dict[str, object]:
        """What a build that goes on must share with the one that began."""
        text = self.catalogue.model_dump_json()
        return {"seed": self.seed, "catalogue": hashlib.sha256(text.encode()).hexdigest()[:16], "filter": self.pattern}


def plan_build(
    catalogue: Catalogue,
    *,
    kinds: tuple[Kind, ...] = ("injected", "release"),
    limit: int | None = None,
    seed: int = 0,
    pattern: str = "*",
) -> BuildPlan:
    """The units of a build, the longest first; `limit` is the most tasks of each kind."""
    units: list[Unit] = []
    if "injected" in kinds:
        quotas = _quotas(catalogue, limit)
        units += [Unit("injected", p, quotas[p.name]) for p in catalogue.packages if quotas[p.name]]
        units.sort(key=lambda unit: -unit.wanted)
    if "release" in kinds:
        pairs = [Unit("release", package, 1, pair) for package in catalogue.packages for pair in package.releases]
        units += pairs[:limit]
    return BuildPlan(catalogue=catalogue, units=tuple(units), seed=seed, pattern=pattern)


def _quotas(catalogue: Catalogue, limit: int | None) -> dict[str, int]:
    """Tasks wanted of each package: its quota, or an even share of the limit."""
    full = {package.name: package.quota for package in catalogue.packages}
    if limit is None or limit >= sum(full.values()):
        return full
    quotas = dict.fromkeys(full, 0)
    while sum(quotas.values()) < limit:
        for name in quotas:
            if quotas[name] < full[name] and sum(quotas.values()) < limit:
                quotas[name] += 1
    return quotas


@dataclass
class Build:
    """One build into one folder."""

    engine: Engine
    plan: BuildPlan
    folder: Path
    notify: Callable[[Outcome], None] = lambda _: None
    """Told of every outcome, from any thread; those of an earlier part of the build included."""
    problems: list[str] = field(default_factory=list[str])
    """Units that failed for reasons of their own, such as a download."""
    enumerated: Counter[str] = field(default_factory=Counter[str])
    """Candidates that each operator gave."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.journal = Journal(self.folder / ".build", self.plan.config())

    def run(self, max_workers: int = 2) -> None:
        """Do everything that is not done yet. Raises what stops the whole build."""
        write_task_repo([], self.folder, dockerfiles={}, dataset=DATASET)
        with ThreadPoolExecutor(max_workers, thread_name_prefix="factory") as pool:
            futures: list[Future[None]] = [pool.submit(self._unit, unit) for unit in self.plan.units]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set() if any(not future.done() for future in futures) else None
                for future in futures:
                    future.cancel()
        for future in futures:
            if not future.cancelled():
                future.result()

    def _unit(self, unit: Unit) -> None:
        if self._stop.is_set():
            return
        try:
            self._injected(unit) if unit.kind == "injected" else self._release(unit)
        except (EngineUnavailable, DiskFull):
            raise
        except TrajHubError as error:
            with self._lock:
                self.problems.append(f"{unit.package.name} {unit.kind}: {error}")

    def _tree(self, package: Package, version: str) -> Tree:
        return testbed_tree(read_tree(fetch(package.sdist(version))), package)

    def _image(self, package: Package, version: str, tree: Tree) -> PackageImage:
        image = ensure_package_image(self.engine, self.plan.catalogue, package, version, tree)
        write_recipe(self.folder, self.plan.catalogue, image)
        return image

    def _matches(self, name: str) -> bool:
        return fnmatch.fnmatchcase(name, self.plan.pattern)

    def _injected(self, unit: Unit) -> None:
        package = unit.package
        tree = self._tree(package, package.inject)
        with _LazyWorkshop(self, package, package.inject, tree) as shop:
            bugs = InjectedBugs(package, tree, self._baseline(package, tree, shop), self.plan.seed)
            if not bugs.candidates:
                raise TrajHubError("no test calls a function of the package; check `modules`, `source` and `tests`")
            with self._lock:
                self.enumerated.update({name: len(found) for name, found in bugs.candidates.items()})
            accepted: Counter[str] = Counter()
            wanted, tries = unit.wanted, _TRIES_PER_TASK * unit.wanted
            for candidate in self._chosen(bugs, accepted):
                if not wanted or not tries or self._stop.is_set():
                    return
                tries -= 1
                outcome = self._try(candidate, lambda one=candidate: bugs.draft(shop.open(), one, shop.image))
                if outcome.accepted:
                    wanted -= 1
                    mutation = candidate.mutation
                    accepted.update([mutation.operator, candidate.place, f"{candidate.path}:{mutation.line}"])

    def _chosen(self, bugs: InjectedBugs, accepted: Counter[str]) -> Iterator[Candidate]:
        for candidate in bugs.order(accepted):
            if self._matches(f"{candidate.package.name}/{candidate.place}/{candidate.mutation.operator}"):
                yield candidate

    def _baseline(self, package: Package, tree: Tree, shop: "_LazyWorkshop") -> Baseline:
        path = self.journal.folder / f"{package.name}-{package.inject}.json"
        if (kept := Baseline.load(path)) is not None:
            return kept
        if copies := leaked_copies(shop.open(), package):
            raise TrajHubError(f"the image holds other copies of the package: {', '.join(copies)}")
        measured = measure_baseline(shop.open(), package, test_files(tree, package))
        measured.save(path)
        return measured

    def _try(self, candidate: Candidate, make: Callable[[], Draft]) -> Outcome:
        mutation = candidate.mutation
        return self._settle(
            Outcome(
                candidate=f"{candidate.instance_id} {mutation.operator}",
                kind="injected",
                package=candidate.package.name,
                version=candidate.package.inject,
                operator=mutation.operator,
                function=candidate.place,
                accepted=False,
            ),
            make,
        )

    def _release(self, unit: Unit) -> None:
        assert unit.pair is not None
        package, (old, new) = unit.package, unit.pair
        if not self._matches(f"{package.name}/{old}..{new}"):
            return

        def make() -> Draft:
            release = Release(package, old, new, self._tree(package, old), self._tree(package, new))
            release.refuse_early()
            with _LazyWorkshop(self, package, old, release.before) as shop:
                return release.draft(shop.open(), shop.image)

        pair = f"{old}..{new}"
        self._settle(
            Outcome(
                candidate=f"{package.name} {pair}",
                kind="release",
                package=package.name,
                version=old,
                operator=pair,
                accepted=False,
            ),
            make,
        )

    def _settle(self, blank: Outcome, make: Callable[[], Draft]) -> Outcome:
        """The outcome of a candidate: the one written down before, or that of trying it now."""
        known = self.journal.get(blank.candidate)
        if known is not None and (not known.accepted or self._is_written(known.instance_id)):
            self.notify(known)
            return known
        started = time.monotonic()
        try:
            draft = make()
            publish(self.engine, draft, self.folder)
            outcome = replace(blank, accepted=True, instance_id=draft.instance_id)
        except Refusal as refusal:
            outcome = replace(blank, reason=refusal.reason)
        outcome = replace(outcome, seconds=round(time.monotonic() - started, 3))
        self.journal.add(outcome)
        self.notify(outcome)
        return outcome

    def _is_written(self, instance_id: str) -> bool:
        home = self.folder / "tasks" / instance_id
        return (home / "task.yaml").is_file()


class _LazyWorkshop:
    """A workshop that is opened when first needed: a build that only goes over its journal needs none."""

    def __init__(self, build: Build, package: Package, version: str, tree: Tree) -> None:
        self._build, self._package, self._version, self._tree = build, package, version, tree
        self._image: PackageImage | None = None
        self._shop: Workshop | None = None

    @property
    def image(self) -> PackageImage:
        """The package's image."""
        if self._image is None:
            self._image = self._build._image(self._package, self._version, self._tree)  # pyright: ignore[reportPrivateUsage]
        return self._image

    def open(self) -> Workshop:
        """The workshop, opened."""
        if self._shop is None:
            self._shop = Workshop(self._build.engine, self.image.name, self._package)
        return self._shop

    def __enter__(self) -> "_LazyWorkshop":
        return self

    def __exit__(self, *error: object) -> None:
        if self._shop is not None:
            self._shop.__exit__(*error)
