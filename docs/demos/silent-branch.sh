#!/usr/bin/env bash
# The demonstration of docs/demos/silent-branch.md. usage: silent-branch.sh MODELSMITH
set -euo pipefail
modelsmith=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() { echo "demonstration failed: $*" >&2; exit 1; }
python3 "$here/make_branches.py" .

echo "-- a trace beside the module that it was made of"
code=0
"$modelsmith" compare gate-scripted.pt gate-traced.pt >compared.txt 2>warned.txt || code=$?
cat warned.txt compared.txt
[[ $code == 1 ]] || fail "the comparison ended with $code, 1 is wanted"
[[ -s witness.npz ]] || fail "no witness was written"
"$modelsmith" compare gate-scripted.pt gate-traced.pt --inputs witness.npz >again.txt 2>&1 && fail "the witness shows nothing"
grep -q "differ" again.txt || fail "the witness shows nothing"

echo "-- converting the trace"
"$modelsmith" convert gate-traced.pt gate.onnx >converted.txt 2>&1
cat converted.txt
grep -q "torch.frozen.*network.py, line" converted.txt || fail "the place is not named"

echo "-- a branch that never matters"
code=0
"$modelsmith" compare pooled-scripted.pt pooled-traced.pt --verbose >pooled.txt 2>&1 || code=$?
cat pooled.txt
[[ $code == 0 ]] || fail "the comparison ended with $code, 0 is wanted"
grep -q "never matters.*network.py, line" pooled.txt || fail "that the branch never matters is not said"
