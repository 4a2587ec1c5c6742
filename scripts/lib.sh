# shellcheck shell=bash
# What quickstart.sh and test.sh share: phases with their times, the virtual environment, the engine, the base image.
# Every failure says what is missing and how to get it, and exits 3. Nothing that runs already is stopped or changed.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
LOG=$ROOT/build/setup.log
DOCKERD_LOG=${TRAJHUB_DOCKERD_LOG:-/var/log/trajhub-dockerd.log}
PHASE='' PHASE_START=0
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1

phase() {
  PHASE=$1 PHASE_START=$(date +%s%N)
  printf '==> %s\n' "$PHASE"
}

phase_done() {
  local ms=$((($(date +%s%N) - PHASE_START) / 1000000))
  printf '    %s (%d.%d s)\n' "${1:-done}" $((ms / 1000)) $((ms % 1000 / 100))
}

# fail WHAT HOW...: what is missing, and one line for each way to get it
fail() {
  printf '\n%s: %s\n' "${PHASE:-setup}" "$1" >&2
  shift
  printf '  -> %s\n' "$@" >&2
  exit 3
}

start_log() {
  { mkdir -p "$ROOT/build" && : >"$LOG"; } 2>/dev/null ||
    fail "$ROOT cannot be written to by $(id -un)" "make a clone of your own, and run its scripts"
}

log_tail() {
  printf '  the log ends (%s):\n' "$1" >&2
  tail -n 15 "$1" | cut -c1-300 | sed 's/^/  | /' >&2
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# apt_install WHY PACKAGE...: install Debian packages, or say why it cannot be done
apt_install() {
  local why=$1
  shift
  command -v apt-get >/dev/null || fail "$why is needed and this system has no apt-get" "install it: $*"
  is_root || fail "$why is needed, and installing it takes root" "sudo apt-get install $*" "then run this again"
  printf '    installing %s\n' "$*"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" >>"$LOG" 2>&1 && return
  if ! apt-get -o DPkg::Lock::Timeout=300 update >>"$LOG" 2>&1 ||
    ! apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" >>"$LOG" 2>&1; then
    log_tail "$LOG"
    fail "apt-get could not install $*" "check the network and /etc/apt/sources.list" "then run this again"
  fi
}

# free_gib FOLDER: whole GiB free where the folder is, or would be
free_gib() {
  local folder=$1
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1048576) }'
}

need_disk() {
  local free
  free=$(free_gib "$1")
  [ "$free" -ge "$2" ] || fail "$free GiB free at $1, $2 GiB needed" "make room there, or move $3"
}

find_python() {
  local python
  for python in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3; do
    if command -v "$python" >/dev/null &&
      "$python" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$python"
      return
    fi
  done
  fail "no Python 3.11 or later" "apt-get install python3 (Debian 12 or Ubuntu 24.04 and later)" \
    "or name one: PYTHON=/path/to/python3.11 bash $0"
}

make_venv() {
  local python=$1 version
  if "$VENV/bin/python" -c '' 2>/dev/null; then return; fi
  if command -v uv >/dev/null; then
    uv venv --quiet --clear --python "$python" "$VENV" >>"$LOG" 2>&1 && return
  fi
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    apt_install "the module venv" "$version"
  fi
  if ! "$python" -m venv --clear "$VENV" >>"$LOG" 2>&1; then
    log_tail "$LOG"
    fail "no virtual environment could be made in $VENV" "check that $ROOT can be written to"
  fi
}

# What pip reads from its environment and uv does not.
uv_options() {
  local item
  for item in ${PIP_FIND_LINKS:-}; do printf -- '--find-links\n%s\n' "$item"; done
  if [ -n "${PIP_INDEX_URL:-}" ]; then printf -- '--index-url\n%s\n' "$PIP_INDEX_URL"; fi
  for item in ${PIP_EXTRA_INDEX_URL:-}; do printf -- '--extra-index-url\n%s\n' "$item"; done
}

pip_install() {
  local options=()
  if command -v uv >/dev/null; then
    mapfile -t options < <(uv_options)
    SSL_CERT_FILE=${SSL_CERT_FILE:-${PIP_CERT:-}}
    if [ -n "$SSL_CERT_FILE" ]; then export SSL_CERT_FILE; else unset SSL_CERT_FILE; fi
    uv pip install --quiet --python "$VENV/bin/python" "${options[@]}" "$@" >>"$LOG" 2>&1
  else
    "$VENV/bin/python" -m pip install --quiet "$@" >>"$LOG" 2>&1
  fi
}

# ensure_venv EXTRAS: the package, editable, with extras such as "[eval]"
ensure_venv() {
  local extras=$1 python want stamp=$VENV/.trajhub-installed
  phase "Python environment"
  python=$(find_python)
  make_venv "$python"
  want="$extras $ROOT $(sha256sum <"$ROOT/pyproject.toml")"
  if [ -f "$stamp" ] && grep -qxF -- "$want" "$stamp"; then
    phase_done "$VENV is up to date"
    return
  fi
  need_disk "$ROOT" 4 "the checkout"
  if ! pip_install -e "$ROOT$extras"; then
    log_tail "$LOG"
    fail "the package's dependencies could not be installed" \
      "check the network, or point PIP_INDEX_URL (and PIP_CERT) to a package index" "then run this again"
  fi
  printf '%s\n' "$want" >>"$stamp"
  phase_done "$VENV made with $("$VENV/bin/python" --version)"
}

# in_package CODE: run Python in the environment; an error of ours is one message in the log, not a traceback
in_package() {
  "$VENV/bin/python" -c "
import sys
from trajectory_hub.errors import TrajHubError
try:
    exec(sys.argv[1])
except TrajHubError as error:
    sys.exit(str(error))" "$1" 2>>"$LOG"
}

# A browser that is there is used, or the one that TRAJHUB_CHROMIUM names; without one, Debian's is installed.
ensure_browser() {
  local browser
  phase "Browser"
  if [ -n "${TRAJHUB_CHROMIUM:-}" ]; then
    [ -x "$TRAJHUB_CHROMIUM" ] ||
      fail "TRAJHUB_CHROMIUM is $TRAJHUB_CHROMIUM, and there is no such program" "name one" "or unset TRAJHUB_CHROMIUM"
  fi
  browser=${TRAJHUB_CHROMIUM:-$(command -v chromium || command -v google-chrome || true)}
  if [ -z "$browser" ]; then
    apt_install "chromium, in which pages are tested," chromium fonts-dejavu-core
    browser=$(command -v chromium)
  fi
  export TRAJHUB_CHROMIUM=$browser
  phase_done "$browser"
}

engine_answers() {
  in_package '
from trajectory_hub.envs.engine import Engine
version = Engine(timeout=20).api.version()
print("Docker API {} of {}".format(version["ApiVersion"], version["Version"]))'
}

dockerd_pid() {
  local pid
  pid=$(cat /var/run/docker.pid 2>/dev/null) || return 1
  kill -0 "$pid" 2>/dev/null && printf '%s' "$pid"
}

await_engine() {
  local deadline=$((SECONDS + $1)) said
  until said=$(engine_answers); do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    [ -z "${2:-}" ] || kill -0 "$2" 2>/dev/null || return 1
    sleep 1
  done
  phase_done "$said"
}

# An engine that answers is used as it is; without one, Debian's is installed and started.
ensure_engine() {
  local said pid
  phase "Docker engine"
  if said=$(engine_answers); then
    phase_done "$said answers"
    return
  fi
  if [ -n "${DOCKER_HOST:-}" ]; then
    fail "DOCKER_HOST is $DOCKER_HOST, and nothing answers there" "start that engine" "or unset DOCKER_HOST"
  fi
  if [ -S /var/run/docker.sock ] && ! [ -w /var/run/docker.sock ]; then
    fail "an engine is there, and you may not use it" "sudo usermod -aG docker $(id -un), then log in again" \
      "or run this as root"
  fi
  is_root || fail "no Docker engine answers, and starting one takes root" "sudo bash $0" \
    "or have one installed (docker.io) and join the group docker" "or set DOCKER_HOST"
  if pid=$(dockerd_pid); then
    await_engine 60 "$pid" || fail "dockerd runs (process $pid) and does not answer" "look at its log" \
      "or stop it, and run this again"
    return
  fi
  need_disk /var/lib/docker 4 "the engine's data (data-root in /etc/docker/daemon.json)"
  command -v dockerd >/dev/null || apt_install "a Docker engine" docker.io iptables
  start_engine
}

start_engine() {
  local pid
  if [ -d /run/systemd/system ]; then
    systemctl start docker >>"$LOG" 2>&1 || true
    await_engine 60 || fail "systemd could not start the engine" "journalctl -u docker"
    return
  fi
  printf '    starting dockerd in the background, its log is %s\n' "$DOCKERD_LOG"
  setsid nohup dockerd >"$DOCKERD_LOG" 2>&1 </dev/null &
  pid=$!
  if ! await_engine 60 "$pid"; then
    log_tail "$DOCKERD_LOG"
    fail "dockerd did not start" "in a container, it needs --privileged" "or set DOCKER_HOST to an engine elsewhere"
  fi
}

make_base_image() {
  in_package '
from trajectory_hub.envs.engine import Engine
from trajectory_hub.envs.factory.catalogue import load_catalogue
from trajectory_hub.envs.images import ensure_python_image
base = load_catalogue().base
print(ensure_python_image(Engine(), base.image, base.suite, base.include))'
}

ensure_base_image() {
  local name
  phase "Base image"
  if name=$(make_base_image); then
    phase_done "$name"
    return
  fi
  if command -v debootstrap >/dev/null; then
    log_tail "$LOG"
    fail "the base image could not be made" "the log says why: $LOG" \
      "an image registry or, as root, a Debian mirror must answer"
  fi
  printf '    no registry answers: the image is made from Debian packages\n'
  apt_install "debootstrap, as no image registry answers," debootstrap
  if ! name=$(make_base_image); then
    log_tail "$LOG"
    fail "the base image could not be made" "the log says why: $LOG" \
      "a Debian mirror must answer, and 2 GiB be free in /tmp"
  fi
  phase_done "$name"
}
