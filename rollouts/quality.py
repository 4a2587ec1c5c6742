"""Credentials in texts: what must not be in data that is handed on."""

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from .secret_patterns import ASSIGNMENT, HINTS, JWT, NAME, PRIVATE_KEY, SCHEME, TOKENS, URL_PASSWORD

__all__ = ["SecretFinding", "find_secrets"]

_PLACEHOLDER = re.compile(
    r"example|sample|dummy|placeholder|change_?me|redacted|your[_-]|xxxx|\*\*\*|(?<![a-z])(?:fake|test|foo|bar)(?![a-z])"
    r"|(.)\1{5}|0123456|1234567|abcdefg",
    re.IGNORECASE,
)
_WEAK = frozenset("password passwd pass pwd secret user username admin root guest token test postgres mysql".split())
_NO_SECRET = re.compile(
    r"(?i)hash|digest|sha\d|md5|checksum|fingerprint|public|token_?id|tokenizer|max_?token|csrf|url|path|file"
)
_UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX = re.compile(r"(?i)[0-9a-f]+")
_WORD = re.compile(r"[a-z]+")
_LONGEST_RUN = 8
"""Small letters in a row; more are rare in values drawn from letters of both cases."""
_MEAN_RUN = 2.5
"""Mean of such runs; words have longer ones, values drawn from letters of both cases 1.7."""
_LOCAL = re.compile(
    r"(?i)(?:.*\.)?(?:example\.(?:com|org|net)|localhost|local|test|invalid|example)|127\.0\.0\.1|host(?:name)?|server"
)
_BITS = 3.5
"""Shannon entropy for each character that a value without a known format must have."""
_SHOWN = 4


class SecretFinding(NamedTuple):
    """A credential in a text."""

    kind: str
    masked: str
    """What may be shown of it."""
    start: int
    end: int
    """Where it is in the text."""


def find_secrets(text: str) -> list[SecretFinding]:
    """Credentials in a text, in order, each once: tokens of known formats, private keys, passwords in addresses, and
    random-looking values given to names that promise a secret. Placeholders, hashes and UUIDs are none.
    """
    found: list[SecretFinding] = []
    taken: list[tuple[int, int]] = []
    for finding in _candidates(text):
        if not any(start < finding.end and finding.start < end for start, end in taken):
            taken.append((finding.start, finding.end))
            found.append(finding)
    return sorted(found, key=lambda finding: finding.start)


def _candidates(text: str) -> Iterator[SecretFinding]:
    """The surest first."""
    hints = set(HINTS.findall(text))
    for known in TOKENS if hints else ():
        if any(hint.startswith(known.hints) for hint in hints):
            for match in known.pattern.finditer(text):
                if not _PLACEHOLDER.search(match[0]):
                    yield _finding(known.kind, match[0], match.start())
    if "PRIVATE KEY" in text:
        for match in PRIVATE_KEY.finditer(text):
            yield SecretFinding("private key", match[0], match.start(), match.end())
    if "eyJ" in text:
        yield from (_finding("JSON web token", m[0], m.start()) for m in JWT.finditer(text) if _is_token_head(m[1]))
    if "://" in text:
        yield from _url_passwords(text)
    yield from _assignments(text)


def _finding(kind: str, secret: str, start: int) -> SecretFinding:
    mark = sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    masked = f"{secret[:_SHOWN]}… ({len(secret)} characters, sha256 {mark})"
    return SecretFinding(kind, masked, start, start + len(secret))


def _is_token_head(part: str) -> bool:
    try:
        head: object = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(head, dict) and "alg" in head


def _url_passwords(text: str) -> Iterator[SecretFinding]:
    for match in URL_PASSWORD.finditer(text):
        user, password, host = match.groups()
        made_up = (
            _PLACEHOLDER.search(password) or password.lower() in _WEAK or password[0] in "$%{[(*" or "}" in password
        )
        if not made_up and password != user and not _LOCAL.fullmatch(host):
            scheme = SCHEME.search(text, max(0, match.start() - 31), match.start())
            masked = f"{scheme[0] if scheme else ''}://{user}:…@{host}"
            yield SecretFinding("password in an address", masked, match.start(2), match.end(2))


def _assignments(text: str) -> Iterator[SecretFinding]:
    for match in ASSIGNMENT.finditer(_lower(text)):
        value = text[match.start(1) : match.end(1)].rstrip(".")
        if _looks_random(value):
            before = NAME.search(text, max(0, match.start() - 40), match.start())
            name = (before[0] if before else "") + re.split(r"[^\w.-]", text[match.start() : match.end()], maxsplit=1)[
                0
            ]
            if not _NO_SECRET.search(name):
                yield _finding(f"value of {name.strip('._-')}", value, match.start(1))


def _lower(text: str) -> str:
    """In lower case and as long as before, which a few letters of the world's scripts would not be."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c.lower() if c.isascii() else c for c in text)


def _looks_random(value: str) -> bool:
    """Whether a value is more likely drawn than written."""
    if len(value) < 16 or _UUID.fullmatch(value) or _PLACEHOLDER.search(value):
        return False
    if _HEX.fullmatch(value):
        return len(value) in (32, 48, 64, 96, 128) and _entropy(value) > 3
    digits = sum(character.isdigit() for character in value)
    words = [piece for piece in re.split(r"[^A-Za-z0-9]+", value) if len(piece) > 2 and piece.isalpha()]
    runs = [len(run) for run in _WORD.findall(value)]
    mixed = value != value.lower() and sum(runs) <= _MEAN_RUN * len(runs) and digits >= 1
    many_digits = digits >= 3 and (max(runs, default=0) <= _LONGEST_RUN or digits * 6 >= len(value))
    return (mixed or many_digits) and len(value) - digits >= 4 and len(words) < 2 and _entropy(value) >= _BITS


def _entropy(value: str) -> float:
    """Shannon entropy in bits for each character."""
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)
