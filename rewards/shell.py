"""What a shell command does, as far as its words tell: a reading for rules, never an execution."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from .text import listed

__all__ = ["Command", "Kind", "understand"]


class Kind(StrEnum):
    """What a step does, whichever tool it uses. In order of strength: the strongest part names a compound command."""

    IDLE = "idle"
    THINK = "think"
    """Words of the agent that touch nothing; a tool for it exists with other agents."""
    LIST = "list"
    VCS = "vcs"
    READ = "read"
    SEARCH = "search"
    SETUP = "setup"
    RUN = "run"
    TEST = "test"
    EDIT = "edit"
    SUBMIT = "submit"
    MALFORMED = "malformed"


_STRENGTH = {kind: rank for rank, kind in enumerate(Kind)}
_HEADS: dict[str, Kind] = {
    **dict.fromkeys(listed("cat head tail less more nl bat awk cut xxd od strings jq"), Kind.READ),
    **dict.fromkeys(listed("ls tree du stat wc file realpath readlink which type"), Kind.LIST),
    **dict.fromkeys(listed("grep egrep fgrep rg ag ack find fd locate"), Kind.SEARCH),
    **dict.fromkeys(listed("tee patch rm mv cp touch truncate ed install ln rmdir unlink dd"), Kind.EDIT),
    **dict.fromkeys(
        listed("pytest py.test tox nox nosetests ctest rspec phpunit jest vitest mocha unittest"), Kind.TEST
    ),
    **dict.fromkeys(listed("pip pip3 apt apt-get conda mamba uv poetry pipenv brew yum dnf apk"), Kind.SETUP),
    **dict.fromkeys(
        listed(
            "echo true false : sleep date pwd whoami printf clear exit cd export set unset uname id env "
            "hostname test [ seq yes wait"
        ),
        Kind.IDLE,
    ),
}
_TESTING_WORDS = listed("test check tests")
_RUNNERS = listed("npm yarn pnpm go cargo mvn gradle gradlew make rake dotnet bazel deno bun hatch")
_GIT_CHANGES = listed("apply am checkout restore reset stash revert clean cherry-pick merge rebase rm mv")
_WRAPPERS = listed("sudo time nice nohup exec command xargs stdbuf")
_INTERPRETER = re.compile(r"(?:python|pypy|node|ruby|perl|php|bash|sh|zsh|java|lua)[\d.]*$")
_TOKEN = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|&&|\|\||[;|\n]|\d?[<>]+&?\d?|&|(?:\\.|[^\s;|&<>'"\\])+""")
_BREAKS = frozenset(("&&", "||", ";", "|", "\n", "&"))
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1[^\n]*\n(.*?)(?:\n\s*\2\b|\Z)", re.DOTALL)
_PATH = re.compile(r"^(?=.*[A-Za-z])(?!s/|-)[\w.+@/-]*(?:/[\w.+@-]*|\.\w{1,6})$")
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
_NOT_FILES = frozenset(("/dev/null", "/dev/stdout", "/dev/stderr", "/dev/zero", "/dev/urandom"))
_PATCHED = re.compile(r"^\+\+\+ (?:b/)?(\S+)", re.MULTILINE)
_PATCHERS = re.compile(r"\bgit apply\b|\bgit am\b|\bpatch\b")
_RESTORERS = re.compile(r"\bgit (?:checkout|restore|reset|stash|clean)\b")
_COPIERS = ("cp", "ln", "install")
_SCRIPTED = re.compile(r"(?:sed|perl|awk|gawk|mawk)$")
_SCRIPT_NEXT = re.compile(r"-(?!i.+)\w*[eEf]$|--(?:expression|file)$")
_LONGEST = 4_000
_PATCH_AT_MOST = 100_000


@dataclass(slots=True, kw_only=True)
class Command:
    """A shell command, understood."""

    kind: Kind
    kinds: frozenset[Kind]
    """What each of its parts does."""
    program: str
    """The first word of the part that names the kind."""
    folder: str
    """Where it runs, by a leading `cd`; empty for the repository."""
    paths: tuple[str, ...]
    """Every path among its words, as written."""
    writes: tuple[str, ...]
    """Paths it changes, as far as its words tell; may be empty although it changes something."""
    patterns: tuple[str, ...]
    """What it searches for."""
    restores: bool
    """It brings files back to what is committed: `writes`, or all of them when it names none."""
    normal: str
    """The command without spare blanks, as a key."""
    text: str
    """Its first characters, here-documents included."""
    lines: tuple[int, int] | None
    """The range of lines a `sed -n` or `head` prints."""


def understand(command: str) -> Command:
    """Read a command. Only its first characters are looked at, so that a giant command costs no more."""
    text = command[:_LONGEST]
    if "<<" in text:
        text = _HEREDOC.sub("<<HEREDOC\n", text)
    kind, program, folder = Kind.IDLE, "", ""
    kinds: set[Kind] = set()
    paths: list[str] = []
    writes: list[str] = []
    patterns: list[str] = []
    lines: tuple[int, int] | None = None
    for words, targets in _parts(text):
        writes += targets
        if not words:
            kind = _stronger(kind, Kind.EDIT) if targets else kind
            continue
        if words[0] == "cd" and len(words) > 1:
            folder = words[1]
            continue
        here = _kind(words)
        kinds.update((here, Kind.EDIT) if targets else (here,))
        program = words[0] if not program or _STRENGTH[here] > _STRENGTH[kind] else program
        kind = _stronger(kind, Kind.EDIT if targets else here)
        named = (word.split("::", 1)[0] for word in _operands(words))
        found = [word for word in named if _PATH.match(word) and word not in _NOT_FILES]
        if here is Kind.SEARCH:
            pattern = _pattern(words)
            patterns += [pattern] if pattern else []
            found = [word for word in found if word != pattern]
        if here is Kind.EDIT:
            writes += found[-1:] if words[0] in _COPIERS else found
        paths += found
        lines = lines or (_printed(words) if paths else None)
    if _PATCHERS.search(text):
        writes += [path for path in _PATCHED.findall(command[:_PATCH_AT_MOST]) if path not in _NOT_FILES]
    return Command(
        kind=kind,
        kinds=frozenset(kinds),
        program=program,
        folder=folder,
        paths=tuple(dict.fromkeys(paths)),
        writes=tuple(dict.fromkeys(writes)),
        patterns=tuple(patterns),
        restores=program == "git" and _RESTORERS.search(text) is not None,
        normal=" ".join(command.split()),
        text=command[:_LONGEST],
        lines=lines,
    )


def _operands(words: list[str]) -> list[str]:
    """The words after the program, without the script that `sed` and its like are given as one of them."""
    rest = words[1:]
    head = words[0].rsplit("/", 1)[-1]
    if not _SCRIPTED.match(head):
        return rest
    after = [place + 1 for place, word in enumerate(rest) if _SCRIPT_NEXT.match(word)]
    if not after and head != "perl":
        after = [place for place, word in enumerate(rest) if not word.startswith("-")][:1]
    return [word for place, word in enumerate(rest) if place not in after]


def _stronger(one: Kind, other: Kind) -> Kind:
    return other if _STRENGTH[other] > _STRENGTH[one] else one


def _parts(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """The simple commands of a line: their words, and the files they are redirected into."""
    words: list[str] = []
    targets: list[str] = []
    redirect = ""
    for token in [*_TOKEN.findall(text), ";"]:
        if token in _BREAKS:
            if words or targets:
                yield words, targets
            words, targets, redirect = [], [], ""
        elif token.lstrip("0123456789")[:1] in ("<", ">") and token.strip("0123456789&<>") == "":
            redirect = "" if "&" in token and token[-1].isdigit() else token
        else:
            word = token[1:-1] if token[0] in "'\"" and len(token) > 1 else token
            if redirect:
                targets += [word] if ">" in redirect and word not in _NOT_FILES else []
                redirect = ""
            elif words or not (_ASSIGNMENT.match(word) or word in _WRAPPERS):
                words.append(word)
            if words[:1] == ["timeout"] and len(words) > 1 and not words[-1].startswith("-"):
                words = []


def _kind(words: list[str]) -> Kind:
    head = words[0].rsplit("/", 1)[-1]
    rest = words[1:]
    if head == "git":
        verb = next((word for word in rest if not word.startswith("-")), "")
        return Kind.SEARCH if verb == "grep" else Kind.EDIT if verb in _GIT_CHANGES else Kind.VCS
    if head in ("sed", "perl") and any(word.startswith(("-i", "-pi", "--in-place")) for word in rest):
        return Kind.EDIT
    if head == "sed":
        return Kind.READ
    if head in _HEADS:
        return _HEADS[head]
    if head in _RUNNERS:
        return Kind.TEST if _TESTING_WORDS.intersection(rest) else Kind.RUN
    if _INTERPRETER.match(head):
        return _interpreted(rest)
    return Kind.TEST if head.startswith(("runtests", "run_tests")) else Kind.RUN


def _interpreted(rest: list[str]) -> Kind:
    if rest[:1] == ["-m"] and len(rest) > 1:
        module = rest[1].split(".")[0]
        return Kind.SETUP if module in ("pip", "venv") else _HEADS.get(module, Kind.RUN)
    script = rest[0].rsplit("/", 1)[-1] if rest else ""
    if script.startswith(("runtests", "run_tests")) or (script == "manage.py" and "test" in rest):
        return Kind.TEST
    return Kind.RUN


def _pattern(words: list[str]) -> str:
    """What a search looks for: the operand of -e, -name or --regexp, or the first operand of grep."""
    for option, value in pairwise(words):
        if option in ("-e", "--regexp", "-name", "-iname", "-path"):
            return value
    if words[0].rsplit("/", 1)[-1] in ("find", "fd", "locate"):
        return ""
    start = 2 if words[0] == "git" else 1
    return next((word for word in words[start:] if not word.startswith("-") and not word.isdigit()), "")


def _printed(words: list[str]) -> tuple[int, int] | None:
    if words[0] == "sed" and "-n" in words:
        for word in words[1:]:
            match = re.fullmatch(r"(\d+)(?:,(\d+))?p", word)
            if match:
                return int(match[1]), int(match[2] or match[1])
    if words[0] == "head":
        match = re.search(r"-n? ?(\d+)", " ".join(words[1:]))
        return (1, int(match[1])) if match else (1, 10)
    return None
