"""What tests of several folders share: a connection to the engine, and one tiny task with an image of its own."""

from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.sources import build_eval_script, expected_image
from trajectory_hub.envs.task import Provenance, Task

TINY_REPO = Path(__file__).parent / "data" / "tiny"
_RUNNER = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
_COMMIT = (
    "git init -q -b main . && git add -A && GIT_COMMITTER_DATE=2024-01-01T00:00:00Z "
    "git -c user.name=tiny -c user.email=tiny@example.org commit -q --date=2024-01-01T00:00:00Z -m base "
    "&& rm -rf .git/logs"
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What reaches for the engine is marked so, whoever wrote it: the halves of the tests rest on it."""
    for item in items:
        if "engine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.docker)


def _files(folder: Path, prefix: str) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {f"{prefix}/{path.relative_to(folder)}": path.read_bytes() for path in sorted(paths)}


def _runner() -> dict[str, bytes]:
    """The test runner of this very environment, which is pure Python: no download is needed."""
    files: dict[str, bytes] = {}
    for name in _RUNNER:
        for file in distribution(name).files or ():
            if file.parts[0] not in ("..", "/") and file.suffix != ".pyc":
                files[f"site/{file}"] = file.read_binary()
    return files


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The engine that tests run against."""
    connection = Engine()
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def tiny_task(engine: Engine) -> Task:
    """A task of one module and one test file, with its image built on this engine."""
    from trajectory_hub.envs.factory.catalogue import load_catalogue
    from trajectory_hub.envs.images import build_image, ensure_python_image

    base = load_catalogue().base
    python = ensure_python_image(engine, base.image, base.suite, base.include)
    files = _files(TINY_REPO / "tree", "testbed") | _runner()
    site = "/opt/venv/lib/python3.11/site-packages/"
    lines = (f"FROM {python}", f"COPY site/ {site}", "COPY testbed/ /testbed/", f"RUN cd /testbed && {_COMMIT}")
    files["Dockerfile"] = ("\n".join(lines) + "\nWORKDIR /testbed\n").encode()
    image = expected_image("trajhub__tiny-1")
    build_image(engine, image, files)
    head = engine.client.containers.run(image, ["git", "rev-parse", "HEAD"], remove=True, network_mode="none")
    commit = head.decode().strip()
    test_patch = (TINY_REPO / "test.patch").read_text()
    command = "python3 -m pytest -rA -p no:cacheprovider tests/test_shapes.py"
    return Task(
        instance_id="trajhub__tiny-1",
        repo="trajhub/tiny",
        base_commit=commit,
        patch=(TINY_REPO / "gold.patch").read_text(),
        test_patch=test_patch,
        problem_statement="The area of a triangle is twice what it should be.",
        version="1.0",
        FAIL_TO_PASS=(
            "tests/test_shapes.py::test_triangle",
            "tests/test_shapes.py::test_triangles[3-4-6]",
            "tests/test_shapes.py::test_triangles[5-2-5]",
            "tests/test_shapes.py::TestArea::test_triangle_of_floats",
        ),
        PASS_TO_PASS=("tests/test_shapes.py::test_square", "tests/test_shapes.py::TestArea::test_rectangle"),
        image=image,
        log_parser="parse_log_pytest",
        eval_script=build_eval_script(test_patch=test_patch, base_commit=commit, workdir="/testbed", command=command),
        test_command="python3 -m pytest -rA -p no:cacheprovider",
        provenance=Provenance(source="task_repo", licence="Apache-2.0"),
    )
