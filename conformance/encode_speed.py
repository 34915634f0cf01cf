#!/usr/bin/env python3
"""How fast block encodings are made, beside llama.cpp's quantizer on as many threads.

usage: encode_speed.py BINARY QUANTIZE FOLDER [--threads 2] [--rounds 4]
QUANTIZE IN OUT FTYPE THREADS is a few lines around `llama_model_quantize` (see recipes.py). A model of 540 MB of f16 is made
in FOLDER with the package gguf. Both write it in turns; printed are the least seconds, the processor's seconds, and whether
the files are the same bytes, which they are only where the quantizer is built without options for the processor.
"""
import filecmp, os, resource, subprocess, sys, time

import gguf
import numpy

TYPES = {"Q8_0": 7, "Q4_0": 2, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18}


def make(path):
    layers, width, inner, words = 4, 2048, 5632, 16000
    w = gguf.GGUFWriter(path, "llama")
    w.add_block_count(layers); w.add_head_count(16); w.add_head_count_kv(16); w.add_context_length(2048)
    w.add_embedding_length(width); w.add_feed_forward_length(inner); w.add_layer_norm_rms_eps(1e-5); w.add_file_type(1)
    random = numpy.random.default_rng(0)
    tensor = lambda name, *shape: w.add_tensor(name, (random.standard_normal(shape, "f4") * 0.02).astype("f2"))
    ones = lambda name: w.add_tensor(name, numpy.ones(width, "f4"))
    tensor("token_embd.weight", words, width); tensor("output.weight", words, width); ones("output_norm.weight")
    for i in range(layers):
        for part in ("q", "k", "v", "output"):
            tensor(f"blk.{i}.attn_{part}.weight", width, width)
        tensor(f"blk.{i}.ffn_gate.weight", inner, width); tensor(f"blk.{i}.ffn_up.weight", inner, width)
        tensor(f"blk.{i}.ffn_down.weight", width, inner)
        ones(f"blk.{i}.attn_norm.weight"); ones(f"blk.{i}.ffn_norm.weight")
    w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()


def took(command, out):
    if os.path.exists(out):
        os.remove(out)
    spent = lambda: (lambda r: r.ru_utime + r.ru_stime)(resource.getrusage(resource.RUSAGE_CHILDREN))
    begun, before = time.perf_counter(), spent()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun, spent() - before


def main():
    binary, quantize, folder = sys.argv[1:4]
    option = lambda name, otherwise: int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else otherwise
    threads, rounds = option("--threads", 2), option("--rounds", 4)
    model, theirs, ours = (os.path.join(folder, n) for n in ("model.gguf", "theirs.gguf", "ours.gguf"))
    make(model)
    print("| type | llama.cpp, s | ours, s | ratio | processor: llama.cpp, s | ours, s | ratio | same bytes |\n|---|---|---|---|---|---|---|---|")
    for name, number in TYPES.items():
        a, b = [], []
        for _ in range(rounds):
            a.append(took([quantize, model, theirs, str(number), str(threads)], theirs))
            b.append(took([binary, "convert", model, ours, "--type", name, "--threads", str(threads), "--quiet"], ours))
        (wall_a, cpu_a), (wall_b, cpu_b) = ([min(x[i] for x in all) for i in (0, 1)] for all in (a, b))
        same = filecmp.cmp(theirs, ours, False)
        print(f"| {name} | {wall_a:.2f} | {wall_b:.2f} | {wall_a / wall_b:.2f} | {cpu_a:.2f} | {cpu_b:.2f} | {cpu_a / cpu_b:.2f} | {'yes' if same else 'no'} |", flush=True)


main()
