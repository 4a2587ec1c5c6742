"""Command lines that use nothing of a shell, so that none has to be started for them (it costs a millisecond)."""

import re

__all__ = ["plain_words"]

_WORD = r"[A-Za-z0-9_./,:=+@%-]+|'[^'\n\0]*'"
_PLAIN = re.compile(rf"[A-Za-z0-9_./-]+(?: +(?:{_WORD}))*")
_FIND_WORD = re.compile(_WORD)
# Words that a shell itself acts upon (builtins and reserved words of bash and of POSIX sh) and that
# either have no program of the same name or one that differs.
_SHELL_WORDS = frozenset(
    """
    . [ alias bg bind break builtin caller case cd command compgen complete compopt continue coproc declare dirs disown
    do done echo elif else enable esac eval exec exit export fc fg fi for function getopts hash help history if in jobs
    kill let local logout mapfile popd printf pushd pwd read readarray readonly return select set shift shopt source
    suspend test then time times trap type typeset ulimit umask unalias unset until wait while
    """.split()
)


def plain_words(command: str) -> list[str] | None:
    """The program and arguments of a command line that any POSIX shell would run as just these; else None.

    Only unquoted words of characters without meaning to a shell, and words in single quotes, separated by spaces.
    """
    text = command.strip(" ")
    if not _PLAIN.fullmatch(text):
        return None
    words = [word[1:-1] if word[0] == "'" else word for word in _FIND_WORD.findall(text)]
    return None if words[0] in _SHELL_WORDS else words
