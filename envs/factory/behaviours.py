"""What a failing test shows: programs and values from runs without and with the reference patch."""

from collections.abc import Mapping, Sequence

from .reproductions import reproductions, scenario
from .source import Source
from .statements import Finding, differing_sides
from .validation import Refusal
from .workshop import FailedTest, TestRun, Workshop

__all__ = ["find_behaviours"]


def find_behaviours(
    workshop: Workshop,
    sources: Mapping[str, Source],
    broken_run: TestRun,
    mended_run: TestRun,
    failing: Sequence[str],
    *,
    before: Mapping[str, str | None],
    after: Mapping[str, str | None],
    limit: int,
) -> list[Finding]:
    """What is wrong, from tests of different functions; those that a small program can show come first.

    The workshop holds `after`, or is put into that state when it is done.
    """
    chosen: dict[str, str] = {}
    for name in failing:
        chosen.setdefault(name.split("[", 1)[0], name)
    names = [name for name in chosen.values() if name.split("::")[0] in sources][: 2 * limit]
    # A test whose file could not even be imported left no trace of how it fails.
    failures = {name: broken_run.failures.get(name, FailedTest("collect", 0, "")) for name in names}
    params = {**mended_run.params, **broken_run.params}
    made = {
        name: list(reproductions(sources[name.split("::")[0]], name, failures[name], params.get(name, {})))
        for name in names
    }
    programs = [(name, one) for name in names for one in made[name]]
    with workshop.changed(after, before):
        broken = workshop.reproduce([one.spec() for _, one in programs])
    telling = [
        (name, one, now)
        for (name, one), now in zip(programs, broken, strict=True)
        if not now.ok and now.error not in ("Timeout", "Crash")
    ]
    mended = workshop.reproduce([one.spec() for _, one, _ in telling])
    shown: dict[str, Finding] = {}
    for (name, one, now), wanted in zip(telling, mended, strict=True):
        if wanted.ok and name not in shown:
            shown[name] = Finding(name, failures[name], one, now, wanted)
    if shown:
        # Values tell more than "it fails".
        return sorted(shown.values(), key=lambda finding: differing_sides(finding) is None)[:limit]
    untold = [name for name in names if failures[name].message][: max(1, limit // 2)]
    if not untold:
        raise Refusal("no behaviour can be described")
    return [
        Finding(name, failures[name], scenario=scenario(sources[name.split("::")[0]], name, failures[name]))
        for name in untold
    ]
