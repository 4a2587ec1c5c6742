"""What is asked of the resident shell beside a command comes between no two commands."""

import pytest
from trajectory_hub.envs.channel import Channel, Reply
from trajectory_hub.envs.sandbox import Sandbox

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("spare", [1000, 0], ids=["kept ready", "begun anew"])
def test_a_probe_that_comes_too_late_is_no_output_of_the_next_command(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, spare: int
) -> None:
    monkeypatch.setattr(Channel, "spare", spare)
    wait = Channel.wait

    def answered_while_probed(channel: Channel, reply: Reply, timeout: float) -> bool:
        answered = wait(channel, reply, timeout)
        channel.probe(reply)
        return answered

    for number in range(20):
        with monkeypatch.context() as patch:
            patch.setattr(Channel, "wait", answered_while_probed)
            assert sandbox.script("echo before").text == "before\n"
        assert sandbox.run(f"echo {number}").text == f"{number}\n"
