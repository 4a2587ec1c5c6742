#!/usr/bin/env python3
"""Behaves as SWE-agent 1.1 does where it runs locally: `sweagent run …`, with the options that its recipe gives.

Written from its documentation and from what its runs leave: the messages and tools of its default configuration, one
tool call an answer (another is asked for where there is none), a shell that lives on, `str_replace_editor`, `submit` in
two steps with a review, and after each step `<id>/<id>.traj` with `query`, `state` and `execution_time`. Needs Python
alone and `agent_kit.py` beside it, so it runs in any task's image.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
import urllib.error
from pathlib import Path
from typing import Any

from agent_kit import Shell, ask, edit, tool

SYSTEM = "You are a helpful assistant that can interact with a computer to solve tasks."
INSTANCE = """<uploaded_files>
{repo}
</uploaded_files>
I've uploaded a python code repository in the directory {repo}. Consider the following PR description:

<pr_description>
{problem}
</pr_description>
"""
REVIEW = (
    "Please look at your changes once more, and run the submit command again to confirm.\n\n<diff>\n{diff}\n</diff>\n"
)
NO_OUTPUT = "Your command ran successfully and did not produce any output."
NO_CALL = (
    "Your last output did not use any tool calls!\nPlease make sure your output includes exactly _ONE_ function call!"
)
MARK = "<<SWE_AGENT_SUBMISSION>>"
TRIES = 3


TEXT = {"type": "string"}
TOOLS = [
    tool("bash", "runs the given command directly in bash", ("command",), command=TEXT),
    tool("submit", "submits the current file"),
    tool(
        "str_replace_editor",
        "Custom editing tool for viewing, creating and editing files",
        ("command", "path"),
        command={"type": "string", "enum": ["view", "create", "str_replace", "insert", "undo_edit"]},
        path=TEXT,
        file_text=TEXT,
        old_str=TEXT,
        new_str=TEXT,
        insert_line={"type": "integer"},
        view_range={"type": "array", "items": {"type": "integer"}},
    ),
]


class Agent:
    """One run on one problem."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        problem = Path(options.problem).read_text()
        self._repo = "/" + options.repo
        self._id = hashlib.sha256(problem.encode()).hexdigest()[:6]
        self._folder = Path(options.output) / self._id
        self._folder.mkdir(parents=True, exist_ok=True)
        self._shell = Shell(self._repo)
        self._reviewed = False
        self._stats: dict[str, float] = {"instance_cost": 0, "tokens_sent": 0, "tokens_received": 0, "api_calls": 0}
        self._info: dict[str, Any] = {
            "swe_agent_hash": "unavailable",
            "swe_agent_version": "1.1.0",
            "swe_rex_version": "1.4.0",
            "swe_rex_hash": "unavailable",
        }
        self._trajectory: list[dict[str, Any]] = []
        told = INSTANCE.format(repo=self._repo, problem=problem)
        self._history: list[dict[str, Any]] = [
            {"role": "system", "content": SYSTEM, "agent": "main", "message_type": "system_prompt"},
            {"role": "user", "content": told, "agent": "main", "message_type": "observation"},
        ]

    def work(self) -> None:
        """Step after step, until it has submitted or cannot go on."""
        while "exit_status" not in self._info:
            self._step()
            self._save()

    def _messages(self) -> list[dict[str, Any]]:
        keys = ("role", "content", "tool_calls")
        found = [{key: item[key] for key in keys if item.get(key) is not None} for item in self._history]
        for message, item in zip(found, self._history, strict=True):
            if item["role"] == "tool":
                message["tool_call_id"] = item["tool_call_ids"][0]
        return found

    def _ask(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        model = self._options.model.partition("/")[2]
        body = {"model": model, "messages": messages, "temperature": 0.0, "top_p": 1.0, "tools": TOOLS}
        told = ask(self._options.api_base, os.environ["OPENAI_API_KEY"], body)
        self._stats["api_calls"] += 1
        self._stats["tokens_sent"] += told["usage"]["prompt_tokens"]
        self._stats["tokens_received"] += told["usage"]["completion_tokens"]
        return told["choices"][0]["message"]

    def _step(self) -> None:
        query = self._messages()
        step: dict[str, Any] = {
            "query": query,
            "thought": "",
            "action": "",
            "observation": "",
            "state": {},
            "extra_info": {},
        }
        try:
            message, call = self._answer(query)
        except urllib.error.HTTPError as error:
            self._end(step, "exit_environment_error", f"Exit due to unknown error: {error}")
            return
        if call is None:
            self._end(step, "exit_format", "Exit due to repeated format/blocklist/bash syntax errors")
            return
        thought, arguments = message["content"] or "", json.loads(call["function"]["arguments"])
        name = call["function"]["name"]
        action = arguments["command"] if name == "bash" else _typed(name, arguments)
        began = time.perf_counter()
        observation = self._act(name, arguments) or NO_OUTPUT
        took = time.perf_counter() - began
        step.update(thought=thought, action=action, response=thought, observation=observation, execution_time=took)
        step["state"] = {"working_dir": self._shell.run("pwd").strip()}
        if name == "submit" and MARK in observation:
            self._info["submission"] = observation.split(MARK)[1].lstrip("\n")
            self._info["exit_status"] = "submitted"
            step["observation"] = self._info["submission"]
        self._trajectory.append(step)
        said = {"role": "assistant", "content": thought, "thought": thought, "action": action, "agent": "main"}
        self._history.append({**said, "tool_calls": [call], "message_type": "action", "thinking_blocks": []})
        heard = {"role": "tool", "content": f"OBSERVATION:\n{step['observation']}", "agent": "main"}
        self._history.append({**heard, "message_type": "observation", "tool_call_ids": [call["id"]]})

    def _answer(self, query: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """An answer that calls one tool; other answers are sent back with what is wrong."""
        asked = list(query)
        message: dict[str, Any] = {}
        for _ in range(TRIES):
            message = self._ask(asked)
            calls: list[dict[str, Any]] = message.get("tool_calls") or []
            if len(calls) == 1:
                return message, calls[0]
            asked += [{"role": "assistant", "content": message["content"]}, {"role": "user", "content": NO_CALL}]
        return message, None

    def _act(self, name: str, arguments: dict[str, Any]) -> str:
        if name == "bash":
            return self._shell.run(arguments["command"])
        if name == "str_replace_editor":
            try:
                return edit(**arguments)
            except (OSError, TypeError) as error:
                return f"Error: {error}"
        command = ["sh", "-c", "git add -A && git diff --cached"]
        diff = subprocess.run(command, cwd=self._repo, stdout=subprocess.PIPE, check=False)
        patch = diff.stdout.decode("utf-8", "backslashreplace")
        if not self._reviewed:
            self._reviewed = True
            return REVIEW.format(diff=patch)
        return f"{MARK}\n{patch}\n{MARK}"

    def _end(self, step: dict[str, Any], status: str, why: str) -> None:
        self._info["exit_status"] = status
        self._trajectory.append({**step, "thought": why, "response": why, "execution_time": 0.0})

    def _save(self) -> None:
        self._info["model_stats"] = dict(self._stats)
        options = self._options
        config = {
            "env": {"deployment": {"type": "local"}, "repo": {"repo_name": options.repo, "type": "preexisting"}},
            "agent": {"model": {"name": options.model, "per_instance_cost_limit": 0.0, "api_base": options.api_base}},
            "problem_statement": {"path": options.problem, "type": "text_file", "id": self._id},
        }
        data = {
            "trajectory": self._trajectory,
            "history": self._history,
            "info": self._info,
            "replay_config": json.dumps(config),
            "environment": "main",
        }
        (self._folder / f"{self._id}.traj").write_text(json.dumps(data, indent=2))
        if "exit_status" in self._info:
            patch = {"model_name_or_path": "main", "instance_id": self._id, "model_patch": self._info.get("submission")}
            (self._folder / f"{self._id}.pred").write_text(json.dumps(patch))


def _typed(name: str, arguments: dict[str, Any]) -> str:
    """A call of a tool as SWE-agent types it into its shell."""
    flags = [(key, value) for key, value in arguments.items() if key not in ("command", "path")]
    words = [name, *(arguments[key] for key in ("command", "path") if key in arguments)]
    return " ".join(
        [shlex.quote(word) for word in words] + [f"--{key} {shlex.quote(str(value))}" for key, value in flags]
    )


def main() -> None:
    if sys.argv[1] != "run":
        sys.exit(f"unknown command {sys.argv[1]}")
    options = argparse.ArgumentParser()
    options.add_argument("--agent.model.name", dest="model", required=True)
    options.add_argument("--agent.model.api_base", dest="api_base", required=True)
    options.add_argument("--agent.model.per_instance_cost_limit", dest="cost", type=float)
    options.add_argument("--agent.model.total_cost_limit", dest="total", type=float)
    options.add_argument("--env.deployment.type", dest="deployment", choices=["local"], required=True)
    options.add_argument("--env.repo.type", dest="kind", choices=["preexisting"], required=True)
    options.add_argument("--env.repo.repo_name", dest="repo", required=True)
    options.add_argument("--problem_statement.path", dest="problem", required=True)
    options.add_argument("--output_dir", dest="output", required=True)
    Agent(options.parse_args(sys.argv[2:])).work()


if __name__ == "__main__":
    main()
