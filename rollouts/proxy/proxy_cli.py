"""`trajhub trace proxy`: a recording proxy to model services, for any agent on this machine."""

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ... import console
from ..interrupt_cli import interruptible

if TYPE_CHECKING:
    from .proxy import ModelProxy

__all__ = ["proxy"]


def proxy(
    upstreams: Annotated[
        list[str],
        typer.Argument(help="openai, anthropic, gemini; elsewhere: [NAME:]API=URL, with a key …URL@VARIABLE."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="File that gets one line per request.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0: a free one.")] = 0,
    token: Annotated[
        str | None,
        typer.Option("--token", envvar="TRAJHUB_TOKEN", help="Key that agents must use; default: a new one."),
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="Only models that match this glob; repeatable.")
    ] = None,
    max_requests: Annotated[
        int | None, typer.Option("--max-requests", min=0, help="Refuse requests beyond this many.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=0, help="Refuse requests once this many tokens are used.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", min=0, help="Refuse requests once this many dollars are spent.")
    ] = None,
    bodies: Annotated[bool, typer.Option("--bodies/--no-bodies", help="Record bodies of requests and answers.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON once it listens.")] = False,
) -> None:
    """Pass an agent's requests on to model services and record them, until Ctrl-C. The agent never sees the keys."""
    from secrets import token_urlsafe

    from .budget import Budget
    from .proxy import ModelProxy
    from .words import read_upstreams

    budget = Budget(max_requests, max_tokens, max_cost)
    chosen = read_upstreams(upstreams, models or ())
    stopping = threading.Event()
    with interruptible("closing the proxy", stopping.set):
        with ModelProxy(
            chosen, out, token=token or token_urlsafe(24), port=port, budget=budget, bodies=bodies
        ) as running:
            _announce(running, as_json)
            while not stopping.wait(1):
                pass
        print(f"trajhub: {running.requests} requests, {_spent(running)}", file=sys.stderr)
    console.next_steps(out)


def _announce(running: "ModelProxy", as_json: bool) -> None:
    variables: dict[str, Any] = running.environment()
    if as_json:
        console.emit_json({"url": running.url, "file": str(running.record), "environment": variables})
    else:
        print(f"Listening at {running.url}. For an agent:")
        for name, value in variables.items():
            print(f"export {name}='{value}'")
    sys.stdout.flush()


def _spent(running: "ModelProxy") -> str:
    usage = running.usage
    return f"{usage.input_tokens or 0} input tokens, {usage.output_tokens or 0} output tokens, ${running.cost_usd:.4f}"
