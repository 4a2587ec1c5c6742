"""What is remembered of verdicts, and what is not."""

import pytest
from trajectory_hub.envs.known_verdicts import KnownVerdicts
from trajectory_hub.envs.verdict import Reason, Verdict


def verdict(reason: Reason = Reason.TESTS_FAILED, log: str = "") -> Verdict:
    return Verdict(instance_id="x", resolved=False, reason=reason, log=log)


def test_what_may_have_been_chance_is_found_out_again() -> None:
    known = KnownVerdicts()
    lasting = {Reason.RESOLVED, Reason.TESTS_FAILED, Reason.PATCH_DOES_NOT_APPLY, Reason.FORGED}
    for reason in Reason:
        known.add(reason, verdict(reason))
        assert (known.get(reason) is not None) == (reason in lasting)


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_oldest_make_room(repeats: int) -> None:
    known = KnownVerdicts(room=5_000)
    for name in ("a", "b", "c"):
        for _ in range(repeats):
            known.add(name, verdict(log="x" * 1_000))
    assert [known.get(name) is not None for name in ("a", "b", "c")] == [False, True, True]
    known.add("d", verdict(log="x" * 10_000))
    assert known.get("c") is None and known.get("d") is None, "nothing larger than all the room is kept"
