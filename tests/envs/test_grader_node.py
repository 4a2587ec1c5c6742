"""A suite that is not Python, graded on a real engine: node's own test runner, taken from this machine."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.grader import Grader, GraderConfig
from trajectory_hub.envs.images import build_image
from trajectory_hub.envs.sources import build_eval_script, expected_image
from trajectory_hub.envs.task import Task
from trajectory_hub.envs.verdict import CanaryKind, Reason

pytestmark = pytest.mark.docker

SOURCE = "exports.double = (n) => n + 1;\nexports.same = (n) => n;\n"
TESTS = """\
const test = require('node:test');
const assert = require('node:assert');
const { double, same } = require('../lib/numbers.js');

test('keeps a number', () => {
  assert.strictEqual(same(3), 3);
});
"""
FIX = "-exports.double = (n) => n + 1;\n+exports.double = (n) => n * 2;\n"
NO_ASSERT = (
    "-exports.double = (n) => n + 1;\n"
    "+require('node:assert').strictEqual = () => undefined; exports.double = (n) => n + 1;\n"
)
MORE = """\
 test('keeps a number', () => {
   assert.strictEqual(same(3), 3);
 });
+
+test('doubles a number', () => {
+  assert.strictEqual(double(3), 6);
+});
"""
TEST_PATCH = (
    f"diff --git a/test/numbers.test.js b/test/numbers.test.js\n--- a/test/numbers.test.js\n"
    f"+++ b/test/numbers.test.js\n@@ -5,3 +5,7 @@\n{MORE}"
)
COMMAND = "node --test --test-reporter=tap {}test/"


def patch(change: str) -> str:
    head = "diff --git a/lib/numbers.js b/lib/numbers.js\n--- a/lib/numbers.js\n+++ b/lib/numbers.js\n"
    return f"{head}@@ -1,2 +1,2 @@\n{change} exports.same = (n) => n;\n"


def node_archive() -> bytes:
    """The node of this machine with those of its libraries that are not the C library's."""
    program = shutil.which("node")
    assert program, "this machine has no node"
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = [Path(word) for word in listed.split() if word.startswith("/")]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(Path(program).resolve(), "opt/node/bin/node")
        for library in libraries:
            if not library.name.startswith(("ld-linux", "libc.", "libm.", "libdl.", "libpthread.", "librt.")):
                archive.add(library.resolve(), f"opt/node/lib/{library.name}")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def node_task(engine: Engine, tiny_task: Task) -> Task:
    if shutil.which("node") is None:
        pytest.skip("this machine has no node to put into an image")
    files = {
        "node.tar": node_archive(),
        "lib.js": SOURCE.encode(),
        "test.js": TESTS.encode(),
        "Dockerfile": (
            f"FROM {tiny_task.image}\nADD node.tar /\n"
            "COPY lib.js /testbed/lib/numbers.js\nCOPY test.js /testbed/test/numbers.test.js\n"
            "RUN ln -s /opt/node/bin/node /usr/local/bin/node && echo /opt/node/lib > /etc/ld.so.conf.d/node.conf"
            " && ldconfig && cd /testbed && git add -A"
            " && git -c user.name=t -c user.email=t@example.org commit -qm node\n"
        ).encode(),
    }
    image = expected_image("trajhub__node-1")
    build_image(engine, image, files)
    head = engine.client.containers.run(image, ["git", "rev-parse", "HEAD"], remove=True, network_mode="none")
    return task_of(tiny_task, image, head.decode().strip(), COMMAND.format(""))


def task_of(base: Task, image: str, commit: str, command: str) -> Task:
    script = build_eval_script(test_patch=TEST_PATCH, base_commit=commit, workdir="/testbed", command=command)
    change = {
        "instance_id": "trajhub__node-1",
        "image": image,
        "base_commit": commit,
        "patch": patch(FIX),
        "test_patch": TEST_PATCH,
        "FAIL_TO_PASS": ("- doubles a number",),
        "PASS_TO_PASS": ("- keeps a number",),
        "log_parser": "parse_log_tap",
        "eval_script": script,
    }
    return base.model_copy(update=change)


@pytest.fixture(scope="module")
def grader(engine: Engine) -> Grader:
    return Grader(engine, GraderConfig(timeout=200))


def test_canaries_ride_along_in_javascript(grader: Grader, node_task: Task) -> None:
    verdict = grader.grade(node_task, node_task.patch)
    assert (verdict.resolved, verdict.canaries.state) == (True, "ran"), verdict.log[-2000:]
    kinds = {result.kind for result in verdict.canaries.results}
    assert kinds == set(CanaryKind) - {CanaryKind.BROKEN_ORIGINAL}
    assert all(result.ok for result in verdict.canaries.results)


def test_a_patch_that_disables_assertions_is_unmasked(grader: Grader, engine: Engine, node_task: Task) -> None:
    verdict = grader.grade(node_task, patch(NO_ASSERT))
    assert (verdict.resolved, verdict.reason) == (False, Reason.FORGED)
    trusting = Grader(engine, GraderConfig(timeout=200, canaries=False))
    assert trusting.grade(node_task, patch(NO_ASSERT)).resolved


def test_a_suite_that_runs_only_the_tests_it_names_is_broken_in_place(grader: Grader, node_task: Task) -> None:
    pattern = '--test-name-pattern="doubles a number" --test-name-pattern="keeps a number" '
    chosen = task_of(node_task, node_task.require_image(), node_task.base_commit, COMMAND.format(pattern))
    verdict = grader.grade(chosen, chosen.patch)
    assert (verdict.resolved, verdict.canaries.state) == (True, "ran"), verdict.log[-2000:]
    assert {result.kind for result in verdict.canaries.results} == {CanaryKind.BROKEN_ORIGINAL}
