"""The energy that a model takes on this machine's NVIDIA GPUs, written into the episodes that it serves as samples.

NVML counts millijoules for each GPU since the driver was loaded (Volta and newer); where it does not, power is
integrated. What was taken since the sample before is shared equally among the episodes that were going on. Without a
GPU, without NVML, or with a model on another machine, there are no such samples, and the figures stay unknown.
"""

import threading
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import urlsplit

from .config import RolloutConfig
from .events import now
from .payloads import SandboxMetric

__all__ = ["EnergySampler", "GpuMeter", "Meter", "Reading", "on_this_machine", "sample_energy"]

_EVERY_S = 1.0


class Reading(NamedTuple):
    """What all GPUs together say."""

    at: float
    """On the monotonic clock, in seconds."""
    power_w: float | None
    energy_j: float | None
    """Since some moment in the past; None for a GPU that does not count it."""


class GpuMeter:
    """The NVIDIA GPUs of this machine, through NVML."""

    def __init__(self, nvml: Any, devices: Sequence[Any]) -> None:
        self._nvml, self._devices = nvml, devices

    @classmethod
    def open(cls) -> Self | None:
        """The GPUs; None where there is none, or where `nvidia-ml-py` is not installed."""
        try:
            import pynvml as nvml  # pyright: ignore[reportMissingTypeStubs]
        except ImportError:
            return None
        api: Any = nvml
        try:
            api.nvmlInit()
            devices = [api.nvmlDeviceGetHandleByIndex(index) for index in range(api.nvmlDeviceGetCount())]
        except api.NVMLError:
            return None
        return cls(api, devices) if devices else None

    def read(self) -> Reading:
        """Power and energy now, of all GPUs together; None for what one of them does not tell."""
        at = time.monotonic()
        power = [self._ask(self._nvml.nvmlDeviceGetPowerUsage, device) for device in self._devices]
        energy = [self._ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption, device) for device in self._devices]
        return Reading(at, _summed(power), _summed(energy))

    def _ask(self, what: Callable[[Any], int], device: Any) -> float | None:
        try:
            return what(device) / 1000  # milliwatts and millijoules
        except self._nvml.NVMLError:
            return None

    def close(self) -> None:
        """Let NVML go."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            return


def _summed(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


class Meter(Protocol):
    """What reads energy."""

    def read(self) -> Reading:
        """Power and energy now."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


class EnergySampler:
    """Gives every episode that is going on its share of the energy, about once a second, until it is closed."""

    def __init__(
        self, meter: Meter, writers: Callable[[], Sequence[Callable[..., None]]], every: float = _EVERY_S
    ) -> None:
        """`writers` gives one function for each episode that is going on, which writes an event into its log."""
        self._meter, self._writers, self._every = meter, writers, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="trajhub-energy")

    def start(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End; may be called again."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        before, over = self._meter.read(), False
        while not over:
            over = self._over.wait(self._every)
            after = self._meter.read()
            self._share(before, after)
            before = after
        self._meter.close()

    def _share(self, before: Reading, after: Reading) -> None:
        writers = self._writers()
        taken, counted = _taken(before, after)
        if not writers or (taken is None and after.power_w is None):
            return
        at, several = now(), len(writers)
        sample = SandboxMetric.of(
            scope="sample",
            wall_ms=round((after.at - before.at) * 1000, 3),
            power_w=after.power_w,
            energy_j=None if taken is None else taken / several,
            sources={"energy": f"{counted}, shared by {several}"},
        )
        for write in writers:
            write(sample, t_start=at, t_end=at)


def _taken(before: Reading, after: Reading) -> tuple[float | None, str]:
    """Joules between two readings, and how they were found out."""
    if before.energy_j is not None and after.energy_j is not None and after.energy_j >= before.energy_j:
        return after.energy_j - before.energy_j, "nvml-energy"
    if before.power_w is not None and after.power_w is not None:
        return (before.power_w + after.power_w) / 2 * (after.at - before.at), "nvml-power"
    return None, "nvml"


def sample_energy(config: RolloutConfig, writers: Callable[[], Sequence[Callable[..., None]]]) -> EnergySampler | None:
    """Begin to sample where the policy's model is served on this machine and it has a GPU that can be read."""
    service = {"chat": config.chat, "vllm": config.vllm}.get(config.policy)
    if service is None or not on_this_machine(service.base_url):
        return None
    meter = GpuMeter.open()
    return None if meter is None else EnergySampler(meter, writers).start()


def on_this_machine(url: str) -> bool:
    """Whether a server's address is one of this machine alone."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
