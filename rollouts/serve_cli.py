"""`trajhub serve`: a model behind an OpenAI-compatible API, kept alive until Ctrl-C."""

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from .interrupt_cli import interruptible

if TYPE_CHECKING:
    from .serving.server import ModelServer

__all__ = ["serve"]


def serve(
    model: Annotated[str, typer.Argument(help="Folder of a checkpoint, or a name that vLLM can download.")],
    name: Annotated[str | None, typer.Option("--name", help="Name clients ask for; default: the folder's.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; there is no password.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on; default: a free one.")] = None,
    replicas: Annotated[int | None, typer.Option("--replicas", min=1, help="Replicas behind one address.")] = None,
    python: Annotated[str | None, typer.Option("--python", help="Python of vLLM's environment.")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="Type of the weights, as vLLM names it.")] = None,
    max_model_len: Annotated[int | None, typer.Option("--max-model-len", min=1, help="Tokens of context.")] = None,
    tool_parser: Annotated[str | None, typer.Option("--tool-parser", help="vLLM's parser of tool calls.")] = None,
    logs: Annotated[Path | None, typer.Option("--logs", help="Folder of the logs.")] = None,
    config: Annotated[
        list[str] | None, typer.Option("-c", "--config", help="FILE.yaml or key=value; repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be started.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON once the model answers.")] = False,
) -> None:
    """Serve a model with vLLM, in vLLM's own environment, and restart it when it dies. Ctrl-C ends it."""
    from .serving.config import load_serve_config
    from .serving.server import ModelServer

    options = {
        "model": model,
        "name": name,
        "host": host,
        "port": port,
        "replicas": replicas,
        "python": python,
        "dtype": dtype,
        "max_model_len": max_model_len,
        "tool_parser": tool_parser,
    }
    settled = load_serve_config(config or [], {key: value for key, value in options.items() if value is not None})
    folder = logs or _fresh_folder(settled.served_name)
    server = ModelServer(settled, logs=folder, tell=_say)
    if dry_run:
        console.emit_json(_plan(server))
        return
    stopping = threading.Event()
    print(f"trajhub: starting {settled.served_name} with vLLM {server.vllm.version}; logs in {folder}", file=sys.stderr)
    with interruptible("stopping the server"), server:
        _announce(server, as_json)
        with interruptible("stopping the server", stopping.set):
            server.watch(stopping)


def _fresh_folder(name: str) -> Path:
    from time import strftime

    from .files import slug

    return Path("runs") / "serving" / f"{slug(name)}-{strftime('%Y%m%d-%H%M%S')}"


def _say(sentence: str) -> None:
    print(f"trajhub: {sentence}", file=sys.stderr, flush=True)


def _plan(server: "ModelServer") -> dict[str, Any]:
    started = [{"command": list(one.command), "environment": dict(one.variables)} for one in server.launches]
    return {**_facts(server), "config": server.config.model_dump(mode="json"), "started": started}


def _facts(server: "ModelServer") -> dict[str, Any]:
    return {
        "url": server.base_url,
        "name": server.name,
        "vllm": {"version": server.vllm.version, "build": server.vllm.build, "python": server.vllm.python},
        "logs": str(server.logs),
    }


def _announce(server: "ModelServer", as_json: bool) -> None:
    if as_json:
        console.emit_json({**_facts(server), "replicas": [replica.status() for replica in server.replicas]})
    else:
        many = f" ({len(server.replicas)} replicas)" if len(server.replicas) > 1 else ""
        print(f"Serving {console.safe(server.name)} at {server.base_url}{many}; Ctrl-C ends it")
    sys.stdout.flush()
    console.next_steps(server.logs, f"trajhub rollout --policy vllm:{server.name}@{server.base_url}")
