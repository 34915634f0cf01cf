"""Judges block encodings by ggml itself, byte for byte.

    gcc -O3 -fPIC -shared -DNDEBUG -I ggml/include -I ggml/src ggml/src/ggml-quants.c -x c - -lm -o libquants.so < stubs
    python3 blocks.py BLOCKS libquants.so

BLOCKS is the example `blocks` of modelsmith-tensor. ggml is built without options for the processor, as its CMake files
build `ggml-base`: without them gcc joins no multiplication with an addition. `stubs` gives what ggml-quants.c takes from
ggml.c: `ggml_abort`, `ggml_row_size` and the like; see STUBS below, which `blocks.py --build GGML_FOLDER OUT.so` uses.
"""

import ctypes
import pathlib
import subprocess
import sys
import tempfile

import numpy

#  name: ggml's number, elements, bytes, function
ENCODERS = "Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4 NVFP4 TQ1_0 TQ2_0 Q1_0 Q2_0".split()
ROWS_ONLY = "Q8_1 Q8_K".split()

STUBS = """
#include <stdint.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include "ggml.h"
#define GGML_COMMON_DECL_C
#include "ggml-common.h"
void ggml_abort(const char * file, int line, const char * fmt, ...) { fprintf(stderr, "%s:%d %s\\n", file, line, fmt); abort(); }
void ggml_log_internal(int level, const char * format, ...) {}
void * ggml_aligned_malloc(size_t size) { return malloc(size); }
void ggml_aligned_free(void * p, size_t size) { free(p); }
void ggml_critical_section_start(void) {}
void ggml_critical_section_end(void) {}
const char * ggml_type_name(enum ggml_type type) { return "type"; }
size_t ggml_type_size(enum ggml_type type) { return 0; }
size_t ggml_row_size(enum ggml_type type, int64_t n) {
    switch (type) {
        case GGML_TYPE_Q4_0: return n/32*sizeof(block_q4_0);   case GGML_TYPE_Q4_1: return n/32*sizeof(block_q4_1);
        case GGML_TYPE_Q5_0: return n/32*sizeof(block_q5_0);   case GGML_TYPE_Q5_1: return n/32*sizeof(block_q5_1);
        case GGML_TYPE_Q8_0: return n/32*sizeof(block_q8_0);   case GGML_TYPE_Q2_K: return n/256*sizeof(block_q2_K);
        case GGML_TYPE_Q3_K: return n/256*sizeof(block_q3_K);  case GGML_TYPE_Q4_K: return n/256*sizeof(block_q4_K);
        case GGML_TYPE_Q5_K: return n/256*sizeof(block_q5_K);  case GGML_TYPE_Q6_K: return n/256*sizeof(block_q6_K);
        case GGML_TYPE_TQ1_0: return n/256*sizeof(block_tq1_0); case GGML_TYPE_TQ2_0: return n/256*sizeof(block_tq2_0);
        case GGML_TYPE_MXFP4: return n/32*sizeof(block_mxfp4); case GGML_TYPE_NVFP4: return n/64*sizeof(block_nvfp4);
        case GGML_TYPE_Q1_0: return n/128*sizeof(block_q1_0);  case GGML_TYPE_Q2_0: return n/64*sizeof(block_q2_0);
        default: abort();
    }
}
"""


def build(ggml, out):
    with tempfile.TemporaryDirectory() as folder:
        stubs = pathlib.Path(folder) / "stubs.c"
        stubs.write_text(STUBS)
        include = [f"-I{ggml}/include", f"-I{ggml}/src"]
        flags = ["-O3", "-std=gnu11", "-fPIC", "-shared", "-DNDEBUG", "-w"]
        sources = [f"{ggml}/src/ggml-quants.c", str(stubs)]
        subprocess.run(["gcc", *flags, *include, *sources, "-lm", "-o", out], check=True)


def samples(rng, elements, row):
    """Rows of many kinds, and the importance of columns."""
    normal = rng.standard_normal((24, row)).astype("f4")
    heavy = normal * numpy.where(rng.random(normal.shape) < 0.01, 300.0, 1.0).astype("f4")
    edges = [
        numpy.zeros(row), numpy.full(row, 0.25), numpy.full(row, -3e-3), numpy.arange(row) - row / 2,
        numpy.where(numpy.arange(row) % 2, 1, -1), numpy.where(numpy.arange(row) % elements == 3, 7.5, 0),
        numpy.abs(normal[0]), -numpy.abs(normal[1]), normal[2] * 1e-7, normal[3] * 1e-20, normal[4] * 1e-38,
        normal[5] * 1e-42, normal[6] * 1e4, normal[7] * 1e30, numpy.round(normal[8]), numpy.sign(normal[9]),
    ]  # fmt: skip
    edges = numpy.stack(edges).astype("f4")
    uniform = rng.uniform(-1, 1, normal.shape).astype("f4")
    small = (normal * 0.02).astype(numpy.float16).astype("f4")
    every = numpy.concatenate([normal, heavy, uniform, small, edges])
    importance = (rng.standard_normal(row) ** 2 + 1e-3).astype("f4")
    importance[: row // 8] = 0
    return every, importance


def main():
    if sys.argv[1] == "--build":
        return build(sys.argv[2], sys.argv[3])
    ours, library = sys.argv[1], ctypes.CDLL(sys.argv[2])
    listed = subprocess.run([ours, "list"], capture_output=True, text=True, check=True).stdout.split("\n")
    sizes = {w[0]: (int(w[1]), int(w[2])) for w in map(str.split, filter(None, listed))}
    rng = numpy.random.default_rng(7)
    pointer = lambda a: a.ctypes.data_as(ctypes.c_void_p)
    folder = pathlib.Path(tempfile.mkdtemp())
    bad = 0

    def check(what, wanted, found):
        nonlocal bad
        different = numpy.count_nonzero(wanted != found)
        bad += int(different != 0)
        print(f"{'FAIL' if different else 'ok  '} {what}: {different} of {wanted.size} differ")

    def mine(name, row, x, importance):
        files = [folder / f for f in ("x", "y", "w")]
        x.tofile(files[0])
        arguments = [ours, "encode", name, str(row), files[0], files[1]]
        if importance is not None:
            importance.tofile(files[2])
            arguments.append(files[2])
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        return numpy.fromfile(files[1], "u1")

    for name in ENCODERS + ROWS_ONLY:
        elements, size = sizes[name]
        for row in (256 if elements == 256 else 128, 1024):
            x, importance = samples(rng, elements, row)
            for weights in (None, importance):
                if name in ROWS_ONLY and weights is not None:
                    continue
                out = numpy.zeros(x.size // elements * size, "u1")
                if name in ROWS_ONLY:
                    getattr(library, f"quantize_row_{name.lower().replace('_k', '_K')}_ref")(
                        pointer(x), pointer(out), ctypes.c_int64(x.size))
                else:
                    encode = getattr(library, f"quantize_{name.lower().replace('_k', '_K')}")
                    encode.restype = ctypes.c_size_t
                    encode(pointer(x), pointer(out), ctypes.c_int64(x.shape[0]), ctypes.c_int64(row),
                           None if weights is None else pointer(weights))
                check(f"{name} encode, rows of {row}{'' if weights is None else ', importance'}", out,
                      mine(name, row, x, weights))
    for name, (elements, size) in sizes.items():
        blocks = rng.integers(0, 256, (4000, size), "u1")
        if name == "Q8_K":
            blocks[:, :4] = rng.standard_normal((4000, 1)).astype("<f4").view("u1")
        wanted = numpy.zeros(4000 * elements, "f4")
        decode = getattr(library, f"dequantize_row_{name.lower().replace('_k', '_K')}", None)
        if decode is None:
            print(f"none {name} decode: ggml has none")
            continue
        decode(pointer(blocks), pointer(wanted), ctypes.c_int64(wanted.size))
        blocks.tofile(folder / "b")
        subprocess.run([ours, "decode", name, folder / "b", folder / "f"], check=True)
        found = numpy.fromfile(folder / "f", "f4")
        nan = numpy.isnan(wanted) & numpy.isnan(found)
        check(f"{name} decode", numpy.where(nan, 0, wanted.view("u4")), numpy.where(nan, 0, found.view("u4")))
    sys.exit(bad != 0)


main()
