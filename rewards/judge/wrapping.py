"""Agent text is data: it goes between delimiters that it cannot hold, and its control tokens are disarmed."""

import re
from collections.abc import Iterable
from hashlib import sha256

from ..text import writable

__all__ = ["cut", "disarmed", "nonce_for", "wrapped"]

_TOKEN = re.compile(r"<([|\uff5c])([^<>|\uff5c\s]{1,60})\1>")
"""<|im_end|>, <|eot_id|> and their like, also with a full-width bar."""
_TAG = re.compile(
    r"<(?=/?(?:s|bos|eos|pad|think|start_of_turn|end_of_turn|tool_call|tool_response|<SYS>)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
)


def disarmed(text: str) -> str:
    """The text with what chat templates use as control tokens broken up by `¦`, and without lone surrogates.

    A server turns such text into real control tokens, which would end the message it stands in.
    """
    return _TAG.sub(r"\g<0>¦", _TOKEN.sub(r"<¦\2¦>", writable(text)))


def nonce_for(texts: Iterable[str]) -> str:
    """A code that occurs in none of the texts. It follows from them, so equal requests stay equal."""
    everything = list(texts)
    digest = sha256()
    for text in everything:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\x00")
    while any(digest.hexdigest()[:16] in text for text in everything):
        digest.update(b"again")
    return digest.hexdigest()[:16]


def wrapped(kind: str, text: str, nonce: str) -> str:
    """The text between its delimiters. `kind` is ours: it never comes from an agent."""
    return f'<data-{nonce} kind="{kind}">\n{text}\n</data-{nonce}>'


def cut(text: str, limit: int) -> str:
    """At most about `limit` characters: head and tail, and how much is missing between them."""
    if len(text) <= limit:
        return text
    head = limit * 7 // 10
    tail = limit - head
    return f"{text[:head]}\n[… {len(text) - limit} characters left out …]\n{text[-tail:]}"
