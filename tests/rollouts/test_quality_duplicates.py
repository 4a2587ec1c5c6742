"""Near-duplicates are found, and only they; what MinHash proposes is compared for real."""

import random
import time

import pytest
from trajectory_hub.rollouts.duplicates import near_duplicates, shingles
from trajectory_hub.rollouts.quality import near_duplicates as exported

WORDS = [f"word{number}" for number in range(5000)]


def text(seed: int, length: int = 400) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def changed(original: str, share: float, seed: int = 0) -> str:
    """The text with so many of its words replaced."""
    rng = random.Random(seed)
    return " ".join(rng.choice(WORDS) if rng.random() < share else word for word in original.split())


def similarity(one: str, other: str) -> float:
    return len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other))


def test_what_is_nearly_the_same_is_found_with_its_similarity() -> None:
    texts = [text(1), text(2), changed(text(1), 0.01), text(3), text(2)]
    found = list(near_duplicates(texts))
    assert [(each.first, each.second) for each in found] == [(0, 2), (1, 4)]
    assert found[0].similarity == similarity(texts[0], texts[2])
    assert 0.8 <= found[0].similarity < 1
    assert found[1].similarity == 1


def test_the_threshold_decides() -> None:
    texts = [text(1), changed(text(1), 0.04)]
    likeness = similarity(*texts)
    assert 0.5 < likeness < 0.8
    assert list(near_duplicates(texts, 0.8)) == []
    assert [each.second for each in near_duplicates(texts, 0.5)] == [1]


def test_none_of_many_is_missed_and_none_is_made_up() -> None:
    originals = [text(seed, 100) for seed in range(300)]
    copies = [changed(original, 0.01, seed) for seed, original in enumerate(originals)]
    wanted = {place for place, pair in enumerate(zip(originals, copies, strict=True)) if similarity(*pair) >= 0.8}
    found = {each.second - 300 for each in near_duplicates([*originals, *copies])}
    assert found == wanted
    assert len(wanted) > 200


def test_copies_of_copies_lead_to_the_one_that_is_kept() -> None:
    found = list(near_duplicates([text(7)] * 2000))
    assert [each.first for each in found] == [0] * 1999


def test_short_and_empty_texts() -> None:
    assert list(near_duplicates(["", " \n", "", "yes", "no", "yes"])) == [(3, 5, 1.0)]
    assert list(near_duplicates([])) == []
    assert shingles("") == frozenset()


def test_order_and_spacing() -> None:
    assert shingles("a  b\nc d e") == shingles("a b c d e")
    assert shingles("a b c d e") != shingles("b a c d e")


def test_it_is_what_quality_exports() -> None:
    assert exported is near_duplicates


@pytest.mark.timeout(60)
def test_five_thousand_texts_take_seconds() -> None:
    begun = time.process_time()
    assert list(near_duplicates(text(seed, 60) for seed in range(5000))) == []
    assert time.process_time() - begun < 20
