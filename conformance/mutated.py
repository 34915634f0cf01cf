"""Reads damaged archives of PyTorch: each is read, or refused with a located error, in bounded time and memory.

    python3 mutated.py MODELSMITH SECONDS ARCHIVE..

Members of the archives (code, programs, pickles) are changed at random, by bytes and by words, packed again, and given to
`inspect`. A crash, a run of more than 20 s, one of more than 2 GB and an error without a place are kept in the present folder and
printed. Exits 1 when there is one.
"""

import io
import pathlib
import random
import re
import resource
import subprocess
import sys
import time
import zipfile

SECONDS, MEMORY = 20, 2 << 30
TEXT = (".py", ".json")
WORDS = [b"None", b"True", b"-1", b"0", b"9223372036854775807", b"[]", b"()", b"x", b"self", b"1e400", b"for i in range(9):"]


def changed(body, text, rng):
    """`body` with one to four changes."""
    body = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        if not body:
            break
        at = rng.randrange(len(body))
        kind = rng.randrange(5)
        if text and kind < 3:
            words = [m.span() for m in re.finditer(rb"[\w.]+|[^\s\w]", bytes(body))]
            if not words:
                continue
            (a, b), (c, d) = rng.choice(words), rng.choice(words)
            body[a:b] = rng.choice(WORDS) if kind == 0 else body[c:d]
        elif kind == 3:
            lines = bytes(body).split(b"\n")
            lines.insert(rng.randrange(len(lines)), rng.choice(lines))
            body = bytearray(b"\n".join(lines))
        elif kind == 4:
            del body[at : at + rng.randint(1, 40)]
        else:
            body[at] = rng.randrange(256)
    return bytes(body)


def mutated(archive, rng):
    source = zipfile.ZipFile(io.BytesIO(archive))
    names = [n for n in source.namelist() if n.endswith(TEXT) or n.endswith(".pkl") or "config" in n]
    hit = rng.choice(names)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as made:
        for name in source.namelist():
            body = source.read(name)
            made.writestr(name, changed(body, name.endswith(TEXT), rng) if name == hit else body)
    return hit, out.getvalue()


def bounded():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def main():
    tool, seconds, files = sys.argv[1], float(sys.argv[2]), [pathlib.Path(f) for f in sys.argv[3:]]
    rng, counts, failed = random.Random(1), {}, 0
    end, run = time.monotonic() + seconds, 0
    archives = [(f.suffix, f.read_bytes()) for f in files]
    while time.monotonic() < end:
        suffix, archive = rng.choice(archives)
        hit, body = mutated(archive, rng)
        path = pathlib.Path(f"mutated-{run}{suffix}")
        path.write_bytes(body)
        try:
            done = subprocess.run([tool, "inspect", path], capture_output=True, text=True, timeout=SECONDS, preexec_fn=bounded)
            code, said = done.returncode, done.stderr
        except subprocess.TimeoutExpired:
            code, said = "time", ""
        counts[code] = counts.get(code, 0) + 1
        if code == "time" or code < 0 or code > 100 or "panicked" in said or (code and path.name not in said):
            failed += 1
            print(f"{path}: {hit}: {code}: {said.strip()[-200:]}", flush=True)
        else:
            path.unlink()
        run += 1
    print(f"{run} archives: exit codes {counts}, {failed} to look at")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
