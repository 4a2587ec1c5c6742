"""A connection to a Docker API, and the labels by which our containers are found again."""

from __future__ import annotations

import os
import platform
import socket
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import (
    DiskFull,
    EngineUnavailable,
    ImageMissing,
    InfrastructureError,
    SandboxLost,
    TrajHubError,
    VolumeMissing,
)

__all__ = ["LABEL", "Engine", "Owner", "engine_errors"]

LABEL = "trajhub.owner"
RUN_LABEL = "trajhub.run"


class Owner:
    """The process that owns a container: on which machine and in which PID namespace, its id and its start time."""

    def __init__(self, host: str, pid: int, started: str) -> None:
        self.host, self.pid, self.started = host, pid, started

    @classmethod
    def current(cls) -> Owner:
        """The process that asks."""
        pid = os.getpid()
        return cls(_host(), pid, _start_time(pid) or "0")

    @classmethod
    def parse(cls, label: str) -> Owner | None:
        """The owner a label names; None when the label is not one of ours."""
        parts = label.rsplit("/", 2)
        if len(parts) != 3 or not parts[1].isdigit():
            return None
        return cls(parts[0], int(parts[1]), parts[2])

    def __str__(self) -> str:
        return f"{self.host}/{self.pid}/{self.started}"

    @property
    def here(self) -> bool:
        """Whether it lives, or lived, where this process can see it."""
        return self.host == _host()

    @property
    def alive(self) -> bool:
        """Whether the process still runs. Only meaningful when `here`."""
        return _start_time(self.pid) == self.started


def _host() -> str:
    boot = _read("/proc/sys/kernel/random/boot_id") or platform.node()
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{boot.strip()}:{namespace}"


def _start_time(pid: int) -> str | None:
    stat = _read(f"/proc/{pid}/stat")
    if stat is None:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    # A zombie has no descriptors, no memory and no future: it owns nothing any more.
    return None if fields[0] == "Z" else fields[19]


def _knock(url: str) -> None:
    """Raise ConnectionError when nobody listens at a Unix socket (the SDK would leak a descriptor finding out)."""
    if not url.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(url.removeprefix("unix://"))
        except OSError as error:
            raise ConnectionError(f"{url}: {error.strerror}") from error


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except OSError:
        return None


class Engine:
    """A Docker API: Docker Engine ≥ 20.10, Podman's compatible socket, or a remote `DOCKER_HOST`.

    Raises EngineUnavailable, with advice, when none answers. Safe to share between threads.
    """

    def __init__(self, url: str | None = None, *, run_id: str | None = None, timeout: float = 120.0) -> None:
        self.url = url
        self.run_id = run_id
        self.owner = Owner.current()
        self._timeout = timeout
        self._lock = threading.Lock()
        self.ping()

    def __deepcopy__(self, _: object) -> Engine:
        return self  # a connection is shared, not copied; gymnasium copies the arguments of environments

    def __reduce__(self) -> tuple[type[Engine], tuple[str | None]]:
        return Engine, (self.url,)

    @cached_property
    def client(self) -> Any:
        """The SDK's client (`docker.DockerClient`, which carries no types)."""
        import docker

        with engine_errors("connecting to the Docker API"):
            if self.url:
                return docker.DockerClient(base_url=self.url, timeout=int(self._timeout), max_pool_size=64)
            return docker.from_env(timeout=int(self._timeout), max_pool_size=64)

    @property
    def api(self) -> Any:
        """The SDK's low-level client: plain JSON in, plain JSON out. Raises EngineUnavailable when nobody listens."""
        with engine_errors("reaching the Docker API"):
            _knock(self.url or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
        return self.client.api

    @cached_property
    def info(self) -> dict[str, Any]:
        """What the daemon says of itself."""
        with engine_errors("asking the daemon about itself"):
            return self.api.info()

    @cached_property
    def podman(self) -> bool:
        """Whether it is Podman that answers."""
        with engine_errors("asking the daemon about its version"):
            told: dict[str, Any] = self.api.version()
        return any("podman" in str(part.get("Name", "")).lower() for part in told.get("Components") or ())

    def ping(self) -> None:
        """Raise EngineUnavailable when the API does not answer."""
        with engine_errors("reaching the Docker API"):
            self.api.ping()

    def labels(self) -> dict[str, str]:
        """The labels of a container that this process starts."""
        return {LABEL: str(self.owner), **({RUN_LABEL: self.run_id} if self.run_id else {})}

    def has_image(self, name: str) -> bool:
        """Whether the engine has an image of that name or id."""
        return self.image_id(name) is not None

    def require_image(self, name: str, *, pull: bool = True) -> str:
        """The id of an image, pulled if need be. Raises ImageMissing with advice."""
        found = self.image_id(name)
        if found is None and pull:
            self._pull(name)
            found = self.image_id(name)
        if found is None:
            raise ImageMissing(
                f"the image {name} is neither on this engine nor obtainable from its registry; build it "
                "(`trajhub tasks build` for tasks of the factory), load it, or complete the task's `image`"
            )
        return found

    def containers(self) -> list[dict[str, Any]]:
        """Every container of ours on this engine, running or not, of whichever process."""
        with engine_errors("listing containers"):
            return self.api.containers(all=True, filters={"label": LABEL})

    def orphans(self) -> list[dict[str, Any]]:
        """Our containers whose process lived here and is gone."""
        owned = [(box, Owner.parse(box["Labels"][LABEL])) for box in self.containers()]
        return [box for box, owner in owned if owner is not None and owner.here and not owner.alive]

    def remove(self, container_id: str) -> None:
        """Kill and remove a container; one that is already gone, or going, is no error."""
        import requests
        from docker.errors import APIError, NotFound

        try:
            self.api.remove_container(container_id, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code == 409:
                return
            raise InfrastructureError(f"cannot remove container {container_id[:12]}: {error}") from error
        except requests.RequestException as error:
            raise EngineUnavailable(f"no Docker API answers while removing {container_id[:12]}: {error}") from error

    def sweep(self) -> list[str]:
        """Remove orphans of processes that ended without doing so; the ids of what was removed."""
        gone = [str(box["Id"]) for box in self.orphans()]
        for container_id in gone:
            self.remove(container_id)
        return gone

    def close(self) -> None:
        """Close the connection; idempotent."""
        with self._lock:
            client = self.__dict__.pop("client", None)
        if client is not None:
            client.close()

    def image_id(self, name: str) -> str | None:
        """The id of an image on this engine, or None."""
        from docker.errors import ImageNotFound

        try:
            with engine_errors(f"looking up image {name}"):
                return self.api.inspect_image(name)["Id"]
        except ImageNotFound:
            return None

    def image_names(self, repository: str) -> list[str]:
        """The names, with their tags, of the images of a repository."""
        with engine_errors(f"listing images of {repository}"):
            found: list[dict[str, Any]] = self.api.images(repository)
        return [name for image in found for name in image["RepoTags"] or () if not name.startswith("<none>")]

    def remove_image(self, name: str) -> bool:
        """Remove an image that no container has; whether it is gone."""
        return _gone(self.api.remove_image, "image", name)

    def has_volume(self, name: str) -> bool:
        """Whether the engine has a volume of that name."""
        from docker.errors import NotFound

        try:
            with engine_errors(f"looking up volume {name}"):
                self.api.inspect_volume(name)
        except NotFound:
            return False
        return True

    def require_volume(self, name: str) -> None:
        """Raise VolumeMissing when the engine has no such volume."""
        if not self.has_volume(name):
            raise VolumeMissing(
                f"the volume {name} is not on this engine (removed by `docker volume prune` or `trajhub clean "
                "--images`?); what made it makes it anew: for an agent, the same `trajhub run` again"
            )

    def volumes(self, label: str) -> list[dict[str, Any]]:
        """The volumes with a label, each with `InUse`: whether a container has it, running or not."""
        with engine_errors("listing volumes"):
            found: list[dict[str, Any]] = self.api.volumes(filters={"label": label})["Volumes"] or []
            boxes: list[dict[str, Any]] = self.api.containers(all=True)
        used = {mount.get("Name") for box in boxes for mount in box.get("Mounts") or ()}
        return [{**one, "InUse": one["Name"] in used} for one in found]

    def remove_volume(self, name: str) -> bool:
        """Remove a volume that no container has; whether it is gone."""
        return _gone(self.api.remove_volume, "volume", name)

    def _pull(self, name: str) -> None:
        from docker.errors import APIError

        try:
            self.client.images.pull(name)
        except APIError as error:
            raise ImageMissing(
                f"the image {name} is not on this engine and could not be pulled ({error.explanation or error}); "
                "build it (`trajhub tasks build` for tasks of the factory), load it, or complete the task's `image`"
            ) from error


class engine_errors:  # noqa: N801  # reads as a statement: `with engine_errors("…"):`
    """Turns the SDK's errors into ours while `doing` something; errors of status 404 pass as they are."""

    def __init__(self, doing: str) -> None:
        self.doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or isinstance(error, TrajHubError):
            return
        import docker.errors
        import requests

        if isinstance(error, docker.errors.NotFound):
            return
        if isinstance(error, docker.errors.APIError):
            if "no space left" in str(error).lower():
                raise DiskFull(f"no space left on the engine's disk while {self.doing}: {error}") from error
            raise SandboxLost(f"the Docker engine refused {self.doing}: {error}") from error
        if isinstance(error, docker.errors.DockerException | requests.RequestException | ConnectionError):
            raise EngineUnavailable(
                f"no Docker API answers while {self.doing} ({error}). Start the engine (`systemctl start docker`, "
                "or `bash scripts/quickstart.sh`, which installs one), check that you may use it "
                "(root, or member of the group docker), or set DOCKER_HOST; `trajhub doctor` tells more"
            ) from error


def _gone(remove: Callable[[str], object], kind: str, name: str) -> bool:
    """Remove what no container has; whether it is gone."""
    from docker.errors import APIError, NotFound

    try:
        remove(name)
    except NotFound:
        return True
    except APIError as error:
        if error.status_code == 409:
            return False
        raise InfrastructureError(f"cannot remove {kind} {name}: {error.explanation or error}") from error
    return True
