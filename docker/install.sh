#!/bin/sh
# Install omero-hcs into a Python environment: what the images do, and what a test does without them.
#
#   sh install.sh PYTHON WHEELS CONSTRAINTS EXTRAS [TORCH_INDEX]
#
# PYTHON       interpreter of the environment, 3.11 or later
# WHEELS       folder with the wheel of omero-hcs and, where the environment has none, that of zeroc-ice
# CONSTRAINTS  file with exact versions (constraints.txt of the checkout)
# EXTRAS       such as "omero" or "omero,ml,weights,report"
# TORCH_INDEX  index of PyTorch's builds without CUDA; empty for PyPI's, which bring CUDA along
set -eu

python=$1 wheels=$2 constraints=$3 extras=$4 torch_index=${5:-}

"$python" -c 'import sys; sys.version_info >= (3, 11) or sys.exit("omero-hcs needs Python 3.11 or later; this is " + sys.version)'

found=
for wheel in "$wheels"/omero_hcs-*.whl; do found=$wheel; done
[ -f "$found" ] || { echo "There is no wheel of omero-hcs in $wheels." >&2; exit 1; }
found=$(cd "$(dirname "$found")" && pwd)/$(basename "$found")

# An environment that has OMERO.py already, as OMERO.server's own has, keeps its version: it belongs to that server.
pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
if "$python" -c 'import omero' 2>/dev/null; then
  shared=yes
  sed '/^omero-py==/d' "$constraints" >"$pins"
else
  shared=no
  cat "$constraints" >"$pins"
fi

# PyTorch's CPU builds are numbered 2.x+cpu, which pip prefers to PyPI's 2.x.
"$python" -m pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
  --find-links "$wheels" --constraint "$pins" ${torch_index:+--extra-index-url "$torch_index"} \
  "omero-hcs[$extras] @ file://$found"

# What OMERO's own packages miss of each other is not ours to refuse.
"$python" -m pip check || [ "$shared" = yes ]
"$python" -c 'import Ice, omero.gateway'
"$(dirname "$python")/omero-hcs" --version
"$(dirname "$python")/omero-hcs" scripts check
