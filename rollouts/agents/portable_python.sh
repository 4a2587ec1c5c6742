#!/bin/sh
# portable-python FOLDER [PACKAGE...]: this system's Python, with packages, so that it runs on any other Linux.
#
# FOLDER/python holds the interpreter (see portable-program) and its library, FOLDER/venv is a virtual environment of it,
# which holds PACKAGE...; what a package asks of Python's version is left to whoever names it, unless it names extras.
set -e
folder=$1 && shift
python=$folder/python
shared=$python/lib/shared
real=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
name=$(basename "$library")
portable-program "$real" "$python/bin/$name" "$shared"
[ -x /opt/portable/bin/uv ] || /opt/portable/bin/pip install -q --no-cache-dir uv
PATH=$PATH:/opt/portable/bin
[ -z "$PIP_INDEX_URL" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"

ln -sf "$name" "$python/bin/python3"
(cd "$library" && find . \( -name __pycache__ -o -name site-packages -o -name dist-packages -o -name test -o -name EXTERNALLY-MANAGED \) \
  -prune -o \( -type f -o -type l \) -print | tar -chf - -T -) | (mkdir -p "$python/lib/$name" && tar -C "$python/lib/$name" -xf -)
find "$python/lib/$name/lib-dynload" -name '*.so' -exec ldd {} + 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | sort -u |
  while read -r library; do cp -Ln "$library" "$shared/"; done
# What packages with compiled parts expect of a system (manylinux).
for library in libstdc++.so.6 libgcc_s.so.1 libz.so.1; do
  found=$(ldconfig -p | sed -n "s/^\s*$library .*=> //p" | head -n 1)
  [ -z "$found" ] || cp -L "$found" "$shared/$library"
done

"$python/bin/python3" -m compileall -q "$python/lib/$name" || :
uv venv -q --clear --no-config --python "$python/bin/python3" "$folder/venv"
: >/tmp/needed
for package; do
  case $package in *\[*) echo "$package" >>/tmp/needed && continue ;; esac
  /opt/portable/bin/pip --python "$folder/venv/bin/python" install -q --no-cache-dir --no-compile --no-deps \
    --ignore-requires-python "$package"
done
"$folder/venv/bin/python" -c 'import importlib.metadata as m; print("\n".join(r for d in m.distributions() for r in d.requires or ()))' >>/tmp/needed
uv pip install -q --no-cache --compile-bytecode --python "$folder/venv/bin/python" -r /tmp/needed
rm /tmp/needed
