"""Judging a recorded run: what it will take, and doing it."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..rewards.config import load_config as load_rubric
from ..rewards.judge.asking import Judge
from ..rewards.judge.budget import token_estimate
from ..rewards.judge.cache import JudgeCache, key_of
from ..rewards.judge.ensemble import judgement
from ..rewards.judge.exchange import request_body
from ..rewards.judge.outcome import Pending
from ..rewards.judge.prompt import load_prompt
from ..rewards.layers import combined, combined_name
from ..rewards.rubric import weighted_mean
from ..rewards.service.usage import Usage
from .judge_summary import JudgeSummary
from .judging import JudgeRunConfig, Scores, Selected, Views, rule_scores
from .score_log import CriterionRow, ScoreWriter, StepScoreRow
from .scoring import judge_cache
from .trajectory import Trajectory

__all__ = ["Estimate", "JudgeRun", "estimate"]

_AHEAD = 4
"""Steps that wait for each worker."""


@dataclass(slots=True, kw_only=True)
class Estimate:
    """What judging will take at most, answers that must be asked for again aside."""

    episodes: int = 0
    steps: int = 0
    questions: int = 0
    """Steps x models x samples."""
    cached: int = 0
    """Of the questions, those that the cache answers."""
    requests: int = 0
    """Different ones among the others."""
    input_tokens: int = 0
    """Of the requests, counted from characters; rather too many."""
    output_tokens: int = 0
    """The most the answers may have."""
    cost_ceiling_usd: float | None = 0.0
    """Within the budget; None when a model has no price."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def estimate(run: Path, config: JudgeRunConfig, chosen: Selected) -> Estimate:
    """What judging the chosen steps will take. Asks nobody."""
    found = Estimate(episodes=len(chosen))
    prompt, path = load_prompt(config.judge.prompt), config.judge.cache or judge_cache(run)
    counted = set[str]()
    with closing(JudgeCache(path if path.exists() else None)) as cache:
        for _, _, view in Views(chosen, config):
            found.steps += 1
            messages = view.messages(prompt)
            for member in config.judge.members:
                body = request_body(member, messages)
                keys = [key_of(body, sample) for sample in range(config.judge.samples)]
                unknown = {key for key in keys if cache.get(key) is None}
                found.questions += len(keys)
                found.cached += len(keys) - len(unknown)
                missing = len(unknown - counted)
                counted |= unknown
                found.requests += missing
                size = sum(len(one["content"]) for one in messages) + len(str(body.get("response_format", "")))
                usage = Usage(input_tokens=token_estimate(size) * missing, output_tokens=member.max_tokens * missing)
                found.input_tokens += usage.input_tokens or 0
                found.output_tokens += usage.output_tokens or 0
                price = config.prices.price(member.model)
                cost = price.cost(usage) if price is not None else None
                found.cost_ceiling_usd = _plus(found.cost_ceiling_usd, cost)
    limit = config.judge.budget.usd
    if found.cost_ceiling_usd is not None and limit is not None:
        found.cost_ceiling_usd = min(found.cost_ceiling_usd, limit)
    return found


def _plus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left + right


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A step whose answers are on their way."""

    trajectory: Trajectory
    rules: Scores | None
    pending: Pending


class JudgeRun:
    """Scores chosen steps of a run, and writes `scores/<layer>.jsonl` for the judge and for a combination."""

    def __init__(self, run: Path, config: JudgeRunConfig, chosen: Selected, judge: Judge) -> None:
        """Raises ConfigError when the layers leave a judge nothing to do."""
        if config.layers.combine == "rules":
            raise ConfigError("layers.combine is rules: their scores are in the log, and a judge has nothing to do")
        self.summary = JudgeSummary(judge.name)
        self.written: dict[str, Path] = {}
        """The files, by layer."""
        self.interrupted = False
        self._run, self._config, self._chosen, self._judge = run, config, chosen, judge
        self._rubric = load_rubric(config.rubric)
        self._combines = config.layers.combine != "judge" or config.layers.veto
        self._combined = ""
        self._writers: dict[str, ScoreWriter] = {}

    def interrupt(self) -> None:
        """Ask nothing more; `score` returns when the requests under way are answered. For a signal handler."""
        self.interrupted = True
        self._judge.stop("interrupted")

    def score(self, on_step: Callable[[JudgeSummary], None]) -> JudgeSummary:
        """Score them; `on_step` is called after each. What is done is written, whatever ends it.

        Raises ConfigError when the service refuses the key or the model, and, before anything is asked, while another
        process judges the run under the same name.
        """
        began, waiting = time.monotonic(), deque[_Waiting]()
        try:
            with ExitStack() as stack:
                self._writer(self._judge.name, stack)
                for item in self._submitted():
                    waiting.append(item)
                    if len(waiting) > self._config.judge.workers * _AHEAD:
                        self._take(waiting.popleft(), stack)
                        on_step(self.summary)
                    if self.interrupted:
                        break
                while waiting:
                    self._take(waiting.popleft(), stack)
                    on_step(self.summary)
        finally:
            self.summary.seconds = time.monotonic() - began
        return self.summary

    def _submitted(self) -> Iterator[_Waiting]:
        rules, last = list[Scores](), None
        for trajectory, position, view in Views(self._chosen, self._config):
            if self._combines and trajectory is not last:
                rules, last = rule_scores(trajectory, self._rubric), trajectory
            yield _Waiting(trajectory, rules[position] if rules else None, self._judge.submit(view))

    def _take(self, item: _Waiting, stack: ExitStack) -> None:
        """Wait for the answers about a step, and write what they make; nothing of a step that was interrupted."""
        outcomes = item.pending.outcomes()
        if self.interrupted and any(outcome.trouble == "stopped" for outcome in outcomes):
            return
        made = judgement(self._judge, item.pending.view, outcomes)
        flagged = bool(item.pending.view.flags)
        self.summary.add(made.criteria, outcomes, flagged=flagged)
        self._write(item, self._judge.name, made.criteria, made.record, stack)
        if item.rules is not None:
            layers = self._config.layers
            rules = next((score.layer for score in item.rules.values()), "rules")
            # One file: also where versions of the rules are mixed, each score says which one it is from.
            self._combined = self._combined or combined_name(rules, self._judge.name, layers)
            self._write(item, self._combined, combined(item.rules, made.criteria, layers), {}, stack)

    def _write(self, item: _Waiting, layer: str, scores: Scores, record: Mapping[str, Any], stack: ExitStack) -> None:
        writer = self._writer(layer, stack)
        self.written[layer] = writer.path
        header = item.trajectory.header
        row = StepScoreRow(
            episode_id=header.episode_id,
            task_id=header.task_id,
            step=item.pending.view.index,
            layer=layer,
            criteria={name: CriterionRow.of(score, layer) for name, score in scores.items()},
            reward=weighted_mean(scores, self._rubric.weights),
            record=record,
        )
        writer.write(row)

    def _writer(self, layer: str, stack: ExitStack) -> ScoreWriter:
        if layer not in self._writers:
            self._writers[layer] = stack.enter_context(ScoreWriter(self._run, layer))
        return self._writers[layer]
