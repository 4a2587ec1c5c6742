"""The event log keeps its budget: counted in CPU time, so that a busy machine does not decide."""

from trajectory_hub.benchmarks.event_log import BUDGET, measure


def test_the_event_log_keeps_its_budget_in_constant_memory() -> None:
    small = measure(1000)
    large = measure(10_000)
    assert large["written_per_cpu_s"] >= BUDGET["written_per_s"]
    assert large["read_per_cpu_s"] >= BUDGET["read_per_s"]
    assert large["peak_memory_growth_mib"] <= small["peak_memory_growth_mib"] + 8
