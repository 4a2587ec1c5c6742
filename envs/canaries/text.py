"""Canaries in test files of languages that are read as text."""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..verdict import CanaryKind
from .definitions import Definition
from .languages import Language, language_of
from .model import Canary, Names, Planted

__all__ = ["break_in_place", "plant"]

_MAX_COPIES = 4
_MAX_BROKEN = 3
_HOMES = 2


@dataclass(frozen=True, slots=True)
class _Found:
    """A test in a file, and the ids of a log that are it."""

    file: str
    text: str
    language: Language
    definition: Definition
    ids: tuple[str, ...] = ()


def plant(
    sources: Mapping[str, str],
    decisive: Iterable[str],
    others: Iterable[str],
    rng: random.Random,
    *,
    copies: bool = True,
) -> Planted:
    """Plant canaries; the arguments are those of `canaries.plant`."""
    tests = _tests(sources)
    names = Names(sources, [found.definition.title for found in tests], rng)
    known = _located(tests, list(decisive))
    homes = list({found.file: found for found in (*known, *tests)}.values())[:_HOMES]
    canaries: list[Canary] = []
    edits: dict[str, list[tuple[int, str]]] = {}
    for canary, place, text in [*_new(homes, names), *(_copies(known, names) if copies else ())]:
        canaries.append(canary)
        edits.setdefault(canary.file, []).append((place, text))
    return Planted(sources=_edited(sources, edits), canaries=tuple(canaries))


def break_in_place(
    sources: Mapping[str, str], decisive: Iterable[str], rng: random.Random
) -> tuple[Planted, Planted] | None:
    """Deciding tests with a true statement and with a false one in the same place; None when none can be found."""
    tests = _tests(sources)
    wanted = list(decisive)
    known = [found for found in _located(tests, wanted) or _by_file(tests, wanted, rng) if _can_break(found)]
    if not known:
        return None
    chosen = rng.sample(known, min(_MAX_BROKEN, len(known)))
    canaries: list[Canary] = []
    edits: tuple[dict[str, list[tuple[int, str]]], ...] = ({}, {})
    for found in chosen:
        canaries.append(_canary(found, found.definition.title, CanaryKind.BROKEN_ORIGINAL))
        place, true, false = _statements(found, rng)
        for target, text in zip(edits, (true, false), strict=True):
            target.setdefault(found.file, []).append((place, text))
    control, broken = (_edited(sources, target) for target in edits)
    return Planted(sources=control, canaries=()), Planted(sources=broken, canaries=tuple(canaries))


def _tests(sources: Mapping[str, str]) -> list[_Found]:
    return [
        _Found(path, text, language, definition)
        for path, text in sources.items()
        if (language := language_of(path)) is not None
        for definition in language.find(text)
    ]


def _located(tests: list[_Found], ids: list[str]) -> list[_Found]:
    """The tests that ids name without doubt. Of two titles that an id ends with, the longer one is meant."""
    named: dict[int, list[str]] = {}
    for test in ids:
        fits = [index for index, found in enumerate(tests) if found.language.belongs(test, found.definition)]
        longest = max((len(tests[index].definition.title) for index in fits), default=0)
        best = [index for index in fits if len(tests[index].definition.title) == longest]
        if len(best) == 1:
            named.setdefault(best[0], []).append(test)
    return [replace(tests[index], ids=tuple(found)) for index, found in named.items()]


def _by_file(tests: list[_Found], ids: list[str], rng: random.Random) -> list[_Found]:
    """For logs that report whole files: one test of each such file."""
    found: list[_Found] = []
    for test in ids:
        inside = [one for one in tests if f"/{one.file}".endswith(f"/{test}") or f"/{test}".endswith(f"/{one.file}")]
        usable = [one for one in inside if _can_break(one)]
        if usable:
            found.append(replace(rng.choice(usable), ids=(test,)))
    return found


def _can_break(found: _Found) -> bool:
    refused = found.language.no_break
    return found.definition.body is not None and not (refused and refused.search(found.definition.head))


def _new(homes: list[_Found], names: Names) -> Iterator[tuple[Canary, int, str]]:
    """Tests that pass and tests that fail in every form, in random number and order, behind tests that are there."""
    rng = names.rng
    for home in homes:
        forms = home.language.forms(home.text, home.definition)
        failing = [(CanaryKind.MUST_FAIL, form) for form in forms]
        passing = [(CanaryKind.MUST_PASS, rng.choice(forms)) for _ in range(rng.randint(1, 3))]
        wanted = [*failing, *passing]
        for kind, form in rng.sample(wanted, len(wanted)):
            name = names.new(lambda words, home=home: home.language.title(words, home.definition))
            true, false = _filled(form, rng)
            text = home.language.write(name, true if kind is CanaryKind.MUST_PASS else false, home.definition)
            yield _canary(home, name, kind), home.definition.end, text


def _copies(known: list[_Found], names: Names) -> Iterator[tuple[Canary, int, str]]:
    for found in names.rng.sample(known, min(_MAX_COPIES, len(known))):
        definition = found.definition
        name = names.new(lambda words, found=found: found.language.title(words, found.definition))
        yield _canary(found, name, CanaryKind.COPY), definition.end, "\n" + _copy(found, name)
        if _can_break(found):
            name = names.new(lambda words, found=found: found.language.title(words, found.definition))
            place, _, false = _statements(found, names.rng)
            copy = _copy(found, name, (place, false))
            yield _canary(found, name, CanaryKind.BROKEN_COPY), definition.end, "\n" + copy


def _canary(found: _Found, name: str, kind: CanaryKind) -> Canary:
    return Canary(name=name, kind=kind, file=found.file, of=found.ids, function=found.definition.title, python=False)


def _copy(found: _Found, name: str, *edits: tuple[int, str]) -> str:
    """The text of a test under another name, with insertions."""
    definition = found.definition
    first, last = definition.name
    whole = _insert(found.text[last : definition.end], [(place - last, added) for place, added in edits])
    return found.text[definition.start : first] + name + whole.rstrip("\n") + "\n"


def _filled(form: str, rng: random.Random) -> tuple[str, str]:
    """A statement that holds and one that fails, of one form."""
    number = rng.randint(2, 60)
    wrong = number + rng.randint(1, 9)
    true, false = (form.format(a=number, b=other, x="x" * number) for other in (number, wrong))
    return true, false


def _statements(found: _Found, rng: random.Random) -> tuple[int, str, str]:
    """Where a statement goes in a test (its end; its begin when the end may not be reached), true and false."""
    text = found.text
    first, last = found.definition.body or (0, 0)
    true, false = _filled(rng.choice(found.language.forms(found.text, found.definition)), rng)
    if found.definition.early:
        return first, f"\n{true}\n", f"\n{false}\n"
    end = found.language.ends(text[first:last])
    # Before the white space that the closing line begins with, so that a language of lines keeps its form.
    place = first + len(text[first:last].rstrip())
    return place, f"\n{end}{true}\n", f"\n{end}{false}\n"


def _edited(sources: Mapping[str, str], edits: Mapping[str, list[tuple[int, str]]]) -> dict[str, str]:
    return {path: _insert(sources[path], list(places)) for path, places in edits.items()}


def _insert(text: str, edits: list[tuple[int, str]]) -> str:
    for place, added in sorted(edits, key=lambda edit: edit[0], reverse=True):
        text = text[:place] + added + text[place:]
    return text
