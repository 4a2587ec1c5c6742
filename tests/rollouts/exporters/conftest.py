"""An environment with harbor's own validator, which needs a newer Python than this one may be."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_NEW = (3, 12)
_IMPORT = "import harbor.utils.trajectory_validator"


def _pythons() -> Iterator[str]:
    """Interpreters that may be new enough, the surest first."""
    if sys.version_info >= _NEW:
        yield sys.executable
    for name in ("python3.12", "python3.13", "python3.14", "python3"):
        if found := shutil.which(name):
            yield found
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from (str(path) for path in sorted(versions.glob("3.1[2-9].*/bin/python")))


def _is_new(python: str) -> bool:
    code = f"import sys; sys.exit(sys.version_info < {_NEW})"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def harbor_python() -> str:
    """A Python that imports harbor's validator; made once, and kept for the next time.

    The validator needs nothing but pydantic, so that the rest of what harbor asks for is left out.
    """
    kept = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trajhub-tests" / "harbor"
    python = kept / "bin" / "python"
    kept.mkdir(parents=True, exist_ok=True)
    with (kept / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if subprocess.run([str(python), "-c", _IMPORT], check=False).returncode if python.exists() else True:
            base = next(filter(_is_new, _pythons()), None)
            if base is None:
                pytest.skip("harbor's validator needs Python 3.12 or newer, and there is none on PATH or under pyenv")
            subprocess.run([base, "-m", "venv", "--clear", str(kept)], check=True)
            for packages in (["pydantic>=2.12"], ["--no-deps", "harbor>=0.24"]):
                subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True, timeout=200)
            subprocess.run([str(python), "-c", _IMPORT], check=True)
    return str(python)
