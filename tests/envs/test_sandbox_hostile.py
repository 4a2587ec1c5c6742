"""What hostile commands do to a sandbox: the right outcome, and a sandbox that works afterwards."""

import time

import pytest
from trajectory_hub.envs.cgroup import host_account
from trajectory_hub.envs.channel import Channel
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import EngineUnavailable, SandboxLost

from .conftest import PrivateEngine

pytestmark = pytest.mark.docker


@pytest.fixture(autouse=True, params=[1000, 0], ids=["kept ready", "begun anew"])
def _spare(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """Whether a command goes to the process that was started while the agent thought."""
    monkeypatch.setattr(Channel, "spare", request.param)


def assert_usable(sandbox: Sandbox) -> None:
    """The sandbox answers correctly, at once, and nothing runs in it but what belongs there."""
    result = sandbox.run("echo usable; exit 5")
    assert (result.exit_code, result.output, result.recovered) == (5, b"usable\n", None)
    sandbox.write_file("/tmp/usable", b"x")
    assert sandbox.read_file("/tmp/usable") == b"x"


def leftovers(sandbox: Sandbox) -> list[str]:
    """Processes, by name, that stay and neither guard the sandbox nor belong to the asking itself.

    A process that was killed is seen until the kernel, which may be busy, has run it once more.
    """
    deadline = time.monotonic() + 20
    while len(left := living(sandbox)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def living(sandbox: Sandbox) -> list[str]:
    """Such processes at this moment."""
    stats = sandbox.run("for p in /proc/[0-9]*; do cat $p/stat; done 2>/dev/null").text.splitlines()
    found = {int(line.split()[0]): line for line in stats}
    parents = {pid: int(line.rsplit(")", 1)[1].split()[1]) for pid, line in found.items()}
    resident = max(pid for pid, parent in parents.items() if parent == 0)
    left: list[str] = []
    for pid, line in found.items():
        name, state = line.split("(", 1)[1].rsplit(")", 1)[0], line.rsplit(")", 1)[1].split()[0]
        above = pid
        while above in parents and above not in (1, resident):
            above = parents[above]
        if above != resident and pid != 1 and state != "Z":
            left.append(name)
    left.remove("sleep")  # the guard
    return left


@pytest.mark.parametrize(
    "command",
    [
        "sleep 1000",
        "trap '' TERM INT HUP QUIT; while :; do :; done",
        "sleep 1000 & setsid sleep 1000 & trap '' TERM; sleep 1000",
        "exec >/dev/null 2>&1 <&-; sleep 1000",
    ],
    ids=["hangs", "ignores TERM", "hides in the background", "closes its streams"],
)
def test_a_deadline_ends_the_command_and_all_it_started(sandbox: Sandbox, command: str) -> None:
    began = time.monotonic()
    result = sandbox.run(command, timeout=1)
    assert (result.timed_out, result.exit_code, result.recovered) == (True, None, None)
    assert time.monotonic() - began < 30
    assert leftovers(sandbox) == []
    assert_usable(sandbox)


def test_output_before_a_deadline_is_kept(sandbox: Sandbox) -> None:
    result = sandbox.run("echo before; sleep 1000", timeout=2)
    assert (result.timed_out, result.output) == (True, b"before\n")


def test_a_daemon_that_detaches_holds_nothing_up(sandbox: Sandbox) -> None:
    began = time.monotonic()
    result = sandbox.run("(setsid sh -c 'while :; do echo noise; sleep 0.01; done' &) ; echo left")
    assert result.exit_code == 0
    assert time.monotonic() - began < 30
    found = sandbox.run("echo usable")
    assert found.exit_code == 0
    assert "usable" in found.text


@pytest.mark.parametrize("command", ["b() { b | b & }; b; sleep 2", "b() { b | b & }; b"], ids=["waiting", "leaving"])
def test_a_fork_bomb_is_put_out(sandbox: Sandbox, command: str) -> None:
    first = sandbox.run(command, timeout=10)
    second = sandbox.run("echo after", timeout=10)
    # bash, refused a fork, tries again for 15 s, so it may be the deadline that ends the bomb
    assert any(one.pids_limited or one.recovered or one.timed_out for one in (first, second))
    assert_usable(sandbox)


def test_what_was_ended_is_buried_before_the_next_command_is_begun(sandbox: Sandbox) -> None:
    # a process that is dying counts against the limit, and the next command would be refused its fork
    account = host_account(sandbox.pid, sandbox.container_id)
    assert account is not None
    for _ in range(10):
        ended = sandbox.run("sh -c 'while :; do sleep 60 & done'", timeout=30)
        left = account.read().pids
        assert ended.pids_limited
        assert left is not None
        assert left < 8  # those that are always there, and one that is kept ready
        after = sandbox.run("echo after")
        assert (after.output, after.recovered) == (b"after\n", None)
    account.close()


def test_memory_beyond_the_limit_is_an_out_of_memory_kill(debian: Sandbox) -> None:
    result = debian.run("python3 -c 'x = bytearray(10**9)'", timeout=30)
    assert result.oom_killed
    assert result.exit_code not in (0, None)
    assert_usable(debian)


def test_shared_memory_counts_as_memory(debian: Sandbox) -> None:
    result = debian.run("head -c 500000000 /dev/zero > /dev/shm/x; echo $?", timeout=30)
    assert "0\n" not in result.text
    assert_usable(debian)


def test_a_flood_is_counted_hashed_and_bounded(sandbox: Sandbox) -> None:
    result = sandbox.run("head -c 268435456 /dev/zero", timeout=120, output_limit=10_000)
    assert (result.exit_code, result.total_bytes) == (0, 1 << 28)
    assert result.sha256 == "a6d72ac7690f53be6ae46ba88506bd97302a093f7108472bd9efc3cefda06484"
    assert len(result.output) < 11_000
    assert_usable(sandbox)


@pytest.mark.parametrize(
    "command",
    [
        "head -c 1000000000 /dev/zero > big",
        "i=0; while [ $i -lt 1000 ]; do head -c 10000000 /dev/zero > f$i; i=$((i+1)); done",
    ],
    ids=["one file", "many files"],
)
def test_a_full_disk_is_prevented(engine: Engine, sandbox: Sandbox, command: str) -> None:
    result = sandbox.run(command, timeout=60)
    assert result.disk_limited or result.exit_code != 0
    written = engine.api.containers(size=True, filters={"id": sandbox.container_id})[0]["SizeRw"]
    assert written < 5 << 30  # of ten, on however fast a disk
    sandbox.run("rm -f big f*")
    assert_usable(sandbox)


def test_binary_output_survives(sandbox: Sandbox) -> None:
    every = b"".join(bytes([value]) for value in range(256)) * 40
    sandbox.write_file("/tmp/every", every)
    assert sandbox.run("cat /tmp/every").output == every


def test_printed_framing_bytes_are_output_and_nothing_else(sandbox: Sandbox) -> None:
    frames = b"\x01\x00\x00\x00\x00\x00\x00\x05hello\x02\x00\x00\x00\x00\x00\x00\x04\n0\n\n" * 50
    sandbox.write_file("/tmp/frames", frames)
    assert sandbox.run("cat /tmp/frames; exit 3").output == frames
    assert_usable(sandbox)


def test_a_forged_status_is_not_believed(sandbox: Sandbox) -> None:
    forge = (
        "for fd in /proc/[0-9]*/fd/[0-9]*; do echo 00000000000000000000000000000000 0 >$fd; done 2>/dev/null; exit 9"
    )
    result = sandbox.run(forge, timeout=20)
    assert result.exit_code in (9, None)
    sandbox.run("true")
    assert_usable(sandbox)


@pytest.mark.parametrize("user", ["0:0", "1000:1000"], ids=["root", "a user"])
def test_output_left_non_blocking_spoils_no_later_command(engine: Engine, tiny_task: Task, user: str) -> None:
    # As Claude Code leaves it. More than a pipe holds would then be cut off, and the end of an answer lost with it.
    spoil = "python3 -c 'import os; os.set_blocking(1, False); os.set_blocking(2, False)'"
    data = bytes(range(256)) * (32 << 10)
    with Sandbox(engine, SandboxConfig(image=tiny_task.require_image(), user=user)) as sandbox:
        sandbox.write_file("/tmp/big", data)
        for prepare in (sandbox.run, sandbox.script):
            prepare(spoil + "; :")
            prepare(spoil)
            assert sandbox.read_file("/tmp/big") == data
            for command in ("cat /tmp/big", "cat /tmp/big; exit"):
                result = sandbox.run(command)
                assert (result.exit_code, result.total_bytes, result.recovered) == (0, len(data), None)


def test_stdout_may_be_closed(sandbox: Sandbox) -> None:
    result = sandbox.run("exec >&- 2>&-; echo unheard; exit 4")
    assert (result.exit_code, result.output) == (4, b"")
    assert_usable(sandbox)


def test_killing_the_shell_that_waits_is_noticed(sandbox: Sandbox) -> None:
    began = time.monotonic()
    result = sandbox.run("kill -9 $PPID; sleep 1000", timeout=30)
    assert (result.exit_code, result.timed_out) == (None, False)
    assert result.recovered == "reopened"
    assert time.monotonic() - began < 60
    assert_usable(sandbox)


def test_killing_everything_leaves_a_sandbox_with_its_files(sandbox: Sandbox) -> None:
    sandbox.write_file("kept", b"kept")
    result = sandbox.run("kill -9 -1; echo alone")
    assert (result.exit_code, result.recovered) == (None, "reopened")
    assert sandbox.read_file("kept") == b"kept"
    assert_usable(sandbox)


def test_the_first_process_cannot_be_killed_from_inside(sandbox: Sandbox) -> None:
    kept = sandbox.container_id
    sandbox.run("for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p = $$ ] || kill -9 $p; done 2>/dev/null")
    sandbox.run("kill -9 1; kill -TERM 1; kill -INT 1")
    assert sandbox.container_id == kept
    assert_usable(sandbox)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that does not confirm a kill is given up soon."""
    monkeypatch.setattr("trajectory_hub.envs.sandbox._KILL_GRACE", 1.0)


@pytest.mark.usefixtures("hasty")
def test_stopping_every_process_ends_at_the_deadline(sandbox: Sandbox) -> None:
    result = sandbox.run("kill -STOP -1; echo on; sleep 1000", timeout=2)
    assert result.timed_out
    assert_usable(sandbox)


@pytest.mark.usefixtures("hasty")
def test_stealing_the_requests_ends_at_the_deadline(sandbox: Sandbox) -> None:
    result = sandbox.run("for p in /proc/[0-9]*; do cat $p/fd/0 & done 2>/dev/null; sleep 1000", timeout=2)
    assert result.exit_code is None
    assert_usable(sandbox)


def test_the_repository_may_be_deleted(sandbox: Sandbox) -> None:
    sandbox.run(f"cd /; rm -rf {sandbox.workdir}")
    assert sandbox.run("pwd").text == "/\n"
    assert_usable(sandbox)


def test_the_shell_may_be_deleted(sandbox: Sandbox) -> None:
    result = sandbox.run("rm -f /bin/bash /bin/sh /bin/dash; echo gone")
    assert result.text == "gone\n"
    assert_usable(sandbox)
    lost = sandbox.run("kill -9 -1")
    assert lost.recovered == "replaced"
    assert_usable(sandbox)
    assert sandbox.run("ls /bin/sh").exit_code == 0


def test_a_container_killed_by_others_is_restarted_with_its_files(engine: Engine, sandbox: Sandbox) -> None:
    sandbox.write_file("kept", b"kept")
    engine.api.kill(sandbox.container_id)
    result = sandbox.run("echo lost")
    assert (result.exit_code, result.recovered) == (None, "restarted")
    assert sandbox.read_file("kept") == b"kept"
    assert_usable(sandbox)


def test_a_container_removed_by_others_is_replaced(engine: Engine, sandbox: Sandbox) -> None:
    old = sandbox.container_id
    engine.remove(old)
    result = sandbox.run("echo lost")
    assert (result.exit_code, result.recovered) == (None, "replaced")
    assert sandbox.container_id != old
    assert_usable(sandbox)


def test_a_daemon_that_dies_and_comes_back_costs_one_command(private_engine: PrivateEngine, bare_root: bytes) -> None:
    engine = private_engine.start()
    engine.api.import_image_from_data(bare_root, repository="bare", tag="1")
    with Sandbox(engine, SandboxConfig(image="bare:1", workdir="/repo")) as sandbox:
        sandbox.write_file("kept", b"kept")
        private_engine.kill()
        private_engine.start().close()
        result = sandbox.run("echo lost")
        assert result.exit_code is None
        assert result.recovered in ("reopened", "restarted")
        assert sandbox.read_file("kept") == b"kept"
        assert_usable(sandbox)
    engine.close()


def test_a_daemon_that_stays_dead_is_an_infrastructure_error(
    private_engine: PrivateEngine, bare_root: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trajectory_hub.envs.sandbox._ENGINE_GRACE", 1.0)
    engine = private_engine.start()
    engine.api.import_image_from_data(bare_root, repository="bare", tag="1")
    sandbox = Sandbox(engine, SandboxConfig(image="bare:1", workdir="/repo"))
    private_engine.kill()
    with pytest.raises((EngineUnavailable, SandboxLost)):
        sandbox.run("echo lost")
    sandbox.close()
    engine.close()
    again = private_engine.start()
    assert again.sweep() == []  # this process still lives: nothing of it is an orphan
    for box in again.containers():
        again.remove(box["Id"])
    again.close()


def test_no_command_reaches_another_sandbox(engine: Engine, tiny_task: Task, debian: Sandbox) -> None:
    with Sandbox(engine, SandboxConfig(image=tiny_task.require_image())) as other:
        other.run("sleep 1000 &")
        debian.run("kill -9 -1")
        deadline = time.monotonic() + 20
        while living(other) == ["bash"] and time.monotonic() < deadline:  # which has not become `sleep` yet
            time.sleep(0.05)
        assert living(other) == ["sleep"]
        assert_usable(other)
