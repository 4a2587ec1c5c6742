"""The watch over a container's disk allowance, beside others who use the same disk."""

from pathlib import Path

import pytest
from trajectory_hub.envs.disk import DiskWatch

MIB = 1 << 20


def test_room_that_others_make_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [1000 * MIB]

    def free_now(_: DiskWatch) -> int:
        return free[0]

    monkeypatch.setattr(DiskWatch, "_free_now", free_now)
    watch = DiskWatch(str(tmp_path), MIB, lambda: None)
    free[0] += 500 * MIB  # an image was removed
    assert not watch.exceeded()
    (tmp_path / "big").write_bytes(bytes(2 * MIB))
    free[0] -= 2 * MIB
    assert watch.exceeded()
    (tmp_path / "big").unlink()
    free[0] += 2 * MIB
    assert not watch.exceeded()
