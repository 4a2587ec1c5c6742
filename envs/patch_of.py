"""What an agent changed, as a patch against the commit its episode began with."""

import shlex

from ..errors import TrajHubError
from .sandbox import Sandbox

__all__ = ["NoPatch", "patch_of"]

_LIMIT = 20_000_000
_TIMEOUT = 120.0
_ALL_BINARY = "/tmp/.trajhub-attributes"
# A temporary index leaves the agent's own untouched; configuration of the repository may not run or hide anything.
_SCRIPT = """\
export GIT_INDEX_FILE=/tmp/.trajhub-index.$$ GIT_CONFIG_NOSYSTEM=1
rm -f "$GIT_INDEX_FILE" "$GIT_INDEX_FILE.lock"  # of an attempt that was killed
command git rev-parse --git-dir >/dev/null || exit 3
dir=$(git rev-parse --git-dir)
[ -f "$dir/index" ] && cp "$dir/index" "$GIT_INDEX_FILE"
echo '* binary' >{attributes}
g() {{ git -c safe.directory='*' -c core.fsmonitor=false -c core.hooksPath=/dev/null -c core.fileMode=true \
    {more} -c core.quotePath=true -c core.autocrlf=false -c diff.noprefix=false -c diff.mnemonicPrefix=false "$@"; }}
g add -A -- . >/dev/null 2>&1 || exit 4
g diff --cached --binary --no-color --no-ext-diff --no-textconv --no-renames --full-index {base} -- . 2>/dev/null
status=$?
rm -f "$GIT_INDEX_FILE" {attributes}
exit $status
"""


class NoPatch(TrajHubError):
    """Raised when no patch can be made of a sandbox; the message says why (repository gone, patch too large …)."""


def patch_of(sandbox: Sandbox) -> str:
    """The changes to tracked and new files since the start, committed or not; "" when there are none.

    Ignored files are left out. Raises NoPatch, or SandboxLost.
    """
    if sandbox.head is None:
        raise NoPatch(f"there is no git repository at {sandbox.workdir} to compare with")
    try:
        return _diff(sandbox, sandbox.head, "").decode()
    except UnicodeDecodeError:
        # Text in another encoding: as binary hunks the patch is plain ASCII and loses nothing.
        return _diff(sandbox, sandbox.head, f"-c core.attributesFile={_ALL_BINARY}").decode("ascii", "replace")


def _diff(sandbox: Sandbox, base: str, more: str) -> bytes:
    script = _SCRIPT.format(base=shlex.quote(base), more=more, attributes=_ALL_BINARY)
    result = sandbox.script(script, timeout=_TIMEOUT, output_limit=2 * _LIMIT)
    if result.truncated:
        raise NoPatch(f"the patch is larger than {_LIMIT} bytes: {result.total_bytes}")
    if result.disk_limited:
        raise NoPatch("git could not tell what changed: what is new does not fit into the disk allowance a second time")
    if result.timed_out:
        raise NoPatch(f"git could not tell what changed within {_TIMEOUT:g} s")
    if result.exit_code != 0:
        raise NoPatch(f"git could not tell what changed (status {result.exit_code}): is the repository still there?")
    return result.output
