"""The image under every task of the factory: Python 3.11 on Debian 12, with git and one virtual environment.

Pulled by digest when a registry answers; otherwise `debootstrap` makes the same system from Debian's packages. Both
ways end in one small build on top, so nothing above it can tell them apart.
"""

import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from ..errors import ImageMissing, InfrastructureError
from .engine import Engine, engine_errors

__all__ = ["BASE_ENV", "ROOT_IMAGE", "build_image", "ensure_python_image", "ensure_root_image"]

ROOT_IMAGE = "trajhub/debian:bookworm"
"""What `debootstrap` makes."""
BASE_ENV = {
    "PATH": "/opt/venv/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    "VIRTUAL_ENV": "/opt/venv",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "COLUMNS": "80",
    "LINES": "24",
    "TERM": "dumb",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
"""In the image, so that a test run is the same in a sandbox of ours and in any other harness."""
_locks: dict[str, threading.Lock] = {}
_locks_lock = threading.Lock()


def _lock(name: str) -> threading.Lock:
    with _locks_lock:
        return _locks.setdefault(name, threading.Lock())


def context_tar(files: Mapping[str, bytes], executable: Collection[str] = ()) -> bytes:
    """A build context as an archive that depends on the files alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(files):
            entry = tarfile.TarInfo(path)
            entry.size = len(files[path])
            entry.mode = 0o755 if path in executable else 0o644
            archive.addfile(entry, io.BytesIO(files[path]))
    return buffer.getvalue()


def build_image(
    engine: Engine,
    name: str,
    files: Mapping[str, bytes],
    *,
    executable: Collection[str] = (),
    network: str = "none",
) -> str:
    """Build `name` from a context that holds a `Dockerfile`; the image's id. Raises ImageMissing with the log's end."""
    from docker.errors import BuildError

    context = io.BytesIO(context_tar(files, executable))
    with engine_errors(f"building {name}"):
        try:
            image, _ = engine.client.images.build(
                fileobj=context, custom_context=True, tag=name, rm=True, forcerm=True, network_mode=network
            )
        except BuildError as error:
            log = "".join(str(line.get("stream") or line.get("error") or "") for line in error.build_log)
            raise ImageMissing(f"building {name} failed: {error.msg}; the log ends\n{log[-2000:]}") from error
    return str(image.id)


def ensure_python_image(engine: Engine, pinned: str, suite: str, include: Collection[str]) -> str:
    """The name of the base image, made when this engine lacks it. `pinned` is the image to pull, by digest."""
    recipe = _dockerfile("ROOT", include)
    key = hashlib.sha256(f"{pinned} {suite} {recipe}".encode()).hexdigest()[:12]
    name = f"trajhub/python:3.11-{key}"
    with _lock(name):
        if not engine.has_image(name):
            root = ensure_root_image(engine, pinned, suite, include)
            network = "none" if root == ROOT_IMAGE else "default"
            build_image(engine, name, {"Dockerfile": _dockerfile(root, include).encode()}, network=network)
    return name


def _dockerfile(root: str, include: Collection[str]) -> str:
    env = " ".join(f"{key}={value}" for key, value in BASE_ENV.items())
    packages = " ".join(sorted(name for name in include if not name.startswith("python3")))
    install = f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {packages}"
    return (
        f"FROM {root}\n"
        f"RUN command -v git >/dev/null || ({install} && rm -rf /var/lib/apt/lists/*)\n"
        "RUN python3 -m venv --without-pip /opt/venv && ln -sf python3 /opt/venv/bin/python\n"
        f"ENV {env}\n"
        "WORKDIR /testbed\n"
    )


def ensure_root_image(engine: Engine, pinned: str, suite: str, include: Collection[str], name: str = ROOT_IMAGE) -> str:
    """The image `pinned`, pulled if need be, or else `name`, which `debootstrap` makes of a Debian release."""
    if engine.has_image(name):
        return name
    try:
        engine.require_image(pinned)
        return pinned
    except ImageMissing as error:
        _debootstrap(engine, suite, include, name, error)
    return name


def _debootstrap(engine: Engine, suite: str, include: Collection[str], name: str, pulled: ImageMissing) -> None:
    tool = shutil.which("debootstrap")
    if tool is None:
        raise ImageMissing(
            f"no registry answers ({pulled}) and debootstrap, which makes the base image without one, is not "
            "installed: `apt-get install debootstrap`, or run scripts/quickstart.sh"
        ) from pulled
    with tempfile.TemporaryDirectory(prefix="trajhub-root-") as folder:
        root = Path(folder) / "root"
        command = [tool, "--variant=minbase", f"--include={','.join(include)}", suite, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InfrastructureError(
                f"debootstrap failed with status {done.returncode} (it needs root and a Debian mirror); "
                f"its output ends\n{(done.stdout + done.stderr)[-2000:]}"
            )
        shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
        archive = Path(folder) / "root.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
        repository, tag = name.split(":")
        with engine_errors(f"importing {name}"):
            engine.client.api.import_image_from_file(str(archive), repository=repository, tag=tag)
