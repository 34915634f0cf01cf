#!/usr/bin/env bash
# The demonstration of docs/demos/hostile-checkpoint.md. usage: hostile-checkpoint.sh MODELSMITH
set -euo pipefail
modelsmith=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() { echo "demonstration failed: $*" >&2; exit 1; }

python3 "$here/make_hostile.py" hostile.pt "$dir/it-ran"
if command -v picklescan >/dev/null; then
  picklescan -p hostile.pt >block-list.txt && echo "the block-list scanner passes it: $(grep Dangerous block-list.txt)"
fi

trace=()
if command -v strace >/dev/null; then
  trace=(strace -f -o trace.txt -e "trace=execve,execveat,fork,vfork,connect,openat,creat")
fi
code=0
"${trace[@]}" "$modelsmith" scan hostile.pt --extract-safe tensors.safetensors >said.txt || code=$?
cat said.txt
[[ $code == 1 ]] || fail "the scan ended with $code, 1 is wanted"
grep -q "distutils.spawn.spawn" said.txt || fail "the import is not named"
grep -q "byte offset" said.txt || fail "the instruction is not named"
[[ ! -e it-ran ]] || fail "the command ran"

"$modelsmith" inspect tensors.safetensors --stats >tensors.txt
cat tensors.txt
grep -q "head.weight" tensors.txt && grep -q "head.bias" tensors.txt || fail "the tensors are not there"

if [[ -e trace.txt ]]; then
  started=$(grep -c "execve(" trace.txt)
  [[ $started == 1 ]] || fail "$started programs were started, one is wanted: the scanner itself"
  ! grep -qE "vfork|connect\(" trace.txt || fail "a process was made, or a connection"
  ! grep -q "it-ran" trace.txt || fail "the marker was touched"
  echo "system calls: one program started (the scanner), no process, no connection, the marker never named"
else
  echo "skipped: there is no strace on this machine"
fi
