"""One hardened container: started, entered, brought back, removed. What is asked of it is the sandbox's business."""

import json
import posixpath
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..errors import ImageMissing, SandboxLost
from .channel import Channel, ChannelLost, ChannelTimeout, raw_socket
from .engine import Engine, engine_errors

__all__ = ["Container", "SandboxConfig", "Volumes"]

_RESIDENT = (files("trajectory_hub.envs") / "resident.sh").read_text()
# PID 1 and the process it guards belong to nobody, whom an agent (root without CAP_KILL) cannot signal.
_GUARD_USER = "65534:65534"
_MIB = 1 << 20

DEFAULT_ENV: dict[str, str] = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "COLUMNS": "80",
    "LINES": "24",
    "TERM": "dumb",
    "TIME_STYLE": "long-iso",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
"""What makes two runs of a command alike: locale, time zone, width, hash seed, dates whose form does not depend on
their age (`ls -l`); nothing waits for a person."""


_OPEN_FILES = 16_384  # the same everywhere; what engines choose by themselves differs, and not every host allows it
_PROCESSES = 16_384


def _ulimits(config: "SandboxConfig", *, podman: bool) -> list[dict[str, Any]]:
    limits = {"fsize": config.disk_mb * _MIB, "nofile": _OPEN_FILES}
    if podman:
        # Of itself Podman asks for a million processes, which only CAP_SYS_RESOURCE may allow. The control group limits
        # them anyway.
        limits["nproc"] = _PROCESSES
    return [{"Name": name, "Soft": value, "Hard": value} for name, value in limits.items()]


def _plain_volumes(volumes: Mapping[str, str]) -> Mapping[str, str]:
    for name, path in volumes.items():
        if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", name):
            raise ValueError(
                f"{name!r} is no name of a volume: letters, digits, '.', '_' and '-' (no folder of the host)"
            )
        if not path.startswith("/") or posixpath.normpath(path) != path or path == "/":
            raise ValueError(f"volume {name}: {path!r} is no absolute path of a folder below the root")
    return volumes


Volumes = Annotated[Mapping[str, str], AfterValidator(_plain_volumes)]
"""Volumes of the engine, by name, and the folders where a sandbox has them. A folder of the host can be none."""


class SandboxConfig(BaseModel):
    """What a sandbox is made of and what it may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    workdir: str = "/testbed"
    """Absolute path of the repository."""
    base_commit: str | None = None
    """The commit whose future must not show."""
    network: bool = False
    """False: no network at all."""
    memory_mb: int = Field(default=2048, ge=64)
    """MiB of memory; swap is not added to it."""
    cpus: float = Field(default=2.0, gt=0)
    """CPUs' worth of time."""
    pids: int = Field(default=512, ge=16)
    """Processes and threads at a time."""
    disk_mb: int = Field(default=4096, ge=1)
    """MiB the container may write to its file system, in all and in one file."""
    env: Mapping[str, str] = Field(default_factory=dict[str, str])
    """Added to `DEFAULT_ENV`."""
    user: str = "0:0"
    """Whom commands run as."""
    cap_add: tuple[str, ...] = ()
    """Capabilities given back after all were dropped."""
    command_timeout: float = Field(default=60.0, gt=0)
    """Seconds a command may take unless it is told otherwise."""
    output_limit: int = Field(default=100_000, ge=256)
    """Bytes of a command's output that are kept unless it is told otherwise."""
    sanitize_history: bool = True
    """Remove what the repository's history shows beyond the base commit."""
    volumes: Volumes = Field(default_factory=dict[str, str])
    """Volumes that it can read and not change, by name, with the absolute paths where they are."""


class Container:
    """A running container of one configuration."""

    def __init__(self, engine: Engine, config: SandboxConfig, image: str, *, filling: str | None = None) -> None:
        """`filling` is a name that one container at a time can have; under it, it may write to its volumes.

        Raises VolumeMissing, ImageMissing, SandboxLost and EngineUnavailable.
        """
        self._engine = engine
        self._config = config
        self._image = image
        self._filling = filling
        self.id = self._create()
        try:
            self.start()
        except BaseException:
            self.remove()
            raise

    @property
    def pid(self) -> int:
        """Id of its first process on the engine's host; 0 when it does not run."""
        return int(self._state["Pid"])

    @property
    def layer(self) -> str | None:
        """Folder of its writable layer on the engine's host, where the storage driver has one."""
        driver: dict[str, Any] = self._inspected.get("GraphDriver") or {}
        data: dict[str, str] = driver.get("Data") or {}
        return data.get("UpperDir")

    @property
    def running(self) -> bool:
        """Whether it runs, as the engine sees it now."""
        self._inspect()
        return bool(self._state["Running"])

    def start(self) -> None:
        """Start it, again if need be: its files are kept, its processes are new."""
        with self._present(f"starting a container of {self._config.image}"):
            self._engine.api.start(self.id)
        self._inspect()

    def restart(self) -> None:
        """Kill every process in it and start it again; its files are kept."""
        with self._present(f"restarting container {self.id[:12]}"):
            self._engine.api.restart(self.id, timeout=0)
        self._inspect()

    def open_channel(self, ready_timeout: float = 30.0) -> Channel:
        """A resident shell with the repository as its folder. Raises ChannelLost, ChannelTimeout or SandboxLost."""
        api = self._engine.api
        command = ["sh", "-c", _RESIDENT, "trajhub", self._config.workdir]
        with self._present(f"entering container {self.id[:12]}"):
            entered = api.exec_create(self.id, command, stdin=True, stdout=True, stderr=False, user=self._config.user)
            attached = api.exec_start(entered["Id"], socket=True)
        sock = raw_socket(attached)
        try:
            return Channel(sock, ready_timeout=ready_timeout)
        except (ChannelLost, ChannelTimeout) as error:
            sock.close()
            raise SandboxLost(
                f"no POSIX shell answers in a container of {self._config.image}: {error}; "
                "the image needs `sh` on its PATH"
            ) from error

    def written_bytes(self) -> int | None:
        """What it wrote to its file system, as the engine measures it (slow)."""
        with engine_errors(f"measuring container {self.id[:12]}"):
            found = self._engine.api.containers(all=True, size=True, filters={"id": self.id})
        return found[0].get("SizeRw") if found else None

    def commit(self, repository: str, tag: str, labels: Mapping[str, str] | None = None) -> str:
        """Keep its files as an image, with `labels` on it; the image's id."""
        changes = [f"LABEL {key}={json.dumps(value)}" for key, value in (labels or {}).items()]
        with engine_errors(f"committing container {self.id[:12]}"):
            return self._engine.api.commit(self.id, repository, tag, changes=changes)["Id"]

    def remove(self) -> None:
        """Kill and remove it; idempotent."""
        self._engine.remove(self.id)

    @property
    def _alone(self) -> bool:
        """Whether the engine leaves its network alone altogether, which halves the time of a start.

        The loopback device is there all the same, but /etc/hosts stays the image's: the resident shell completes it,
        which only root can.
        """
        return not self._config.network and self._config.user.partition(":")[0] in ("", "0", "root")

    def _create(self) -> str:
        from docker.errors import ImageNotFound

        api, config = self._engine.api, self._config
        host = api.create_host_config(
            network_mode="bridge" if config.network else "none",
            init=True,
            cap_drop=["ALL"],
            cap_add=list(config.cap_add),
            security_opt=["no-new-privileges"],
            mem_limit=config.memory_mb * _MIB,
            memswap_limit=config.memory_mb * _MIB,
            pids_limit=config.pids,
            cpu_period=100_000,
            cpu_quota=int(config.cpus * 100_000),
            ulimits=_ulimits(config, podman=self._engine.podman),
            log_config={"Type": "none"},
            mounts=self._mounts(),
        )
        try:
            with engine_errors(f"creating a container of {config.image}"):
                made = api.create_container(
                    self._image,
                    command=["-c", "exec sleep 2147483647"],
                    entrypoint=["sh"],
                    # Podman gives a new volume to whom its first container begins as.
                    user=self._config.user if self._filling else _GUARD_USER,
                    environment=dict(DEFAULT_ENV, **config.env),
                    working_dir="/",
                    hostname="sandbox",
                    labels=self._engine.labels(),
                    name=self._filling,
                    host_config=host,
                    healthcheck={"test": ["NONE"]},
                    network_disabled=self._alone,
                )
        except ImageNotFound as error:
            raise ImageMissing(f"the image {config.image} disappeared from the engine") from error
        return made["Id"]

    def _mounts(self) -> list[dict[str, Any]]:
        # An engine makes a volume that it does not know, empty: that would only be noticed by what it lacks.
        for name in self._config.volumes:
            self._engine.require_volume(name)
        return [
            {
                "Type": "volume",
                "Source": name,
                "Target": path,
                "ReadOnly": self._filling is None,
                "VolumeOptions": {"NoCopy": True},
            }
            for name, path in self._config.volumes.items()
        ]

    def _inspect(self) -> None:
        with self._present(f"inspecting container {self.id[:12]}"):
            self._inspected: dict[str, Any] = self._engine.api.inspect_container(self.id)
        self._state: dict[str, Any] = self._inspected["State"]

    @contextmanager
    def _present(self, doing: str) -> Generator[None]:
        from docker.errors import NotFound

        try:
            with engine_errors(doing):
                yield
        except NotFound as error:
            raise SandboxLost(f"container {self.id[:12]} was removed by somebody else") from error
