"""`trajhub trace proxy`, as a process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from trajectory_hub.rollouts.proxy import read_exchanges

from .scripted import scripted

KEY = "the-key-of-the-service"


def test_the_command_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    answer = json.dumps({"id": "c", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}).encode()
    with scripted(lambda talk: talk.answer(answer)) as service:
        out = tmp_path / "requests.jsonl"
        command = [sys.executable, "-m", "trajectory_hub", "trace", "proxy", f"mine:openai={service.url}/v1@MY_KEY"]
        command += ["-o", str(out), "--max-requests", "1", "--json"]
        environment = {**os.environ, "MY_KEY": KEY}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            text += line
        given = json.loads(text)["environment"]
        headers = {"authorization": f"Bearer {given['OPENAI_API_KEY']}"}
        url = f"{given['OPENAI_BASE_URL']}/chat/completions"
        body = {"model": "m", "prompt": ""}
        assert [httpx.post(url, json=body, headers=headers).status_code for _ in range(2)] == [200, 429]
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert "1 requests, 5 input tokens, 2 output tokens" in errors
    assert [exchange.fault for exchange in read_exchanges(out)] == [None, "budget"]
    assert service.talks[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in text + output + errors + out.read_text()


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trajectory_hub", "trace", "proxy", "anthropic", "-o", str(tmp_path / "r.jsonl")]
    environment = {name: value for name, value in os.environ.items() if name != "ANTHROPIC_API_KEY"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert "ANTHROPIC_API_KEY" in done.stderr
