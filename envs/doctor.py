"""What this machine offers for running sandboxes, and how to mend what is missing."""

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import httpx

from ..errors import InfrastructureError, TrajHubError
from .engine import Engine, engine_errors

__all__ = ["Check", "examine"]

Status = Literal["ok", "warn", "fail"]
_GIB = 1 << 30
_API_NEEDED = (1, 41)
_PATIENCE = 60.0
"""Seconds for one answer of the engine, which may be busy with images."""
_INSTALL_ENGINE = "start the engine, or let `bash scripts/quickstart.sh` install and start one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    found: str
    mend: str = ""
    """How to mend it; empty when there is nothing to mend."""
    required: bool = False
    """Nothing works without it."""

    def as_dict(self) -> dict[str, Any]:
        """The check as plain data."""
        return asdict(self)


def examine(docker_host: str | None = None, *, network: bool = True) -> list[Check]:
    """Look at everything; never raises for what is wrong with the machine."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        index = pool.submit(_package_index) if network else None
        checks = [_python(), _memory(), _extra("swebench", "eval"), *_engine_checks(docker_host, network)]
        if index is not None:
            checks.append(index.result())
    return checks


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    return Check(name="python", status="ok", found=found, required=True)


def _memory() -> Check:
    available = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemAvailable")
    )
    enough = available >= 2 * _GIB
    mend = "" if enough else "give sandboxes a smaller memory limit, or run fewer at a time"
    return Check(name="memory", status="ok" if enough else "warn", found=_size(available) + " free", mend=mend)


def _extra(module: str, extra: str) -> Check:
    if importlib.util.find_spec(module) is None:
        mend = f"pip install 'agent-trajectory-hub[{extra}]'"
        return Check(name=f"[{extra}] extra", status="warn", found=f"{module} is not installed", mend=mend)
    return Check(name=f"[{extra}] extra", status="ok", found=f"{module} {importlib.metadata.version(module)}")


def _engine_checks(docker_host: str | None, network: bool) -> list[Check]:
    try:
        engine = Engine(docker_host, timeout=_PATIENCE)
    except InfrastructureError as error:
        return [Check(name="engine", status="fail", found=str(error), mend=_INSTALL_ENGINE, required=True)]
    looks: list[Callable[[Engine], Check]] = [_version, _storage, _cgroup, _limits, _disk, _orphans, _base_image]
    if network:
        looks.append(_registry)
    try:
        return [_guarded(look, engine) for look in looks]
    finally:
        engine.close()


def _guarded(look: Callable[[Engine], Check], engine: Engine) -> Check:
    name = look.__name__.strip("_").replace("_", " ")
    try:
        with engine_errors(f"looking at its {name}"):
            return look(engine)
    except TrajHubError as error:
        return Check(name=name, status="fail", found=str(error), mend="see the engine's log")


def _version(engine: Engine) -> Check:
    version: dict[str, Any] = engine.api.version()
    api = str(version.get("ApiVersion", "0.0"))
    new_enough = tuple(int(part) for part in api.split(".")) >= _API_NEEDED
    name = next((part["Name"] for part in version.get("Components", [])), "Engine")
    return Check(
        name="engine",
        status="ok" if new_enough else "fail",
        found=f"{name} {version.get('Version', '?')}, API {api}, {engine.api.base_url}",
        mend="" if new_enough else "update the engine: API 1.41 (Docker 20.10) or later is needed",
        required=True,
    )


def _storage(engine: Engine) -> Check:
    driver = str(engine.info.get("Driver", "?"))
    if driver in ("overlay2", "overlayfs", "overlay"):
        return Check(name="storage driver", status="ok", found=driver)
    mend = "configure the engine for overlay2: other drivers start containers slowly"
    return Check(name="storage driver", status="warn", found=driver, mend=mend)


def _cgroup(engine: Engine) -> Check:
    version, driver = engine.info.get("CgroupVersion"), engine.info.get("CgroupDriver")
    known = str(version) in ("1", "2")
    return Check(
        name="control groups",
        status="ok" if known else "warn",
        found=f"version {version}, driver {driver}",
        mend="" if known else "telemetry of steps will be incomplete",
    )


def _limits(engine: Engine) -> Check:
    wanted = {"memory": "MemoryLimit", "pids": "PidsLimit", "cpu": "CpuCfsQuota"}
    lacking = [name for name, key in wanted.items() if not engine.info.get(key)]
    return Check(
        name="limits",
        status="fail" if lacking else "ok",
        found=f"no limit on {', '.join(lacking)}" if lacking else ", ".join(wanted),
        mend="enable these control-group controllers on the host, or use a rootful engine" if lacking else "",
        required=True,
    )


def _disk(engine: Engine) -> Check:
    root = Path(str(engine.info.get("DockerRootDir", "/var/lib/docker")))
    if not root.is_dir():
        return Check(name="disk", status="warn", found=f"{root} is not visible from here (remote engine?)")
    free = shutil.disk_usage(root).free
    status: Status = "ok" if free >= 10 * _GIB else "warn" if free >= 3 * _GIB else "fail"
    mend = "" if status == "ok" else "make room: `docker system prune`, or move the engine's data to a larger disk"
    return Check(name="disk", status=status, found=f"{_size(free)} free at {root}", mend=mend, required=True)


def _orphans(engine: Engine) -> Check:
    orphans, ours = len(engine.orphans()), len(engine.containers())
    found = f"{ours} of our containers, {orphans} of them orphaned"
    mend = "`trajhub clean` removes them" if orphans else ""
    return Check(name="containers", status="warn" if orphans else "ok", found=found, mend=mend)


def _base_image(engine: Engine) -> Check:
    tags = sorted(engine.image_names("trajhub/python"))
    mend = "" if tags else "`trajhub tasks build` makes it"
    return Check(name="base image", status="ok" if tags else "warn", found=", ".join(tags) or "not made yet", mend=mend)


def _registry(engine: Engine) -> Check:
    import requests
    from docker.errors import APIError

    from .factory.catalogue import load_catalogue

    image = load_catalogue().base.image
    try:
        engine.api.inspect_distribution(image)
    except (APIError, requests.RequestException):  # it may also be the engine that waits for a registry in vain
        made = shutil.which("debootstrap") is not None or engine.has_image("trajhub/debian:bookworm")
        mend = "" if made else "base images are then made with debootstrap: `apt-get install debootstrap`"
        found = "none answers; base images are made with debootstrap"
        return Check(name="image registry", status="ok" if made else "warn", found=found, mend=mend)
    return Check(name="image registry", status="ok", found=f"answers for {image.split('@')[0]}")


def _package_index() -> Check:
    from .factory.distributions import index_url

    mend = "check the network, or point PIP_INDEX_URL to an index; only `trajhub tasks build` needs it"
    try:
        url = index_url()
        answer = httpx.head(f"{url}/pip/", timeout=10, follow_redirects=True)
    except (TrajHubError, httpx.HTTPError) as error:
        return Check(name="package index", status="warn", found=f"does not answer: {error}", mend=mend)
    if answer.status_code >= 500:
        return Check(name="package index", status="warn", found=f"{url} says {answer.status_code}", mend=mend)
    return Check(name="package index", status="ok", found=url)


def _size(number: int) -> str:
    return f"{number / _GIB:.1f} GiB"
