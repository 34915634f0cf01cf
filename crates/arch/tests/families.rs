//! Every family on tensors in memory: what comes of a folder, by value, and the folder that comes of it again.

use modelsmith_arch::{FAMILIES, Family, Files, Float, Json, Made, Via, of_config, to_folder, to_gguf};
use modelsmith_base::{Budget, DType};
use modelsmith_format::{Checkpoint, MetaValue, Result};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{Tensor, WeightExpr, materialize};
use serde_json::json;
use std::sync::Arc;

struct Memory(Vec<(&'static str, Vec<u8>)>);

impl Files for Memory {
    fn name(&self) -> &str {
        "Tiny-Llama-2-10K-Chat"
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.iter().find(|(n, _)| *n == name).map(|(_, bytes)| bytes.clone()))
    }
}

/// A `tokenizer.model` of a few pieces: text, score, type.
fn pieces() -> Vec<u8> {
    let list = [("<unk>", 0f32, 2u8), ("<s>", 0.0, 3), ("</s>", 0.0, 3), ("<0x0A>", 0.0, 6), ("\u{2581}a", -1.0, 1)];
    let mut out = Vec::new();
    for (text, score, kind) in list {
        let mut piece = vec![0x0a, text.len() as u8];
        piece.extend(text.as_bytes());
        piece.push(0x15);
        piece.extend(score.to_le_bytes());
        piece.extend([0x18, kind]);
        out.extend([0x0a, piece.len() as u8]);
        out.extend(piece);
    }
    out
}

fn tokenizer(family: &Family) -> (&'static str, Vec<u8>) {
    let added = |id: usize, text: &str| json!({"id": id, "content": text, "special": true});
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true});
    let text = match family.gguf {
        "gpt2" | "qwen2" | "qwen3" => json!({
            "added_tokens": [added(4, "<|end|>")], "pre_tokenizer": level, "post_processor": level, "decoder": level,
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "\u{120}": 3}, "merges": [["a", "b"]]},
        }),
        "bert" => json!({
            "added_tokens": [added(0, "[PAD]"), added(1, "[CLS]"), added(2, "[SEP]")],
            "normalizer": {"type": "BertNormalizer", "lowercase": true, "strip_accents": null},
            "model": {"type": "WordPiece", "vocab": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4}},
        }),
        _ => return ("tokenizer.model", pieces()),
    };
    ("tokenizer.json", text.to_string().into_bytes())
}

const LAYERS: usize = 2;

fn config(family: &Family) -> Json {
    let sizes = match family.gguf {
        "gpt2" => json!({"n_layer": LAYERS, "n_positions": 32, "n_embd": 8, "n_head": 2}),
        _ => json!({
            "num_hidden_layers": LAYERS, "max_position_embeddings": 32, "hidden_size": 8, "intermediate_size": 12,
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "rms_norm_eps": 1e-5,
            "rope_theta": 5e5, "sliding_window": 16,
        }),
    };
    let mut out = json!({"architectures": [family.classes[0]], "vocab_size": 5, "eos_token_id": 2});
    out.as_object_mut().unwrap().extend(sizes.as_object().unwrap().clone());
    out
}

/// A tensor for each row, with elements that tell their place.
fn tensors(family: &Family) -> Checkpoint {
    let mut out = Checkpoint::default();
    for row in family.rows().filter(|r| r.via != Via::Drop) {
        let norm = row.gguf.ends_with("norm");
        let shape: Vec<usize> = match row.via {
            _ if norm => vec![8],
            Via::KeyHeads => vec![4, 8],
            Via::Transpose => vec![8, 12],
            _ if row.gguf == "token_embd" => vec![5, 8],
            _ => vec![8, 8],
        };
        for layer in 0..if row.hf.contains("{}") { LAYERS } else { 1 } {
            let seed = out.tensors.len() as f64;
            let values = (0..shape.iter().product()).map(|i: usize| seed + i as f64 / 128.0).collect::<Vec<_>>();
            let tensor = Tensor::from_f64s(DType::F32, &shape, &values).unwrap();
            let own = row.hf.replace("{}", &layer.to_string());
            let head = if own == "lm_head" { "" } else { family.prefix };
            out.tensors.push((format!("{head}{own}.weight"), Arc::new(WeightExpr::Literal(tensor))));
        }
    }
    out
}

fn made(family: &'static Family) -> (Memory, Checkpoint, Checkpoint) {
    let files = Memory(vec![tokenizer(family), ("config.json", config(family).to_string().into_bytes())]);
    let from = tensors(family);
    let (out, _) = to_gguf(family, &files, &config(family), &from, Float::Kept).unwrap();
    (files, from, out)
}

fn values(c: &Checkpoint, name: &str) -> (Vec<usize>, Vec<f32>) {
    let w = c.find(name).unwrap_or_else(|| panic!("{name} is missing"));
    let t = materialize(w, &Operators, &Budget::unlimited()).unwrap();
    (t.shape().to_vec(), t.as_slice::<f32>().unwrap().to_vec())
}

fn llama() -> &'static Family {
    FAMILIES.iter().find(|f| f.name == "Llama").unwrap()
}

fn text(c: &Checkpoint, key: &str) -> String {
    c.meta(key).unwrap_or_else(|| panic!("{key} is missing")).text()
}

#[test]
fn every_family_goes_to_gguf_and_comes_back() {
    for family in FAMILIES {
        let (_, from, out) = made(family);
        assert_eq!(text(&out, "general.architecture"), family.gguf);
        assert!(std::ptr::eq(of_config(&config(family)).unwrap(), *family), "{}", family.name);
        let Made { checkpoint, files, .. } = to_folder(&out).unwrap();
        let mut names = [&from, &checkpoint].map(|c| c.tensors.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>());
        names.iter_mut().for_each(|n| n.sort());
        assert_eq!(names[0], names[1], "{}", family.name);
        for (name, _) in &from.tensors {
            let ((shape, a), (_, b)) = (values(&from, name), values(&checkpoint, name));
            assert_eq!(checkpoint.find(name).unwrap().shape(), shape);
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6), "{}: {name}", family.name);
        }
        let back: Json = serde_json::from_slice(&files[0].1).unwrap();
        let given = config(family);
        let kept = given
            .as_object()
            .unwrap()
            .iter()
            .filter(|(k, _)| family.all_keys().any(|h| h.config.first() == Some(&k.as_str())));
        for (key, value) in kept {
            assert_eq!(back[key], *value, "{}: {key}", family.name);
        }
        assert_eq!(back["vocab_size"], 5);
        assert_eq!(files.len(), 3, "{}", family.name);
    }
}

#[test]
fn a_llama_is_what_llama_cpp_expects() {
    let (_, from, out) = made(llama());
    let pairs = out.meta.iter().map(|(k, v)| format!("{k} = {}", v.text())).collect::<Vec<_>>();
    let wanted = [
        "general.architecture = llama",
        "general.type = model",
        "general.name = Tiny Llama 2 10K Chat",
        "general.finetune = 10k-Chat",
        "general.basename = Tiny-Llama-2",
        "general.size_label = 1.0K",
        "llama.block_count = 2",
        "llama.context_length = 32",
        "llama.embedding_length = 8",
        "llama.feed_forward_length = 12",
        "llama.attention.head_count = 2",
        "llama.attention.head_count_kv = 1",
        "llama.rope.freq_base = 500000",
        "llama.attention.layer_norm_rms_epsilon = 0.00001",
        "llama.attention.key_length = 4",
        "llama.attention.value_length = 4",
        "general.file_type = 0",
        "llama.vocab_size = 5",
        "llama.rope.dimension_count = 4",
        "general.quantization_version = 2",
        "tokenizer.ggml.model = llama",
        "tokenizer.ggml.pre = default",
        "tokenizer.ggml.tokens = [<unk>, <s>, </s>, <0x0A>, \u{2581}a]",
        "tokenizer.ggml.scores = [0, 0, 0, 0, -1]",
        "tokenizer.ggml.token_type = [2, 3, 3, 6, 1]",
        "tokenizer.ggml.eos_token_id = 2",
    ];
    assert_eq!(pairs, wanted);
    // Rows of a head, halves one after the other, interleaved: the key head has four rows.
    let rows = |c: &Checkpoint, name: &str| values(c, name).1.chunks(8).map(|r| r[0]).collect::<Vec<_>>();
    let (given, turned) = (rows(&from, "model.layers.1.self_attn.k_proj.weight"), rows(&out, "blk.1.attn_k.weight"));
    assert_eq!(turned, [0, 2, 1, 3].map(|i: usize| given[i]));
    assert_eq!(values(&out, "blk.0.ffn_up.weight"), values(&from, "model.layers.0.mlp.up_proj.weight"));
}

#[test]
fn transformations_of_the_others() {
    let family = |name: &str| *FAMILIES.iter().find(|f| f.name == name).unwrap();
    let (_, from, out) = made(family("Gemma"));
    let (given, more) = (values(&from, "model.norm.weight").1, values(&out, "output_norm.weight").1);
    assert!(given.iter().zip(&more).all(|(a, b)| a + 1.0 == *b));
    let (_, from, out) = made(family("GPT-2"));
    let given = values(&from, "transformer.h.0.mlp.c_fc.weight");
    let turned = values(&out, "blk.0.ffn_up.weight");
    assert_eq!((given.0, turned.0), (vec![8, 12], vec![12, 8]));
    assert_eq!(given.1[1], turned.1[8]);
    let (_, _, out) = made(family("BERT"));
    assert_eq!(text(&out, "tokenizer.ggml.tokens"), "[[PAD], [CLS], [SEP], \u{2581}a, b]");
    assert_eq!(out.meta("bert.attention.causal"), Some(&MetaValue::Bool(false)));
    let (_, _, out) = made(family("Qwen2"));
    assert_eq!(text(&out, "tokenizer.ggml.merges"), "[a b]");
    assert_eq!(text(&out, "tokenizer.ggml.token_type"), "[1, 1, 1, 1, 3]");
    assert_eq!(out.meta("tokenizer.ggml.add_bos_token"), Some(&MetaValue::Bool(false)));
}

#[test]
fn merges_become_scores_where_bytes_are_a_fallback() {
    let added = |id: usize, text: &str, special: bool| json!({"id": id, "content": text, "special": special});
    let tokenizer = json!({
        "added_tokens": [added(0, "<s>", true), added(1, "<user>", false)], "decoder": {"type": "Sequence"},
        "model": {
            "type": "BPE", "byte_fallback": true, "merges": [["b", "c"], ["a", "bc"]],
            "vocab": {"<s>": 0, "<user>": 1, "<0x0A>": 2, "abc": 3, "bc": 4},
        },
    });
    let files = Memory(vec![("tokenizer.json", tokenizer.to_string().into_bytes())]);
    let (out, _) = to_gguf(llama(), &files, &config(llama()), &tensors(llama()), Float::Kept).unwrap();
    assert_eq!(text(&out, "tokenizer.ggml.model"), "llama");
    assert_eq!(text(&out, "tokenizer.ggml.token_type"), "[3, 4, 6, 1, 1]");
    assert_eq!(text(&out, "tokenizer.ggml.scores"), "[0, 0, 0, -1, -0]");
}

#[test]
fn matrices_take_the_type_that_is_wanted() {
    let family = llama();
    let (files, from, _) = made(family);
    let (out, _) = to_gguf(family, &files, &config(family), &from, Float::To(DType::BF16)).unwrap();
    let dtype = |name: &str| out.find(name).unwrap().dtype();
    assert_eq!((dtype("blk.0.attn_q.weight"), dtype("blk.0.attn_norm.weight")), (DType::BF16, DType::F32));
    assert_eq!(text(&out, "general.file_type"), "32");
}

#[test]
fn what_does_not_fit_is_named() {
    let family = llama();
    let (files, from, out) = made(family);
    let fails = |from: &Checkpoint, files: &dyn Files, config: &Json| {
        to_gguf(family, files, config, from, Float::Kept).err().unwrap().to_string()
    };
    let mut strange = from.clone();
    strange.tensors.push(("model.layers.0.adapter.weight".into(), from.tensors[0].1.clone()));
    assert_eq!(
        fails(&strange, &files, &config(family)),
        "1 tensors have no place in a GGUF file of Llama: model.layers.0.adapter.weight; leave them out, such as with \
         --exclude 'model.layers.0.adapter.weight'"
    );
    let none = Memory(vec![]);
    assert!(fails(&from, &none, &config(family)).starts_with("Tiny-Llama-2-10K-Chat: no vocabulary is in the folder"));
    let cut = Memory(vec![("tokenizer.model", pieces()[..9].to_vec())]);
    assert!(fails(&from, &cut, &config(family)).starts_with("tokenizer.model, byte offset"));
    let mut odd = config(family);
    odd["num_attention_heads"] = json!(3);
    assert!(fails(&from, &files, &odd).ends_with("8 rows are not 3 heads of two halves"));
    odd["num_attention_heads"] = json!("two");
    let error = fails(&from, &files, &odd);
    assert_eq!(
        error,
        "config.json, tensor model.layers.0.self_attn.q_proj.weight: the number of attention heads is missing"
    );
    let mut unknown = out;
    unknown.meta[0].1 = "mamba".into();
    let error = to_folder(&unknown).err().unwrap().to_string();
    assert!(error.starts_with("the architecture mamba is not known; known are bert, gemma, gemma2"), "{error}");
}

#[test]
fn damaged_files_are_errors_never_panics() {
    for family in FAMILIES {
        let (name, bytes) = tokenizer(family);
        let from = tensors(family);
        let given = config(family).to_string().into_bytes();
        let mut outcomes = [0, 0];
        for (which, bytes) in [&bytes, &given].into_iter().enumerate() {
            for at in 0..bytes.len() {
                for change in [0x01, 0x10, 0x80] {
                    let mut bad = bytes.clone();
                    bad[at] ^= change;
                    let files = Memory(if which == 0 { vec![(name, bad.clone())] } else { vec![tokenizer(family)] });
                    let config = if which == 0 { Some(config(family)) } else { serde_json::from_slice(&bad).ok() };
                    let Some(config) = config else { continue };
                    match to_gguf(family, &files, &config, &from, Float::Kept) {
                        Ok((out, _)) => {
                            outcomes[0] += 1;
                            drop(to_folder(&out));
                        }
                        Err(e) => {
                            outcomes[1] += 1;
                            assert!(e.place().file.is_some() || e.place().tensor.is_some(), "{e}");
                        }
                    }
                }
            }
        }
        assert!(outcomes.iter().all(|n| *n > 0), "{}: {outcomes:?}", family.name);
    }
}
