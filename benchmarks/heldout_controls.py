"""Episodes in which something went wrong and nobody failed: rules must blame nobody for them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import StopReason
from ..rollouts.policies.base import Action, Context, Gave, PolicyBase, PolicyStop, Session, TaskView
from ..rollouts.steering.features import NAMES
from ..rollouts.steering.predictor import Constant, Head, Predictor, Recipe
from .fault_service import Answer, call
from .fault_stage import Fault, Stage, read, shell
from .heldout_stage import fix, meddled, tests

__all__ = ["CONTROLS"]


class _Interrupted(PolicyBase):
    """Is stopped by its user."""

    name = "interrupted"

    def start(self, task: TaskView, context: Context) -> Session:
        """Begin."""
        return _Stopped([Action(call=shell("ls"))])


class _Stopped(Gave):
    def act(self, observation: str, info: Mapping[str, Any]) -> Action:
        if self._next:
            raise PolicyStop(StopReason.INTERRUPTED, "stopped by the user")
        return super().act(observation, info)


def _slow_down(stage: Stage) -> Path:
    busy = Answer(429, {"error": {"message": "Rate limit reached"}})
    solved = call("shell", command=fix(stage)["arguments"]["command"])
    return stage.asked(busy, solved, busy, call("submit"), settings=("chat.retries=3",))


def _early(stage: Stage) -> Path:
    head = Head(at=2, link="logistic", model=Constant(value=-9.0))
    recipe = Recipe(model="baseline", at=(2,))
    made = Predictor(target="success", features=NAMES, recipe=recipe, heads=(head,), episodes=0, tasks=())
    file = stage.work / "gloomy.json"
    file.write_text(made.model_dump_json())
    acts = [shell("ls"), read(stage), shell("git status"), shell("ls -la")]
    return stage.script(*acts, settings=(f"steering.early_stop={{predictor: {file}}}", "grade=false"))


def _restarted(stage: Stage) -> Path:
    return meddled(stage, [fix(stage), shell("ls"), tests()], {1: lambda box: box.kill()})


CONTROLS: Sequence[Fault] = (
    Fault("solved", (), lambda s: s.script(read(s), fix(s), tests()), "resolved"),
    Fault("solved, though the service was busy twice", (), _slow_down, "retries helped; resolved"),
    Fault(
        "solved, though commands timed out",
        (),
        lambda s: s.script(
            shell("sleep 9"), shell("sleep 8"), shell("sleep 7"), fix(s), settings=("env.command_timeout=1",)
        ),
        "resolved",
    ),
    Fault("solved, though the container died", (), _restarted, "it was restarted with its files; resolved"),
    Fault(
        "solved after nonsense",
        (),
        lambda s: s.script("{", '{"name": "fly"}', "hm", fix(s)),
        "malformed actions at first; resolved",
    ),
    Fault(
        "handed in and not graded",
        (),
        lambda s: s.script(shell("false"), fix(s), shell("exit 3"), settings=("grade=false",)),
        "nobody knows whether it is right, and it ended well",
    ),
    Fault("stopped by its user", (), lambda s: s.run(_Interrupted(), "grade=false"), "the user's decision"),
    Fault("stopped early by a policy", (), _early, "the policy's decision"),
)
