"""The labelled trajectories of a study of thought-action-result trajectories (arXiv 2506.18824), read as ours.

A folder of the study has `trajectories/<agent>/{*action*actions, results_actions, thoughts_actions}/<task>.txt` and
`<agent>_csv/<relation>/<task>.csv`. Which step a line of a label file is about was found by comparing the numbers of
labels and iterations, and by the action that each result names as the next one:

- `thought_action`: label k is about thought k and action k; n labels for n iterations.
- `action_action`, `thought_thought`: label k is about iterations k and k+1; n-1 labels.
- `result_action`, `result_thought`: label k is about result k and what follows it in iteration k+1; n-1 labels. Some
  files have one more, `result_action` also two: for the last result, which nothing follows, and for the end of the
  file. Where there are two, taking away any other label makes the rest fit the kinds of results worse.

A file with any other number of labels cannot be aligned, since nothing says where a label is missing or too many. It
is left out as a whole and told, and so is a trajectory whose parts contradict each other. A label is held against the
later of its two steps: that is the one it judges.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..envs.step import Step
from ..envs.task import Provenance, Task
from ..errors import UsageError
from .study_steps import READERS, make_step

__all__ = ["RELATIONS", "Misfit", "StudyTrajectory", "read_study"]

RELATIONS = ("action_action", "thought_thought", "result_action", "result_thought", "thought_action")
_HEAD = re.compile(r"^(?:Thought and Action|Thought|Action|Result)? ?(?:at )?[Ii]teration (\d+): ?(?:Thought=)?(.*)$")
_TAIL = re.compile(r"(?:; (?:Next action|Action at iteration ?\d+) ?: ?|; Action=|\nAction at Iteration \d+: )")
_SURPLUS = {"result_action": 2, "result_thought": 1}
_ROOT = re.compile(r"/workspace/[\w.-]+__[\w.-]+|/testbed\b")


class _Broken(Exception):
    """A trajectory whose parts are not there or contradict each other."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A label file, or the part of one, that is held against no step."""

    agent: str
    task: str
    relation: str
    labels: int
    """How many labels are left out."""
    why: str
    surplus: bool = False
    """They follow the labels of all transitions, and the others of the file are used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTrajectory:
    """One trajectory with what people said of its steps."""

    agent: str
    task: Task
    steps: tuple[Step, ...]
    labels: dict[str, dict[int, str]] = field(repr=False)
    """Relation to step to label."""
    misfits: tuple[Misfit, ...]


def read_study(folder: Path) -> Iterator[StudyTrajectory]:
    """The trajectories one after the other, by agent and task. Raises UsageError for a folder without any."""
    agents = [agent for agent in sorted(READERS) if (folder / "trajectories" / agent).is_dir()]
    if not agents:
        raise UsageError(f"{folder} holds no trajectories of the study: there is no trajectories/<agent> in it")
    for agent in agents:
        for thoughts in sorted((folder / "trajectories" / agent / "thoughts_actions").glob("*.txt")):
            try:
                yield _read(folder, agent, thoughts)
            except _Broken as error:
                misfit = Misfit(agent, thoughts.stem, "trajectory", 0, str(error))
                yield StudyTrajectory(
                    agent=agent, task=_task(thoughts.stem, ()), steps=(), labels={}, misfits=(misfit,)
                )


def _read(folder: Path, agent: str, thoughts: Path) -> StudyTrajectory:
    name, root = thoughts.stem, thoughts.parents[1]
    found = sorted(root.glob(f"action*_actions/{name}.txt"))
    if not found:
        raise _Broken("no actions")
    actions = [text.strip() for text in _blocks(found[0])]
    said = [_cut(text)[0] for text in _blocks(thoughts)]
    pairs = [_cut(text) for text in _blocks(root / "results_actions" / thoughts.name)]
    if len(said) != len(actions) or len(actions) - len(pairs) not in (0, 1):
        raise _Broken(f"{len(actions)} actions, {len(said)} thoughts and {len(pairs)} results")
    for index, ((_, told), action) in enumerate(zip(pairs, actions[1:], strict=False)):
        if told != action:
            raise _Broken(f"result {index} is followed by {told[:60]!r}, yet action {index + 1} is {action[:60]!r}")
    results = [result for result, _ in pairs] + [""] * (len(actions) - len(pairs))
    moments = zip(said, actions, results, strict=True)
    steps = tuple(make_step(agent, index, *moment) for index, moment in enumerate(moments))
    labels, misfits = _labels(folder / f"{agent}_csv", agent, name, len(steps))
    return StudyTrajectory(agent=agent, task=_task(name, steps), steps=steps, labels=labels, misfits=misfits)


def _blocks(path: Path) -> Iterator[str]:
    """The iterations of a file. A head with a number out of turn is text that an agent wrote."""
    count, kept = 0, list[str]()
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                head = _HEAD.match(line.rstrip("\n"))
                if head is not None and int(head[1]) == count and _begins(path, line):
                    if count:
                        yield _joined(kept)
                    kept, count = [head[2] + "\n"], count + 1
                elif count:
                    kept.append(line)
    except (OSError, UnicodeDecodeError) as error:
        raise _Broken(f"{path.parent.name}: {error}") from error
    if count:
        yield _joined(kept)


def _begins(path: Path, line: str) -> bool:
    """Whether a head is of the kind that this file's iterations begin with."""
    what = {"thoughts_actions": ("Thought", "Iteration"), "results_actions": ("Result",)}
    return line.startswith(what.get(path.parent.name, ("Action",)))


def _joined(lines: list[str]) -> str:
    text = "".join(lines).rstrip("\n ")
    return text.removesuffix("\n---").rstrip()


def _cut(text: str) -> tuple[str, str]:
    """A block without the action that it ends with, and that action."""
    last = None
    for match in _TAIL.finditer(text):
        last = match
    return (text[: last.start()].strip(), text[last.end() :].strip()) if last else (text.strip(), "")


def _labels(folder: Path, agent: str, name: str, count: int) -> tuple[dict[str, dict[int, str]], tuple[Misfit, ...]]:
    found: dict[str, dict[int, str]] = {}
    misfits: list[Misfit] = []
    for relation in RELATIONS:
        said = _column(folder / relation / f"{name}.csv")
        first = 0 if relation == "thought_action" else 1
        wanted = count - first
        surplus = len(said) - wanted
        if said and 0 < surplus <= _SURPLUS.get(relation, 0):
            misfits.append(Misfit(agent, name, relation, surplus, "after the last transition", surplus=True))
        elif surplus:
            why = f"{len(said)} labels for {count} iterations" if said else "no labels"
            misfits.append(Misfit(agent, name, relation, len(said), why))
            continue
        found[relation] = {first + at: label for at, label in enumerate(said[:wanted])}
    return found, tuple(misfits)


def _column(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = [row for row in csv.reader(lines) if row]
    if not rows or rows[0] != ["label"]:
        raise UsageError(f"{path} is no label file: its first line is not `label`")
    return [row[0].strip() for row in rows[1:]]


def _task(name: str, steps: tuple[Step, ...]) -> Task:
    """All that the study tells of a task: its name, and where the repository lay."""
    root = next((match[0] for step in steps if (match := _ROOT.search(step.action))), "/testbed")
    project = name.partition("-")[0] if "__" in name else name.rpartition("_")[0]
    return Task(
        instance_id=name,
        repo=project,
        base_commit="",
        workdir=root,
        provenance=Provenance(source="study", origin="arXiv 2506.18824"),
    )
