"""Judges recipes by llama.cpp: whole GGUF files, byte for byte.

    python3 recipes.py LLAMA_QUANTIZE REWRITE

LLAMA_QUANTIZE is llama.cpp's `llama-quantize`, or any program that calls `llama_model_quantize` with its arguments IN OUT
NUMBER; REWRITE is the example `rewrite` of modelsmith-format-weights. Small Llamas with random weights are made here, with
and without experts.
"""

import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy

RECIPES = {
    "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12, "Q3_K_L": 13,
    "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30, "TQ1_0": 36, "TQ2_0": 37,
    "MXFP4_MOE": 38,
}  # fmt: skip


def model(path, experts, layers=12, wide=256, inner=512):
    rng = numpy.random.default_rng(3)
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("tiny")
    w.add_context_length(128)
    w.add_embedding_length(wide)
    w.add_block_count(layers)
    w.add_feed_forward_length(inner)
    w.add_head_count(4)
    w.add_head_count_kv(2)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(64)
    w.add_file_type(1)
    w.add_vocab_size(64)
    w.add_tokenizer_model("llama")
    w.add_token_list([f"t{i}" for i in range(64)])
    w.add_token_scores([0.0] * 64)
    w.add_token_types([1] * 64)
    w.add_quantization_version(2)
    if experts:
        w.add_expert_count(experts)
        w.add_expert_used_count(2)
    add = lambda name, *shape: w.add_tensor(
        name, (rng.standard_normal(shape) * 0.05).astype("f4" if len(shape) == 1 else "f2"))
    add("token_embd.weight", 64, wide)
    for i in range(layers):
        for part, rows in [("attn_q", wide), ("attn_k", wide // 2), ("attn_v", wide // 2), ("attn_output", wide)]:
            add(f"blk.{i}.{part}.weight", rows, wide)
        for part, rows, columns in [("gate", inner, wide), ("up", inner, wide), ("down", wide, inner)]:
            if experts:
                add(f"blk.{i}.ffn_{part}_exps.weight", experts, rows, columns)
            else:
                add(f"blk.{i}.ffn_{part}.weight", rows, columns)
        if experts:
            add(f"blk.{i}.ffn_gate_inp.weight", experts, wide)
        add(f"blk.{i}.attn_norm.weight", wide)
        add(f"blk.{i}.ffn_norm.weight", wide)
    add("output_norm.weight", wide)
    add("output.weight", 64, wide)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    quantize, rewrite = sys.argv[1], sys.argv[2]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        given, theirs, ours = (pathlib.Path(folder) / f"{n}.gguf" for n in ("given", "theirs", "ours"))
        for experts in [0, 4, 8]:
            model(given, experts)
            for name, number in RECIPES.items():
                subprocess.run([quantize, given, theirs, str(number)], check=True, capture_output=True)
                subprocess.run([rewrite, given, ours, "gguf", name], check=True, capture_output=True)
                same = theirs.read_bytes() == ours.read_bytes()
                bad += not same
                print(f"{'ok  ' if same else 'FAIL'} {name}, {experts} experts: {ours.stat().st_size} bytes")
    sys.exit(bad != 0)


main()
