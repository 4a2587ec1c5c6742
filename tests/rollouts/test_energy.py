"""Energy is read through NVML's own bindings, here against a library that answers as a driver does."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from trajectory_hub.rollouts.energy import EnergySampler, GpuMeter, Reading, on_this_machine
from trajectory_hub.rollouts.payloads import SandboxMetric

_DRIVER = """
typedef struct device *device;
static int asked = 0;
int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned int flags) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device *out) { *out = (device)(long)(index + 1); return 0; }
int nvmlDeviceGetPowerUsage(device d, unsigned int *milliwatts) { *milliwatts = 100000 * (unsigned)(long)d; return 0; }
int nvmlDeviceGetTotalEnergyConsumption(device d, unsigned long long *out) { *out = 5000ull * ++asked; return ERROR; }
"""
_READ = """
from trajectory_hub.rollouts.energy import GpuMeter
meter = GpuMeter.open()
first, second = meter.read(), meter.read()
meter.close()
print([first.power_w, first.energy_j, second.energy_j])
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize(("error", "told"), [(0, "[300.0, 15.0, 35.0]"), (3, "[300.0, None, None]")])
def test_gpus_are_read_through_nvml(tmp_path: Path, error: int, told: str) -> None:
    pytest.importorskip("pynvml", reason="needs nvidia-ml-py")
    (tmp_path / "driver.c").write_text(_DRIVER.replace("ERROR", str(error)))
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "driver.c"], check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", _READ], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == told


def test_without_a_gpu_there_is_no_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert GpuMeter.open() is None


class _Meter:
    """Two readings a second apart, then no more."""

    def __init__(self, readings: list[Reading]) -> None:
        self.readings, self.closed = readings, False

    def read(self) -> Reading:
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("readings", "joules", "source"),
    [
        ([Reading(0.0, 200.0, 1000.0), Reading(2.0, 300.0, 1500.0)], 250.0, "nvml-energy, shared by 2"),
        ([Reading(0.0, 200.0, None), Reading(2.0, 300.0, None)], 250.0, "nvml-power, shared by 2"),
        ([Reading(0.0, None, None), Reading(2.0, 300.0, None)], None, "nvml, shared by 2"),
    ],
)
def test_episodes_share_what_was_taken(readings: list[Reading], joules: float | None, source: str) -> None:
    meter, told = _Meter(readings), list[SandboxMetric]()

    def write(sample: SandboxMetric, **times: Any) -> None:
        told.append(sample)

    sampler = EnergySampler(meter, lambda: [write, write], every=60.0).start()
    time.sleep(0.05)
    sampler.close()
    sampler.close()
    assert meter.closed and len(told) == 2
    assert (told[0].energy_j, told[0].power_w, told[0].wall_ms) == (joules, 300.0, 2000.0)
    assert told[0].scope == "sample" and told[0].sources == {"energy": source}


def test_nothing_is_written_where_nothing_goes_on() -> None:
    meter = _Meter([Reading(0.0, 1.0, 1.0), Reading(1.0, 1.0, 2.0)])
    EnergySampler(meter, list, every=60.0).start().close()
    assert meter.closed


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:1/", True),
        ("https://api.openai.com/v1", False),
        ("http://10.0.0.7:8000", False),
        ("", False),
    ],
)
def test_a_model_elsewhere_is_not_measured_here(url: str, here: bool) -> None:
    assert on_this_machine(url) is here
