#!/usr/bin/env bash
# From a bare Debian or Ubuntu to recorded, scored episodes: installs what is missing, builds a few tasks from a real
# package, lets two built-in policies loose on them, and shows the table of episodes. Safe to run again.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PACKAGE=${TRAJHUB_QUICKSTART_PACKAGE:-toolz}
LIMIT=${TRAJHUB_QUICKSTART_TASKS:-3}
TASKS=$ROOT/build/quickstart/tasks
BEGUN=$SECONDS
cd "$ROOT"
start_log

ensure_venv "[eval]"
ensure_engine
ensure_base_image

phase "Tasks from $PACKAGE"
need_disk "$ROOT" 1 "the checkout"
"$VENV/bin/trajhub" tasks build --packages "$PACKAGE" --kind injected --limit "$LIMIT" -o "$TASKS"
phase_done

STAMP=$(date +%Y%m%d-%H%M%S)
phase "Episodes of the policy reference, graded"
"$VENV/bin/trajhub" rollout --tasks "$TASKS" --policy reference --grade -o "runs/quickstart-$STAMP-reference"
phase_done
phase "Episodes of the policy random"
"$VENV/bin/trajhub" rollout --tasks "$TASKS" --policy random -o "runs/quickstart-$STAMP-random"
phase_done

printf '\nAll of it in %d s. Look further:\n' $((SECONDS - BEGUN))
printf '  %s\n' ". .venv/bin/activate" "trajhub runs list" "trajhub doctor"
