"""GRPO's samples by vLLM: a server beside the training, which is given the weights through the disk.

TRL sends weights to vLLM by NCCL, from GPU to GPU, and has its own server for it. This way needs neither: any vLLM that
reads the output's disk will do, on CPUs as well. What older weights sampled is corrected as TRL corrects it.
"""

import json
import os
import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from ...errors import ConfigError, InfrastructureError
from ...rewards.service.config import split_address
from ...rollouts.llm import VllmConfig
from ...rollouts.serving import ModelServer, ServeConfig
from ...rollouts.serving.config import load_serve_config
from ...rollouts.serving.environment import find_vllm
from .config import GrpoConfig
from .weights import plain_model, untied, whole_state

__all__ = ["Served"]

_DEVELOPMENT = "VLLM_SERVER_DEV_MODE"
_WEIGHTS, _NEXT = "weights", "next"
_PATIENCE = 60.0


class Served:
    """The model in training as a server knows it. TRL asks for `sync_weights` before each batch of episodes."""

    def __init__(self, config: GrpoConfig, folder: Path, max_length: int, state: Any) -> None:
        """Raises ConfigError when there is no vLLM, or `serve` is wrong. `state`: accelerate's."""
        self._every, self._temperature, self._top_p = config.serve_every, config.temperature, config.top_p
        self._folder, self._state, self._stack = folder, state, ExitStack()
        self._name, self._url = split_address(config.sampler.partition(":")[2]) if ":" in config.sampler else ("", "")
        self._serve = None
        if self._url and _ties(config):
            raise ConfigError(
                f"{config.model} ties its head to its embeddings, and a server that began so keeps the old head when "
                "it is given new weights; take sampler=vllm, whose server begins with a head of its own"
            )
        if not self._url:
            settings = {"max_model_len": max_length, "name": "policy", **config.serve, "model": str(self.weights)}
            self._serve = load_serve_config((), settings)
            find_vllm(self._serve)
        self._roots = [self._url.removesuffix("/v1")] if self._url else list[str]()
        self.trainer: Any = None
        """TRL's, whose weights are served."""
        self.version: int | None = None
        """Updates after which the weights were taken that the server has."""
        self.tokens, self.stale = 0, 0
        """Sampled since this process began, and those of them by older weights than were then trained."""

    @property
    def weights(self) -> Path:
        """The checkpoint that is served."""
        return self._folder / _WEIGHTS

    @property
    def address(self) -> str:
        """The policy that asks the server."""
        return f"vllm:{self._name}@{self._url}"

    def asked(self, settings: VllmConfig) -> VllmConfig:
        """`settings` with the server's address, sampling as TRL supposes."""
        sampling = {"temperature": self._temperature, "top_p": self._top_p}
        return settings.model_copy(update={"model": self._name, "base_url": self._url, **sampling})

    def count(self, tokens: int) -> Mapping[str, float]:
        """Take note of what was sampled for the next update; figures for TRL's metrics. In all processes at once."""
        if self._state.num_processes > 1:
            import accelerate.utils

            tools: Any = accelerate.utils
            tokens = sum(tools.gather_object([tokens]))
        lag = self.trainer.state.global_step - (self.version or 0)
        self.tokens += tokens
        self.stale += tokens if lag else 0
        return {"sampling/updates_behind": float(lag), "sampling/stale_share": self.stale / max(self.tokens, 1)}

    def facts(self) -> dict[str, Any]:
        """For the manifest."""
        return {"tokens": self.tokens, "stale_tokens": self.stale, "stale_share": self.stale / max(self.tokens, 1)}

    def sync_weights(self) -> None:
        """Serve the weights of now, unless those that are served are recent enough. In all processes at once."""
        step = self.trainer.state.global_step
        if self.version is not None and step - self.version < self._every:
            return
        self._write()
        if self._state.is_main_process:
            if self._serve is not None and not self._roots:
                self._start(self._serve)
            else:
                for root in self._roots:
                    _reload(root, self.weights)
        self._tell()
        self.version = step

    def close(self) -> None:
        """End the server, if it is ours, and remove its copy of the weights."""
        self._stack.close()
        if self._serve is not None and self._state.is_main_process:
            for name in (_WEIGHTS, _NEXT):
                shutil.rmtree(self._folder / name, ignore_errors=True)

    def _write(self) -> None:
        """The checkpoint, file by file in place of the last one: a server that restarts reads the newest."""
        following, state = self._folder / _NEXT, whole_state(self.trainer)
        if self._state.is_main_process:
            plain_model(self.trainer).save_pretrained(following, state_dict=untied(state))
            _say_untied(following / "config.json")
            self.trainer.processing_class.save_pretrained(following)
            self.weights.mkdir(parents=True, exist_ok=True)
            for path in sorted(following.iterdir()):
                path.replace(self.weights / path.name)

    def _start(self, config: ServeConfig) -> None:
        with _apart():
            server = self._stack.enter_context(ModelServer(config, logs=self._folder))
        self._name, self._url = server.name, server.base_url
        self._roots = [replica.root for replica in server.replicas]

    def _tell(self) -> None:
        """Every process learns where the server is."""
        if self._state.num_processes > 1:
            import accelerate.utils

            tools: Any = accelerate.utils
            self._name, self._url = tools.broadcast_object_list([self._name, self._url])
        self._state.wait_for_everyone()


def _ties(config: GrpoConfig) -> bool:
    import transformers

    loader: Any = transformers.AutoConfig
    told = loader.from_pretrained(config.model, trust_remote_code=config.trust_remote_code)
    return bool(told.get_text_config().tie_word_embeddings)


def _say_untied(config: Path) -> None:
    told = json.loads(config.read_text("utf-8"))
    config.write_text(json.dumps({**told, "tie_word_embeddings": False}, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _apart() -> Generator[None]:
    """Lets weights be replaced, and hides from the server that this process is one of several."""
    mine = {name: os.environ.pop(name) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE") if name in os.environ}
    os.environ[_DEVELOPMENT] = "1"  # a replica that dies later is started with it as well
    try:
        yield
    finally:
        os.environ.update(mine)


def _reload(root: str, weights: Path) -> None:
    """Have a server read its weights anew and forget what it remembers of the old ones. Raises InfrastructureError."""
    try:
        asked = {"method": "reload_weights", "kwargs": {"weights_path": str(weights.resolve())}}
        httpx.post(f"{root}/collective_rpc", json=asked, timeout=600).raise_for_status()
        deadline = time.monotonic() + _PATIENCE
        while not httpx.post(f"{root}/reset_prefix_cache", timeout=60).raise_for_status().json()["success"]:
            if time.monotonic() > deadline:
                raise InfrastructureError(f"{root} still works on requests, and keeps the prefixes of older weights")
            time.sleep(0.1)
    except httpx.HTTPError as error:
        raise InfrastructureError(
            f"{root} did not take the new weights of {weights} ({error}); it has to see that folder, and to be started "
            f"with {_DEVELOPMENT}=1"
        ) from None
