"""The repository shows no future: nothing beyond the base commit can be found by any git command."""

from collections.abc import Iterator

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.images import build_image
from trajectory_hub.envs.prepare import PREPARED
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.envs.task import Task

pytestmark = pytest.mark.docker

LEAKY = "trajhub/test-leaky:1"
_GIT = "git -c user.name=a -c user.email=a@example.org"
_STORY = f"""
set -e
cd /testbed
echo fixed > answer && git add -A && {_GIT} commit -qm 'the secret fix'
git tag v2
git branch future
git update-ref refs/remotes/origin/main HEAD
git remote add origin https://example.invalid/x.git
echo more > notes && git add -A && {_GIT} stash -q
git checkout -q -b work HEAD~1
git branch -D main -q 2>/dev/null || true
echo lost > lost && git add -A && {_GIT} commit -qm 'the lost secret' && git reset -q --hard HEAD~1
"""


@pytest.fixture(scope="module")
def leaky(engine: Engine, tiny_task: Task) -> Iterator[SandboxConfig]:
    """An image whose history holds the fix in every place that agents have looked."""
    script = f"FROM {tiny_task.require_image()}\nCOPY story.sh /story.sh\nRUN sh /story.sh && rm /story.sh\n"
    build_image(engine, LEAKY, {"Dockerfile": script.encode(), "story.sh": _STORY.encode()})
    yield SandboxConfig(image=LEAKY, base_commit=tiny_task.base_commit)
    for image in engine.client.images.list(PREPARED):
        for tag in image.tags:
            engine.client.images.remove(tag, force=True)


_LOOK = """
git log --all --format=%s; git reflog --all; git tag; git branch -a; git remote -v; git stash list
git fsck --lost-found --unreachable 2>&1; cat .git/packed-refs .git/FETCH_HEAD .git/ORIG_HEAD 2>/dev/null
for o in $(git cat-file --batch-all-objects --batch-check | cut -d' ' -f1); do git cat-file -p $o; done | cat -v
"""


def test_an_image_that_tells_the_future_is_seen_to_do_so(engine: Engine, leaky: SandboxConfig) -> None:
    with Sandbox(engine, leaky.model_copy(update={"sanitize_history": False})) as sandbox:
        seen = sandbox.run(_LOOK).text
    for trace in ("the secret fix", "the lost secret", "v2", "future", "origin", "WIP on"):
        assert trace in seen


def test_a_sandbox_shows_nothing_of_it(engine: Engine, leaky: SandboxConfig) -> None:
    with Sandbox(engine, leaky) as sandbox:
        seen = sandbox.run(_LOOK).text
        for trace in ("secret", "v2", "future", "origin", "WIP on", "lost", "fixed"):
            assert trace not in seen
        assert sandbox.run("git log --format=%H").text.strip() == leaky.base_commit
        assert sandbox.run("git status --porcelain").text == ""
        assert sandbox.head == leaky.base_commit


def test_a_clean_image_is_used_as_it_is(engine: Engine, tiny_task: Task) -> None:
    config = SandboxConfig(image=tiny_task.require_image(), base_commit=tiny_task.base_commit)
    with Sandbox(engine, config) as sandbox:
        assert sandbox.image_id == engine.image_id(tiny_task.require_image())
