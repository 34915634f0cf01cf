"""Tiny checkpoint folders with random weights, one or more for each family, and tokenizers trained on the spot."""

import json
import os

import safetensors.torch
import sentencepiece
import torch
import transformers as hf
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXT = [
    "The quick brown fox jumps over the lazy dog, 12345 times!",
    "It's what we've been told: they'll come in 2024.",
    "Numbers 3.14159 and words mix; tabs\tand\nnewlines too.",
    "Größe, naïve, 你好世界, привет мир, emoji 🚀 follow.",
    "def main(args):\n    return [x ** 2 for x in range(10)]",
    "Hello world hello there world of words and the dog",
] * 30
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
SMALL = {
    "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 8,
    "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip


def put(folder, name, content):
    with open(os.path.join(folder, name), "w") as f:
        json.dump(content, f)


def sentence_pieces(folder, first=("<unk>", "<s>", "</s>"), space=True, **more):
    """Trains pieces; `first` are the special ones in the order of their ids."""
    names = {"<pad>": "pad", "</s>": "eos", "<eos>": "eos", "<s>": "bos", "<bos>": "bos", "<unk>": "unk"}
    ids = {f"{names[t]}_id": i for i, t in enumerate(first)}
    spelled = {f"{names[t]}_piece": t for t in first}
    corpus = os.path.join(folder, "corpus.txt")
    with open(corpus, "w") as f:
        f.write("\n".join(TEXT))
    sentencepiece.SentencePieceTrainer.train(
        input=corpus, model_prefix=os.path.join(folder, "tokenizer"), vocab_size=400, model_type="bpe", byte_fallback=True,
        character_coverage=0.99, minloglevel=2, num_threads=1, split_digits=True, add_dummy_prefix=space,
        user_defined_symbols=["<|user|>"], normalization_rule_name="identity", remove_extra_whitespaces=False,
        **{"pad_id": -1, **ids}, **spelled)  # fmt: skip
    os.remove(corpus)
    os.remove(os.path.join(folder, "tokenizer.vocab"))
    special = {str(i): {"content": t, "special": True} for i, t in enumerate(first)}
    special.update(more.pop("added", {}))
    roles = {f"{names[t]}_token": t for t in first}
    put(folder, "tokenizer_config.json", {
        **roles, "tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False,
        "added_tokens_decoder": special,
        "chat_template": "{% for m in messages %}{{ m['content'] }}{% endfor %}", **more})  # fmt: skip


def bytes_bpe(folder, split, first, kind, template):
    t = Tokenizer(models.BPE(ignore_merges=split == LLAMA3))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None)
    t.pre_tokenizer = level
    if split:
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(split), "isolated"), level])
    if split == QWEN2:
        t.normalizer = normalizers.NFC()
    t.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False))
    t.add_special_tokens([first, "<|end|>"])
    t.add_tokens(["<tool>"])
    around = processors.ByteLevel(trim_offsets=False)
    t.post_processor = around
    if template:
        single = processors.TemplateProcessing(
            single=f"{first} $A", pair=f"{first} $A {first} $B", special_tokens=[(first, t.token_to_id(first))])
        t.post_processor = processors.Sequence([around, single])
    t.save(os.path.join(folder, "tokenizer.json"))
    put(folder, "tokenizer_config.json", {
        "bos_token": first, "eos_token": "<|end|>", "pad_token": "<|end|>", "tokenizer_class": kind,
        "clean_up_tokenization_spaces": False,
        "chat_template": "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}"})  # fmt: skip
    return t.get_vocab_size()


def word_pieces(folder):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(TEXT, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False))
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(s, t.token_to_id(s)) for s in ["[CLS]", "[SEP]"]])  # fmt: skip
    t.save(os.path.join(folder, "tokenizer.json"))
    names = {f"{n}_token": f"[{n.upper()}]" for n in ["pad", "unk", "cls", "sep", "mask"]}
    put(folder, "tokenizer_config.json", {**names, "tokenizer_class": "BertTokenizer", "do_lower_case": True})
    return t.get_vocab_size()


def save(folder, model, dtype, **options):
    torch.manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.05 if p.dim() > 1 else p + torch.randn_like(p) * 0.02)
    model.to(dtype).save_pretrained(folder, **options)


LLAMA3_ROPE = {
    "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}  # fmt: skip


def llama(f):
    sentence_pieces(f)
    save(f, hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=400, **SMALL)), torch.float32)


def llama3(f):
    n = bytes_bpe(f, LLAMA3, "<|begin|>", "PreTrainedTokenizerFast", True)
    config = hf.LlamaConfig(**{**SMALL, "max_position_embeddings": 32768}, vocab_size=n + 5, tie_word_embeddings=True,
                            bos_token_id=n - 3, eos_token_id=n - 2, rope_parameters=LLAMA3_ROPE)  # fmt: skip
    save(f, hf.LlamaForCausalLM(config), torch.bfloat16)


def shards(f):
    sentence_pieces(f)
    config = hf.LlamaConfig(vocab_size=400, attention_bias=True, mlp_bias=True, **SMALL)
    save(f, hf.LlamaForCausalLM(config), torch.float16, max_shard_size="800KB")


def mistral(f):
    sentence_pieces(f, add_prefix_space=False)
    config = hf.MistralConfig(vocab_size=400, head_dim=32, sliding_window=64, **SMALL)
    save(f, hf.MistralForCausalLM(config), torch.bfloat16)


def qwen2(f):
    n = bytes_bpe(f, QWEN2, "<|endoftext|>", "Qwen2Tokenizer", False)
    save(f, hf.Qwen2ForCausalLM(hf.Qwen2Config(vocab_size=n, tie_word_embeddings=True, **SMALL)), torch.float32)


def qwen3(f):
    n = bytes_bpe(f, QWEN2, "<|endoftext|>", "Qwen2Tokenizer", False)
    save(f, hf.Qwen3ForCausalLM(hf.Qwen3Config(vocab_size=n + 11, head_dim=64, **SMALL)), torch.bfloat16)


def gemma_pieces(f):
    first = ("<pad>", "<eos>", "<bos>", "<unk>")
    sentence_pieces(f, first, space=False, tokenizer_class="GemmaTokenizer")


def gemma(f):
    gemma_pieces(f)
    save(f, hf.GemmaForCausalLM(hf.GemmaConfig(vocab_size=400, head_dim=64, **SMALL)), torch.bfloat16)


def gemma2(f):
    gemma_pieces(f)
    config = hf.Gemma2Config(vocab_size=400, head_dim=64, sliding_window=64, query_pre_attn_scalar=64, **SMALL)
    save(f, hf.Gemma2ForCausalLM(config), torch.float32)


def gemma3(f):
    gemma_pieces(f)
    config = hf.Gemma3TextConfig(vocab_size=400, head_dim=64, sliding_window=64, query_pre_attn_scalar=64,
                                 **{**SMALL, "num_hidden_layers": 6})  # fmt: skip
    save(f, hf.Gemma3ForCausalLM(config), torch.bfloat16)


def phi3(f):
    end = {"content": "<|endoftext|>", "special": True}
    sentence_pieces(f, added={"400": end, "401": {**end, "content": "<tool>", "special": False}})
    save(f, hf.Phi3ForCausalLM(hf.Phi3Config(vocab_size=416, pad_token_id=0, eos_token_id=2, **SMALL)), torch.float32)


def gpt2(f):
    n = bytes_bpe(f, None, "<|endoftext|>", "GPT2Tokenizer", False)
    config = hf.GPT2Config(vocab_size=n, n_positions=256, n_ctx=256, n_embd=256, n_layer=2, n_head=8, bos_token_id=n - 3,
                           eos_token_id=n - 3)  # fmt: skip
    save(f, hf.GPT2LMHeadModel(config), torch.float32)


def bert(f):
    n = word_pieces(f)
    config = hf.BertConfig(vocab_size=n, hidden_size=256, intermediate_size=512, num_hidden_layers=2,
                           num_attention_heads=8, max_position_embeddings=256)  # fmt: skip
    save(f, hf.BertModel(config), torch.float32)


def bin_file(f):
    """The older file of weights, with a table that is left out; and a card."""
    llama(f)
    weights = safetensors.torch.load_file(os.path.join(f, "model.safetensors"))
    os.remove(os.path.join(f, "model.safetensors"))
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(16)
    torch.save(weights, os.path.join(f, "pytorch_model.bin"))
    with open(os.path.join(f, "README.md"), "w") as card:
        card.write(CARD)


CARD = """---
license: apache-2.0
language:
- en
- no
tags: [chat, tiny]
pipeline_tag: text-generation
base_model: some-org/Base-7B-v0.3
datasets:
- org/data-set
---
# A card
"""


def yarn(f):
    n = bytes_bpe(f, QWEN2, "<|endoftext|>", "Qwen2Tokenizer", False)
    rope = {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 64}
    config = hf.Qwen2Config(vocab_size=n, rope_parameters=rope, **SMALL)
    save(f, hf.Qwen2ForCausalLM(config), torch.float16)


def embedding(f):
    """A model without a head that pools by its last token."""
    n = bytes_bpe(f, QWEN2, "<|endoftext|>", "Qwen2Tokenizer", False)
    save(f, hf.Qwen3Model(hf.Qwen3Config(vocab_size=n, head_dim=32, **SMALL)), torch.bfloat16)
    put(f, "modules.json", [{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}])
    os.makedirs(os.path.join(f, "1_Pooling"))
    put(os.path.join(f, "1_Pooling"), "config.json", {"pooling_mode_lasttoken": True})


def long_rope(f):
    end = {"content": "<|endoftext|>", "special": True}
    sentence_pieces(f, added={"400": end})
    factors = [1.0 + i / 8 for i in range(16)]
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "long_factor": factors, "short_factor": [1.0] * 16,
            "original_max_position_embeddings": 512}  # fmt: skip
    config = hf.Phi3Config(vocab_size=416, pad_token_id=0, eos_token_id=2, rope_parameters=rope,
                           original_max_position_embeddings=512, sliding_window=32,
                           **{**SMALL, "max_position_embeddings": 1024})  # fmt: skip
    save(f, hf.Phi3ForCausalLM(config), torch.float32)


def pictures(f):
    """A model that sees too; the part that reads and writes is converted."""
    gemma_pieces(f)
    text = dict(vocab_size=400, head_dim=64, sliding_window=64, query_pre_attn_scalar=64, **SMALL)
    sight = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=28,
                 patch_size=14)  # fmt: skip
    config = hf.Gemma3Config(text_config=text, vision_config=sight, mm_tokens_per_image=4, boi_token_index=390,
                             eoi_token_index=391, image_token_index=392)  # fmt: skip
    save(f, hf.Gemma3ForConditionalGeneration(config), torch.bfloat16)


def partial_rope(f):
    n = bytes_bpe(f, LLAMA3, "<|endoftext|>", "GPT2Tokenizer", False)
    rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.75}
    config = hf.Phi3Config(vocab_size=n, pad_token_id=0, eos_token_id=2, tie_word_embeddings=True,
                           partial_rotary_factor=0.75, rope_parameters=rope, original_max_position_embeddings=256,
                           **SMALL)  # fmt: skip
    save(f, hf.Phi3ForCausalLM(config), torch.bfloat16)


# Name of the folder, what makes it, and the name of its pre-tokenizer, which llama.cpp knows by a hash over the ids of a
# trained vocabulary.
MODELS = [
    ("llama-sp", llama, None), ("Tiny-Llama-3-1M-Instruct", llama3, "llama-bpe"), ("llama-shards", shards, None),
    ("mistral", mistral, None), ("qwen2", qwen2, "qwen2"), ("qwen3", qwen3, "qwen2"), ("gemma", gemma, None),
    ("gemma2", gemma2, None), ("gemma3", gemma3, None), ("phi3", phi3, None), ("gpt2", gpt2, "gpt-2"),
    ("bert", bert, "bert-bge"), ("Llama-2-1M-chat-v1.1", bin_file, None), ("qwen2-yarn", yarn, "qwen2"),
    ("qwen3-embedding", embedding, "qwen2"), ("phi3-long", long_rope, None),
    ("gemma3-pictures", pictures, None), ("phi4-mini", partial_rope, "llama-bpe"),
]  # fmt: skip


def make(root, only):
    """Makes the folders below `root` whose names are in `only`, all where it is empty."""
    out = []
    for name, maker, pre in MODELS:
        if only and name not in only:
            continue
        folder = os.path.join(root, name)
        if not os.path.isdir(folder):
            os.makedirs(folder)
            maker(folder)
        out.append((name, folder, pre))
    return out
