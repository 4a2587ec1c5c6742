#!/usr/bin/env bash
# The closed loop on this machine: small repair tasks in Docker, demonstrations, SFT, vLLM rollouts, DPO, paired
# evaluation, GO or NO-GO, report. Sets up what is missing; run again, it goes on where it was stopped.
#
#   bash scripts/closed_loop.sh                     # the full experiment: three training seeds
#   bash scripts/closed_loop.sh micro-ci            # the shortened one that CI runs
#   bash scripts/closed_loop.sh micro -c seeds=[0]  # any experiment, any `trajhub experiment` option
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -gt 0 ] || set -- micro
cd "$ROOT"
start_log

ensure_venv "[eval,train]"
ensure_engine
ensure_base_image

phase "vLLM, in an environment of its own"
TRAJHUB_VLLM_PYTHON=$(bash "$ROOT/scripts/local_server.sh" install 2>>"$LOG" | tail -n 1) ||
  { log_tail "$LOG"; fail "vLLM could not be installed" "look at $LOG"; }
export TRAJHUB_VLLM_PYTHON
phase_done "$TRAJHUB_VLLM_PYTHON"

phase "Experiment $1"
exec "$VENV/bin/trajhub" experiment "$@"
