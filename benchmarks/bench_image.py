"""The image all contenders run on: a repository of some 2,700 Python files, pytest, and swe-rex's server."""

import subprocess
import sys
import tempfile
from pathlib import Path

from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.factory.catalogue import Distribution, load_catalogue
from trajectory_hub.envs.factory.distributions import fetch
from trajectory_hub.envs.images import build_image, ensure_python_image

__all__ = ["IMAGE", "WORKDIR", "ensure_bench_image"]

IMAGE = "trajhub/bench:2"
WORKDIR = "/testbed"
_SDIST = Distribution(
    name="Django",
    version="4.2.16",
    file="Django-4.2.16.tar.gz",
    sha256="6f1616c2786c408ce86ab7e10f792b8f15742f7b7b7460243929cb371e7f1dad",
)
_DOCKERFILE = """\
FROM {base}
COPY wheels/ /wheels/
RUN python3 -m venv /opt/bench && /opt/bench/bin/pip install -q --no-index --find-links /wheels pytest swe-rex \
    && ln -s /opt/bench/bin/swerex-remote /usr/local/bin/swerex-remote && rm -rf /wheels
ENV PATH=/opt/bench/bin:$PATH PYTHONDONTWRITEBYTECODE=1
COPY django.tar.gz /tmp/
RUN mkdir -p {workdir} && tar -xzf /tmp/django.tar.gz -C {workdir} --strip-components=1 && rm /tmp/django.tar.gz \
    && mkdir {workdir}/bench && echo 'def test_one(): assert 1 + 1 == 2' > {workdir}/bench/test_one.py \
    && cd {workdir} && git init -q && git add -A && git -c user.name=b -c user.email=b@localhost commit -qm base \
    && rm -rf .git/logs
WORKDIR {workdir}
"""


def ensure_bench_image(engine: Engine) -> str:
    """The image's name, built when the engine lacks it. Raises InfrastructureError without a package index."""
    if engine.has_image(IMAGE):
        return IMAGE
    base = load_catalogue().base
    python = ensure_python_image(engine, base.image, base.suite, base.include)
    files = {"Dockerfile": _DOCKERFILE.format(base=python, workdir=WORKDIR).encode()}
    files["django.tar.gz"] = fetch(_SDIST).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", "--python-version=3.11"]
        subprocess.run([*command, f"--dest={folder}", "pytest", "swe-rex"], check=True)
        files |= {f"wheels/{path.name}": path.read_bytes() for path in Path(folder).iterdir()}
    build_image(engine, IMAGE, files)
    return IMAGE
