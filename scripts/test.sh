#!/usr/bin/env bash
# Sets up what the tests need and runs every check: lint, format, types, shell scripts, and all tests.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$ROOT"
start_log
ensure_venv "[dev]"
ensure_engine
ensure_base_image
command -v shellcheck >/dev/null || apt_install "shellcheck" shellcheck

phase "Lint"
"$VENV/bin/ruff" check .
"$VENV/bin/ruff" format --check .
shellcheck -x scripts/*.sh .ci/run
phase_done

phase "Types"
mkdir -p build/typing
ln -sfn ../.. build/typing/trajectory_hub # by this, tests find the package they import
"$VENV/bin/pyright" --pythonpath "$VENV/bin/python"
phase_done

phase "Tests"
"$VENV/bin/pytest" "$@"
