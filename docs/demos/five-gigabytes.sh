#!/usr/bin/env bash
# The demonstration of docs/demos/five-gigabytes.md. usage: five-gigabytes.sh MODELSMITH [PYTHON] [FIGURE.svg]
# Needs 16 GB of disk in TMPDIR, and 24 GB of memory for the others.
set -euo pipefail
modelsmith=$(realpath "$1")
python=${2:-python3}
figure=${3:+$(realpath -m "$3")}
here=$(dirname "$(realpath "$0")")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"$python" "$here/make_decoder.py" decoder.onnx
"$python" "$here/five_gigabytes.py" "$modelsmith" decoder.onnx out ${figure:+--svg "$figure"}
