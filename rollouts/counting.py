"""What a policy's model server counted while a run was worked on, written into its `run.json`."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .files import write_json
from .policies.base import Counting, Policy
from .run_dir import MANIFEST, read_manifest

__all__ = ["counted"]


@contextmanager
def counted(run: Path, policy: Policy) -> Generator[None]:
    """Add the difference of the server's counters to the run's last sitting."""
    if not isinstance(policy, Counting):
        yield
        return
    before = policy.counters()
    try:
        yield
    finally:
        # A server that was restarted meanwhile counts from zero again.
        found = {name: count - before.get(name, 0.0) for name, count in policy.counters().items()}
        manifest = read_manifest(run)
        *earlier, last = manifest["sittings"]
        told = {name: count for name, count in found.items() if count >= 0}
        write_json(run / MANIFEST, {**manifest, "sittings": [*earlier, {**last, "service": told}]})
