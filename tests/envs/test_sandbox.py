"""What is asked of a sandbox on ordinary days, on an image with bash and on one with nothing but a POSIX shell."""

import hashlib
import threading
import time
from http.client import HTTPResponse

import pytest
from trajectory_hub.envs.channel import Channel
from trajectory_hub.envs.container import Container
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.pool import SandboxPool
from trajectory_hub.envs.sandbox import Sandbox, SandboxConfig
from trajectory_hub.envs.task import Task
from trajectory_hub.errors import EngineUnavailable, ImageMissing, SandboxLost, TaskError, UsageError

pytestmark = pytest.mark.docker


def _mine(engine: Engine) -> set[str]:
    return {box["Id"] for box in engine.containers() if box["Labels"]["trajhub.owner"] == str(engine.owner)}


def test_a_command_gives_its_status_and_its_output(sandbox: Sandbox) -> None:
    result = sandbox.run("echo out; echo err >&2; exit 7")
    assert (result.exit_code, result.output) == (7, b"out\nerr\n")
    assert result.sha256 == hashlib.sha256(b"out\nerr\n").hexdigest()
    assert not result.truncated


def test_commands_begin_in_the_repository_with_nothing_of_the_one_before(sandbox: Sandbox) -> None:
    sandbox.run("cd /tmp; export LEAK=1")
    assert sandbox.run('echo "$PWD $LEAK"').text == f"{sandbox.workdir} \n"


@pytest.mark.parametrize("text", ["a'b", 'say "x"', "back\\slash", "two\nlines", "$HOME `id` $(id)", "ünï 中", "-n"])
def test_arguments_survive_quoting(sandbox: Sandbox, text: str) -> None:
    sandbox.write_file("/tmp/said", text.encode())
    assert sandbox.run("cat /tmp/said").text == text


def test_a_command_of_many_lines_runs_as_one(sandbox: Sandbox) -> None:
    lines = "\n".join(f"echo {i}" for i in range(200))
    assert sandbox.run(lines).text == "".join(f"{i}\n" for i in range(200))


def test_a_program_without_shell_syntax_runs_as_the_shell_would(sandbox: Sandbox) -> None:
    assert sandbox.run("cat 'no such file'").exit_code == 1
    missing = sandbox.run("no-such-program --flag")
    assert missing.exit_code == 127
    assert "not found" in missing.text


def test_output_beyond_the_limit_keeps_head_and_tail_and_tells_the_whole(sandbox: Sandbox) -> None:
    result = sandbox.run("i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done", output_limit=1000)
    whole = "".join(f"line {i}\n" for i in range(5000)).encode()
    assert result.truncated
    assert result.total_bytes == len(whole)
    assert result.sha256 == hashlib.sha256(whole).hexdigest()
    assert result.output.startswith(whole[:400])
    assert result.output.endswith(whole[-400:])


def test_files_of_any_bytes_come_back_as_they_were(sandbox: Sandbox) -> None:
    data = bytes(range(256)) * 1000
    sandbox.write_file("deep/er/a b\n'c'.bin", data)
    assert sandbox.read_file("deep/er/a b\n'c'.bin") == data
    assert sandbox.read_file("deep/er/a b\n'c'.bin", limit=10) == data[:10]


def test_reading_what_is_no_file_says_what_it_is(sandbox: Sandbox) -> None:
    with pytest.raises(FileNotFoundError):
        sandbox.read_file("nowhere")
    with pytest.raises(IsADirectoryError):
        sandbox.read_file("/tmp")
    with pytest.raises(PermissionError):
        sandbox.read_file("/dev/null")


def test_writing_where_nothing_can_be_written_is_an_error_and_the_sandbox_goes_on(sandbox: Sandbox) -> None:
    for path in ("/proc/version", "/tmp"):
        with pytest.raises(OSError, match="cannot be written"):
            sandbox.write_file(path, b"x" * 5000)
        assert sandbox.run("echo on").text == "on\n"


def test_a_nul_byte_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match="NUL"):
        sandbox.run("echo \0")


def test_telemetry_measures_the_command(sandbox: Sandbox) -> None:
    busy = sandbox.run("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done").telemetry
    assert busy.cpu_s is not None
    assert 0.02 < busy.cpu_s < 20
    idle = sandbox.run("sleep 0.3").telemetry
    assert idle.cpu_s is not None
    assert idle.cpu_s < busy.cpu_s
    assert idle.wall_ms >= 300
    assert idle.memory_bytes
    assert idle.sources["cpu"].startswith("cgroup-v")


def test_written_bytes_are_counted_or_not_claimed(sandbox: Sandbox) -> None:
    written = sandbox.run("head -c 20000000 /dev/zero > big && sync big").telemetry.io_write_bytes
    assert written is None or written >= 19_000_000


def test_there_is_no_network_and_no_privilege(debian: Sandbox) -> None:
    assert "eth0" not in debian.run("cat /proc/net/dev").text
    capabilities = debian.run("grep CapEff /proc/self/status").text.split()[1]
    assert int(capabilities, 16) == 0
    assert "NoNewPrivs:\t1" in debian.run("grep NoNewPrivs /proc/self/status").text
    assert debian.run("mount -t tmpfs x /mnt").exit_code != 0


@pytest.mark.parametrize("user", ["0:0", "root", "1000:1000"])
def test_a_machine_without_network_still_reaches_itself_by_name(engine: Engine, tiny_task: Task, user: str) -> None:
    listen = "import socket; s = socket.create_server(('localhost', 0)); print(s.getsockname()[0])"
    connect = "socket.create_connection(('localhost', s.getsockname()[1]), 5); print('reached')"
    config = SandboxConfig(image=tiny_task.require_image(), user=user)
    with Sandbox(engine, config) as sandbox:
        assert sandbox.run(f'python3 -c "{listen}; {connect}"').text == "127.0.0.1\nreached\n"
        assert sandbox.run("grep -c localhost /etc/hosts").exit_code == 0
        outside = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
        assert "Network is unreachable" in sandbox.run(f'python3 -c "{outside}"').text


def test_commands_are_alike_on_every_machine(debian: Sandbox) -> None:
    found = debian.run("echo $LC_ALL $TZ $COLUMNS $PYTHONHASHSEED; hostname").text
    assert found == "C.UTF-8 UTC 80 0\nsandbox\n"


def test_a_new_sandbox_shows_nothing_of_an_old_one(engine: Engine, debian: Sandbox) -> None:
    debian.run("echo secret > /tmp/left; echo secret > left; sleep 1000 &")
    with Sandbox(engine, debian.config) as other:
        assert other.run("ls /tmp; git status --porcelain").text == ""
        assert "sleep 1000" not in other.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").text


def test_closing_removes_the_container_and_may_be_repeated(engine: Engine, tiny_task: Task) -> None:
    sandbox = Sandbox(engine, SandboxConfig(image=tiny_task.require_image()))
    assert sandbox.container_id in {box["Id"] for box in engine.containers()}
    sandbox.close()
    sandbox.close()
    assert sandbox.container_id not in {box["Id"] for box in engine.containers()}
    with pytest.raises(SandboxLost, match="closed"):
        sandbox.run("true")


def test_a_missing_image_says_what_to_do(engine: Engine) -> None:
    with pytest.raises(ImageMissing, match="trajhub tasks build"):
        Sandbox(engine, SandboxConfig(image="trajhub.invalid/no-such-image:1"))


def test_a_repository_that_is_not_where_it_should_be_is_an_error(engine: Engine, tiny_task: Task) -> None:
    before = _mine(engine)
    with pytest.raises(TaskError, match="/nowhere"):
        Sandbox(engine, SandboxConfig(image=tiny_task.require_image(), workdir="/nowhere"))
    assert _mine(engine) <= before


def test_an_engine_that_does_not_answer_says_what_to_do() -> None:
    with pytest.raises(EngineUnavailable, match="trajhub doctor") as caught:
        Engine("unix:///nonexistent/docker.sock")
    assert str(caught.value).count("no Docker API answers") == 1


def test_a_warm_pool_hands_out_each_sandbox_once(engine: Engine, tiny_task: Task) -> None:
    config = SandboxConfig(image=tiny_task.require_image())
    with SandboxPool(engine, 2) as pool:
        pool.prefetch(config)
        pool.prefetch(config)
        taken = [pool.acquire(config) for _ in range(3)]
        assert len({sandbox.container_id for sandbox in taken}) == 3
        pool.prefetch(config)
        for sandbox in taken:
            sandbox.close()
    assert not _mine(engine) & {sandbox.container_id for sandbox in taken}


def test_a_full_pool_gives_up_its_oldest(engine: Engine, tiny_task: Task) -> None:
    old = SandboxConfig(image=tiny_task.require_image(), memory_mb=128)
    new = SandboxConfig(image=tiny_task.require_image(), memory_mb=256)
    with SandboxPool(engine, 1) as pool:
        pool.prefetch(old)
        pool.prefetch(new)
        with pool.acquire(new) as sandbox:
            assert sandbox.run("echo new").text == "new\n"


def test_sandboxes_work_side_by_side(engine: Engine, tiny_task: Task) -> None:
    config = SandboxConfig(image=tiny_task.require_image())
    said: dict[int, list[str]] = {}

    def work(number: int) -> None:
        with Sandbox(engine, config) as sandbox:
            said[number] = [sandbox.run(f"echo {number}-{i}").text for i in range(20)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: [f"{number}-{i}\n" for i in range(20)] for number in range(4)}


def test_an_engine_whose_answer_is_read_late_loses_nothing(
    engine: Engine, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what has arrived by the time the head of an answer is read is in a buffer that belongs to the HTTP client
    begin, open_channel = HTTPResponse.begin, Container.open_channel

    def late(response: HTTPResponse) -> None:
        time.sleep(0.5)
        begin(response)

    def entered(container: Container, ready_timeout: float = 30.0) -> Channel:
        with monkeypatch.context() as patch:
            patch.setattr(HTTPResponse, "begin", late)
            return open_channel(container, ready_timeout)

    monkeypatch.setattr(Container, "open_channel", entered)
    with Sandbox(engine, SandboxConfig(image=tiny_task.require_image())) as sandbox:
        assert sandbox.run("echo heard").text == "heard\n"


def test_background_work_lives_on_and_does_not_delay_the_answer(sandbox: Sandbox) -> None:
    waiting = "(while [ ! -e /tmp/go ]; do sleep 0.05; done; echo late > /tmp/late) & echo started"
    assert sandbox.run(waiting, timeout=60).text == "started\n"
    assert sandbox.run(": > /tmp/go; until [ -s /tmp/late ]; do sleep 0.05; done; cat /tmp/late").text == "late\n"
