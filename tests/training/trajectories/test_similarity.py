"""Similarity is Jaccard's over shingles, signatures estimate it, and confidences are what they say they are."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.training.config import LeakageConfig
from trajectory_hub.training.preferences.confidence import agreement, posterior, verdict_stability
from trajectory_hub.training.trajectories.leakage import Leakage, repository
from trajectory_hub.training.trajectories.records import Outline, Source
from trajectory_hub.training.trajectories.similarity import NearDuplicates, changed_lines, jaccard, shingles, signature
from trajectory_hub.training.trajectories.sketch import sketch_of

from ..episodes import PATCH


def test_shingles_are_runs_of_words_and_marks() -> None:
    assert len(shingles("a b c d e f", 5)) == 2
    assert shingles("a, b", 3) == shingles("a ,b", 3)
    assert len(shingles("one two", 5)) == 1
    assert shingles("  \n", 5) == frozenset()
    assert jaccard(shingles("a b c", 1), shingles("b c d", 1)) == 0.5
    assert jaccard(frozenset(), frozenset()) == 1.0


def test_only_changed_lines_of_a_patch_are_compared() -> None:
    assert changed_lines(PATCH) == ("        if amount > DISCOUNT_THRESHOLD:\n        if amount >= DISCOUNT_THRESHOLD:")


def test_signatures_estimate_the_similarity() -> None:
    rng = np.random.default_rng(0)
    words = [f"w{n}" for n in rng.integers(0, 10_000, 2_000)]
    for share in (0.0, 0.3, 0.6, 0.95):
        keep = int(len(words) * share)
        one, other = (
            shingles(" ".join(words), 3),
            shingles(" ".join([*words[:keep], *map(str, range(2_000 - keep))]), 3),
        )
        estimate = float((signature(one) == signature(other)).mean())
        assert estimate == pytest.approx(jaccard(one, other), abs=0.13)  # three standard errors of 128 hashes
    assert (signature([]) == signature([])).all()


def test_near_duplicates_are_found_within_a_group_only() -> None:
    known = NearDuplicates(0.9)
    text = " ".join(f"word{n}" for n in range(300))
    assert known.like("task", "first", text) is None
    assert known.like("task", "second", text + " and more") == "first"
    assert known.like("other", "third", text) is None
    assert known.like("task", "fourth", text[::-1]) is None


def test_none_of_many_near_duplicates_is_missed_and_none_is_made_up() -> None:
    rng = np.random.default_rng(3)
    originals = [" ".join(f"w{n}" for n in rng.integers(0, 5_000, 120)) for _ in range(500)]
    known = NearDuplicates(0.7)
    assert [known.like(None, str(place), text) for place, text in enumerate(originals)] == [None] * len(originals)
    copies = [text.replace(" ", " changed ", 1) for text in originals]
    assert [known.like(None, "copy", text) for text in copies] == [str(place) for place in range(len(originals))]


def test_the_posterior_is_that_of_two_beta_distributions() -> None:
    assert posterior([1.0], [0.0]) == pytest.approx(5 / 6, abs=1e-3)
    assert posterior([], []) == 0.5
    rng = np.random.default_rng(1)
    for wins, losses in product((0, 2, 5), (0, 1, 4)):
        chosen, rejected = [1.0] * wins + [0.0] * 2, [1.0] * losses + [0.0] * 3
        drawn = rng.beta(1 + wins, 3, 200_000) > rng.beta(1 + losses, 4, 200_000)
        assert posterior(chosen, rejected) == pytest.approx(drawn.mean(), abs=0.005)
    assert posterior([1.0] * 8, [0.0] * 8) > posterior([1.0] * 2, [0.0] * 2) > posterior([0.6], [0.4]) > 0.5


def outline(task: str, resolved: bool | None, process: float | None) -> Outline:
    return Outline(source=Source(Path(), {}), folder=Path("e"), task_id=task, resolved=resolved, process=process)


def test_agreement_counts_how_often_scores_point_to_the_outcome() -> None:
    assert agreement([], 0.1) == 0.5
    episodes = [outline("a", True, 0.9), outline("a", False, 0.2), outline("a", False, 0.85), outline("b", True, 0.1)]
    assert agreement(episodes, 0.1) == pytest.approx(2 / 3, abs=1e-4)
    episodes += [outline("b", False, 0.8), outline("b", None, 0.9), outline("b", False, None)]
    assert agreement(episodes, 0.1) == 0.5


def test_a_patch_that_was_graded_both_ways_is_less_sure() -> None:
    found = verdict_stability([("p", True), ("p", True), ("p", False), ("q", False)])
    assert found == {("p", True): 2 / 3, ("p", False): 1 / 3, ("q", False): 1.0}


@pytest.mark.parametrize(
    "name",
    [
        "encode/httpx",
        "Encode/HTTPX",
        "https://github.com/encode/httpx.git",
        "swesmith/encode__httpx.ae1b9f66",
        "encode__httpx",
    ],
)
def test_a_repository_has_one_name(name: str) -> None:
    assert repository(name) == "encode/httpx"


def _patch(words: list[str]) -> str:
    lines = "".join(f"+{' '.join(words[i : i + 10])}\n" for i in range(0, len(words), 10))
    return f"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -0,0 +1 @@\n{lines}"


@pytest.mark.parametrize(("size", "error"), [(150, 1e-9), (3_000, 0.1)])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_sketch_is_as_near_to_another_patch_as_the_patch_itself(size: int, error: float, share: float) -> None:
    words = [f"w{n}" for n in np.random.default_rng(1).integers(0, 100_000, size)]
    other = [*words[: int(size * share)], *(f"x{n}" for n in range(size - int(size * share)))]
    task = Task(instance_id="e", repo="a/b", base_commit="c", patch=_patch(other), provenance=Provenance(source="test"))
    config = LeakageConfig(patch=0.01)
    exact = Leakage([task], config).find("t", "c/d", "", [_patch(words)])
    sketched = Leakage([task], config).find("t", "c/d", "", [sketch_of(_patch(words))])
    assert exact is not None and sketched is not None
    assert sketched.similarity == pytest.approx(exact.similarity, abs=error)
    assert len(sketch_of(_patch(words)).model_dump_json()) < 3_000
