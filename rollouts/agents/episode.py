"""One episode of a black box: its sandbox made ready, the agent let loose, its records collected and joined."""

import secrets
import shlex
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import gymnasium

from ...envs.sandbox import Sandbox
from ...errors import ConfigError, Failure, InfrastructureError, StopReason
from ...rewards.service.usage import PriceTable, Usage
from ...tools.base import CommandResult, Telemetry
from .. import payloads
from ..adapters.base import Timed
from ..autonomous import begin
from ..budget import Ledger
from ..episode_log import EpisodeLog
from ..events import now
from ..log import Header
from ..otlp import OtlpReceiver
from ..phases import PhaseName
from ..play import Turn
from ..proxy import ModelProxy, Upstream, listen_in_container
from .baggage import Baggage
from .collect import PROXY, collect
from .ending import Ending, ending_of
from .recipe import expand
from .sampler import SAMPLES, Sampler, read_samples
from .settings import AgentConfig

__all__ = ["ARTIFACTS", "OUTPUT", "BlackBox"]

ARTIFACTS = "artifacts"
OUTPUT = "output.txt"
_HOME = "/tmp/trajhub-agent"
_PROMPT = f"{_HOME}/prompt.txt"


class BlackBox:
    """The session of one episode; `cancel` ends it from another thread."""

    def __init__(
        self,
        config: AgentConfig,
        prices: PriceTable,
        env: gymnasium.Env[Any, Any],
        turn: Turn,
        header: Header,
        ledger: Ledger,
    ) -> None:
        self._config, self._prices, self._env = config, prices, env
        self._turn, self._header, self._ledger = turn, header, ledger
        self._cancelled = False
        self._told = False
        self._proxy: ModelProxy | None = None
        self._charged = (Usage(), 0.0, 0)
        self._session = uuid.uuid5(uuid.NAMESPACE_OID, f"{header.run_id}/{header.episode_id}")

    def play(self, time_limit: float) -> None:
        """Do the episode. What goes wrong is in its record."""
        turn, world = self._turn, self._env
        with turn.world:
            if not begin(world, turn, self._header, time_limit, privileged=False):
                return
            turn.session = self
            turn.doing = self._config.recipe.name
            try:
                self._work(world.unwrapped.sandbox)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
            except InfrastructureError as error:
                self._lost(error)

    def _lost(self, error: InfrastructureError) -> None:
        """The sandbox is gone: what was recorded outside it is told all the same."""
        recorder, log, stopped = self._turn.recorder, self._log(), self._turn.stop is not None
        folder = log.folder / ARTIFACTS
        if not self._told and folder.exists():
            samples = list(read_samples(folder / SAMPLES))
            workdir = self._turn.job.task.workdir
            log.adopt(collect(folder, [], samples, trace=self._session.hex, workdir=workdir).events)
        recorder.error("environment", error)
        reason = StopReason.INTERRUPTED if stopped else StopReason.ENVIRONMENT_ERROR
        recorder.end(reason, None if stopped else Failure.ENVIRONMENT, str(error))

    def act(self, observation: str, info: Mapping[str, Any]) -> Any:
        """Never asked."""
        raise NotImplementedError

    def cancel(self) -> None:
        """End the agent within a second; called from another thread."""
        self._cancelled = True

    def close(self) -> None:
        """Nothing is held beyond the episode."""

    def _work(self, sandbox: Sandbox) -> None:
        log = self._log()
        folder = log.folder / ARTIFACTS
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            values = self._listen(sandbox, folder, stack)
            baggage = Baggage(sandbox, self._config.recipe, values, folder)
            told = self._config.recipe.told(**self._facts())
            baggage.bring(_PROMPT, told)
            log.write(self._given(values, baggage.record()))
            sampler = Sampler(sandbox.pid, sandbox.container_id, folder, self._config.recipe.limits.sample_seconds)
            stack.callback(sampler.stop)
            sampler.start()
            began, moment = time.monotonic(), now()
            result = self._run(sandbox, values)
            seconds, ended = time.monotonic() - began, now()
            sampler.stop()
            (folder / OUTPUT).write_bytes(result.output)
            late = time.monotonic() >= self._turn.deadline
            ending = ending_of(result, self._ledger, self._turn.stop, late=late)
            self._charge()
            transcripts = baggage.fetch()
            baggage.take_away()
        trace = values["TRAJHUB_TRACE"]
        found = collect(folder, transcripts, sampler.samples, trace=trace, workdir=sandbox.workdir)
        found.fields["join"]["transcripts"] += baggage.unread
        self._told, ending = True, ending.blamed(found.exchanges)
        whole = Timed(payload=_totals(result), t_start=moment, t_end=ended, duration_ms=seconds * 1e3)
        log.adopt([*_with(found.events, whole), *_handed_in(found.phases, ending)])
        more = {**found.fields, "sampling": sampler.cost.as_dict(), "process": _process(result)}
        self._turn.recorder.stop(ending.reason, ending.failure, ending.message, **more)

    def _log(self) -> EpisodeLog:
        log = self._turn.recorder.log
        assert log is not None
        return log

    def _facts(self) -> dict[str, str]:
        task = self._turn.job.task
        return {name: str(getattr(task, name)) for name in ("problem_statement", "repo", "workdir", "instance_id")}

    def _listen(self, sandbox: Sandbox, folder: Path, stack: ExitStack) -> dict[str, str]:
        """Proxy and receiver, listening in the sandbox's own network; the variables that tell of them."""
        if not sandbox.telemetry_on_host:  # its first process is none of this machine's: its network cannot be entered
            raise ConfigError("an agent's sandbox must be on this machine: give a --docker-host that is")
        token, trace = secrets.token_hex(16), self._session.hex
        values = {
            "TRAJHUB_WORKDIR": sandbox.workdir,
            "TRAJHUB_HOME": _HOME,
            "TRAJHUB_PROMPT_FILE": _PROMPT,
            "TRAJHUB_SESSION": str(self._session),
            "TRAJHUB_VERSION": self._config.recipe.version,
            "TRAJHUB_SEED": str(self._turn.job.seed),
            "TRAJHUB_MODEL": self._config.model or "",
            "TRAJHUB_API_KEY": token,
            "TRAJHUB_TRACE": trace,
            "TRACEPARENT": f"00-{trace}-{self._session.hex[:16]}-01",
        }
        http, grpc = (listen_in_container(sandbox.pid, 0) for _ in range(2))
        receiver = OtlpReceiver(folder, token=token, http_socket=http, grpc_socket=grpc)
        stack.enter_context(receiver)
        headers = receiver.headers
        values["TRAJHUB_OTLP_URL"] = receiver.http_url
        values["TRAJHUB_OTLP_GRPC"] = f"http://{receiver.grpc_target}"
        values["TRAJHUB_OTLP_HEADERS"] = ",".join(f"{key}={value}" for key, value in headers.items())
        values["TRAJHUB_OTLP_TOKEN"] = token
        if self._config.model is not None:
            listening = listen_in_container(sandbox.pid, 0)
            models = (self._config.model, *self._config.other_models)
            upstream = Upstream(
                api=self._config.recipe.api, base_url=self._config.url, key_env=self._config.key_env, models=models
            )
            proxy = ModelProxy({"model": upstream}, folder / PROXY, token=token, socket=listening, prices=self._prices)
            self._proxy = stack.enter_context(proxy)
            values["TRAJHUB_MODEL_URL"] = proxy.url
        return values

    def _given(self, values: Mapping[str, str], files: list[dict[str, Any]]) -> payloads.Note:
        recipe = self._config.recipe
        shown = {key: expand(value, values) for key, value in recipe.env.items()}
        token = values["TRAJHUB_API_KEY"]
        data = {
            "recipe": recipe.name,
            "version": recipe.version,
            "command": recipe.command,
            "environment": {key: value.replace(token, "***") for key, value in shown.items()},
            "files": files,
            "workdir": values["TRAJHUB_WORKDIR"],
            "session": values["TRAJHUB_SESSION"],
            "trace": values["TRAJHUB_TRACE"],
        }
        return payloads.Note.of(kind="agent_started", source="trajhub", data=data)

    def _run(self, sandbox: Sandbox, values: Mapping[str, str]) -> CommandResult:
        recipe = self._config.recipe
        variables = {k: v for k, v in recipe.environment(values).items() if k != "TRAJHUB_TRACE"}
        exports = "\n".join(f"export {key}={shlex.quote(value)}" for key, value in variables.items())
        given = f" <{shlex.quote(_PROMPT)}" if recipe.stdin else ""
        script = f"{exports}\ncd {shlex.quote(sandbox.workdir)}\n{{\n{recipe.command.rstrip()}\n}}{given}\n"
        left = max(self._turn.deadline - time.monotonic(), 0.1)
        limit = recipe.limits.output_bytes
        return sandbox.run(script, timeout=left, output_limit=limit, until=self._called_off)

    def _called_off(self) -> bool:
        """Whether the agent is to be ended: asked twice a second while it runs."""
        self._charge()
        return self._cancelled or self._ledger.exceeded() is not None

    def _charge(self) -> None:
        """Charge what the proxy passed on since the last time."""
        proxy = self._proxy
        if proxy is None or proxy.requests == self._charged[2]:
            return
        usage, cost, requests = self._charged
        now = proxy.usage, proxy.cost_usd, proxy.requests
        spent = Usage(**{name: _minus(getattr(now[0], name), getattr(usage, name)) for name in Usage.model_fields})
        known = self._prices.price(self._config.model) is not None
        self._charged = now
        self._ledger.charge(spent, now[1] - cost if known else None, now[2] - requests)
        self._turn.steps = now[2]


def _minus(after: int | None, before: int | None) -> int | None:
    return None if after is None else after - (before or 0)


def _totals(result: CommandResult) -> payloads.SandboxMetric:
    """What the whole run of the agent took from the machine."""
    spent = {field.name: getattr(result.telemetry, field.name) for field in fields(Telemetry)}
    return payloads.SandboxMetric.of(scope="episode", **spent)


def _with(events: Sequence[Timed], whole: Timed) -> list[Timed]:
    """The events with that of the whole run where it ended: telemetry may come in later."""
    assert whole.t_end is not None
    late = (n for n, one in enumerate(events) if (one.t_end or one.t_start or whole.t_end) > whole.t_end)
    at = next(late, len(events))
    return [*events[:at], whole, *events[at:]]


def _handed_in(phases: set[str], ending: Ending) -> list[Timed]:
    """An agent that ends by itself hands in, if it has not said so before."""
    if ending.reason is not StopReason.SUBMITTED or PhaseName.SUBMIT in phases:
        return []
    return [Timed(payload=payloads.Phase.of(name=str(PhaseName.SUBMIT), evidence=ending.message))]


def _process(result: CommandResult) -> dict[str, Any]:
    return {
        "exit_code": result.exit_code,
        "output_bytes": result.total_bytes,
        "output_sha256": result.sha256,
        "output_kept_bytes": len(result.output),
        "timed_out": result.timed_out,
        "oom_killed": result.oom_killed,
        "disk_limited": result.disk_limited,
        "pids_limited": result.pids_limited,
        "recovered": result.recovered,
    }
