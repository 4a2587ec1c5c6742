"""A checkpoint, served by the command itself: rolled out, graded, resumed without serving it again."""

import json
from pathlib import Path

import pytest
from trajectory_hub.cli import main
from trajectory_hub.envs.predictions import read_predictions
from trajectory_hub.envs.sources import write_task_repo
from trajectory_hub.envs.task import Task
from trajectory_hub.eval.evaluation import Evaluation, evaluate, load_eval_config, subject_of
from trajectory_hub.rollouts.run_dir import EPISODES, read_manifest

from ..rollouts.model_server import installed

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]
SETTINGS = ("vllm.max_tokens=30", "vllm.temperature=1", "vllm.reminders=99", "env.max_steps=3", "warm=0")


def test_a_checkpoint_is_served_evaluated_and_kept(
    tiny_task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    python, model = installed()
    write_task_repo([tiny_task], tmp_path / "tasks", dockerfiles={tiny_task.instance_id: "FROM scratch\n"})
    serve = (f"serve.python={python}", "serve.dtype=float32", "serve.max_model_len=4096", "serve.kv_cache_gib=1")
    options = [word for item in (*SETTINGS, *serve) for word in ("-c", item)]
    run = tmp_path / "run"
    words = ["eval", str(model), "--tasks", str(tmp_path / "tasks"), "--seeds", "2", "-o", str(run), "--json", *options]
    monkeypatch.setattr("sys.argv", ["trajhub", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    told = json.loads(capsys.readouterr().out)
    assert not ended.value.code
    assert (told["figures"]["counted"], told["figures"]["excluded"], told["sha256"]) == (
        2,
        {},
        subject_of(str(model)).sha256,
    )
    assert told["figures"]["output_tokens"] > 0
    assert [list(read_predictions(str(run / name))) for name in told["predictions"]] == [[tiny_task.instance_id]] * 2
    assert read_manifest(run)["policy"]["model"] == model.name
    assert (run / "serving" / "replica-0.log").exists()

    logs = {path: path.read_bytes() for path in run.glob(f"{EPISODES}/*/events.jsonl")}
    (run / "serving" / "replica-0.log").unlink()
    values = {"max_tokens": 30, "temperature": 1, "reminders": 99}
    same = {"tasks": str(tmp_path / "tasks"), "seeds": 2, "vllm": values, "env": {"max_steps": 3}, "warm": 0}
    served = {"python": python, "dtype": "float32", "max_model_len": 4096, "kv_cache_gib": 1}
    again = evaluate(run, subject_of(str(model)), load_eval_config({**same, "serve": served}))
    before = Evaluation.model_validate({name: value for name, value in told.items() if name != "run"})
    sitting = {"figures": {"evidence"}}  # run.json tells of the second sitting, so its checksum is another
    assert again.model_dump(exclude=sitting) == before.model_dump(exclude=sitting)
    assert {path: path.read_bytes() for path in logs} == logs
    assert not (run / "serving" / "replica-0.log").exists(), "nothing was left to ask the model for"
