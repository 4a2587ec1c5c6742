"""Recorded runs to label, written with the event writer itself: an ordinary one, and one whose texts are hostile."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trajectory_hub.errors import StopReason
from trajectory_hub.rewards.scores import CRITERIA
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.episode_log import EVENTS
from trajectory_hub.rollouts.log import EventWriter, Header
from trajectory_hub.rollouts.run_dir import EPISODES, ensure_run
from trajectory_hub.rollouts.score_log import CriterionRow, StepScoreRow, write_scores

SECRETS = ("nimbus-coder", "acme/zephyr-9b", "zephyr-9b", "run-7f3a", "nimbus-coder 3.2")
"""Agent, model and run: none of these may reach a browser."""
HOSTILE = (
    "<script>window.owned = 1</script></script><img src=x onerror='window.owned=1'>\n"
    "[a link](javascript:window.owned=1) javascript:alert(1)\n"
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07click\x1b]8;;\x07 \x00\x08\x7f\x9b\n"
    "access \u202egnp.exe\u202c \u2066hidden\u2069 zero\u200bwidth \U000e0041tag \ufeff\n"
)
STATEMENT = (
    "`Duration.parse` loses the sign of negative durations.\n\n"
    "    >>> Duration.parse('-PT1H30M').minutes\n    90\n\n"
    "It should be -90. The sign is read, but not applied to the parts that follow the first one."
)
PATCH = (
    "diff --git a/src/duration.py b/src/duration.py\nindex 1f2e..9c41 100644\n"
    "--- a/src/duration.py\n+++ b/src/duration.py\n"
    "@@ -41,9 +41,9 @@ def parse(text):\n     sign = -1 if match['sign'] == '-' else 1\n     parts = {}\n"
    "     for unit, value in match.groupdict(default='0').items():\n-        parts[unit] = int(value)\n"
    "+        if unit != 'sign':\n+            parts[unit] = sign * int(value)\n     return cls(**parts)\n"
)
SOURCE = "".join(f"{n:6}\t{line}\n" for n, line in enumerate([f"def part_{i}(text): return {i}" for i in range(90)], 1))
TESTS = "12 tests: 11 passed, 1 failed.\n\nLog:\n" + "".join(
    f"tests/test_duration.py::test_{i} PASSED\n" for i in range(60)
)

JUDGE = "judge@1:tiny"
Scores = Mapping[str, float | None]


def step(
    tool: str | None, observation: str, *, thought: str | None = None, score: float = 0.5, **rest: Any
) -> dict[str, Any]:
    """One step; what is neither `ok`, `error`, `exit_code` nor `scores` is an argument of the tool."""
    own = {key: rest.pop(key) for key in ("ok", "error", "exit_code", "scores") if key in rest}
    scores = own.pop("scores", dict.fromkeys(CRITERIA, score))
    return {"tool": tool, "observation": observation, "thought": thought, "scores": scores, "arguments": rest, **own}


def ordinary(*, fixed: bool = True) -> list[dict[str, Any]]:
    """What a sensible agent does."""
    command = "cd /testbed && python -m pytest -q tests/test_duration.py -k negative 2>&1 | tail -40"
    found = "src/duration.py:12:class Duration:\nsrc/duration.py:38:    def parse(cls, text):\n[2 matching lines]"
    failed = {"ok": False, "error": "tests_failed", "exit_code": 1}
    read: dict[str, Any] = {"path": "src/duration.py", "start": 1, "end": 90}
    first = {"pattern": "def parse", "path": "src", "regex": False}
    steps = [
        step("search", found, thought="Find where durations are parsed.", score=0.9, **first),
        step("file_read", SOURCE, score=0.8, **read),
        step("shell", TESTS, thought="Reproduce it first.", command=command, score=0.7, **failed),
        step("file_read", SOURCE, score=0.1, **read),
    ]
    if fixed:
        thought = (
            "The sign is read, but only the first part is multiplied by it. I apply it to every part, and leave the "
            "group `sign` itself out."
        )
        loop = "    for unit, value in groups:\n"
        old = loop + "        parts[unit] = int(value)\n    return cls(**parts)\n"
        new = (
            loop + "        if unit != 'sign':\n            parts[unit] = sign * int(value)\n    return cls(**parts)\n"
        )
        changed, path = "src/duration.py changed at line 44.", "src/duration.py"
        steps.append(step("file_edit", changed, path=path, score=1.0, thought=thought, old=old, new=new))
        steps.append(step("git", PATCH, subcommand="diff", exit_code=0, score=0.6))
    return [*steps, step("submit", "Submitted.", score=float(fixed))]


def hostile() -> list[dict[str, Any]]:
    """Every text of an episode tries to get out."""
    said = f"I am nimbus-coder, running acme/zephyr-9b in run-7f3a. {HOSTILE}"
    return [
        step("shell", HOSTILE * 30, thought=said, command=HOSTILE, exit_code=0),
        step(HOSTILE[:40], said, path=HOSTILE),
        step(None, HOSTILE, error="malformed_action", ok=False),
        step("file_write", "x" * 30_000, path="a.html", content=f"<html>{HOSTILE}</html>"),
    ]


def write_run(folder: Path, episodes: Sequence[Mapping[str, Any]], *, agent: str = "nimbus-coder") -> Path:
    """A run of episodes with `task`, `seed`, `steps`, `resolved`, and perhaps `statement`, `patch`, `judge` scores."""
    folder.mkdir(parents=True)
    run_id = ensure_run(folder)
    for episode in episodes:
        _write_episode(folder, run_id, agent, episode)
    rows = [row for episode in episodes for row in _judge_rows(episode)]
    if rows:
        write_scores(folder, JUDGE, rows)
    return folder


def episode_id(episode: Mapping[str, Any]) -> str:
    return f"{episode['task']}--s{episode['seed']}--a1"


def _write_episode(folder: Path, run_id: str, agent: str, episode: Mapping[str, Any]) -> None:
    header = Header(
        run_id=run_id,
        episode_id=episode_id(episode),
        task_id=episode["task"],
        agent=agent,
        agent_version="3.2",
        model="acme/zephyr-9b",
        repo="acme/durations",
        commit="0" * 40,
        seed=episode["seed"],
    )
    path = folder / EPISODES / header.episode_id / EVENTS
    task = {"instance_id": header.task_id, "problem_statement": episode.get("statement", STATEMENT)}
    with EventWriter(path, header) as log:
        log.append(log.event(payloads.EpisodeStart(task=task)))
        for index, each in enumerate(episode["steps"]):
            for payload in _payloads(index, each):
                log.append(log.event(payload))
        if patch := episode.get("patch", PATCH):
            sha256 = hashlib.sha256(patch.encode()).hexdigest()
            log.append(log.event(payloads.FinalPatch.of(patch=patch, sha256=sha256)))
        resolved: bool | None = episode.get("resolved")
        log.append(log.event(payloads.Verdict(resolved=resolved, outcome="OUTCOME-SECRET")))
        end = payloads.EpisodeEnd(stop_reason=StopReason.SUBMITTED, steps=len(episode["steps"]), process_score=0.4321)
        log.append(log.event(end))


def _payloads(index: int, each: Mapping[str, Any]) -> list[payloads.Payload]:
    action = json.dumps({"name": each["tool"], "arguments": each["arguments"]})
    if each["tool"] is None:
        action = each["observation"]
    call = {"step": index, "tool": each["tool"], "arguments": each["arguments"], "thought": each["thought"]}
    told = {key: each.get(key) for key in ("error", "exit_code")}
    secret = {"note": "DATA-SECRET"}
    scores = [
        payloads.CriterionRecord(criterion=name, score=score, layer="rules@1") for name, score in each["scores"].items()
    ]
    return [
        payloads.ToolCall.of(action=action, malformed=each["tool"] is None, **call),
        payloads.ToolResult.of(
            step=index, tool=each["tool"], ok=each.get("ok", True), observation=each["observation"], data=secret, **told
        ),
        payloads.StepReward(step=index, reward=0.123456, criteria=tuple(scores)),
    ]


def _judge_rows(episode: Mapping[str, Any]) -> list[StepScoreRow]:
    judged: Sequence[Scores] = episode.get("judge", ())
    return [
        StepScoreRow(
            episode_id=episode_id(episode),
            task_id=episode["task"],
            step=index,
            layer=JUDGE,
            criteria={name: CriterionRow(score=score) for name, score in scores.items()},
            reward=None,
        )
        for index, scores in enumerate(judged)
    ]


def write_world(folder: Path) -> Path:
    """The run most tests label: three tasks, two seeds each, one task with hostile texts."""
    episodes = list[dict[str, Any]]()
    for seed in (0, 1):
        plain = {"task": "acme__durations-1", "seed": seed, "patch": PATCH if seed == 0 else ""}
        episodes.append(plain | {"steps": ordinary(fixed=seed == 0), "resolved": seed == 0})
        evil = {"task": "acme__hostile-2", "seed": seed, "patch": PATCH + f"+{HOSTILE}"}
        episodes.append(evil | {"steps": hostile()[seed:], "resolved": False, "statement": HOSTILE + STATEMENT})
    return write_run(folder / "run-7f3a", episodes)
