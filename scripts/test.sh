#!/usr/bin/env bash
# Sets up what the tests need and runs every check: lint, format, types, shell scripts, and all tests.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$ROOT"
start_log
ensure_venv "[dev]"
ensure_browser
ensure_engine
ensure_base_image
command -v shellcheck >/dev/null || apt_install "shellcheck" shellcheck

FAILED=()
# check NAME COMMAND...: run it, and remember when it fails; the tests are run in any case
check() {
  local name=$1
  shift
  phase "$name"
  if "$@"; then phase_done; else FAILED+=("$name"); fi
}

mkdir -p build/typing
ln -sfn ../.. build/typing/trajectory_hub # by this, the type checker finds what tests import
check "Lint" "$VENV/bin/ruff" check --quiet .
check "Format" "$VENV/bin/ruff" format --quiet --check .
check "Shell scripts" shellcheck -x scripts/*.sh .ci/run
check "Types" "$VENV/bin/pyright" --pythonpath "$VENV/bin/python"

# tests_of HALF EXPRESSION: the tests that the markers select; each half remembers its own failures
tests_of() {
  exec env --default-signal=INT "$VENV/bin/pytest" -o cache_dir="build/pytest-$1" -m "$2"
}

# once_more HALF: two halves on one machine make each other slow, so the few tests that failed are run again alone.
# They are named whatever comes of it; more than three are no accident and are not run again.
once_more() {
  local names="build/pytest-$1/v/cache/lastfailed" count
  count=$(grep -c '": true' "$names" 2>/dev/null) || return 1
  printf '\nFailed beside the other half (%s), see above:\n' "$count"
  sed -n 's/^ *"\(.*\)": true,*$/    \1/p' "$names"
  [ "$count" -le 3 ] || return 1
  printf 'The same, alone:\n'
  "$VENV/bin/pytest" -o cache_dir="build/pytest-$1" --last-failed --last-failed-no-failures none || return
  printf 'They pass alone: a test or what it tests depends on how busy the machine is, which is worth a report.\n'
}

# tests_side_by_side: those that need the engine beside those that do not; each half leaves a core idle for long
tests_side_by_side() {
  local engine=0 others=0 job log=build/tests-with-engine.log
  # a shell lets what it runs in the background ignore Ctrl-C, and tests of Ctrl-C would ignore it with it
  (tests_of engine docker) >"$log" 2>&1 &
  job=$!
  trap 'kill -INT "$job" 2>/dev/null; wait "$job"; exit 130' INT TERM
  printf '    those that need the engine write %s, which is shown afterwards\n' "$log"
  (tests_of others "not docker") || others=$?
  wait "$job" || engine=$?
  trap - INT TERM
  printf '\nTests that need the engine:\n'
  cat "$log"
  if [ "$others" -eq 1 ]; then once_more others && others=0; fi
  if [ "$engine" -eq 1 ]; then once_more engine && engine=0; fi
  return $((others ? others : engine))
}

phase "Tests"
status=0
if [ $# -eq 0 ]; then tests_side_by_side || status=$?; else "$VENV/bin/pytest" "$@" || status=$?; fi
if [ "${#FAILED[@]}" -gt 0 ]; then
  printf 'failed before the tests: %s\n' "${FAILED[*]}" >&2
  exit 1
fi
exit "$status"
