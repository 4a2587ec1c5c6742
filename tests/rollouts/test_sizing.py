"""How large a cluster has to be: the arithmetic, and that the page shows what the constants give."""

import json
import re
from pathlib import Path

import pytest
from trajectory_hub.cli import app
from trajectory_hub.errors import ConfigError, UsageError
from trajectory_hub.rollouts.scale.sizing import ROWS, Demand, episode_of, load_sizing, size
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests" / "data" / "runs-1.0" / "reference"
PAGE = (Demand(tasks=500, episodes=4000, hours=24), Demand(tasks=5000, episodes=100_000, hours=24))
ROUND = {
    "episode": {
        "steps": 10,
        "wall_s": 90,
        "cpu_s": 20,
        "memory_mib": 1021,
        "prompt_tokens": 1000,
        "cached_share": 0.9,
        "completion_tokens": 100,
        "events_kib": 1000,
    },
    "grading": {"containers": 1, "cpu_s": 8, "wall_s": 10},
    "machine": {"container_cpu_s": 0.5, "host_cpu_ms": 100, "driver_cpu_ms": 50, "host_mib": 3, "utilisation": 0.5},
    "images": {"shared_gb": 1, "task_gb": 2, "compression": 0.25},
    "gpu": {"prefill_tokens_s": 2000, "decode_tokens_s": 500},
    "node": {"cores": 15, "memory_gib": 100},
}


def test_the_page_shows_what_the_constants_give() -> None:
    page = (ROOT / "docs" / "scaling.md").read_text()
    sizes = [size(demand, load_sizing({})) for demand in PAGE]
    for label, show in ROWS.items():
        assert f"| {label} | {' | '.join(show(one) for one in sizes)} |" in page, (
            "run `trajhub size` and copy its figures"
        )


def test_sizes_follow_from_what_an_episode_takes() -> None:
    told = size(Demand(tasks=10, episodes=3600, hours=1), load_sizing(ROUND))  # one episode a second
    assert told.sandboxes == 100, "a rate of 1/s times a stay of 90 + 10 s"
    assert (told.steps_per_s, told.container_starts_per_s) == (10.0, 2.0)
    assert told.cores == 60, "(20 + 8 s of sandboxes, 2 starts of 0.5 s, 10 steps of 0.1 s) at half utilisation"
    assert told.memory_gib == 100
    assert told.nodes == 4
    assert told.driver_cores == 0.5
    assert (told.prompt_tokens_per_s, told.completion_tokens_per_s) == (1000, 1000)
    assert told.replicas == 3, "half a replica's prefill and two of decoding"
    assert told.disk_node_gb == 21, "with 360 episodes of each task, every node meets every image"
    assert told.registry_gb == round(4 * 21 * 0.25)
    assert told.disk_run_gb == round(3600 * 1000 * 1024 / 1e9, 1)


def test_few_episodes_of_many_tasks_leave_most_images_on_one_node() -> None:
    many = size(Demand(tasks=3600, episodes=3600, hours=1), load_sizing(ROUND))
    assert many.disk_node_gb == round(1 + 3600 * 2 / many.nodes)


def test_a_run_of_ones_own_tells_what_an_episode_takes() -> None:
    told = episode_of(RECORDED)
    logs = [path.stat().st_size for path in RECORDED.glob("episodes/*/events.jsonl")]
    assert told["events_kib"] == pytest.approx(sum(logs) / len(logs) / 1024, abs=0.001)
    assert told["steps"] > 1
    assert "prompt_tokens" not in told, "it asked no model"
    done = CliRunner().invoke(app, ["size", "--run", str(RECORDED), "-c", "episode.steps=3", "--json"])
    episode = json.loads(done.stdout)["config"]["episode"]
    assert (episode["steps"], episode["events_kib"]) == (3, told["events_kib"])


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape("machine.utilisation: Input should be less than or equal to 1")):
        load_sizing({"machine": {"utilisation": 2}})
    with pytest.raises(ConfigError, match=r"gpu\.speed: Extra inputs"):
        load_sizing({"gpu": {"speed": 2}})
    with pytest.raises(UsageError, match="no finished episode"):
        episode_of(tmp_path)
