"""One evaluation, from what is evaluated to figures and predictions. The same call again goes on where it stopped."""

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ...envs.sources import load_tasks
from ...envs.task import Task
from ...errors import ConfigError, Failure, UsageError
from ...rollouts.config import RolloutConfig, check_budget, choose, resolve
from ...rollouts.files import write_atomic
from ...rollouts.plan import make_plan
from ...rollouts.policies.base import Policy
from ...rollouts.policies.choose import make_policy
from ...rollouts.run_dir import MANIFEST
from ...rollouts.runner import Runner
from ...rollouts.serving import ModelServer
from ...rollouts.start import opened
from ..gate.config import GateConfig
from ..gate.outcomes import Outcomes
from ..gate.report import Side
from ..gate.runs import read_run
from ..gate.sides import side_of
from .config import EvalConfig
from .graded import grade_predictions
from .predictions import write_predictions
from .subject import Subject

__all__ = ["EVALUATION", "Evaluation", "chosen_tasks", "evaluate", "settled_rollout", "summarise_evaluation"]

EVALUATION = "evaluation.json"
_SERVING = "serving"
_NOWHERE = "http://127.0.0.1:9/v1"
"""Stands for the endpoint where nobody needs to be asked any more."""
Watch = Callable[[Runner], AbstractContextManager[None]]


class Evaluation(BaseModel):
    """What is known of an evaluation besides its run: `evaluation.json` in the run's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    subject: str
    """The checkpoint, policy or predictions, as given."""
    kind: str
    sha256: str | None
    """Of the checkpoint's files, or of the predictions; None for what lies elsewhere."""
    served: dict[str, object] | None = None
    """Settings of the server, when this command served the checkpoint."""
    finished: bool = False
    predictions: tuple[str, ...] = ()
    """Files for the official harness, relative to the run, one a seed."""
    missing: str | None = None
    """What is not there yet: episodes that are not done or graded, or that infrastructure spoilt."""
    figures: Side | None = None
    """None until every episode is done and graded, and one counts."""


def evaluate(
    run: Path,
    subject: Subject,
    config: EvalConfig,
    *,
    tasks: Sequence[Task] | None = None,
    missing_unresolved: bool = False,
    host: str | None = None,
    watch: Watch | None = None,
    each: Callable[[], None] = lambda: None,
    stopping: threading.Event | None = None,
) -> Evaluation:
    """Evaluate, or go on with it. `watch` shows how a rollout gets on, `each` is called for every prediction graded.

    Raises UsageError for what cannot be evaluated as asked, ConfigError when the run was begun with something else,
    and InfrastructureError when the model cannot be served.
    """
    rollout = settled_rollout(subject, config)
    chosen = chosen_tasks(rollout, tasks)
    begun = _begin(run, subject, config)
    if subject.kind == "predictions":
        grade_predictions(
            run,
            subject,
            rollout,
            chosen,
            missing_unresolved=missing_unresolved,
            host=host,
            each=each,
            stopping=stopping,
        )
    else:
        with _policy(run, subject, config, rollout, chosen) as spec:
            _roll_out(run, rollout.model_copy(update={"policy": spec}), chosen, host, watch)
    return summarise_evaluation(run, begun)


def settled_rollout(subject: Subject, config: EvalConfig) -> RolloutConfig:
    """The rollout that an evaluation of `subject` is, its endpoint aside."""
    if subject.kind != "predictions":
        return config.rollout
    fixed = {"policy": "predictions", "seeds": len(subject.files), "seed": 0}
    return config.rollout.model_copy(update=fixed)


def chosen_tasks(config: RolloutConfig, tasks: Sequence[Task] | None = None) -> list[Task]:
    """The tasks of an evaluation, each with an image and gradable."""
    return choose(config, load_tasks(config.tasks) if tasks is None else tasks)


def summarise_evaluation(run: Path, begun: Evaluation) -> Evaluation:
    """Write predictions, and figures when everything is done, into the run's folder."""
    written = write_predictions(run)
    figures, missing = None, None
    try:
        settings = GateConfig()
        outcomes = read_run(run, settings)
        missing = _spoilt(outcomes)
        if sum(outcomes.excluded.values()) < len(outcomes.attempts):
            figures = side_of(run.name, [outcomes], 1 - settings.alpha)
    except UsageError as error:
        missing = str(error)
    found = begun.model_copy(
        update={
            "finished": missing is None,
            "figures": figures,
            "missing": missing,
            "predictions": tuple(path.name for path in written),
        }
    )
    write_atomic(run / EVALUATION, found.model_dump_json(indent=2) + "\n")
    return found


def _spoilt(outcomes: Outcomes) -> str | None:
    """What infrastructure spoilt, when that may be tried again or leaves nothing that counts."""
    count, every = sum(outcomes.excluded.values()), len(outcomes.attempts)
    if count < every and not outcomes.excluded.keys() & {Failure.ENVIRONMENT, Failure.SERVICE}:
        return None
    blamed = ", ".join(f"{number} {name}" for name, number in sorted(outcomes.excluded.items()))
    return f"{count} of {every} episodes do not count ({blamed}); see `trajhub runs show {outcomes.path}`"


def _begin(run: Path, subject: Subject, config: EvalConfig) -> Evaluation:
    """Note what is evaluated, or refuse to go on with something else."""
    served = None
    if subject.kind == "model" and config.url is None:
        served = config.server(subject.text).model_dump(mode="json")
    new = Evaluation(subject=subject.text, kind=subject.kind, sha256=subject.sha256, served=served)
    path = run / EVALUATION
    if path.exists():
        old = Evaluation.model_validate_json(path.read_text(encoding="utf-8"))
        if (old.sha256 or old.subject) != (new.sha256 or new.subject):
            raise ConfigError(
                f"{run} evaluates {old.subject} ({(old.sha256 or 'no checksum')[:12]}); {new.subject} "
                f"({(new.sha256 or 'no checksum')[:12]}) is something else. Choose another -o."
            )
    elif (run / MANIFEST).exists():
        raise ConfigError(f"{run} is a run that was no evaluation; choose another -o")
    write_atomic(path, new.model_dump_json(indent=2) + "\n")
    return new


@contextmanager
def _policy(
    run: Path, subject: Subject, config: EvalConfig, rollout: RolloutConfig, tasks: Sequence[Task]
) -> Generator[str]:
    """The policy to roll out, its model served meanwhile if need be."""
    if subject.kind == "policy":
        yield subject.text
    elif config.url is not None:
        yield f"vllm:{subject.text}@{config.url}"
    else:
        settings = config.server(subject.text)
        if (run / MANIFEST).exists() and not make_plan(run, rollout, tasks).jobs:
            yield f"vllm:{settings.served_name}@{_NOWHERE}"
            return
        with ModelServer(settings, logs=run / _SERVING) as server:
            yield f"vllm:{server.name}@{server.base_url}"


def _roll_out(run: Path, config: RolloutConfig, tasks: Sequence[Task], host: str | None, watch: Watch | None) -> None:
    settled = resolve(config)
    actor: Policy = make_policy(settled.policy, settled.chat, settled.vllm)
    try:
        if actor.privileged:
            raise UsageError(f"{settled.policy} is shown the reference patches; `trajhub rollout --grade` runs it")
        check_budget(settled, actor.model)
        with opened(run, settled, actor, tasks, host) as runner, (watch or _unwatched)(runner):
            runner.run()
    finally:
        actor.close()


def _unwatched(runner: Runner) -> AbstractContextManager[None]:
    return nullcontext()
