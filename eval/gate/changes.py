"""Which tasks, and which repositories, came out otherwise."""

from collections.abc import Sequence
from fractions import Fraction

from .outcomes import Outcomes, Pairing
from .report import Changed, RepositoryGain

__all__ = ["changes", "repositories", "repository_labels"]


def changes(
    base: Sequence[Outcomes], candidate: Sequence[Outcomes], found: Pairing
) -> tuple[tuple[Changed, ...], tuple[Changed, ...]]:
    """Tasks resolved more often, and less often, by the candidate; those that changed most first."""
    labels = repository_labels([*base, *candidate], found)
    scored = [
        (score, _changed(task, repository, base, candidate))
        for task, repository, score in zip(found.tasks, labels, found.scores, strict=True)
    ]
    ranked = sorted((pair for pair in scored if pair[0]), key=lambda pair: (-abs(pair[0]), pair[1].task))
    return tuple(one for score, one in ranked if score > 0), tuple(one for score, one in ranked if score < 0)


def repositories(base: Sequence[Outcomes], candidate: Sequence[Outcomes], found: Pairing) -> tuple[RepositoryGain, ...]:
    """The gain in each repository, the largest repository first."""
    labels = repository_labels([*base, *candidate], found)
    rows = list[RepositoryGain]()
    for name in dict.fromkeys(labels):
        own = [index for index, label in enumerate(labels) if label == name]
        tasks, scores = [found.tasks[index] for index in own], [found.scores[index] for index in own]
        rows.append(
            RepositoryGain(
                repository=name,
                tasks=len(own),
                base=sum(_share(base, task) for task in tasks) / len(own),
                candidate=sum(_share(candidate, task) for task in tasks) / len(own),
                gain=float(sum(scores, Fraction()) / len(own)),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.tasks, row.repository)))


def repository_labels(runs: Sequence[Outcomes], found: Pairing) -> list[str]:
    """The repository of each task of a pairing."""
    known = {task: name for run in runs for task, name in run.repositories.items()}
    return [known[task] for task in found.tasks]


def _changed(task: str, repository: str, base: Sequence[Outcomes], candidate: Sequence[Outcomes]) -> Changed:
    return Changed(
        task=task,
        repository=repository,
        base=_share(base, task),
        candidate=_share(candidate, task),
        base_episodes=_episodes(base, task),
        candidate_episodes=_episodes(candidate, task),
    )


def _share(runs: Sequence[Outcomes], task: str) -> float:
    tallies = [tally for run in runs if (tally := run.tally(task))[1]]
    return sum(resolved / counted for resolved, counted in tallies) / len(tallies) if tallies else 0.0


def _episodes(runs: Sequence[Outcomes], task: str) -> tuple[str, ...]:
    return tuple(run.attempts[task, seed].where for run in runs for seed in run.seeds)
