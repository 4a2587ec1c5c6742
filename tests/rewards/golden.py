"""A recorded trajectory and its scores.

python -m tests.rewards.golden > tests/rewards/golden.json     scores the recorded trajectory anew
python -m tests.rewards.golden record                          records the trajectory anew, with the real tools
"""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trajectory_hub.envs.step import Step
from trajectory_hub.envs.task import Task
from trajectory_hub.rewards.rubric import Rubric
from trajectory_hub.tools.base import Telemetry

from .workbench import NEW, OLD, WHEN, Bench

EPISODE = Path(__file__).with_name("episode.json")
GOLDEN = Path(__file__).with_name("golden.json")
_TIMES = ("t_start", "t_end", "telemetry")


def load() -> tuple[Task, list[Step]]:
    """The recorded trajectory."""
    found = json.loads(EPISODE.read_text("utf-8"))
    times: dict[str, Any] = {"t_start": WHEN, "t_end": WHEN, "telemetry": Telemetry(wall_ms=1.0)}
    return Task.model_validate(found["task"]), [Step(**step, **times) for step in found["steps"]]


def scored() -> dict[str, Any]:
    """The scores of every step, with rules and evidence."""
    task, steps = load()
    rubric = Rubric()
    scores = [
        {"reward": score.reward, "scores": score.scores(), "process": score.process.as_dict()}
        for score in rubric.score(task, steps)
    ]
    return json.loads(json.dumps({"version": rubric.version, "scores": scores}))


def record() -> None:
    """An episode with detours and mistakes of every kind, as the real tools answer it."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        _play(bench)
        steps = [{k: v for k, v in asdict(step).items() if k not in _TIMES} for step in bench.steps]
        text = json.dumps({"task": bench.task.model_dump(mode="json"), "steps": steps}, indent=1, sort_keys=True)
        EPISODE.write_text(text.replace(folder, "/testbed").replace(sys.executable, "python") + "\n", "utf-8")


def _play(bench: Bench) -> None:
    check = "python3 -c 'from shop.cart import Cart; c = Cart(); c.add(100); assert c.total() == 90'"
    bench.act_text("Let me look around first.")
    bench.shell("ls -R shop")
    bench.read("src/cart.py")
    bench.act("search", pattern="DISCOUNT_THRESHOLD")
    bench.read("shop/cart.py", start=1, end=27)
    bench.read("shop/cart.py", start=1, end=27)
    bench.shell("cat shop/long.py")
    bench.shell(check)
    bench.act("file_edit", path="shop/cart.py", old="amount > DISCOUNT_TRESHOLD", new=NEW)
    bench.act("file_edit", path="shop/cart.py", old="amount * 0.9", new="amount * 0.90")
    bench.shell(check)
    bench.act("git", subcommand="restore", paths=["shop/cart.py"])
    bench.act("file_edit", path="tests/test_cart.py", old="== 90", new="== 100")
    bench.shell("git checkout -- tests")
    bench.test("tests/test_cart.py")
    bench.act("file_edit", path="shop/cart.py", old=OLD, new=NEW)
    bench.shell("echo done")
    bench.shell(check)
    bench.test("tests/test_cart.py")
    bench.test("tests/test_cart.py")
    bench.act("git", subcommand="diff")
    bench.act("submit")


if __name__ == "__main__":
    if sys.argv[1:] == ["record"]:
        record()
    else:
        print(json.dumps(scored(), indent=1, sort_keys=True))
