"""Records of other people's agents whose episodes ended badly, as those agents write them."""

import json
from typing import Any

__all__ = ["claude_code_record", "mini_swe_agent_record", "swe_agent_record"]


def swe_agent_record(status: str, steps: int = 2) -> str:
    """A SWE-agent trajectory with that exit status."""
    step = {"action": "ls", "observation": "src", "response": "look", "thought": "look", "execution_time": 0.1}
    info = {"exit_status": status, "submission": "", "model_stats": {"api_calls": steps}}
    return json.dumps({"trajectory": [step] * steps, "history": [], "info": info, "environment": "swe_main"})


def mini_swe_agent_record(status: str) -> str:
    """A mini-swe-agent trajectory with that exit status."""
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "fix"}]
    info = {"exit_status": status, "submission": "", "model_stats": {"instance_cost": 0.1, "api_calls": 1}}
    return json.dumps({"trajectory_format": "mini-swe-agent-1.1", "messages": messages, "info": info})


def claude_code_record(error: str, message: str) -> str:
    """A Claude Code transcript that ends by an error of its API."""
    common = {"sessionId": "s", "cwd": "/testbed", "version": "2.0.0", "isSidechain": False}
    asked = {"type": "user", "uuid": "u1", "timestamp": "2026-01-01T00:00:00.000Z"}
    asked["message"] = {"role": "user", "content": "fix it"}  # pyright: ignore[reportArgumentType]
    failed: dict[str, Any] = {"type": "assistant", "uuid": "u2", "parentUuid": "u1", "isApiErrorMessage": True}
    failed |= {"timestamp": "2026-01-01T00:00:09.000Z", "error": error}
    failed["message"] = {
        "id": "m1",
        "role": "assistant",
        "model": "<synthetic>",
        "content": [{"type": "text", "text": message}],
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
    return "".join(json.dumps({**common, **record}) + "\n" for record in (asked, failed))
