"""What the judge sees of an episode: bounded whatever its length, the same for a recorded episode and a live one."""

import json
import re
from collections import deque
from dataclasses import dataclass

from ...envs.step import Step
from ...envs.task import Task
from ...errors import ConfigError
from .config import ContextConfig, RevealConfig
from .injection import Flag, injections
from .prompt import Prompt
from .wrapping import cut, disarmed, nonce_for, wrapped

__all__ = ["EpisodeView", "StepView"]

_KIND = re.compile(r"\w{1,40}")


@dataclass(frozen=True, slots=True)
class _Shown:
    """A step in full: a line of facts, and texts by kind."""

    facts: str
    texts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """All that a judge is told of one step."""

    index: int
    task: str
    revealed: tuple[tuple[str, str], ...]
    """Kind and text of what the agent did not see."""
    left_out: int
    """Oldest steps that are not shown."""
    older: tuple[str, ...]
    recent: tuple[_Shown, ...]
    step: _Shown
    flags: tuple[Flag, ...]
    """Attempts to instruct the judge, in this step."""

    def messages(self, prompt: Prompt) -> list[dict[str, str]]:
        """The request's messages, every text that is not ours between delimiters."""
        nonce = nonce_for(self._texts())
        revealed = "".join(f"\n{_REVEALED[kind]}\n{wrapped(kind, text, nonce)}\n" for kind, text in self.revealed)
        return prompt.fill(
            {
                "nonce": nonce,
                "number": str(self.index),
                "task": wrapped("task", self.task, nonce),
                "revealed": revealed,
                "history": self._history(nonce),
                "step": _full(self.step, nonce),
            }
        )

    def _texts(self) -> list[str]:
        shown = [text for one in (*self.recent, self.step) for _, text in one.texts]
        return [self.task, *(text for _, text in self.revealed), *self.older, *shown]

    def _history(self, nonce: str) -> str:
        parts = list[str]()
        if self.left_out:
            parts.append(f"Steps 0 to {self.left_out - 1} are not shown.")
        if self.older:
            parts.append("Earlier steps, shortened:\n" + wrapped("earlier steps", "\n".join(self.older), nonce))
        parts += [_full(shown, nonce) for shown in self.recent]
        return "\n\n".join(parts) or "None: this is the first step."


class EpisodeView:
    """Follows one episode; constant work and memory a step."""

    def __init__(self, task: Task, context: ContextConfig, reveal: RevealConfig, resolved: bool | None = None) -> None:
        """Raises ConfigError when something shall be revealed that is not known."""
        self._config = context
        self._task = disarmed(cut(task.problem_statement, context.statement_chars))
        self._revealed = _revealed(task, context, reveal, resolved)
        self._older = deque[str]()
        self._older_size = 0
        self._left_out = 0
        self._recent = deque[tuple[_Shown, str]]()

    def look(self, step: Step) -> StepView:
        """The view of the next step, which is a part of the history from then on."""
        config = self._config
        view = StepView(
            index=step.index,
            task=self._task,
            revealed=self._revealed,
            left_out=self._left_out,
            older=tuple(self._older),
            recent=tuple(shown for shown, _ in self._recent),
            step=_shown(step, config.step_chars),
            flags=injections(step),
        )
        self._recent.append((_shown(step, config.recent_chars), _line(step, config.older_chars)))
        if len(self._recent) > config.recent:
            self._age(self._recent.popleft()[1])
        return view

    def _age(self, line: str) -> None:
        self._older.append(line)
        self._older_size += len(line)
        while self._older_size > self._config.older_total:
            self._older_size -= len(self._older.popleft())
            self._left_out += 1


_REVEALED = {
    "reference patch": "The reference solution, which the agent did not see:",
    "outcome": "How the episode ended, which the agent did not know:",
}


def _revealed(
    task: Task, context: ContextConfig, reveal: RevealConfig, resolved: bool | None
) -> tuple[tuple[str, str], ...]:
    found = list[tuple[str, str]]()
    if reveal.patch:
        if not task.patch:
            raise ConfigError(f"reveal.patch is set, and the reference patch of {task.instance_id} is not known")
        found.append(("reference patch", disarmed(cut(task.patch, context.revealed_chars))))
    if reveal.outcome:
        if resolved is None:
            raise ConfigError(f"reveal.outcome is set, and this episode of {task.instance_id} has no verdict")
        found.append(("outcome", "The task was resolved." if resolved else "The task was not resolved."))
    return tuple(found)


def _shown(step: Step, limit: int) -> _Shown:
    thought = step.thought or ""
    if json.dumps(thought, ensure_ascii=False) in step.action or json.dumps(thought) in step.action:
        thought = ""  # it is a part of the action, and need not be paid for twice
    said = (("thought", thought), ("action", step.action), ("observation", step.observation))
    texts = tuple((kind, disarmed(cut(text, limit))) for kind, text in said if text or kind != "thought")
    return _Shown(facts=f"Step {step.index}: {_ending(step)}", texts=texts)


def _full(shown: _Shown, nonce: str) -> str:
    return "\n".join([shown.facts, *(wrapped(kind, text, nonce) for kind, text in shown.texts)])


def _line(step: Step, limit: int) -> str:
    action, seen = (" ".join(text[: 4 * limit].split()) for text in (step.action, step.observation))
    line = f"[{step.index}] {action[: limit * 2 // 3]} -> {_ending(step)}: {seen}"
    return disarmed(line[:limit] + ("…" if len(line) > limit else ""))


def _ending(step: Step) -> str:
    kind = step.error if step.error and _KIND.fullmatch(step.error) else "error"
    ended = "done" if step.ok else f"failed ({kind})"
    return ended if step.exit_code is None else f"{ended}, exit code {step.exit_code}"
