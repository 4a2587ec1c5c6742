"""What programs that behave as real agents have in common: a shell, an editor, a model. Needs Python alone."""

from __future__ import annotations

import json
import subprocess
import urllib.request
import uuid
from pathlib import Path
from typing import Any

__all__ = ["Shell", "ask", "edit", "tool"]


def tool(name: str, told: str, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": told, "parameters": parameters}}


def ask(url: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
    """One answer of an OpenAI-compatible chat model."""
    headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
    request = urllib.request.Request(url + "/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)


class Shell:
    """A shell whose variables and folder stay from one command to the next."""

    def __init__(self, folder: str) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder
        )
        self.run("export PAGER=cat MANPAGER=cat LESS=-R GIT_PAGER=cat TQDM_DISABLE=1")

    def run(self, command: str) -> str:
        end = uuid.uuid4().hex
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(f"{command}\nprintf '\\n{end}\\n'\n".encode())
        stdin.flush()
        lines: list[bytes] = []
        for line in stdout:
            if line.strip() == end.encode():
                return b"".join(lines).decode("utf-8", "replace")[:-1]
            lines.append(line)
        return b"".join(lines).decode("utf-8", "replace")


def edit(
    command: str,
    path: str,
    file_text: str = "",
    old_str: str = "",
    new_str: str = "",
    insert_line: int = 0,
    view_range: list[int] | None = None,
) -> str:
    """The file editor that agents took over from Anthropic's `str_replace_editor`."""
    file = Path(path)
    if command == "create":
        file.write_text(file_text)
        return f"File created successfully at: {path}"
    if command == "view" and file.is_dir():
        return "\n".join(sorted(str(child) for child in file.rglob("*") if ".git" not in child.parts))
    text = file.read_text()
    if command == "view":
        first, last = view_range or (1, len(text.splitlines()))
        shown = list(enumerate(text.splitlines(), 1))[first - 1 : last]
        numbered = "\n".join(f"{number:6}\t{line}" for number, line in shown)
        return f"Here's the result of running `cat -n` on {path}:\n{numbered}"
    if command == "str_replace":
        if text.count(old_str) != 1:
            return f"No replacement was performed, old_str `{old_str}` did not appear exactly once in {path}."
        file.write_text(text.replace(old_str, new_str))
        return f"The file {path} has been edited."
    lines = text.splitlines(keepends=True)
    file.write_text("".join([*lines[:insert_line], new_str + "\n", *lines[insert_line:]]))
    return f"The file {path} has been edited."
