"""Writes docs/cli.md and docs/api.md from the code: `python docs/generate.py`. A test fails when they are behind."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trajectory_hub
import typer.main
from trajectory_hub.cli import app

ROOT = Path(__file__).parents[1]
OUTSIDE = {"tests", "docs", "scripts", "build", "runs", "tasks", "setup", "conftest", "__main__"}
GENERATED = "<!-- Written by docs/generate.py; do not edit. -->"


def commands(command: Any = None, path: str = "trajhub") -> Iterator[tuple[str, Any]]:
    """Every command of `trajhub` with the words that call it, groups included."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from commands(child, f"{path} {name}")


def cli_page() -> str:
    """The reference of the command line."""
    parts = [
        "# Command line",
        GENERATED,
        "Every command answers `-h`. What reports something prints JSON with `--json`. Exit codes: 0 done, 1 a check "
        "or gate says no, 2 wrong usage, 3 the machine, a service or the grader is to blame, 130 interrupted. Results "
        "go to standard output; progress and hints go to standard error. `TRAJHUB_TRACEBACK=1` shows where an error "
        "comes from.",
        *_contents(typer.main.get_command(app)),
    ]
    for path, command in commands():
        parts.append(f"## `{path}`\n\n{inspect.cleandoc(command.help or '')}")
        rows = [row for parameter in command.params if (row := _row(parameter))]
        if rows:
            parts.append("| option | meaning | default |\n| --- | --- | --- |\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _contents(root: Any) -> Iterator[str]:
    """Commands by what they are for, as `trajhub -h` shows them."""
    names = root.list_commands(None)
    for heading in dict.fromkeys(root.commands[name].rich_help_panel for name in names):
        inside = [name for name in names if root.commands[name].rich_help_panel == heading]
        links = [f"[`{name}`](#trajhub-{name})" for name in inside]
        yield f"**{heading}**: {', '.join(links)}"


def _row(parameter: Any) -> str | None:
    if parameter.name in ("help", "install_completion", "show_completion"):
        return None
    is_argument = parameter.param_type_name == "argument"
    names = [parameter.name.upper()] if is_argument else [*parameter.opts, *parameter.secondary_opts]
    said = str(getattr(parameter, "help", None) or "").replace("|", "\\|").replace("\n", " ")
    default = parameter.default
    shown = "" if default is None or default is False or callable(default) else f"`{default}`"
    return f"| {', '.join(f'`{name}`' for name in names)} | {said} | {shown} |"


def modules() -> list[str]:
    """Names of the package's modules."""
    found = pkgutil.walk_packages([str(ROOT)], "trajectory_hub.")
    return sorted(module.name for module in found if module.name.split(".")[1] not in OUTSIDE)


def api_page() -> str:
    """Every module with what it exports, each with the first sentence of its documentation."""
    parts = [
        "# Python reference",
        GENERATED,
        "What each module exports. Names listed under a package can be imported from the package.",
    ]
    for name in modules():
        module: Any = importlib.import_module(name)
        listed: list[str] = list(getattr(module, "__all__", []))
        parts.append(f"## `{name}`\n\n{_first(module.__doc__)}")
        rows = [f"- `{key}`{_about(getattr(module, key))}" for key in listed]
        if rows:
            parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _about(value: object) -> str:
    if not inspect.isclass(value) and not inspect.isfunction(value):
        return ""
    return f": {_first(inspect.getdoc(value))}"


def _first(text: str | None) -> str:
    paragraph = inspect.cleandoc(text or "").split("\n\n")[0]
    return " ".join(paragraph.split())


def losses_page() -> str:
    """What each format of `trajhub trace export` does not hold."""
    from trajectory_hub.rollouts.exporters.losses import losses_page as page
    from trajectory_hub.rollouts.exporters.registry import exporters

    return page(exporters().exporters)


PAGES = {"docs/cli.md": cli_page, "docs/api.md": api_page, "docs/losses.md": losses_page}

if __name__ == "__main__":
    assert trajectory_hub.__file__ is not None
    for page, write in PAGES.items():
        (ROOT / page).write_text(write())
        print(page)
