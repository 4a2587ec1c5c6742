"""What tests of the judge share: steps with given texts, answers, and a judge at a server."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trajectory_hub.envs.step import Step
from trajectory_hub.envs.task import Provenance, Task
from trajectory_hub.rewards.judge.asking import Judge
from trajectory_hub.rewards.judge.config import ContextConfig, JudgeConfig, RevealConfig
from trajectory_hub.rewards.judge.view import EpisodeView, StepView
from trajectory_hub.rewards.scores import CRITERIA
from trajectory_hub.rewards.service.usage import PriceTable
from trajectory_hub.tools.base import Telemetry

from ..rollouts.faulty import Reply, Seen, message
from .workbench import WHEN

TASK = Task(
    instance_id="shop-1",
    repo="a/shop",
    base_commit="c0ffee",
    problem_statement="The total is wrong.",
    patch="--- a/cart.py\n+++ b/cart.py\n@@ -1 +1 @@\n-SECRET_OLD\n+SECRET_NEW\n",
    provenance=Provenance(source="test"),
)
PRICES = PriceTable.model_validate({"as_of": "2026-01-01", "models": {"m": {"input": 1.0, "output": 10.0}}})


def make_step(index: int = 0, *, action: str = "ls", observation: str = "cart.py", **more: Any) -> Step:
    """A step with these texts."""
    given: dict[str, Any] = {"tool": "shell", "ok": True, "exit_code": 0, **more}
    return Step(
        index=index,
        action=action,
        observation=observation,
        telemetry=Telemetry(wall_ms=1.0),
        t_start=WHEN,
        t_end=WHEN,
        duration_ms=1.0,
        **given,
    )


def view_of(*steps: Step, context: ContextConfig | None = None, reveal: RevealConfig | None = None) -> StepView:
    """The view of the last of these steps."""
    episode = EpisodeView(TASK, context or ContextConfig(), reveal or RevealConfig())
    return [episode.look(step) for step in steps][-1]


def answer_text(score: float = 0.7, reason: str = "It reads the file.", **scores: float) -> str:
    """A valid answer."""
    return json.dumps({name: {"reason": reason, "score": scores.get(name, score)} for name in CRITERIA})


def answer(score: float = 0.7, reason: str = "It reads the file.", **scores: float) -> Reply:
    """A completion that holds a valid answer: 100 tokens in, 10 out."""
    return message(answer_text(score, reason, **scores))


@contextmanager
def asking(seen: Seen, *, cache: Path | None = None, models: int = 1, **config: Any) -> Generator[Judge]:
    """A judge at the server, impatient so that faults take no time."""
    request = {"retries": 2, "max_wait": 0.05, **config.pop("request", {})}
    names = ["m", *(f"m{number}" for number in range(2, models + 1))]
    addresses = [f"{name}@{seen.url}" for name in names]
    judge = Judge(JudgeConfig.model_validate({"models": addresses, "request": request, **config}), PRICES, cache)
    try:
        yield judge
    finally:
        judge.close()
