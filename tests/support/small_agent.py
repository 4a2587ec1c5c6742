"""A command-line agent of one file: asks an OpenAI-compatible chat model, and runs the commands it wants.

Reads the task from the file in `TRAJHUB_PROMPT_FILE`. Needs Python alone, so it runs in any task's image.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TOOL = {
    "type": "function",
    "function": {
        "name": "bash",
        "description": "Run a command.",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
}


def ask(messages: "list[dict[str, Any]]") -> "dict[str, Any]":
    body = {"model": os.environ["TRAJHUB_MODEL"], "messages": messages, "tools": [TOOL]}
    key = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "Content-Type": "application/json"}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), key), timeout=60) as answer:
        return json.load(answer)["choices"][0]["message"]


def main() -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": Path(os.environ["TRAJHUB_PROMPT_FILE"]).read_text()}]
    while True:
        try:
            message = ask(messages)
        except urllib.error.HTTPError as error:
            sys.exit(f"the model answers {error.code}: {error.read()[:300]!r}")
        messages.append(message)
        if not message.get("tool_calls"):
            print(message["content"])
            return
        for call in message["tool_calls"]:
            command = json.loads(call["function"]["arguments"])["command"]
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": done.stdout + done.stderr})


main()
