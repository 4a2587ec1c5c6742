"""Images go to a registry and come back, over the real protocol."""

import json
import os
from pathlib import Path

import pytest
from trajectory_hub.cli import app
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.images import build_image
from trajectory_hub.envs.sources import write_task_repo
from trajectory_hub.envs.task import Task
from typer.testing import CliRunner

from ..support.registry import serving_registry

pytestmark = pytest.mark.docker


def trajhub(*arguments: str | Path) -> tuple[int, list[dict[str, str]]]:
    done = CliRunner().invoke(app, ["tasks", *map(str, arguments), "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_images_are_pushed_once_and_pulled_where_they_are_missing(
    engine: Engine, tiny_task: Task, tmp_path: Path
) -> None:
    image = "trajhub/transfer-test:1"
    unseen = os.urandom(5000)  # an engine does not fetch a layer that it has from an earlier test
    build_image(engine, image, {"Dockerfile": b"FROM scratch\nCOPY a /a\n", "a": unseen})
    tasks = tmp_path / "tasks"
    write_task_repo([tiny_task.model_copy(update={"image": image})], tasks, dockerfiles={tiny_task.instance_id: ""})
    before = engine.image_id(image)
    with serving_registry() as registry:
        code, sent = trajhub("push", tasks, "--to", f"{registry.address}/mirror")
        assert (code, sent[0]["outcome"], sent[0]["why"]) == (0, "moved", "")
        assert registry.names() == {f"mirror/{image}"}
        assert trajhub("push", tasks, "--to", f"{registry.address}/mirror")[1][0]["outcome"] == "present"
        assert trajhub("pull", tasks, "--from", f"{registry.address}/mirror")[1][0]["outcome"] == "present"
        assert registry.sent == 0
        engine.client.images.remove(image)
        code, fetched = trajhub("pull", tasks, "--from", f"{registry.address}/mirror")
        assert (code, fetched[0]["outcome"]) == (0, "moved")
        assert engine.image_id(image) == before
        assert 0 < int(fetched[0]["bytes"]) <= registry.sent
        engine.client.images.remove(image)
        code, missing = trajhub("pull", tasks, "--from", f"{registry.address}/elsewhere")
    assert code == 3
    assert (missing[0]["outcome"], engine.has_image(image)) == ("failed", False)
    assert f"{registry.address}/elsewhere/{image}" in missing[0]["why"]
