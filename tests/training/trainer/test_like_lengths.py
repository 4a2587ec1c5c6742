"""Batches of rows of like length."""

from random import Random

from trajectory_hub.training.trainer.sampling import LikeLengths

_RNG = Random(0)
LENGTHS = [_RNG.randrange(10, 1000) for _ in range(1003)]


def padding(order: list[int], batch: int) -> float:
    """The share of a padded batch that is padding, over all batches."""
    batches = [[LENGTHS[index] for index in order[start : start + batch]] for start in range(0, len(order), batch)]
    return 1 - sum(LENGTHS) / sum(len(each) * max(each) for each in batches)


def test_every_row_comes_once_an_epoch_beside_rows_of_its_length() -> None:
    found = list(LikeLengths(LENGTHS, 16, seed=0))
    assert sorted(found) == list(range(len(LENGTHS)))
    shuffled = Random(0).sample(range(len(LENGTHS)), len(LENGTHS))
    assert padding(found, 16) < 0.1 < 0.4 < padding(shuffled, 16)


def test_short_and_long_batches_come_in_turn() -> None:
    found = list(LikeLengths(LENGTHS, 16, seed=0))[:512]
    means = [sum(LENGTHS[index] for index in found[start : start + 16]) / 16 for start in range(0, 512, 16)]
    assert means not in (sorted(means), sorted(means, reverse=True))
    assert max(means[:16]) > 700 and min(means[:16]) < 300


def test_the_order_is_that_of_the_seed_and_the_epoch() -> None:
    one, other, later = LikeLengths(LENGTHS, 16, 0), LikeLengths(LENGTHS, 16, 0), LikeLengths(LENGTHS, 16, 1)
    assert list(one) == list(other) != list(later)
    one.set_epoch(1)
    assert list(one) != list(other)
    other.set_epoch(1)
    assert list(one) == list(other)
