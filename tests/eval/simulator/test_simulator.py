"""The simulator against closed forms, its caches against arithmetic, its readers against small tables."""

import json
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from trajectory_hub.errors import ConfigError, UsageError
from trajectory_hub.eval.simulator.cluster import Outcome, arrive, ideal_seconds, simulate
from trajectory_hub.eval.simulator.config import Cluster, PolicyConfig
from trajectory_hub.eval.simulator.run import load_config, simulate_all
from trajectory_hub.eval.simulator.sessions import Round, Session, Source, read_sessions

TOKENS = 1000
"""Of an answer that takes one second on average."""
JOBS = 12_000
LOAD = 0.7


def cluster(**changes: object) -> Cluster:
    """One server that generates `TOKENS` a second."""
    given: dict[str, object] = {"prefill_tokens_per_s": 1e9, "decode_s": 1 / TOKENS, "decode_s_per_request": 0.0}
    return Cluster.model_validate({**given, "batch": 1, "kv_tokens": 10**9, **changes})


def one_round(name: str, output: int) -> Session:
    return Session(name=name, arrival=0.0, rounds=(Round(prefix=0, fresh=0, output=output),))


def queue(outputs: list[int], seed: int, load: float = LOAD) -> list[tuple[float, Session]]:
    """Poisson arrivals of single requests."""
    gaps = np.random.default_rng(seed).exponential(1 / load, len(outputs))
    return [(float(when), one_round(str(i), outputs[i])) for i, when in enumerate(accumulate(gaps))]


def exponential(seed: int) -> list[int]:
    return [max(1, round(x)) for x in np.random.default_rng(seed).exponential(TOKENS, JOBS)]


def mean_time(outputs: list[int], where: Cluster) -> float:
    """Mean time in the system over two seeds."""
    policy = PolicyConfig(cache="none")
    return float(np.mean([np.mean(simulate(queue(outputs, seed), where, policy).completion) for seed in (1, 2)]))


def test_one_server_is_m_m_1() -> None:
    assert mean_time(exponential(0), cluster()) == pytest.approx(1 / (1 - LOAD), rel=0.12)


def test_one_server_with_equal_jobs_is_m_d_1() -> None:
    """Pollaczek and Khinchine: half the wait of M/M/1."""
    assert mean_time([TOKENS] * JOBS, cluster()) == pytest.approx(1 + LOAD / (2 * (1 - LOAD)), rel=0.08)


def test_a_shared_server_does_not_care_how_long_jobs_are() -> None:
    """Processor sharing: 1 / (mu - lambda) for any distribution with that mean."""
    shared = cluster(decode_s=0.0, decode_s_per_request=1 / TOKENS, batch=10**6)
    assert mean_time([TOKENS] * JOBS, shared) == pytest.approx(1 / (1 - LOAD), rel=0.08)


def test_two_places_are_m_m_2() -> None:
    """Erlang C with two servers at load 1.4: T = 1 / (1 - rho^2) with rho = 0.7 each."""
    done = [
        simulate(queue(exponential(0), seed, 2 * LOAD), cluster(batch=2), PolicyConfig(cache="none")) for seed in (1, 2)
    ]
    assert np.mean([np.mean(one.completion) for one in done]) == pytest.approx(1 / (1 - LOAD**2), rel=0.1)


def test_alone_a_session_takes_the_sum_of_its_parts() -> None:
    rounds = (
        Round(prefix=0, fresh=500, output=100, wait=3.0),
        Round(prefix=600, fresh=200, output=50, wait=7.0),
        Round(prefix=850, fresh=0, output=10),
    )
    session = Session(name="a", arrival=0.0, rounds=rounds)
    where = cluster(prefill_tokens_per_s=100.0, decode_s=0.01, decode_s_per_request=0.002, batch=8)
    done = simulate([(5.0, session)], where, PolicyConfig(cache="lru"))
    assert done.completion == [pytest.approx(5.0 + 2.0 + 0.0 + 160 * 0.012 + 10.0)]
    assert done.slowdown == [pytest.approx(1.0)] and done.cached_tokens == done.prefix_tokens == 1450
    without = simulate([(5.0, session)], where, PolicyConfig(cache="none"))
    assert without.completion == [pytest.approx(done.completion[0] + 14.5)] and without.cached_tokens == 0


def test_a_prompt_and_answers_share_the_time_of_a_replica() -> None:
    """While a prompt of 100 tokens is read at half speed for two seconds, the answer grows at half speed too."""
    first = one_round("a", 100)
    second = Session(name="b", arrival=0.0, rounds=(Round(prefix=0, fresh=100, output=10),))
    where = cluster(prefill_tokens_per_s=100.0, decode_s=0.1, batch=4, prefill_share=0.5)
    done = simulate([(0.0, first), (1.0, second)], where, PolicyConfig(cache="none"))
    assert sorted(done.completion) == [pytest.approx(2.0 + 1.0), pytest.approx(11.0)]


def rounds_of(waits: list[float], size: int = 100) -> tuple[Round, ...]:
    """Rounds that each add `size` tokens and answer with none to speak of."""
    return tuple(Round(prefix=i * (size + 1), fresh=size, output=1, wait=wait) for i, wait in enumerate(waits))


def hits(policy: PolicyConfig, work: list[tuple[float, Session]], room: int) -> Outcome:
    return simulate(work, cluster(kv_tokens=room, prefill_tokens_per_s=1e6, decode_s=1e-6, batch=8), policy)


def test_time_to_live_forgets_what_comes_back_late() -> None:
    work = [(0.0, Session(name="a", arrival=0.0, rounds=rounds_of([5.0, 50.0, 0.0])))]
    assert hits(PolicyConfig(cache="ttl", ttl_s=10), work, 10_000).cached_tokens == 101
    assert hits(PolicyConfig(cache="ttl", ttl_s=60), work, 10_000).cached_tokens == 101 + 202
    assert hits(PolicyConfig(cache="lru"), work, 10_000).cached_tokens == 101 + 202


def away(name: str, seconds: float) -> Session:
    """A session of 101 tokens that comes back once, with no more."""
    rounds = (Round(prefix=0, fresh=100, output=1, wait=seconds), Round(prefix=101, fresh=0, output=1))
    return Session(name=name, arrival=0.0, rounds=rounds)


def test_who_is_expected_back_last_makes_room() -> None:
    """A third session needs the room of one of two: least recently used is not who is needed last."""
    aware = PolicyConfig(cache="tool_aware", wait="oracle", keep_s=100)
    third = (2.0, Session(name="c", arrival=0.0, rounds=rounds_of([0.0])))
    soon_first = [(0.0, away("a", 30.0)), (1.0, away("b", 5000.0)), third]
    lru = hits(PolicyConfig(cache="lru"), soon_first, 302)
    assert lru.evictions == 1 and max(lru.slowdown[:2]) > 1.0, "the one that is back soon was forgotten"
    patient = hits(aware.model_copy(update={"keep_s": 9000.0}), soon_first, 302)
    assert patient.evictions == 1 and patient.slowdown[1] == pytest.approx(1.0), "the one that is away for long was"
    strict = hits(aware, soon_first, 302)
    assert strict.evictions == 0 and strict.cached_tokens == 101, "nobody is waited for so long: there is room"


def test_pinned_sessions_do_not_make_room_for_later_ones() -> None:
    """While something runs, who came later waits for room; without a pin it takes that of who is away."""
    busy = Session(name="busy", arrival=0.0, rounds=(Round(prefix=0, fresh=10, output=20_000_000),))
    late = Session(name="late", arrival=0.0, rounds=rounds_of([0.0]))
    work = [(0.0, busy), (1.0, away("old", 10.0)), (2.0, late)]
    policy = PolicyConfig(cache="tool_aware", wait="oracle", keep_s=60)
    room = 20_000_010 + 150
    assert hits(policy, work, room).cached_tokens == 0
    pinned = hits(policy.model_copy(update={"pin": True}), work, room)
    assert pinned.cached_tokens == 101 and pinned.queued > 8
    with pytest.raises(UsageError, match="kv_tokens"):
        hits(policy, work, 1000)


def many(seed: int = 0, sessions: int = 40) -> Source:
    """Sessions of many rounds with short waits."""
    random = np.random.default_rng(seed)
    found = [
        Session(name=str(i), arrival=float(i), rounds=rounds_of([*random.exponential(2.0, 6), 0.0], 400))
        for i in range(sessions)
    ]
    return Source(sessions=tuple(found), left_out={})


SETTINGS = ["cluster.kv_tokens=12000", "cluster.prefill_tokens_per_s=2000", "arrivals.per_minute=60", "seeds=3"]


def test_everything_is_served_whatever_the_policy() -> None:
    config = load_config([*SETTINGS, "arrivals.sessions=60"])
    for policy in config.policies.values():
        for seed in range(2):
            work = arrive(many().sessions, config, seed)
            done = simulate(work, config.cluster, policy)
            assert len(done.completion) == 60 and done.requests == 60 * 7
            assert 0 <= done.cached_tokens <= done.prefix_tokens
            assert min(done.slowdown) >= 1 - 1e-9, "nothing is faster than alone with a perfect cache"


def test_knowing_when_tools_return_helps_where_room_is_short() -> None:
    report = simulate_all(many(), ["many"], load_config([*SETTINGS, "arrivals.sessions=60"]))
    found = {one.name: one for one in report.policies}
    assert found["none"].figures["hit_share"].value == 0
    oracle = found["oracle_program"].over_first["completion_mean_s"]
    assert oracle.high is not None and oracle.high < 0, "shorter on the same arrivals, beyond what seeds vary"
    assert report == simulate_all(many(), ["many"], load_config([*SETTINGS, "arrivals.sessions=60"]))


def test_replicas_share_the_load_and_keep_sessions() -> None:
    one = load_config([*SETTINGS, "arrivals.sessions=60"])
    two = one.cluster.model_copy(update={"replicas": 2})
    work = arrive(many().sessions, one, 0)
    policy = one.policies["lru"]
    assert np.mean(simulate(work, two, policy).completion) < np.mean(simulate(work, one.cluster, policy).completion)
    scattered = two.model_copy(update={"routing": "least_loaded"})
    assert simulate(work, scattered, policy).cached_tokens < simulate(work, two, policy).cached_tokens


def test_a_closed_system_keeps_so_many_sessions_going() -> None:
    config = load_config([*SETTINGS[:2], "arrivals.kind=closed", "arrivals.at_once=1", "arrivals.sessions=5"])
    work = arrive(many().sessions, config, 0)
    done = simulate(work, config.cluster, config.policies["lru"])
    assert done.slowdown == [pytest.approx(1.0)] * 5, "one at a time never waits"
    assert done.end == pytest.approx(sum(ideal_seconds(session, config.cluster) for _, session in work))


def test_rounds_in_a_table_are_read(tmp_path: Path) -> None:
    table = tmp_path / "rounds.csv"
    table.write_text(
        "session_id,arrival_time,round_idx,prefix_len,input_len,output_len,tool_wait_after_ms\n"
        "7,1500,0,0,90,10,250\n7,1500,1,100,20,5,0\n8,500,0,0,40,2,0\n"
    )
    first, second = read_sessions([table]).sessions
    assert (first.name, first.arrival, second.name, second.arrival) == ("8", 0.0, "7", 1.0)
    assert second.rounds[0].wait == 0.25 and second.rounds[1].prompt == 120 and second.rounds[1].prefix == 100
    table.write_text("session,arrival\n1,2\n")
    with pytest.raises(UsageError, match="columns should be"):
        read_sessions([table])


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="predictor"):
        load_config(["policies={a: {cache: tool_aware, wait: predictor}}"])
    with pytest.raises(ConfigError, match=r"cluster\.replica"):
        load_config(["cluster.replica=2"])
    assert list(load_config(["policies={a: {cache: lru}}"]).policies) == ["a"]
    assert json.loads(load_config(["arrivals.kind=recorded"]).model_dump_json())["arrivals"]["speed"] == 1.0
