"""What live sampling of a sandbox costs: `python -m trajectory_hub.benchmarks.agent_sampling IMAGE [SECONDS]`.

A sandbox with twenty idle processes and one that works is sampled ten times a second, so that a minute gives enough
samples for a tail. Prints milliseconds a sample, and what one sample a second takes of a core.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from ..envs.engine import Engine
from ..envs.sandbox import Sandbox, SandboxConfig
from ..rollouts.agents.sampler import Sampler

__all__ = ["measure"]

_BUSY = (
    "for i in $(seq 20); do sleep 1000 & done; "
    "timeout {seconds} sh -c 'while :; do head -c 100000 /dev/zero >/tmp/x; done'"
)


def measure(image: str, seconds: float) -> dict[str, float]:
    """Figures of one measurement."""
    engine = Engine()
    config = SandboxConfig(image=image, workdir="/", sanitize_history=False)
    with Sandbox(engine, config) as sandbox, tempfile.TemporaryDirectory() as folder:
        sampler = Sampler(sandbox.pid, sandbox.container_id, Path(folder), every=0.1).start()
        before = time.process_time()
        sandbox.run(_BUSY.format(seconds=seconds), timeout=seconds + 30)
        spent = time.process_time() - before
        sampler.stop()
        told = sampler.cost
        size = (Path(folder) / "samples.jsonl").stat().st_size
    engine.close()
    return {
        "samples": told.samples,
        "ms_per_sample": round(told.seconds / told.samples * 1e3, 4),
        "share_of_a_core_at_one_a_second": round(told.seconds / told.samples, 6),
        "process_cpu_s": round(spent, 4),
        "bytes_per_sample": round(size / told.samples),
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 20.0), indent=2))
