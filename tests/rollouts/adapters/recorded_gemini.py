"""Records of Gemini CLI sessions, made for tests: small, whole, and with one of everything that the program writes."""

from typing import Any

from .recorded import at

SESSION = "66666666-7777-4888-8999-000000000000"
TOKENS = {"input": 100, "output": 20, "cached": 60, "thoughts": 5, "tool": 2, "total": 127}


def message(second: float, kind: str, key: str, content: Any, **more: Any) -> dict[str, Any]:
    """A message."""
    return {"id": key, "timestamp": at(second), "type": kind, "content": content, **more}


def answer(second: float, key: str, content: Any, **more: Any) -> dict[str, Any]:
    """What a model said."""
    return message(second, "gemini", key, content, **{"thoughts": [], "tokens": TOKENS, "model": "gem-1", **more})


def called(second: float, number: int, tool: str, output: str, status: str = "success", **args: Any) -> dict[str, Any]:
    """A call of a tool that is over."""
    call_id = f"{tool}_{number}"
    said = {"error" if status == "error" else "output": output}
    response = {"functionResponse": {"id": call_id, "name": tool, "response": said}}
    about = {"displayName": "Tool", "description": "d", "resultDisplay": output, "renderOutputAsMarkdown": False}
    told = {"id": call_id, "name": tool, "args": args, "result": [response], "status": status, "timestamp": at(second)}
    return {**told, **about}


def returned(second: float, key: str, *calls: dict[str, Any]) -> dict[str, Any]:
    """What calls led to, as the model is told."""
    return message(second, "user", key, [part for call in calls for part in call["result"]])


def touched(second: float) -> dict[str, Any]:
    """The update that follows every message."""
    return {"$set": {"lastUpdated": at(second)}}


def header(**more: Any) -> dict[str, Any]:
    """The first record."""
    return {
        "sessionId": SESSION,
        "projectHash": "ab12",
        "startTime": at(0),
        "lastUpdated": at(0),
        "kind": "main",
        **more,
    }


def session() -> list[dict[str, Any]]:
    """A session in which everything happens once: 24 records."""
    context = "<session_context>\n- **Workspace Directories:**\n  - /repo\n</session_context>"
    opening = message(0, "user", "u0", [{"text": context}])
    shell = called(3, 1, "run_shell_command", "Output: a.py\nExit Code: 2", command="ls x")
    edit, gone = called(3, 2, "replace", "no match", "error", file_path="a.py"), called(9, 3, "glob", "", "cancelled")
    thought = {"subject": "Plan", "description": "look first", "timestamp": at(1.5)}
    first = answer(2, "g1", "I look.", thoughts=[thought])
    summary = message(10, "user", "u3", [{"text": "so far"}])
    return [
        header(),
        {"$set": {"messages": [opening], "lastUpdated": at(0)}},
        message(1, "user", "u1", [{"text": "mend it"}], displayContent=[{"text": "@mend"}]),
        touched(1),
        first,
        touched(2),
        {**first, "toolCalls": [shell, edit]},
        returned(3.5, "u2", shell, edit),
        touched(3.5),
        message(4, "info", "i1", "a hint"),
        message(4.1, "warning", "w1", "careful"),
        message(4.2, "error", "e1", "[API Error: busy]"),
        answer(8, "g2", "Again."),
        message(8.5, "info", "i2", "shown in between"),
        message(9, "gemini", "g3", "", toolCalls=[gone], thoughts=[], model="gem-1"),
        returned(9.5, "u4", gone),
        {"$set": {"messages": [summary, message(10, "gemini", "s1", [{"text": "Got it."}])], "lastUpdated": at(10)}},
        message(11, "user", "u5", [{"text": "go on"}]),
        answer(12, "g4", [{"text": "Done."}, {"thought": True, "text": "easy"}]),
        {"$rewindTo": "u5"},
        message(13, "user", "u6", [{"text": "better so"}]),
        answer(14, "g5", "Truly done."),
        {"$set": {"summary": "Mended", "lastUpdated": at(15)}},
        {"$set": {"directories": ["/repo", "/other"]}},
    ]


def document() -> dict[str, Any]:
    """A session as earlier versions wrote it: one document, results in the calls alone."""
    shell = called(3, 1, "run_shell_command", "Output: a.py", command="ls")
    said = [
        message(1, "user", "u1", "list the files"),
        answer(2, "g1", "I look.", toolCalls=[shell]),
        answer(4, "g2", "a.py"),
    ]
    return {**header(), "messages": said, "summary": "Listed"}


def subagent() -> list[dict[str, Any]]:
    """A subagent's session, in the middle of the other: 3 records."""
    return [
        {**header(kind="subagent", directories=["/repo"]), "sessionId": "sub-1", "startTime": at(2.2)},
        message(2.3, "user", "x1", [{"text": "search"}]),
        answer(2.6, "x2", "found"),
    ]
