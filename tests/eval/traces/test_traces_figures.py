"""Every figure against a slow recomputation in plain Python, on small tables."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import combinations, pairwise
from statistics import mean, median
from typing import Any

import numpy as np
import pytest
from trajectory_hub.errors import UsageError
from trajectory_hub.eval.traces.cache import CacheSection, thresholds
from trajectory_hub.eval.traces.cost import CostSection
from trajectory_hub.eval.traces.harnesses import HarnessesSection
from trajectory_hub.eval.traces.measure import SECTIONS, Measurements, chosen, measure_source
from trajectory_hub.eval.traces.patterns import PatternsSection
from trajectory_hub.eval.traces.repeats import RepeatsSection
from trajectory_hub.eval.traces.resources import ResourcesSection
from trajectory_hub.eval.traces.section import Options
from trajectory_hub.eval.traces.sequences import SequencesSection
from trajectory_hub.eval.traces.source import Source
from trajectory_hub.eval.traces.tools import ToolsSection
from trajectory_hub.eval.traces.workload import WorkloadSection
from trajectory_hub.page import Page

from .worlds import START, Rows, connect, episode, request, sample, step, world

QUICK = Options(resamples=100)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return world()


@pytest.fixture(scope="module")
def source(rows: Rows) -> Source:
    return Source.of(connect(rows))


def by_episode(table: Sequence[Mapping[str, Any]], order: str) -> dict[str, list[Mapping[str, Any]]]:
    """Rows of each episode, in order."""
    found = defaultdict[str, list[Mapping[str, Any]]](list)
    for row in sorted(table, key=lambda row: row[order]):
        found[row["episode_id"]].append(row)
    return dict(found)


# Source --------------------------------------------------------------------------------------------------------------


def test_a_distribution_is_what_numpy_says(source: Source, rows: Rows) -> None:
    values = [row["input_tokens"] for row in rows["requests"]]
    found = source.describe("r", {"x": "input_tokens"})["x"]
    quantiles = np.quantile(values, [0.25, 0.5, 0.9, 0.99])
    assert [found.p25, found.p50, found.p90, found.p99] == pytest.approx(quantiles)
    assert (found.n, found.unknown, found.total) == (len(values), 0, sum(values))
    assert found.mean == pytest.approx(mean(values)) and found.sd == pytest.approx(np.std(values, ddof=1))
    assert found.clusters == 12 and found.low is not None and found.low < mean(values)


def test_what_is_not_known_is_counted_and_left_out() -> None:
    told = [episode("a", steps=1), episode("b", steps=1, cost_usd=2.0), episode("c", steps=1, cost_usd=4.0)]
    source = Source.of(connect({"episodes": told}))
    found = source.describe("e", {"cost": "cost_usd", "energy": "energy_j"})
    assert (found["cost"].n, found["cost"].unknown, found["cost"].mean) == (2, 1, 3.0)
    assert (found["energy"].n, found["energy"].unknown, found["energy"].mean) == (0, 3, None)


def test_filters_limits_and_groups(rows: Rows) -> None:
    connection = connect(rows)
    assert Source.of(connection, where="agent = 'one'").episodes == 24
    assert Source.of(connection, where="resolved", limit=3).episodes == 3
    source = Source.of(connection)
    source.scope("agent", "two")
    assert source.row("SELECT count(DISTINCT key) AS n FROM s")["n"] == 24
    source.scope("repo", None)
    assert source.row("SELECT count(*) AS n FROM e")["n"] == 0
    with pytest.raises(UsageError, match="not a condition"):
        Source.of(connection, where="no_such_column > 3")
    with pytest.raises(UsageError, match="no column 'colour'"):
        source.groups("colour")


def test_nothing_left_is_an_error(rows: Rows) -> None:
    with pytest.raises(UsageError, match="no episode is left"):
        measure_source(Source.of(connect(rows), where="FALSE"))


def test_excluded_superseded_and_ungraded_episodes_say_nothing_of_outcomes() -> None:
    rows = [
        episode("a", resolved=True),
        episode("b", resolved=False, excluded=True),
        episode("c", resolved=False, attempt_final=False),
        episode("d"),
    ]
    source = Source.of(connect({"episodes": rows}))
    assert source.values("SELECT resolved::INT FROM o").tolist() == [1]


# Workload ------------------------------------------------------------------------------------------------------------


def conversation() -> Rows:
    """Two turns, a subagent, an episode that holds only durations and one without any time."""
    at = [START + timedelta(seconds=second) for second in (0, 10, 30, 100, 130)]
    asked = [
        request("a", 0, t_start=at[0], t_end=at[1], model_ms=1e4, tool_calls=2, cost_usd=1.0),
        request("a", 1, t_start=at[1], t_end=at[2], model_ms=2e4, tool_calls=0, user_messages=0, cost_usd=2.0),
        request("a", 2, thread="sub", t_start=at[1], t_end=at[2], model_ms=5e3, tool_calls=1, user_messages=1),
        request("a", 3, t_start=at[3], t_end=at[4], model_ms=3e4, tool_calls=0, user_messages=1, human_ms=7e4),
        request("b", 0, model_ms=1e3, tool_calls=4),
        request("c", 0, tool_calls=1),
        request("d", 0, user_messages=None, tool_calls=1),
    ]
    timed = {"wall_ms": 13e4, "model_ms": 6e4, "tool_ms": 0.0, "human_ms": 7e4, "idle_ms": 0.0}
    episodes = [
        episode("a", **timed),
        episode("b", timing="durations", wall_ms=9e9, model_ms=1e3, human_ms=1.0),
        episode("c", timing="none"),
        episode("d", timing="none"),
    ]
    return Rows(episodes=episodes, requests=asked, steps=[], samples=[])


def test_turns_go_from_a_persons_message_to_the_next() -> None:
    found = WorkloadSection().measure(Source.of(connect(conversation())), QUICK)
    assert (found.sessions, found.rounds, found.turns) == (4, 7, 4)
    rounds, calls, elapsed, cost = (found.per_turn[name] for name in ("rounds", "tool_calls", "elapsed_s", "cost_usd"))
    assert rounds.mean == mean([3, 1, 1, 1]) and calls.mean == mean([3, 0, 4, 1])
    assert (elapsed.n, elapsed.unknown, elapsed.total) == (2, 2, 30 + 30)
    assert (cost.n, cost.total) == (0, None)
    assert (found.user_initiated.part, found.user_initiated.whole) == (5, 6)


def test_times_that_were_not_recorded_are_not_mixed_in() -> None:
    found = WorkloadSection().measure(Source.of(connect(conversation())), QUICK)
    assert found.timings == {"durations": 1, "none": 2, "recorded": 1}
    assert found.per_session["elapsed_s"].n == 1 and found.per_session["elapsed_s"].largest == 130
    assert found.per_session["human_s"].n == 1 and found.per_session["model_s"].n == 2
    assert {name: share.value for name, share in found.time.items()} == pytest.approx(
        {"model": 60 / 130, "tool": 0, "environment": 0, "human": 70 / 130, "idle": 0}
    )
    assert found.time_capped["human"].part == 70 and found.time_capped["human"].value == pytest.approx(70 / 130)


def test_waits_of_hours_are_cut_at_one() -> None:
    rows = conversation()
    rows["requests"][3]["human_ms"] = 5 * 3600e3
    found = WorkloadSection().measure(Source.of(connect(rows)), QUICK)
    assert found.time_capped["human"].part == 3600


# Cache ---------------------------------------------------------------------------------------------------------------


def talks(seed: int) -> Rows:
    """Random prompts with drops, two threads, gaps of seconds to hours."""
    random, rows = np.random.default_rng(seed), Rows(episodes=[], requests=[], steps=[], samples=[])
    for name in "abcdef":
        rows["episodes"].append(episode(name, timing="none" if name == "f" else "recorded"))
        for thread in (None, "sub"):
            length = 20_000
            for number in range(40):
                grown = length + int(random.integers(-2000, 12_000))
                dropped = random.random() < 0.08
                length = int(grown * random.uniform(0.05, 0.6)) if dropped else max(100, grown)
                rows["requests"].append(
                    request(name, 2 * number + (thread is not None), thread=thread, input_tokens=length,
                            cached_tokens=None if random.random() < 0.05 else int(length * random.uniform(0, 1)),
                            output_tokens=int(random.integers(1, 3000)), user_messages=int(random.random() < 0.2),
                            gap_ms=float(10 ** random.uniform(2, 7.5)), model_ms=float(random.uniform(500, 9000)))
                )  # fmt: skip
    return rows


def pairs_of(rows: Rows) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Consecutive rounds of a conversation, the later one with a known prefix."""
    lines = defaultdict[tuple[str, str | None], list[Mapping[str, Any]]](list)
    for row in sorted(rows["requests"], key=lambda row: row["request"]):
        lines[row["episode_id"], row["thread"]].append(row)
    return [(a, b) for line in lines.values() for a, b in pairwise(line) if b["cached_tokens"] is not None]


@pytest.mark.parametrize("seed", range(3))
def test_prefill_and_sweep(seed: int) -> None:
    rows = talks(seed)
    found = CacheSection().measure(Source.of(connect(rows)), QUICK)
    assert found is not None and found.sweep is not None
    append = growth = output = 0
    steps = list[tuple[float, int, int]]()
    for before, now in pairs_of(rows):
        new, more = now["input_tokens"] - now["cached_tokens"], max(0, now["input_tokens"] - before["input_tokens"])
        append, growth, output = append + new, growth + more, output + before["output_tokens"]
        cacheable = now["input_tokens"] - min(max(more - before["output_tokens"], 0), new)
        if now["episode_id"] != "f":
            steps.append((now["gap_ms"] / 1000, cacheable, now["input_tokens"]))
    every = found.prefill["all"]
    assert (every.append, every.growth, every.fresh) == (append, growth, growth - output)
    assert (
        every.rounds == sum(one.rounds for name, one in found.prefill.items() if name != "all") == len(pairs_of(rows))
    )
    whole, fresh = sum(one[2] for one in steps), sum(one[2] - one[1] for one in steps)
    active = sum(row["model_ms"] for row in rows["requests"] if row["episode_id"] != "f") / 1000
    for place, tau in enumerate(thresholds()):
        hit = sum(cacheable for gap, cacheable, _ in steps if gap <= tau)
        lost = sum(cacheable for gap, cacheable, _ in steps if gap > tau)
        assert found.sweep.hit_share[place] == pytest.approx(hit / whole)
        assert found.sweep.amplification[place] == pytest.approx((fresh + lost) / fresh)
        assert found.sweep.storage[place] == pytest.approx(sum(min(gap, tau) for gap, _, _ in steps) / active)
    known = [row for row in rows["requests"] if row["cached_tokens"] is not None]
    assert found.hits.value == pytest.approx(
        sum(row["cached_tokens"] for row in known) / sum(row["input_tokens"] for row in known)
    )


@pytest.mark.parametrize("seed", range(3))
def test_compactions_are_drops_that_last(seed: int) -> None:
    rows, drops, compactions = talks(seed), 0, 0
    lines = defaultdict[tuple[str, str | None], list[int]](list)
    for row in sorted(rows["requests"], key=lambda row: row["request"]):
        lines[row["episode_id"], row["thread"]].append(row["input_tokens"])
    for line in lines.values():
        for place in range(1, len(line)):
            if line[place - 1] - line[place] >= 64_000:
                drops += 1
                ahead = line[place + 1 : place + 4]
                near = line[place - 1] >= 0.75 * max(line)
                compactions += bool(near and ahead and max(ahead) < 0.75 * line[place - 1])
    found = CacheSection().measure(Source.of(connect(rows)), QUICK)
    assert found is not None and drops > 0
    assert (found.compactions.drops, found.compactions.compactions) == (drops, compactions)


def test_without_prompts_there_is_no_cache() -> None:
    assert CacheSection().measure(Source.of(connect({"episodes": [episode("a")]})), QUICK) is None


# Tools ---------------------------------------------------------------------------------------------------------------


def test_tools_latency_failures_and_long_calls(source: Source, rows: Rows) -> None:
    found = ToolsSection().measure(source, QUICK)
    assert found is not None
    seconds = [row["tool_ms"] / 1000 for row in rows["steps"]]
    assert found.long_calls.value == pytest.approx(np.mean([one >= 60 for one in seconds]))
    assert found.long_time.value == pytest.approx(sum(one for one in seconds if one >= 60) / sum(seconds))
    for row in found.rows["tool"]:
        own = [one for one in rows["steps"] if one["tool"] == row.name]
        times = [one["tool_ms"] / 1000 for one in own]
        assert (row.calls, row.timed) == (len(own), len(own)) and row.total_s == pytest.approx(sum(times))
        assert (row.p50_s, row.p95_s) == pytest.approx((median(times), np.quantile(times, 0.95)))
        assert row.failed.part == sum(one["failed"] for one in own)
        assert row.cpu_user_s == pytest.approx(mean(one["cpu_user_s"] for one in own))
    shares = [row["tool_ms"] / row["wall_ms"] for row in rows["episodes"]]
    assert found.share_of_session.p50 == pytest.approx(median(shares))
    assert (found.share_smallest, found.share_p95) == pytest.approx((min(shares), np.quantile(shares, 0.95)))
    assert found.survival[0][1] == found.count_share[-1][1] == 1 == pytest.approx(found.time_share[-1][1])
    at, share = found.count_share[100]
    assert share == pytest.approx(np.mean(np.array(seconds) <= at))
    assert found.time_share[100][1] == pytest.approx(sum(one for one in seconds if one <= at) / sum(seconds))


def test_what_a_tool_says_of_itself_comes_first() -> None:
    steps = [
        step("a", 0, tool_ms=5000.0, internal_ms=4000.0),
        step("a", 1, tool_ms=3000.0),
        step("a", 2, tool_ms=0.0),
        step("a", 3),
    ]
    found = ToolsSection().measure(Source.of(connect({"episodes": [episode("a")], "steps": steps})), QUICK)
    assert found is not None and (found.latency.n, found.latency.unknown, found.latency.total) == (2, 2, 7.0)
    assert (found.wall_less_internal.n, found.wall_less_internal.mean) == (1, 1.0) and found.tail is None


# Behaviour -----------------------------------------------------------------------------------------------------------


def test_four_grams(source: Source, rows: Rows) -> None:
    found = SequencesSection().measure(source, QUICK)
    assert found is not None
    resolved = {row["episode_id"]: row["resolved"] for row in rows["episodes"]}
    holders, times = defaultdict[str, set[str]](set), Counter[str]()
    for name, steps in by_episode(rows["steps"], "step").items():
        acts = [row["action"] for row in steps]
        for place in range(len(acts) - 3):
            gram = " > ".join(acts[place : place + 4])
            holders[gram].add(name)
            times[gram] += 1
    assert found.seen == len(holders)
    assert found.only_resolved == sum(all(resolved[name] for name in names) for names in holders.values())
    assert {one.gram for one in found.grams} == {gram for gram, names in holders.items() if len(names) >= 5}
    for one in found.grams:
        assert one.resolved == sum(resolved[name] for name in holders[one.gram])
        assert (one.resolved + one.unresolved, one.times) == (len(holders[one.gram]), times[one.gram])
        assert one.p <= one.q <= 1


def test_actions_over_time_are_means_over_episodes(source: Source, rows: Rows) -> None:
    found = SequencesSection().measure(source, QUICK)
    assert found is not None
    shares = defaultdict[tuple[bool, int], list[Counter[str]]](list)
    resolved = {row["episode_id"]: row["resolved"] for row in rows["episodes"]}
    overall = list[dict[str, float]]()
    for name, steps in by_episode(rows["steps"], "step").items():
        tenths = defaultdict[int, list[str]](list)
        for place, row in enumerate(steps):
            tenths[min(9, int(10 * (place + 0.5) / len(steps)))].append(row["action"])
        for tenth, acts in tenths.items():
            shares[resolved[name], tenth].append(Counter(acts))
        overall.append({act: count / len(steps) for act, count in Counter(row["action"] for row in steps).items()})
    for act, value in found.actions.items():
        assert value == pytest.approx(mean(one.get(act, 0) for one in overall))
    for side, parts in found.progress.items():
        for act, values in parts.items():
            wanted = [mean(c[act] / c.total() for c in shares[side == "resolved", tenth]) for tenth in range(10)]
            assert values == pytest.approx(wanted)


def naive_habits(steps: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """One episode's habits, step by step."""
    acts = [row["action"] for row in steps]
    edits = [place for place, act in enumerate(acts) if act == "edit"]
    tests = [place for place, act in enumerate(acts) if act == "test"]
    files = [(steps[place]["edited"][0], steps[place]["edit_line"]) for place in edits]
    near = [abs(a[1] - b[1]) for a, b in pairwise(files) if a[0] == b[0]]
    first = edits[0] if edits else None
    looks = ("read", "search", "list")
    return {
        "search_depth": None if first is None else sum(act in looks for act in acts[:first]),
        "files_before_edit": None
        if first is None
        else len({path for row in steps[:first] if row["action"] == "read" for path in row["paths"]}),
        "first_edit_at": None if first is None else first / len(acts),
        "same_file": mean(a[0] == b[0] for a, b in pairwise(files)) if len(files) > 1 else None,
        "jump": median(near) if near else None,
        "near": mean(one <= 10 for one in near) if near else None,
        "test_runs": len(tests),
        "reproduces": None if first is None else float(any(place < first for place in tests)),
        "verifies": None if not edits else float(any(place > edits[-1] for place in tests)),
        "tested_soon": mean("test" in acts[place + 1 : place + 4] for place in edits) if edits else None,
        "last_test_passes": float(steps[tests[-1]]["tests_failed"] == 0) if tests else None,
        "reverting": 0,
        "repeated": 0,
    }


def test_habits(source: Source, rows: Rows) -> None:
    found = PatternsSection().measure(source, QUICK)
    assert found is not None and (found.references, found.compared) == (0, 0)
    naive = {name: naive_habits(steps) for name, steps in by_episode(rows["steps"], "step").items()}
    resolved = {row["episode_id"] for row in rows["episodes"] if row["resolved"]}
    for habit, one in found.habits.items():
        known = {name: values[habit] for name, values in naive.items() if values[habit] is not None}
        assert one.every.n == len(known) and one.every.mean == pytest.approx(
            mean(float(v or 0) for v in known.values())
        )
        good = [float(value or 0) for name, value in known.items() if name in resolved]
        assert one.resolved.n == len(good) and one.resolved.mean == pytest.approx(mean(good))


def test_files_of_the_reference_patch() -> None:
    episodes = [
        episode("a", resolved=True, files_read=["x", "y"], files_edited=["x", "new", "z"]),
        episode("b", resolved=False, files_read=["y"], files_edited=[]),
        episode("c", resolved=False, files_read=["y"]),
    ]
    steps = [step(name, 0) for name in "abc"]
    options = Options(references={"a": ["x", "y", "w"], "b": ["y"], "c": ["y"], "other": ["q"]})
    found = PatternsSection().measure(Source.of(connect({"episodes": episodes, "steps": steps})), options)
    assert found is not None and (found.references, found.compared) == (4, 2)
    recall, seen, precision = (
        found.habits[name].every for name in ("recall_edited", "recall_seen", "precision_edited")
    )
    assert recall.total == pytest.approx(1 / 3) and seen.total == pytest.approx(2 / 3 + 1)
    assert (precision.n, precision.total) == (1, pytest.approx(1 / 3))


# Resources -----------------------------------------------------------------------------------------------------------


def test_bursts_summaries_and_uses() -> None:
    random = np.random.default_rng(3)
    samples, at = list[dict[str, Any]](), 0.0
    for name in ("a", "b"):
        for _ in range(200):
            at += float(random.choice([0.5, 1.0, 1.6, 5.0]))
            samples.append(
                sample(name, at, step=int(random.integers(0, 2)) or None, cpu_pct=float(random.uniform(0, 60)),
                       memory_bytes=int(random.integers(10**8, 3 * 10**8)))
            )  # fmt: skip
    rows = {"episodes": [episode("a"), episode("b")], "steps": [step("a", 1), step("b", 1, "test")], "samples": samples}
    found = ResourcesSection().measure(Source.of(connect(rows)), QUICK)
    assert found is not None and found.bursts is not None
    bursts, cpu, memory, inside, pairs = 0, 0, 0, 0, 0
    for own in by_episode(samples, "t").values():
        for one, two in pairwise(own):
            dt = (two["t"] - one["t"]).total_seconds()
            if 0 < dt <= 2:
                by_cpu = abs(two["cpu_pct"] - one["cpu_pct"]) / dt > 20
                by_memory = abs(two["memory_bytes"] - one["memory_bytes"]) / 1e6 / dt > 50
                pairs, cpu, memory = pairs + 1, cpu + by_cpu, memory + by_memory
                bursts, inside = (
                    bursts + (by_cpu or by_memory),
                    inside + ((by_cpu or by_memory) and two["step"] is not None),
                )
    assert (found.bursts.pairs, found.bursts.bursts, found.bursts.cpu, found.bursts.memory) == (
        pairs,
        bursts,
        cpu,
        memory,
    )
    assert found.bursts.in_steps.part == inside and found.bursts.episodes_with == 2
    for summary in found.summaries:
        own = [one for one in samples if one["episode_id"] == summary.episode_id]
        assert summary.sample_count == len(own) and summary.memory_avg == pytest.approx(
            mean(o["memory_bytes"] for o in own) / 1e6
        )
        assert summary.duration_seconds == pytest.approx((own[-1]["t"] - own[0]["t"]).total_seconds())
    uses = {one.name: one for one in found.uses["action"]}
    assert uses["between steps"].samples == sum(one["step"] is None for one in samples) and uses["read"].steps == 1
    during = [one["cpu_pct"] for one in samples if one["episode_id"] == "b" and one["step"] == 1]
    assert uses["test"].sampled_cpu_pct == pytest.approx(mean(during))


def test_without_measurements_there_are_no_resources() -> None:
    assert ResourcesSection().measure(Source.of(connect({"episodes": [episode("a")]})), QUICK) is None


# Repetition and harnesses --------------------------------------------------------------------------------------------


def test_pass_at_k_is_the_mean_over_draws(source: Source, rows: Rows) -> None:
    found = RepeatsSection().measure(source, QUICK)
    assert found is not None and found.configurations == 2
    for one in found.passes:
        agent = one.configuration.split(" / ")[0]
        tasks = defaultdict[str, list[bool]](list)
        for row in rows["episodes"]:
            if row["agent"] == agent:
                tasks[row["task_id"]].append(row["resolved"])
        at = mean(mean(any(drawn) for drawn in combinations(task, one.k)) for task in tasks.values())
        every = mean(mean(all(drawn) for drawn in combinations(task, one.k)) for task in tasks.values())
        assert (one.at.value, one.all.value, one.tasks) == (pytest.approx(at), pytest.approx(every), 12)


def test_variance_is_split_between_and_within_tasks() -> None:
    random, rows = np.random.default_rng(0), list[dict[str, Any]]()
    for task in range(150):
        level = random.normal(100, 8)
        rows += [
            episode(f"{task}-{one}", task_id=f"t{task}", resolved=True, requests=round(level + random.normal(0, 4)))
            for one in range(6)
        ]
    found = RepeatsSection().measure(Source.of(connect({"episodes": rows})), QUICK)
    assert found is not None
    iterations = next(one for one in found.variances if one.quantity == "iterations")
    assert iterations.between == pytest.approx(64, rel=0.3) and iterations.within == pytest.approx(16, rel=0.15)
    assert iterations.correlation == pytest.approx(0.8, abs=0.07)
    assert iterations.design_effect == pytest.approx(1 + 5 * 0.8, rel=0.2)


def test_drift_compares_versions_on_tasks_that_both_did() -> None:
    rows = list[dict[str, Any]]()
    for task in range(20):
        for place, version in enumerate(("1.0", "1.1")):
            if version == "1.1" and task >= 15:
                continue
            day = START + timedelta(days=10 * place, hours=task)
            rows.append(
                episode(f"{task}-{version}", task_id=f"t{task}", agent_version=version,
                        resolved=bool(place or task % 2), requests=10 + 5 * place + task % 3, t_start=day)
            )  # fmt: skip
    found = RepeatsSection().measure(Source.of(connect({"episodes": rows})), QUICK)
    assert found is not None
    (drift,) = found.drifts
    assert (drift.before, drift.after, drift.tasks) == ("1.0", "1.1", 15)
    assert drift.change["iterations"].value == pytest.approx(5)
    assert drift.change["resolved"].value == pytest.approx(8 / 15)


def test_a_harness_that_tests_more_is_told_by_its_tests() -> None:
    found = HarnessesSection().measure(Source.of(connect(world(tasks=60, seeds=4, seed=5))), QUICK)
    assert found is not None
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.tasks, pair.episodes) == ("one", "two", 60, (240, 240))
    parts = {one.name: one for one in pair.measures}
    tests = parts["test runs"]
    assert tests.second > tests.first and tests.p_holm < 0.001
    assert tests.standardised.low is not None and tests.standardised.low > 0.3
    assert tests.explains.low is not None and tests.explains.low > 0
    assert tests.explains.value == max(one.explains.value or 0 for one in pair.measures)
    whole = sum(one.explains.value or 0 for one in pair.measures) + (pair.rest.value or 0)
    assert whole == pytest.approx(pair.adjusted_total.value) == pytest.approx(pair.difference.value, abs=0.02)
    assert pair.resolved[1] - pair.resolved[0] == pytest.approx(pair.difference.value)


def test_harnesses_need_a_model_and_tasks_in_common() -> None:
    rows = world(tasks=4)
    assert HarnessesSection().measure(Source.of(connect(rows)), QUICK) is None
    rows = world(tasks=8)
    for row in rows["episodes"]:
        row["model"] = row["agent"]
    assert HarnessesSection().measure(Source.of(connect(rows)), QUICK) is None


# All of it -----------------------------------------------------------------------------------------------------------


def test_measurements_are_json_and_come_back(source: Source) -> None:
    scopes = measure_source(source, SECTIONS, QUICK, by="agent")
    names = tuple(section.name for section in SECTIONS)
    found = Measurements(
        runs=("run",), filter=None, limit=None, by="agent", sections=names, all=scopes[0], groups=tuple(scopes[1:])
    )
    again = Measurements.model_validate_json(found.model_dump_json())
    assert again == found and [one.value for one in again.groups] == ["one", "two"]
    assert again.groups[0].episodes == 24 and again.groups[0].harnesses is None and again.all.harnesses is not None


def test_the_same_tables_give_the_same_figures(rows: Rows) -> None:
    first, second = (measure_source(Source.of(connect(rows)), SECTIONS, QUICK)[0] for _ in range(2))
    assert first == second


def test_an_empty_run_has_figures_all_the_same() -> None:
    (found,) = measure_source(Source.of(connect({"episodes": [episode("a", timing="none")]})))
    assert found.workload is not None and found.workload.rounds == 0
    assert [getattr(found, name) for name in ("cache", "tools", "sequences", "resources", "harnesses")] == [None] * 5


def test_sections_by_name_and_family() -> None:
    assert [one.name for one in chosen(["behaviour", "cache"])] == ["cache", "behaviour", "sequences", "patterns"]
    assert chosen([]) == SECTIONS
    with pytest.raises(UsageError, match="no section 'workloads'"):
        chosen(["workloads"])


# Cost ----------------------------------------------------------------------------------------------------------------


def priced(key: str, model: str | None, **kinds: float | None) -> dict[str, Any]:
    """A request with 100 prompt tokens, 40 of them cached and 10 written, and 20 generated, 5 of them reasoning."""
    counts = {"input_tokens": 100, "cached_tokens": 40, "cache_creation_tokens": 10}
    counts |= {"output_tokens": 20, "reasoning_tokens": 5}
    return request(key, 0, model=model, **counts, **{f"cost_{kind}_usd": cost for kind, cost in kinds.items()})


def test_cost_is_told_by_kind_of_token_and_unknown_models_cost_nothing_known() -> None:
    dear = {"input": 0.5, "cached": 0.1, "cache_creation": 0.2, "output": 1.2, "reasoning": 0.3}
    rows = Rows(
        episodes=[
            episode("a", cost_usd=2.5, cost_source="recorded", **{f"cost_{kind}_usd": x for kind, x in dear.items()}),
            episode("b"),
        ],
        requests=[priced("a", "dear", **dear), priced("b", "who"), request("b", 1, model="dear", input_tokens=None)],
        steps=[],
        samples=[],
    )
    source = Source.of(connect(rows), prices=["2026-01-01 (somewhere)"])
    found = CostSection().measure(source, QUICK)
    assert found is not None
    assert found.all.tokens == {"input": 100, "cached": 80, "cache_creation": 20, "output": 40, "reasoning": 10}
    assert (found.all.requests, found.all.priced, found.all.total) == (3, 1, pytest.approx(2.0))
    assert (found.unpriced, found.uncounted) == ({"who": 1}, 1), "a model with a price, and nothing to multiply with it"
    unknown = next(one for one in found.models if one.model == "who")
    assert unknown.total is None and set(unknown.dollars.values()) == {None}
    assert found.difference is not None and found.difference.value == pytest.approx(2.5 / 2.0)
    assert found.sources == {"not known": 1, "recorded": 1}
    said = Page("t", tuple(CostSection().blocks(found, QUICK))).markdown()
    assert "2026-01-01 (somewhere)" in said and "who (1)" in said and "60.0%" in said


def test_outcomes_without_a_course_are_no_sessions_and_count_as_outcomes() -> None:
    bare = [episode(name, resolved=True, graded=True) for name in "ab"]
    rows = {"episodes": [*bare, episode("c", resolved=False, graded=True, steps=3, requests=2)]}
    source = Source.of(connect(rows))
    assert source.outcomes_only == 2
    assert source.row("SELECT count(*) AS n FROM e")["n"] == 1
    assert source.row("SELECT count(*) AS n FROM o")["n"] == 3
    scope = measure_source(source)[0]
    assert (scope.episodes, scope.outcomes_only) == (1, 2)
    assert scope.repeats is not None and scope.repeats.passes[0].at.value == pytest.approx(2 / 3)


def test_actions_are_shown_where_no_graded_episode_has_a_course() -> None:
    rows = {
        "episodes": [episode("a", resolved=True, graded=True), episode("b", steps=1)],
        "steps": [step("b", 0, action="read", tool="Read")],
    }
    found = SequencesSection().measure(Source.of(connect(rows)), QUICK)
    assert found is not None
    assert list(found.progress) == ["all"]
    assert found.graded == {}
    assert SequencesSection().blocks(found, QUICK)
