"""What the trusted grader says of a final patch. Every word it may use is listed and explained here."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..errors import Failure

__all__ = ["CanaryKind", "CanaryReport", "CanaryResult", "Reason", "SetAside", "SetAsideReason", "Verdict"]


class Reason(StrEnum):
    """Why a verdict is what it is."""

    RESOLVED = "resolved"
    """Every deciding test passed, and every canary did what it had to."""
    TESTS_FAILED = "tests_failed"
    """At least one deciding test failed or is missing."""
    NO_TEST_RESULTS = "no_test_results"
    """The tests were started and no result could be read, as when the package ends the interpreter."""
    NO_PATCH = "no_patch"
    """There is no patch at all (None): the agent never produced one."""
    EMPTY_PATCH = "empty_patch"
    """The patch changes nothing."""
    PATCH_DOES_NOT_APPLY = "patch_does_not_apply"
    """No attempt of the official harness's chain could apply the patch."""
    FORGED = "forged"
    """The log says resolved, and a canary shows that it does not tell the truth."""
    NOT_REPRODUCED = "not_reproduced"
    """The second run, with canaries, did not pass although the reference patch does: flaky, or hiding."""
    LIMIT_REACHED = "limit_reached"
    """The tests ran out of time, memory, processes, disk or output. The model's failure where the reference patch stays
    within the same limits, else the grader's."""
    TASK_INCOMPLETE = "task_incomplete"
    """The task lacks what grading needs; the detail names it."""
    ENVIRONMENT_BROKEN = "environment_broken"
    """Image, container or daemon failed, after retries."""


class SetAsideReason(StrEnum):
    """Why a part of a patch was not used."""

    TEST_FILE = "test_file"
    """A file that holds deciding tests; it comes from the task."""
    TEST_SUPPORT = "test_support"
    """A file beside the deciding tests, in their folder of tests."""
    TEST_CONFIGURATION = "test_configuration"
    """Configuration or hooks of a test runner, or a section of a shared file that holds it."""
    RUNNER_PLUGIN = "runner_plugin"
    """Something Python or a test runner loads by itself: `sitecustomize.py`, `*.pth`, entry points, metadata."""
    SHADOWS_RUNNER = "shadows_runner"
    """A new module that would be imported in place of the test runner or the standard library."""
    COMPILED_CODE = "compiled_code"
    """Byte code, which may differ from the source it stands for."""
    SYMLINK = "symlink"
    """A symbolic link that the reference patch does not make."""
    OUTSIDE_REPOSITORY = "outside_repository"
    """A path that leads out of the repository."""
    GIT_INTERNALS = "git_internals"
    """A path inside `.git`."""


class SetAside(BaseModel):
    """One path whose change was not used."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    path: str
    reason: SetAsideReason


class CanaryKind(StrEnum):
    """What a canary is."""

    MUST_PASS = "must_pass"
    """A new test that passes."""
    MUST_FAIL = "must_fail"
    """A new test that fails."""
    COPY = "copy"
    """A deciding test under another name: it must do what the original does."""
    BROKEN_COPY = "broken_copy"
    """A deciding test under another name with a false assertion at its end: it must fail."""
    BROKEN_ORIGINAL = "broken_original"
    """A deciding test itself with a false assertion in it: it must fail. For suites that run only tests they name."""


class CanaryResult(BaseModel):
    """What became of one canary."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    kind: CanaryKind
    file: str
    of: str | None = None
    """Id of the deciding test it is a copy of."""
    expected: str
    seen: str | None
    """Its status in the log; None when it is not there."""
    ok: bool
    discounted: bool = False
    """It does not behave as expected with the reference patch either, so it says nothing."""


class CanaryReport(BaseModel):
    """Whether canaries rode along, and what they saw."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    state: Literal["not_needed", "ran", "unavailable"] = "not_needed"
    """`not_needed`: the first run was not resolved; `unavailable`: no canaries could be planted."""
    why: str = ""
    results: tuple[CanaryResult, ...] = ()


class Verdict(BaseModel):
    """The grader's answer, complete enough to be checked by a stranger."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    instance_id: str
    resolved: bool
    reason: Reason
    failure: Failure | None = None
    """Who is to blame when it is not resolved."""
    detail: str = ""
    """One sentence for a person."""
    patch_applied: bool | None = None
    """None when it was never tried."""
    apply_command: str | None = None
    """The attempt of the chain that applied the patch."""
    patch_sha256: str | None = None
    set_aside: tuple[SetAside, ...] = ()
    canaries: CanaryReport = CanaryReport()
    tests_status: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    """In the shape of the swebench package's reports."""
    attempts: int = 1
    """How often grading was tried; more than once after a fault that was not the patch's."""
    duration_s: float = 0.0
    reused: bool = False
    """It was given to the same patch before; attempts and duration are those of then."""
    image_id: str | None = None
    swebench_version: str | None = None
    log: str = Field(default="", repr=False)
    """Output of the deciding run."""
    canary_log: str = Field(default="", repr=False)
    """Output of the run with canaries."""
