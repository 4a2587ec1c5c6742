"""Where the repository of an episode is, whoever recorded it."""

import re

from .. import payloads

__all__ = ["workdir_of"]

_UPLOADED = re.compile(r"<uploaded_files>\s*(/[^\s<]+)")
_ROOTS = re.compile(r"(?<![\w/.])(/testbed|/workspace/[\w.@+-]+|/app|/repo)(?![\w-])")


def workdir_of(start: payloads.EpisodeStart) -> str:
    """The folder of the repository: as the record says, else as the task's text does, else `/`."""
    told = start.sandbox.get("workdir")
    if isinstance(told, str) and told:
        return told
    text = " ".join(value for value in (*start.task.values(), start.observation) if isinstance(value, str))[:20_000]
    found = _UPLOADED.search(text) or _ROOTS.search(text)
    return found[1] if found else "/"
