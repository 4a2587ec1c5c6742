"""From runs to preferences, one task at a time."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..config import PairsConfig
from ..trajectories.filters import EpisodeFilter
from ..trajectories.intake import Intake, Usable, known_tasks, leakage_against
from ..trajectories.records import Outline, Source, find_episodes
from ..trajectories.refusal import Refusals
from ..trajectories.sketch import PatchSketch, sketch_of
from .branches import step_pairs
from .compare import Candidate
from .confidence import agreement
from .layers import Layers
from .pairs import trajectory_pairs
from .preference import Preference

__all__ = ["PairFinder"]


@dataclass
class PairFinder:
    """Finds the pairs of runs, and counts what it refuses. In memory are the episodes of one task."""

    sources: Sequence[Source]
    config: PairsConfig
    tasks: str | None = None
    """Where the training tasks are, for their reference patches and licences."""
    eval_tasks: str | None = None
    """Where the evaluation tasks are, which nothing may give away."""
    pattern: str | None = None
    """Only tasks whose id matches this glob."""
    refusals: Refusals = field(default_factory=Refusals)
    """Of pairs; `intake.refusals` are those of episodes."""
    intake: Intake = field(init=False)
    outlines: list[Outline] = field(init=False)
    agreement: float = field(init=False)

    def __post_init__(self) -> None:
        config = self.config
        self.intake = Intake(
            filter=EpisodeFilter(config.filter),
            conversation=config.conversation,
            leakage=leakage_against(self.eval_tasks, config.leakage),
            tasks=known_tasks(self.tasks, self.sources),
            sources={source.run_id: source for source in self.sources},
        )
        self.outlines = list(find_episodes(self.sources, self.pattern))
        self._layers = Layers(config.score_layer)
        scored = self._layers.rescored(self.outlines)
        self.agreement = agreement(scored, config.margin)

    def groups(self) -> list[tuple[str, list[Outline]]]:
        """The episodes of each task, by its id."""
        found: defaultdict[str, list[Outline]] = defaultdict(list)
        for outline in self.outlines:
            found[outline.task_id].append(outline)
        return sorted(found.items())

    def find(self, outlines: Sequence[Outline]) -> Iterator[Preference]:
        """The pairs of one task's episodes: whole trajectories first, then steps."""
        candidates = [self._candidate(usable) for usable in self.intake.usable(outlines)]
        reference = self._reference(outlines)
        folders = {candidate.name: candidate.usable.outline for candidate in candidates}
        for pair in self._pairs(candidates):
            for side in (pair.chosen, pair.rejected):
                for name in {f"{side.run_id}/{side.episode_id}", *side.continuations}:
                    self.intake.use(folders[name])
            yield pair if reference is None else pair.model_copy(update={"reference_sketch": reference})

    def _reference(self, outlines: Sequence[Outline]) -> PatchSketch | None:
        """Of the reference patch of the episodes' task, where that is known."""
        task = self.intake.tasks.get(outlines[0].task_id) if outlines else None
        return sketch_of(task.patch) if task is not None and task.patch else None

    def _pairs(self, candidates: Sequence[Candidate]) -> Iterator[Preference]:
        if "trajectory" in self.config.levels:
            yield from trajectory_pairs(candidates, self.config, self.agreement, self.refusals)
        if "step" in self.config.levels:
            yield from step_pairs(candidates, self.config, self.refusals)

    def _candidate(self, usable: Usable) -> Candidate:
        score, layers = self._layers.score(usable)
        return Candidate(usable, score, layers, self.config.submitted)
