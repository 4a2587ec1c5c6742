"""The process that is kept ready for the next command: what commands find is the same, and nobody can spoil it."""

import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest
from trajectory_hub.envs.channel import Channel
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.sandbox import Sandbox

LONG = "x" * 1500
"""More than is handed over to a process that waits."""

FIND = """
find() {
    for p in /proc/[0-9]*; do case $(cat $p/cmdline) in /proc/*/exe*) pid=${p#/proc/} && return ;; esac; done
    false
}
while ! find; do sleep 0.05; done 2>/dev/null
stat=$(cat /proc/$pid/stat)
set -- ${stat##*) }
parent=$2
"""
"""Waits for the process that will be the next command: its id, and that of the attendant."""

Inside = Callable[[str], None]


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """Every command goes to the process that is kept ready."""
    monkeypatch.setattr(Channel, "spare", 1000)


@pytest.fixture
def inside(engine: Engine, sandbox: Sandbox) -> Inside:
    """Runs a script in the sandbox between two commands, as a process that an agent left behind would."""

    def run(script: str) -> None:
        made = engine.api.exec_create(sandbox.container_id, ["sh", "-c", FIND + script], user="0:0")
        engine.api.exec_start(made["Id"])
        deadline = time.monotonic() + 20
        while (found := engine.api.exec_inspect(made["Id"]))["Running"] and time.monotonic() < deadline:
            time.sleep(0.05)  # its streams end before the engine has heard of its end
        assert found["ExitCode"] == 0

    return run


def assert_answers(sandbox: Sandbox) -> None:
    """Commands of every kind are run and answered, and nothing had to be brought back for it."""
    for _ in range(3):
        for command, said in (("echo on", "on\n"), ("echo on; exit 3", "on\n"), ("ls no-such-file", None)):
            result = sandbox.run(command)
            assert result.exit_code == (3 if "exit" in command else 0 if said else 2)
            assert result.recovered is None
            assert said is None or result.text == said


@pytest.mark.docker
@pytest.mark.parametrize("more", ["", f" # {LONG}"], ids=["short", "long"])
def test_every_command_leads_a_session_of_its_own(sandbox: Sandbox, more: str) -> None:
    for _ in range(3):
        pid, _name, _state, _parent, group, session, *_ = sandbox.run(f"cat /proc/self/stat{more}").text.split()
        shell = sandbox.run(f"read -r line </proc/$$/stat; echo $line{more}").text.split()
        assert shell[0] == shell[4] == shell[5]
        assert more or pid == group == session


@pytest.mark.docker
def test_a_command_finds_the_same_whether_a_process_waited_for_it_or_not(sandbox: Sandbox) -> None:
    look = "export -p; pwd; umask; echo $# $0; for f in /proc/$$/fd/*; do echo ${f##*/}; done; cat /proc/self/oom*adj"
    first = sandbox.run(look).text
    assert sandbox.run(look).text == first
    assert sandbox.run(f"{look} # {LONG}").text == first
    assert f"{sandbox.workdir}\n" in first


@pytest.mark.docker
@pytest.mark.parametrize("word", ["'a b'", f"'{LONG}'"], ids=["short", "long"])
def test_arguments_may_be_empty(sandbox: Sandbox, word: str) -> None:
    for _ in range(2):
        assert sandbox.run(f"sh -c 'echo $#' name '' {word} ''").text == "3\n"


@pytest.mark.docker
def test_killing_the_process_that_waits_costs_nothing(sandbox: Sandbox, inside: Inside) -> None:
    sandbox.run("true")
    inside("kill -9 $pid")
    assert_answers(sandbox)


@pytest.mark.docker
def test_killing_the_attendant_costs_nothing(sandbox: Sandbox, inside: Inside) -> None:
    sandbox.run("true")
    inside('kill -9 $parent; while case $(cat /proc/$parent/stat) in *") Z "*) false ;; esac; do sleep 0.05; done')
    assert_answers(sandbox)


@pytest.mark.docker
def test_what_is_written_into_the_pipes_is_ignored(sandbox: Sandbox, inside: Inside) -> None:
    sandbox.run("true")
    inside("for f in /proc/$parent/fd/[5678]; do [ -p $f ] && printf '7\\n00 1\\nnone\\n' >$f; done; true")
    assert_answers(sandbox)


@pytest.mark.docker
def test_the_process_that_waits_goes_with_everything_else(sandbox: Sandbox) -> None:
    for _ in range(2):
        assert sandbox.run("sleep 1000", timeout=0.5).timed_out
        assert_answers(sandbox)


@pytest.mark.docker
def test_reads_and_writes_are_those_of_one_command(sandbox: Sandbox) -> None:
    sandbox.run("head -c 20000000 /dev/zero > big && sync big")
    written = sandbox.run("true").telemetry.io_write_bytes
    assert written is None or written < 10_000_000


def test_a_request_that_is_caught_and_shown_is_no_answer() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = _opened(ours, theirs)
        reply = channel.command(b"echo", 1000)
        request = theirs.recv(4096)
        theirs.sendall(_frame(request))
        assert not channel.wait(reply, 0.1)
        first, second = request.split()[1].split(b"-")
        theirs.sendall(_frame(first + second + b" 7 1 2\n"))
        assert channel.wait(reply, 10)
        assert (reply.status, reply.io, reply.output.value()) == ("7", (1, 2), request)
        channel.close()


def test_an_answer_may_come_in_pieces() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        channel = _opened(ours, theirs)
        reply = channel.command(b"echo", 1000)
        nonce = theirs.recv(4096).split()[1].replace(b"-", b"")
        for byte in b"out" + nonce + b" 0 3 4\n":
            assert reply.status is None
            theirs.sendall(_frame(bytes([byte])))
            channel.wait(reply, 0.01)
        assert channel.wait(reply, 10)
        assert (reply.status, reply.io, reply.output.value()) == ("0", (3, 4), b"out")
        channel.close()


def _opened(ours: socket.socket, theirs: socket.socket) -> Channel:
    """A channel whose shell answered that it is there."""

    def answer() -> None:
        nonce = theirs.recv(4096).split()[1].replace(b"-", b"")
        theirs.sendall(_frame(nonce + b" 0\n"))

    shell = threading.Thread(target=answer)
    shell.start()
    channel = Channel(ours)
    shell.join()
    return channel


def _frame(data: bytes) -> bytes:
    """A frame of Docker's attach protocol on standard output."""
    return struct.pack(">BxxxI", 1, len(data)) + data
