r"""Shell scripts that search, for any POSIX shell with find and grep, and the reading of what they print.

A record of `content_script` is `path \1 line [\1:] text`, one of `name_script` is `path \1`; NUL is turned
into \1 because some implementations of `cut` stop at NUL. The last record, after `END`, is the status.
"""

import posixpath
import re
import shlex
from dataclasses import dataclass

from .paths import relative, shell_path

__all__ = [
    "END",
    "Match",
    "SearchQuery",
    "content_script",
    "count_script",
    "name_script",
    "parse_content",
    "parse_names",
]

END = "\x01\x01\x01"
_END_FORMAT = r"\001\001\001%s\n"
_WIDTH = 2000
_RECORD = re.compile(r"([^\x01]+)\x01(\d+)[\x01:]([^\n]*)\n")
_PLAIN = re.compile(r"^(.+?):(\d+):(.*)$", re.MULTILINE)
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to search for, and where."""

    pattern: str
    path: str
    regex: bool
    ignore_case: bool
    include: str | None


@dataclass(frozen=True, slots=True)
class Match:
    """One matching line, or one file when `line` is None."""

    path: str
    line: int | None = None
    text: str = ""


def _finish(status: str) -> str:
    return f"printf '{_END_FORMAT}' {status}"


def _guards(query: SearchQuery, workdir: str) -> str:
    """Stop with a status when the path is missing or the expression invalid."""
    path = shell_path(query.path, workdir)
    lines = [f"if ! [ -e {path} ]; then {_finish('missing')}; exit 0; fi"]
    if query.regex:
        test = f"printf x | LC_ALL=C grep -E -e {shlex.quote(query.pattern)} 2>&1 >/dev/null"
        lines.append(f"{test}; if [ $? -gt 1 ]; then {_finish('pattern')}; exit 0; fi")
    return "\n".join(lines)


def content_script(query: SearchQuery, workdir: str) -> str:
    """Print the matching lines of all text files."""
    options = ("-E" if query.regex else "-F") + (" -i" if query.ignore_case else "")
    pattern, path = shlex.quote(query.pattern), shell_path(query.path, workdir)
    spec = path if query.include is None else shlex.quote(_git_glob(query, workdir))
    name = "" if query.include is None else f" {_name_test(query.include)}"
    git = f"git --no-pager -c core.quotePath=false -c safe.directory='*' -C {shlex.quote(workdir)}"
    fallback = f"find -H {path} -name .git -prune -o -type f{name} -exec grep -n -I"
    usable = f"! [ -f {path} ]"
    if relative(query.path, workdir) != ".":
        usable += f" && ! {git} check-ignore -q -- {path} 2>/dev/null"
    return f"""{_guards(query, workdir)}
grepped() {{
  if {usable}; then
    {git} grep --untracked --no-color --no-textconv -I -n -z {options} -e {pattern} -- {spec} 2>/dev/null
    [ $? -le 1 ] && return
  fi
  null=; printf x | grep -Z x >/dev/null 2>&1 && null=-Z
  {fallback} $null {options} -e {pattern} /dev/null {{}} + 2>/dev/null
}}
grepped | tr '\\000' '\\001' | LC_ALL=C cut -b1-{_WIDTH}
{_finish("done")}"""


def _name_test(glob: str, *, ignore_case: bool = False) -> str:
    """The test of `find` for a glob: against the name, or against the path when there is a slash in it."""
    kind = "i" if ignore_case else ""
    glob = glob.replace("**/", "*")
    if "/" in glob:
        return f"-{kind}path {shlex.quote('*/' + glob.lstrip('/'))}"
    return f"-{kind}name {shlex.quote(glob)}"


def _git_glob(query: SearchQuery, workdir: str) -> str:
    """A pathspec for files below the path whose name matches, at any depth."""
    folder = relative(query.path, workdir)
    prefix = "" if folder == "." else re.sub(r"([*?\[\\])", r"\\\1", folder) + "/"
    return f":(glob){prefix}**/{query.include}"


def name_script(query: SearchQuery, workdir: str) -> str:
    """Print the names that match. Expressions are matched against the path from the search's folder."""
    path = shell_path(query.path, workdir)
    include = "" if query.include is None else f" {_name_test(query.include)}"
    find = f"find . -name .git -prune -o ! -type d{include}"
    if query.regex:
        grep = f"grep -E{' -i' if query.ignore_case else ''} -e {shlex.quote(query.pattern)}"
        chosen = f"{find} -print 2>/dev/null | cut -c3- | {grep} | tr '\\n' '\\001'"
    else:
        glob = query.pattern if _GLOB.search(query.pattern) else f"*{query.pattern}*"
        test = _name_test(glob, ignore_case=query.ignore_case)
        chosen = f"{find} {test} -exec printf '%s\\001' {{}} + 2>/dev/null"
    return f"{_guards(query, workdir)}\n[ -d {path} ] && cd {path} && {chosen}\n{_finish('done')}"


def count_script(script: str, *, names: bool) -> str:
    """Print how many records the script would."""
    counted = "tr -d '\\n' | tr '\\001' '\\n' | wc -l" if names else "wc -l"
    trailer = END.count("\x01") if names else 1
    return f"n=$({{ {script}\n}} | {counted}); echo $((n - {trailer}))"


def parse_names(text: str, folder: str, workdir: str) -> list[Match]:
    """Read what `name_script` printed, up to its last whole record."""
    names = sorted(text.split("\x01")[:-1])
    return [Match(relative(posixpath.join(folder, name), workdir)) for name in names]


def parse_content(text: str, workdir: str) -> list[Match]:
    """Read what `content_script` printed, up to its last whole record; by path, then by line."""
    record = _RECORD if "\x01" in text else _PLAIN
    found = [Match(relative(path, workdir), int(line), body) for path, line, body in record.findall(text)]
    return sorted(found, key=lambda match: match.path)  # `find` goes by the order of folders on disk
