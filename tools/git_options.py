"""Which options each git subcommand may be given: what only reads; nothing that runs or writes elsewhere."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["check_arguments"]


@dataclass(frozen=True, slots=True)
class _Allowed:
    flags: frozenset[str]
    valued: frozenset[str]
    """Options with a value, attached (`--since=x`, `-n5`) or as the next argument."""
    attached: frozenset[str] = frozenset()
    """Options whose value is optional and can only be attached (`--stat=80`)."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DIFF_FLAGS = _words(
    "-p -u --patch -s --no-patch --stat --numstat --shortstat --summary --name-only --name-status --raw "
    "--minimal --patience --histogram -w -b --ignore-all-space --ignore-space-change --ignore-space-at-eol "
    "--ignore-blank-lines --word-diff --check --full-index --abbrev --no-renames -M -C --find-renames "
    "--find-copies -R --pickaxe-regex --pickaxe-all -W --function-context --text -a --no-color --no-prefix "
    "--relative"
)
_DIFF_VALUED = _words("-U --unified -S -G --diff-filter --diff-algorithm --inter-hunk-context")
_DIFF_ATTACHED = _words("--stat --word-diff --abbrev -M -C --find-renames --find-copies --relative")
_SHOW_ATTACHED = _words("--format --pretty --decorate")
_SHOW_FLAGS = _words("--oneline --abbrev-commit --no-abbrev-commit --decorate --no-decorate --no-notes --pretty")
_LOG_FLAGS = _words(
    "--all --branches --tags --graph --follow --reverse --merges --no-merges --first-parent -i "
    "--regexp-ignore-case -E --extended-regexp -F --fixed-strings --all-match --invert-grep --topo-order "
    "--date-order --full-history --parents -m --cc"
)
_LOG_VALUED = _words("-n --max-count --skip --since --after --until --before --author --committer --grep --date -L")

_ALLOWED = {
    "status": _Allowed(
        _words("-s --short -b --branch --long -v --verbose -u --ignored --untracked-files --no-renames --porcelain"),
        frozenset(),
        _words("--porcelain --untracked-files --ignored -u"),
    ),
    "diff": _Allowed(_DIFF_FLAGS | _words("--cached --staged --merge-base --exit-code"), _DIFF_VALUED, _DIFF_ATTACHED),
    "log": _Allowed(
        _DIFF_FLAGS | _SHOW_FLAGS | _LOG_FLAGS, _DIFF_VALUED | _LOG_VALUED, _DIFF_ATTACHED | _SHOW_ATTACHED
    ),
    "show": _Allowed(
        _DIFF_FLAGS | _SHOW_FLAGS | _words("-m --cc --first-parent"),
        _DIFF_VALUED | {"--date"},
        _DIFF_ATTACHED | _SHOW_ATTACHED,
    ),
    "blame": _Allowed(
        _words("-w -s -e -l -t -n -f -M -C --show-email --show-name --show-number --root --porcelain --line-porcelain"),
        _words("-L --date --abbrev"),
        _words("-M -C"),
    ),
    "restore": _Allowed(_words("-S --staged -W --worktree -q --quiet"), _words("-s --source")),
}
_REVISION = re.compile(r"[^-\x00-\x20][^\x00-\x1f]*")
_NUMBER = re.compile(r"-\d{1,6}")


def check_arguments(subcommand: str, args: Sequence[str], paths: Sequence[str]) -> str | None:
    """None, or what is wrong with the arguments and what to do instead."""
    allowed = _ALLOWED[subcommand]
    expects: str | None = None
    revisions = list[str]()
    for arg in args:
        if "\x00" in arg:
            return "An argument of git cannot hold a NUL character."
        if expects is not None:
            if arg.startswith("-"):  # git might not take it for a value
                return f"git {subcommand}: join the value to its option, as in {expects}=value or -Svalue."
            expects = None
        elif arg == "--":
            return 'Leave out "--" and give files in `paths`.'
        elif arg.startswith("-") and arg != "-":
            if _NUMBER.fullmatch(arg) and subcommand == "log":
                continue
            if arg in allowed.valued:
                expects = arg
            elif not _known(arg, allowed):
                return f"git {subcommand}: no option {arg!r} here. Available: {_listed(allowed)}."
        elif not _REVISION.fullmatch(arg):
            return f"git {subcommand}: {arg!r} is not a revision."
        else:
            revisions.append(arg)
    if expects is not None:
        return f"git {subcommand}: the option {expects} needs a value after it."
    return _check_paths(subcommand, revisions, paths)


def _known(arg: str, allowed: _Allowed) -> bool:
    if arg in allowed.flags or arg in allowed.attached:
        return True
    takes = allowed.valued | allowed.attached
    if arg.startswith("--"):
        name, equals, _ = arg.partition("=")
        return bool(equals) and name in takes
    if arg[:2] in takes:
        return True
    return len(arg) > 2 and all(f"-{letter}" in allowed.flags for letter in arg[1:])


def _check_paths(subcommand: str, revisions: list[str], paths: Sequence[str]) -> str | None:
    if subcommand == "restore":
        if revisions:
            return "git restore: give files in `paths`, and a revision as --source=<revision> in `args`."
        if not paths:
            return 'git restore needs files in `paths`, for example ["src/app.py"], or ["."] for everything.'
    if subcommand == "blame" and len(paths) != 1:
        return "git blame needs exactly one file in `paths`."
    if subcommand == "status" and revisions:
        return "git status takes no revision; give files in `paths`."
    return None


def _listed(allowed: _Allowed) -> str:
    return " ".join(sorted(allowed.flags | allowed.attached | {f"{name} <value>" for name in allowed.valued}))
