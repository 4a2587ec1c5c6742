"""Runs for tests, written by our own recorder: tasks, actions and observations as they are in real ones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trajectory_hub.envs.step import Step
from trajectory_hub.errors import Failure, StopReason
from trajectory_hub.rollouts.episode_log import EpisodeLog, patch_facts
from trajectory_hub.rollouts.files import write_json
from trajectory_hub.rollouts.log import EventWriter, Header
from trajectory_hub.rollouts.payloads import EpisodeStart, Parent, Payload, Verdict
from trajectory_hub.rollouts.run_dir import EPISODES, MANIFEST, episode_name
from trajectory_hub.tools.base import Telemetry
from trajectory_hub.tools.registry import ParsedCall, ToolRegistry

TOOLS = ToolRegistry()
WHEN = datetime(2024, 5, 1, 12, tzinfo=UTC)
PATCH = """\
diff --git a/shop/cart.py b/shop/cart.py
--- a/shop/cart.py
+++ b/shop/cart.py
@@ -20,3 +20,3 @@ class Cart:
         amount = sum(price * number for price, number in self.lines)
-        if amount > DISCOUNT_THRESHOLD:
+        if amount >= DISCOUNT_THRESHOLD:
             amount = amount * 0.9
"""


@dataclass(frozen=True)
class Act:
    """One step of an episode."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    observation: str = "done"
    thought: str | None = None
    reward: float = 0.8
    layer: str = "rules@1"
    raw: str | None = None
    """The action as text, in place of a call."""


READ = Act("file_read", {"path": "shop/cart.py"}, "class Cart: ...", "Look at the code.")
FIX = Act(
    "file_edit", {"path": "shop/cart.py", "old": "amount > LIMIT", "new": "amount >= LIMIT"}, "changed", "Mend it."
)
TEST = Act("run_tests", {"tests": ["tests/test_cart.py"]}, "4 tests: 4 passed in 0.02s.")
SUBMIT = Act("submit", {}, "Submitted.", "The change is complete.")
GREP = Act("search", {"pattern": "DISCOUNT"}, "shop/cart.py:5: DISCOUNT = 100")
WRONG = Act(
    "file_edit", {"path": "shop/money.py", "old": "round(amount, 2)", "new": "amount"}, "changed", "Here, I think."
)
SOLVED = (READ, FIX, TEST, SUBMIT)
FAILED = (READ, WRONG, SUBMIT)


def make_run(folder: Path, policy: Mapping[str, Any] | None = None, **config: Any) -> Path:
    """An empty run."""
    acted = {"name": "agent", "version": "1", "model": None, "privileged": False, **(policy or {})}
    told = {"run_id": folder.name, "config": config, "policy": acted, "commit": "f" * 40}
    write_json(folder / MANIFEST, told | {"versions": {"trajectory_hub": "0.1.0"}})
    return folder


def write_episode(
    run: Path,
    acts: Sequence[Act] = SOLVED,
    *,
    task: str = "shop-1",
    repo: str = "demo/shop",
    seed: int = 0,
    resolved: bool | None = True,
    process: float | None = 0.8,
    stop: StopReason | None = StopReason.SUBMITTED,
    failure: Failure | None = None,
    privileged: bool = False,
    patch: str | None = PATCH,
    statement: str = "Cart.total gives no discount at the threshold.",
    report: Mapping[str, Any] | None = None,
    parent: Parent | None = None,
    talk: Sequence[Payload] = (),
    turns: Sequence[Sequence[Payload]] = (),
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """An episode as `RecordEvents` and the grader leave it; `stop` None: its process died.

    `talk` is written before all steps, each of `turns` before its step.
    """
    name = episode_name(task, seed)
    header = Header(
        run_id=run.name,
        episode_id=name,
        task_id=task,
        agent="agent",
        agent_version="1",
        repo=repo,
        commit="c" * 40,
        seed=seed,
    )
    log = EpisodeLog(run / EPISODES / name, header, fsync="never")
    start = EpisodeStart(
        task={"instance_id": task, "repo": repo, "problem_statement": statement},
        observation=f"Repository {repo} at /testbed.\n\n{statement}",
        tools=tuple(dict(tool) for tool in (TOOLS.schemas() if tools is None else tools)),
        privileged=privileged,
        parent=parent,
    )
    log.started(start, reset_ms=1.0)
    for payload in talk:
        log.write(payload)
    for index, act in enumerate(acts):
        for payload in turns[index] if turns else ():
            log.write(payload)
        log.step(_step(index, act), act.reward, _scores(act, process), policy_ms=1.0)
    if stop is None:
        return log.folder
    if patch is not None:
        log.patch(patch)
    log.end(stop, failure)
    if resolved is not None or report is not None:
        sha = patch_facts(patch)["sha256"] if patch is not None else None
        outcome = str((report or {}).get("reason") or ("resolved" if resolved else "tests_failed"))
        with EventWriter(log.folder / "events.jsonl", header, fsync="never") as writer:
            writer.write(Verdict(resolved=resolved, outcome=outcome, patch_sha256=sha, report=dict(report or {})))
    return log.folder


def _step(index: int, act: Act) -> Step:
    given = {"name": act.tool, "arguments": dict(act.arguments)} | ({"thought": act.thought} if act.thought else {})
    action = json.dumps(given) if act.raw is None else act.raw
    call = TOOLS.parse(action)
    begun = WHEN + timedelta(seconds=index)
    parsed = isinstance(call, ParsedCall)
    return Step(
        index=index,
        action=action,
        tool=call.name if parsed else call.tool,
        arguments=call.arguments.model_dump(mode="json", exclude_none=True) if parsed else act.arguments,
        observation=act.observation,
        ok=parsed,
        error=None if parsed else "malformed_action",
        telemetry=Telemetry(wall_ms=1.0),
        t_start=begun,
        t_end=begun + timedelta(milliseconds=20),
        duration_ms=20.0,
        thought=act.thought,
    )


def _scores(act: Act, process: float | None) -> dict[str, Any]:
    scores: dict[str, Any] = {
        "goal_progress": {"score": act.reward, "layer": act.layer, "rules": [], "set_aside_by": None}
    }
    return {"step_reward": act.reward, "scores": scores, "process": None if process is None else {"score": process}}
