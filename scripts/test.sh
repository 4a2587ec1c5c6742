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

# tests_side_by_side: those that need the engine beside those that do not; each half leaves a core idle for long
tests_side_by_side() {
  local engine=0 others=0 job log=build/tests-with-engine.log
  # a shell lets what it runs in the background ignore Ctrl-C, and tests of Ctrl-C would ignore it with it
  env --default-signal=INT "$VENV/bin/pytest" -m docker >"$log" 2>&1 &
  job=$!
  trap 'kill -INT "$job" 2>/dev/null; wait "$job"; exit 130' INT TERM
  printf '    those that need the engine write %s, which is shown afterwards\n' "$log"
  "$VENV/bin/pytest" -m "not docker" || others=$?
  wait "$job" || engine=$?
  trap - INT TERM
  printf '\nTests that need the engine:\n'
  cat "$log"
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
