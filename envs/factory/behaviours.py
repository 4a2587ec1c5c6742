"""What a failing test shows: programs and values from runs without and with the reference patch."""

from collections.abc import Mapping, Sequence

from .reproductions import reproductions, scenario
from .source import Source
from .statements import Finding
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
    names = [name for name in chosen.values() if name.split("::")[0] in sources][: 3 * limit]
    # A test whose file could not even be imported left no trace of how it fails.
    failures = {name: broken_run.failures.get(name, FailedTest("collect", 0, "")) for name in names}
    params = {**mended_run.params, **broken_run.params}
    made = {
        name: list(reproductions(sources[name.split("::")[0]], name, failures[name], params.get(name, {})))
        for name in names
    }
    with workshop.changed(after, before):
        broken = {(name, i): workshop.reproduce(one.spec()) for name in names for i, one in enumerate(made[name])}
    shown: list[Finding] = []
    for name in names:
        for i, one in enumerate(made[name]):
            now = broken[name, i]
            if now.ok or now.error in ("Timeout", "Crash"):
                continue
            wanted = workshop.reproduce(one.spec())
            if wanted.ok:
                shown.append(Finding(name, failures[name], one, now, wanted))
                break
        if len(shown) == limit:
            return shown
    if shown:
        return shown
    for name in [name for name in names if failures[name].message][: max(1, limit // 2)]:
        text = scenario(sources[name.split("::")[0]], name, failures[name])
        shown.append(Finding(name, failures[name], scenario=text))
    if not shown:
        raise Refusal("no behaviour can be described")
    return shown
