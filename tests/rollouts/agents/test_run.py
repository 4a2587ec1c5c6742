"""A black box from install to verdict: the small agent in a sandbox that reaches proxy and receiver alone."""

import json
import re
import shlex
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.errors import ConfigError, StopReason, UsageError
from trajectory_hub.rewards.service.usage import PriceTable
from trajectory_hub.rollouts import payloads
from trajectory_hub.rollouts.agents.recover import recover
from trajectory_hub.rollouts.log import read_events
from trajectory_hub.rollouts.replay.run import choose_episodes
from trajectory_hub.rollouts.run_dir import Episode, read_episodes
from trajectory_hub.rollouts.tables.episode import read_rows
from typer.testing import CliRunner

from ...support.playback import Playback
from .conftest import MEND, RunAgent, assert_sound, small_agent

pytestmark = pytest.mark.docker


def only(run: Path) -> Episode:
    (episode,) = read_episodes(run)
    return episode


def events(run: Path, kind: type[payloads.Payload]) -> list[Any]:
    log = read_events(only(run).folder / "events.jsonl")
    return [event for event in log if isinstance(event.payload, kind)]


def test_an_agent_mends_a_task_and_everything_is_in_one_log(run_small: RunAgent, tmp_path: Path) -> None:
    with Playback(MEND, delay=0.3) as model:
        summary = run_small(model, grade=True, recipe=small_agent(files={"AGENTS.md": "Be brief.\n"}))
    run = tmp_path / "run"
    assert (summary.resolved, summary.graded, summary.stop_reasons) == (1, 1, {"submitted": 1})
    end, folder = only(run).end, only(run).folder
    assert end is not None and (end.steps, end.requests, end.stop_reason) == (3, 4, StopReason.SUBMITTED)
    assert end.usage.input_tokens == 1000 + 1050 + 1100 + 1150
    assert end.cost_usd == pytest.approx((4300 * 1.0 + 86 * 2.0) / 1e6)
    calls = [event.payload for event in events(run, payloads.ToolCall)]
    assert [call.arguments["command"] for call in calls] == MEND
    results = [event.payload.observation for event in events(run, payloads.ToolResult)]
    assert "def triangle" in results[0] and "passed" in results[2]
    # Times come from the proxy: the model thought 0.3 s each time.
    assert all(event.duration_ms >= 300 for event in events(run, payloads.LlmResponse))
    phases = [event.payload.name for event in events(run, payloads.Phase)]
    assert phases == ["reset", "explore", "edit", "test", "submit"]
    assert_sound(run)
    with pytest.raises(UsageError, match="tools of its own"):
        choose_episodes(run)
    # What the agent was given is archived, told, and no part of its patch.
    given = {path.name: path.read_text() for path in (folder / "artifacts" / "given").rglob("*") if path.is_file()}
    assert given["AGENTS.md"] == "Be brief.\n" and given["prompt.txt"].startswith("The area of a triangle")
    assert only(run).patch is not None and only(run).patch.files == ("shapes/area.py",)  # type: ignore[union-attr]
    (started,) = [event.payload for event in events(run, payloads.Note) if event.payload.kind == "agent_started"]
    assert {"AGENTS.md", "/opt/small_agent.py"} <= {file["path"] for file in started.data["files"]}


def test_an_episode_is_shown_with_its_samples_summed_and_how_it_was_joined(run_small: RunAgent, tmp_path: Path) -> None:
    from trajectory_hub.cli import app

    with Playback(["sleep 1.2"]) as model:
        run_small(model, recipe=small_agent(limits={"sample_seconds": 0.2}))
    told = CliRunner().invoke(
        app, ["runs", "show", str(tmp_path / "run"), "--episode", only(tmp_path / "run").folder.name]
    )
    assert told.exit_code == 0 and "scope='sample'" not in told.stdout
    assert re.search(r"^\d+ samples?: \d+\.\d s, CPU \d+\.\d s, memory up to \d+ MiB$", told.stdout, re.MULTILINE)
    assert "requests: 0 matched, 0 only in transcript, 2 only at proxy" in told.stdout


def test_what_an_agent_does_by_itself_is_no_work_of_the_environment(run_small: RunAgent, tmp_path: Path) -> None:
    with Playback(MEND[:1]) as model:
        run_small(model, recipe=small_agent(command="python3 /opt/small_agent.py; sleep 3"))
    rows, problems = read_rows(only(tmp_path / "run").folder, PriceTable(as_of=date(2026, 1, 1), models={}))
    (row,) = rows["episodes"]
    (total,) = [one for one in events(tmp_path / "run", payloads.SandboxMetric) if one.payload.scope == "episode"]
    answered = max(one.t_end for one in events(tmp_path / "run", payloads.LlmResponse))
    assert problems == [] and (total.t_end - answered).total_seconds() >= 3
    assert row["idle_ms"] >= 3000 and row["environment_ms"] <= row["wall_ms"] - total.duration_ms + 1


def test_the_machine_is_sampled_while_the_agent_works(run_small: RunAgent, tmp_path: Path) -> None:
    work = "python3 -c 'x = bytearray(80 << 20); import time; time.sleep(1.2)'"
    run_small(None, recipe=small_agent(command=work, limits={"sample_seconds": 0.2}))
    samples = [event.payload for event in events(tmp_path / "run", payloads.SandboxMetric)]
    live = [sample for sample in samples if sample.scope == "sample"]
    assert len(live) >= 5 and max(sample.memory_bytes or 0 for sample in live) > 60 << 20
    (total,) = [sample for sample in samples if sample.scope == "episode"]
    assert total.cpu_s == pytest.approx(sum(sample.cpu_s or 0 for sample in live), abs=0.3)
    end = only(tmp_path / "run").end
    assert end is not None and end.sampling is not None and end.sampling["samples"] == len(live)
    raw = (only(tmp_path / "run").folder / "artifacts" / "samples.jsonl").read_text().splitlines()
    assert len(raw) == len(live)


def test_a_transcript_is_copied_whole_whatever_the_agent_did_to_its_output(run_small: RunAgent, tmp_path: Path) -> None:
    work = (
        'head -c 8000000 /dev/zero | tr "\\0" x >"$TRAJHUB_HOME/own.log"\n'
        "python3 -c 'import os; os.set_blocking(1, False)'"  # as Claude Code leaves it
    )
    recipe = small_agent(command=work, transcripts=[{"path": "${TRAJHUB_HOME}/own.log"}])
    run_small(None, recipe=recipe)
    (copy,) = (only(tmp_path / "run").folder / "artifacts" / "transcripts").rglob("own.log")
    assert copy.read_bytes() == b"x" * 8_000_000


def test_a_transcript_that_cannot_be_copied_is_told(run_small: RunAgent, tmp_path: Path) -> None:
    recipe = small_agent(
        command='echo said >"$TRAJHUB_HOME/own.log"; chmod 0 "$TRAJHUB_HOME/own.log"',
        transcripts=[{"path": "${TRAJHUB_HOME}/own.log"}],
    )
    run_small(None, recipe=recipe)
    end = only(tmp_path / "run").end
    why = "it cannot be copied: not a readable regular file"
    assert end is not None and end.join is not None
    assert end.join["transcripts"] == [{"file": "own.log", "adapter": None, "unread": why}]


def test_nothing_but_the_proxy_can_be_reached(run_small: RunAgent, tmp_path: Path) -> None:
    look = (
        "python3 - <<'E'\nimport os, socket, urllib.request as u\n"
        "for host in ('1.1.1.1', '172.17.0.1'):\n"
        "    try: socket.create_connection((host, 53), 1); print('reached', host)\n"
        "    except OSError: print('refused', host)\n"
        "url = os.environ['OPENAI_BASE_URL']\n"
        "for key, path in (('wrong', '/chat/completions'), (os.environ['OPENAI_API_KEY'], '/files')):\n"
        "    try: u.urlopen(u.Request(url + path, b'{}', {'Authorization': 'Bearer ' + key})); print('answered')\n"
        "    except u.HTTPError as e: print(e.code)\nE"
    )
    with Playback(MEND) as model:
        run_small(model, recipe=small_agent(command=look))
        assert model.requests == []
    said = (only(tmp_path / "run").folder / "artifacts" / "output.txt").read_text().split("\n")
    assert said[:4] == ["refused 1.1.1.1", "refused 172.17.0.1", "401", "403"]
    kinds = {event.payload.kind for event in events(tmp_path / "run", payloads.Note)}
    assert {"unauthorized", "denied"} <= kinds


@pytest.mark.parametrize(
    ("recipe", "settings", "stop", "failure"),
    [
        ({"command": "sleep 60 & sleep 60"}, {"env": {"time_limit": 2}}, "time_limit", None),
        ({"command": "exit 3"}, {}, "policy_error", "model"),
        ({}, {"budget": {"tokens": 2000}}, "token_limit", None),
    ],
)
def test_how_it_ends_is_told(
    run_small: RunAgent, tmp_path: Path, recipe: Any, settings: Any, stop: str, failure: str | None
) -> None:
    with Playback(["sleep 0.6"] * 50) as model:
        run_small(model, recipe=small_agent(**recipe), **settings)
    end = only(tmp_path / "run").end
    assert end is not None and (end.stop_reason, end.failure) == (stop, failure)


def test_a_service_that_fails_is_not_the_agents_fault(run_small: RunAgent, tmp_path: Path) -> None:
    with Playback(MEND, fail=1000) as model:
        summary = run_small(model)
    end = only(tmp_path / "run").end
    assert end is not None and (end.stop_reason, end.failure) == ("policy_error", "service")
    assert summary.counted == 0 and summary.excluded == {"service": 1}


def test_a_command_that_is_not_there_ends_the_run(run_small: RunAgent) -> None:
    with pytest.raises(ConfigError, match=r"cannot be run \(status 127\)"):
        run_small(None, recipe=small_agent(command="no-such-agent"))


def test_an_image_too_old_for_the_agent_is_the_environments_fault(run_small: RunAgent, tmp_path: Path) -> None:
    said = "/opt/a: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /opt/a)"
    summary = run_small(None, recipe=small_agent(command=f"echo {shlex.quote(said)} >&2; exit 1"))
    end = only(tmp_path / "run").end
    assert end is not None and (end.stop_reason, end.failure) == ("environment_error", "environment")
    assert end.message is not None and "older than GLIBC_2.38" in end.message and "portable-program" in end.message
    assert summary.counted == 0 and summary.excluded == {"environment": 1}


def test_a_stopped_run_is_resumed_and_a_killed_one_recovered(
    run_small: RunAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trajectory_hub.rollouts.runner import Runner

    begin = Runner.run

    def stop_after_two_requests(self: Runner) -> None:
        def watch() -> None:
            while len(slow.requests) < 3:
                time.sleep(0.05)
            self.stop("enough")

        threading.Thread(target=watch, daemon=True).start()
        begin(self)

    with Playback(["sleep 1"] * 30) as slow, monkeypatch.context() as patch:
        patch.setattr(Runner, "run", stop_after_two_requests)
        summary = run_small(slow)
        assert summary.excluded == {"interrupted": 1}
        first = only(tmp_path / "run")
        assert first.end is not None and first.end.requests >= 1  # what was asked until then is known
        # As if the process had been killed instead: the log ends with the agent's start.
        log = first.folder / "events.jsonl"
        lines = log.read_bytes().splitlines(keepends=True)
        started = next(i for i, line in enumerate(lines) if json.loads(line)["payload"].get("kind") == "agent_started")
        log.write_bytes(b"".join(lines[: started + 1]))
        assert recover(tmp_path / "run") == [first.folder.name]
        again = only(tmp_path / "run").end
        assert again is not None and again.recovered and again.requests == first.end.requests
        assert again.usage == first.end.usage
    with Playback(MEND) as model:  # its address may change on resume: it says nothing of an episode
        summary = run_small(model)
    assert summary.stop_reasons == {"submitted": 1} and summary.earlier_attempts == 1
