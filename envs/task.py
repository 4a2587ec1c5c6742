"""A task: one repository at one commit, one problem statement, and the tests that decide.

The field names are those of SWE-bench 5 (https://github.com/SWE-bench/SWE-bench, `swebench.types`), plus
`provenance` and what other members of the family add.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..errors import TaskIncomplete

__all__ = ["EvalType", "ProSpec", "Provenance", "Task"]

EvalType = Literal["pass_and_fail", "fail_only"]


class Provenance(BaseModel):
    """Where a task came from and how it was made."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    source: str
    """Kind of source: `task_repo`, `dataset`, `swebench_pro`, `injected` or `release`."""
    origin: str | None = None
    """The file, dataset name and revision, or distribution file it was made from."""
    sha256: str | None = None
    """Of the original data: the distribution file, or the canonical JSON of the dataset row."""
    licence: str | None = None
    """SPDX expression or the licence text's name, as the origin states it."""
    method: str | None = None
    """How it was made, for example `flip_comparison` or `1.2.0..1.3.0`."""
    seed: int | None = None


class ProSpec(BaseModel):
    """What SWE-bench Pro adds to a task (its own columns, run script and result parser)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    requirements: str = ""
    interface: str = ""
    before_repo_set_cmd: str = ""
    selected_test_files_to_run: tuple[str, ...] = ()
    dockerhub_tag: str = ""
    run_script: str | None = None
    """Content of `run_script.sh`."""
    parser: str | None = None
    """Content of `parser.py`, which writes `{"tests": [{"name", "status"}]}`."""


class Task(BaseModel):
    """One task. Frozen: a task never changes while it is worked on."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    instance_id: str
    repo: str
    base_commit: str
    patch: str = Field(default="", repr=False)
    """The reference patch."""
    test_patch: str = Field(default="", repr=False)
    problem_statement: str = Field(default="", repr=False)
    hints_text: str = Field(default="", repr=False)
    created_at: str = ""
    version: str = ""
    environment_setup_commit: str = ""
    FAIL_TO_PASS: tuple[str, ...] = Field(default=(), repr=False)
    PASS_TO_PASS: tuple[str, ...] = Field(default=(), repr=False)
    image: str | None = None
    image_assets: Mapping[str, Any] = Field(default_factory=dict[str, Any], repr=False)
    """Binary files of the patches, `{"test_patch": [{"path", "url"}], "patch": […]}`, and images of the statement;
    `file` is where a task repo on this machine holds one."""
    log_parser: str | None = None
    """Name in `swebench.harness.log_parsers.PARSER_REGISTRY`."""
    eval_type: EvalType = "pass_and_fail"
    eval_script: str | None = Field(default=None, repr=False)
    workdir: str = "/testbed"
    """Absolute path of the repository in the image (`/app` in SWE-bench Pro)."""
    test_command: str | None = None
    """Shell command by which an agent runs the visible tests; chosen tests are appended."""
    network: bool = False
    """Whether the sandbox may reach the network."""
    pro: ProSpec | None = Field(default=None, repr=False)
    provenance: Provenance
    extra: Mapping[str, Any] = Field(default_factory=dict[str, Any], repr=False)
    """Columns of the origin that have no field of their own, kept as they were."""

    def missing(self) -> tuple[str, ...]:
        """Names of the fields that running and grading this task needs and that are empty."""
        needed: dict[str, object] = {"image": self.image, "FAIL_TO_PASS": self.FAIL_TO_PASS}
        if self.pro is None:
            needed |= {"eval_script": self.eval_script, "log_parser": self.log_parser}
        else:
            needed |= {"pro.run_script": self.pro.run_script, "pro.parser": self.pro.parser}
        return tuple(name for name, value in needed.items() if not value)

    def require_image(self) -> str:
        """The image name. Raises TaskIncomplete when there is none."""
        if not self.image:
            raise TaskIncomplete(
                f"task {self.instance_id} has no image, so no sandbox can be started; "
                "give one in a mapping file (see docs/tasks.md)"
            )
        return self.image

    def require_gradable(self) -> None:
        """Raise TaskIncomplete, naming every missing field, when this task cannot be graded."""
        missing = self.missing()
        if missing:
            raise TaskIncomplete(
                f"task {self.instance_id} cannot be graded: it lacks {', '.join(missing)}; "
                "complete it with a mapping file (see docs/tasks.md)"
            )
