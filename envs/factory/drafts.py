"""From a validated candidate to a task: its folder in the task repo, its image, and the check of the two together."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..engine import Engine
from ..images import build_image
from ..logs import evaluation_script, read_log
from ..sandbox import Sandbox, SandboxConfig
from ..sources.eval_script import build_eval_script
from ..sources.task_repo import expected_image, write_task
from ..task import Provenance, Task
from .distributions import Tree
from .gitobjects import AUTHOR, COMMIT_DATE, MESSAGE, commit_id
from .metered import MeteredSandbox
from .package_images import PackageImage
from .validation import Decision, Refusal
from .workshop import LOG_PARSER, test_command

__all__ = ["DATASET", "Draft", "build_task_image", "check_task", "publish"]

DATASET = "trajhub/factory"
_TIMEOUT = 300.0
_LOG_LIMIT = 32 << 20


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Everything a task is made of."""

    instance_id: str
    image: PackageImage
    tree: Tree
    """What the package's image holds at `/testbed`."""
    overlay: Mapping[str, str]
    """Files of the base commit that differ from it."""
    patch: str
    test_patch: str
    paths: Sequence[str]
    """Test files that decide."""
    decision: Decision
    statement: str
    hints: str = ""
    provenance: Provenance

    @property
    def base_commit(self) -> str:
        """Id of the only commit of the repository."""
        files = {**self.tree.files, **{path: text.encode() for path, text in self.overlay.items()}}
        return commit_id(files, self.tree.executable)

    def task(self) -> Task:
        """The task itself."""
        package, commit = self.image.package, self.base_commit
        command = f"{test_command(package)} {shlex.join(self.paths)}"
        script = build_eval_script(test_patch=self.test_patch, base_commit=commit, workdir="/testbed", command=command)
        return Task(
            instance_id=self.instance_id,
            repo=package.repo,
            base_commit=commit,
            patch=self.patch,
            test_patch=self.test_patch,
            problem_statement=self.statement,
            hints_text=self.hints,
            created_at=self.tree.created_at,
            version=self.image.version,
            environment_setup_commit=commit,
            FAIL_TO_PASS=self.decision.fail_to_pass,
            PASS_TO_PASS=self.decision.pass_to_pass,
            image=expected_image(self.instance_id),
            log_parser=LOG_PARSER,
            eval_script=script,
            test_command=test_command(package),
            provenance=self.provenance,
        )

    def dockerfile(self) -> str:
        """How the image is made: the changed files, then one commit whose id must be the expected one."""
        name, email = AUTHOR.removesuffix(">").split(" <")
        date = f"{COMMIT_DATE} +0000"
        who = " ".join(
            f"GIT_{role}_NAME='{name}' GIT_{role}_EMAIL={email} GIT_{role}_DATE='{date}'"
            for role in ("AUTHOR", "COMMITTER")
        )
        copy = "COPY tree/ /testbed/\n" if self.overlay else ""
        return (
            f"FROM {self.image.name}\n{copy}"
            "RUN git init -q -b main . \\\n"
            " && mkdir -p .git/info && echo '* -text -filter -ident -working-tree-encoding' > .git/info/attributes \\\n"
            f" && git add -A -f . && {who} git commit -q -m '{MESSAGE}' \\\n"
            f' && test "$(git rev-parse HEAD)" = {self.base_commit} \\\n'
            " && rm -rf .git/hooks .git/logs .git/COMMIT_EDITMSG .git/branches\n"
        )

    def files(self) -> dict[str, str]:
        """What the Dockerfile copies."""
        return {f"tree/{path}": text for path, text in self.overlay.items()}


def build_task_image(engine: Engine, draft: Draft) -> str:
    """Build the image of a task; its id."""
    context = {path: text.encode() for path, text in draft.files().items()}
    context["Dockerfile"] = draft.dockerfile().encode()
    executable = {f"tree/{path}" for path in draft.tree.executable}
    return build_image(engine, expected_image(draft.instance_id), context, executable=executable)


def publish(engine: Engine, draft: Draft, folder: Path) -> Task:
    """Build the image, check the task in it, and write it into the task repo. Raises Refusal."""
    build_task_image(engine, draft)
    task = draft.task()
    reason = check_task(engine, task)
    if reason is not None:
        engine.client.images.remove(expected_image(draft.instance_id), force=True)
        raise Refusal(reason)
    write_task(task, folder, dockerfile=draft.dockerfile(), files=draft.files(), dataset=DATASET)
    for path in draft.tree.executable & set(draft.overlay):
        (folder / "tasks" / task.instance_id / "tree" / path).chmod(0o755)
    return task


def check_task(engine: Engine, task: Task, runs: int = 1) -> str | None:
    """Run the evaluation script in the task's image without and with the reference patch; what is wrong, or None."""
    config = SandboxConfig(image=task.require_image(), workdir=task.workdir, sanitize_history=False)
    script = evaluation_script(task).encode()
    with MeteredSandbox(engine, config) as sandbox:
        head = sandbox.run("git rev-parse HEAD && git status --porcelain && git for-each-ref | wc -l").text.split()
        if head != [task.base_commit, "1"]:
            return "image: the repository is not the base commit"
        for _ in range(runs):
            if (reason := _evaluate(sandbox, task, script, "")) is not None:
                return reason
        sandbox.write_file("/tmp/gold.patch", task.patch.encode())
        if sandbox.run("git apply /tmp/gold.patch && rm /tmp/gold.patch").exit_code != 0:
            return "image: the reference patch does not apply"
        for _ in range(runs):
            if (reason := _evaluate(sandbox, task, script, task.patch)) is not None:
                return reason
    return None


def _evaluate(sandbox: Sandbox, task: Task, script: bytes, patch: str) -> str | None:
    sandbox.write_file("/eval.sh", script)
    log = sandbox.run("/bin/bash /eval.sh", timeout=_TIMEOUT, output_limit=_LOG_LIMIT)
    if log.timed_out:
        return "image: the evaluation script timed out"
    report = read_log(task, log.text, patch or "none")
    if not report.found:
        return "image: the evaluation script gave no results"
    passed = {name for name, status in report.statuses.items() if status in ("PASSED", "XFAIL")}
    if lost := set(task.PASS_TO_PASS) - passed:
        return f"image: tests do not keep passing: {len(lost)}"
    if patch:
        return None if report.resolved else "image: the reference patch does not resolve it"
    return "image: tests pass without the reference patch" if passed & set(task.FAIL_TO_PASS) else None
