"""Judges architectures by llama.cpp and transformers.

    python3 arch.py MODELSMITH LLAMA_CPP JUDGE [--keep FOLDER] [NAME..]

LLAMA_CPP is a source tree of llama.cpp, whose convert_hf_to_gguf.py is run; JUDGE is arch.cpp built against its library.
Folders with random weights are made here (arch_models.py). For each:

* `MODELSMITH convert FOLDER X.gguf --type F16|BF16|F32`: the bytes of the converter, or what differs, key by key;
* `--type Q4_K_M ...`: the bytes of the converter at the type of the checkpoint and then of `llama_model_quantize`;
* the logits of llama.cpp for the F32 file beside those of transformers for the folder;
* `MODELSMITH convert X.gguf FOLDER/`: the logits and the tokens of transformers for it beside those of the original.
"""

import contextlib
import io
import logging
import pathlib
import runpy
import subprocess
import sys
import tempfile
import warnings

import arch_models
import torch
import transformers

RECIPES = {"Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18, "Q8_0": 7}
HEADLESS = ["bert", "qwen3-embedding"]
SAID = "Hello world, it's 2024 and the quick dog's words mix: naïve 你好 🚀 <tool>"


class Oracle:
    """llama.cpp's converter in this process."""

    def __init__(self, source):
        sys.path[:0] = [str(source), str(source / "gguf-py")]
        self.script = str(source / "convert_hf_to_gguf.py")
        import conversion.base

        self.base = conversion.base.TextModel
        self.own = self.base.get_vocab_base_pre

    def convert(self, folder, out, kind, pre):
        self.base.get_vocab_base_pre = (lambda *_: pre) if pre else self.own
        sys.argv = ["convert", folder, "--outfile", str(out), "--outtype", kind]
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(self.script, run_name="__main__")


def differences(theirs, ours):
    """What differs between two GGUF files: keys, then tensors."""
    import gguf

    a, b = gguf.GGUFReader(theirs), gguf.GGUFReader(ours)
    plain = lambda r: {k: (f.types, f.contents()) for k, f in r.fields.items() if not k.startswith("GGUF.")}
    out, (fa, fb) = [], (plain(a), plain(b))
    out += [f"key {k} only in {'theirs' if k in fa else 'ours'}" for k in sorted(fa.keys() ^ fb.keys())]
    short = lambda v: str(v)[:60]
    out += [f"{k}: theirs {short(fa[k])}, ours {short(fb[k])}" for k in fa if k in fb and fa[k] != fb[k]]
    if list(fa) != list(fb):
        out.append("keys in another order")
    ta, tb = ({t.name: t for t in r.tensors} for r in (a, b))
    out += [f"tensor {k} only in {'theirs' if k in ta else 'ours'}" for k in sorted(ta.keys() ^ tb.keys())]
    for k in ta.keys() & tb.keys():
        x, y = ta[k], tb[k]
        if x.tensor_type != y.tensor_type or list(x.shape) != list(y.shape) or x.data.tobytes() != y.data.tobytes():
            out.append(f"tensor {k}: {x.tensor_type.name} {list(x.shape)}, ours {y.tensor_type.name} {list(y.shape)}")
    return out or ["the order of tensors"]


def model_of(folder, name):
    kind = transformers.AutoModel if name in HEADLESS else transformers.AutoModelForCausalLM
    return kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def values(folder, name, ids):
    with torch.inference_mode():
        out = model_of(folder, name)(torch.tensor([ids]))
    return (out.last_hidden_state if name in HEADLESS else out.logits)[0]


def gap(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def main():
    args, keep = sys.argv[1:], None
    if "--keep" in args:
        at = args.index("--keep")
        keep, args = args[at + 1], args[:at] + args[at + 2 :]
    program, source, judge = str(pathlib.Path(args[0]).resolve()), pathlib.Path(args[1]).resolve(), args[2]
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    oracle, bad = Oracle(source), 0

    def line(good, name, what):
        nonlocal bad
        bad += not good
        print(f"{'ok  ' if good else 'FAIL'} {name:25} {what}", flush=True)

    def run(*command):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr[-600:]}")
        return done.stdout

    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(keep or scratch)
        out = pathlib.Path(scratch)
        for name, folder, pre in arch_models.make(root, args[3:]):
            theirs, ours, own = (out / f"{n}.gguf" for n in ("theirs", "ours", "own"))
            kinds = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}
            dtype = kinds[next(p for p in model_of_dtype(folder))]
            try:
                for kind in ["f16", "bf16", "f32"]:
                    oracle.convert(folder, theirs, kind, pre)
                    if kind == dtype:
                        own.write_bytes(theirs.read_bytes())
                    run(program, "convert", folder, "-o", ours, "--type", kind.upper())
                    same = theirs.read_bytes() == ours.read_bytes()
                    line(same, name, f"{kind}: " + ("same bytes" if same else "; ".join(differences(theirs, ours)[:8])))
                for recipe, number in RECIPES.items():
                    run(judge, "quantize", own, theirs, number)
                    run(program, "convert", folder, "-o", out / "q.gguf", "--type", recipe)
                    same = theirs.read_bytes() == (out / "q.gguf").read_bytes()
                    what = "same bytes" if same else "; ".join(differences(theirs, out / "q.gguf")[:8])
                    line(same, name, f"{recipe}: {what}")
                ids = [5, 17, 100, 42, 160, 7, 99, 3, 150, 64]
                wanted = values(folder, name, ids)
                printed = run(judge, "embed" if name in HEADLESS else "logits", ours, *ids).splitlines()
                got = torch.tensor([[float(x) for x in row.split()] for row in printed])
                far = gap(got[:, : wanted.shape[1]], wanted)
                line(far < 2e-3, name, f"logits of llama.cpp beside transformers: largest difference {far:.1e}")
                tokens(line, run, judge, name, folder, ours)
                back(line, run, program, name, folder, ours, out / "back", ids, wanted)
            except Exception as e:
                line(False, name, f"{type(e).__name__}: {e}")
    sys.exit(bad != 0)


def model_of_dtype(folder):
    """The element types of the matrices of a folder."""
    from safetensors import safe_open

    if pathlib.Path(folder, "pytorch_model.bin").exists():
        yield torch.float32
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with safe_open(path, "pt") as f:
            for key in f.keys():
                tensor = f.get_tensor(key)
                if tensor.dim() > 1:
                    yield tensor.dtype


def tokens(line, run, judge, name, folder, gguf):
    # By itself transformers takes a class for the type phi3 that puts no space before a text.
    kind = transformers.LlamaTokenizer if name.startswith("phi3") else transformers.AutoTokenizer
    tokenizer = kind.from_pretrained(folder)
    said = SAID if name not in ("bert",) else SAID.replace("<tool>", "")
    wanted = tokenizer.encode(said)
    got = [int(t) for t in run(judge, "tokens", gguf, said).split()]
    line(wanted == got, name, f"tokens of llama.cpp beside transformers: {len(got)} and {len(wanted)}"
         + ("" if wanted == got else f": {got} and {wanted}"))  # fmt: skip


def back(line, run, program, name, folder, gguf, made, ids, wanted):
    run("rm", "-rf", made)
    run(program, "convert", gguf, "-o", f"{made}/")
    far = gap(values(made, name, ids), wanted)
    line(far == 0, name, f"folder from GGUF, logits of transformers: largest difference {far:.1e}")
    old, new = (transformers.AutoTokenizer.from_pretrained(f) for f in (folder, made))
    same = old.encode(SAID) == new.encode(SAID)
    line(same, name, "folder from GGUF, tokens" + ("" if same else f": {new.encode(SAID)} and {old.encode(SAID)}"))
    same = getattr(old, "chat_template", None) == getattr(new, "chat_template", None)
    line(same, name, "folder from GGUF, chat template")


main()
