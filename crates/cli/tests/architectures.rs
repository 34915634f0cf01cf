//! Folders of Hugging Face through the binary: to GGUF, quantized, and back.

use std::path::PathBuf;
use std::process::Command;

/// Exit code, standard output and standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_modelsmith")).args(args).output().unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (out.status.code().unwrap(), text(&out.stdout), text(&out.stderr))
}

struct Folder(PathBuf);

impl Folder {
    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A safetensors file of `f32` whose elements count up.
fn safetensors(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let (mut at, mut header) = (0, Vec::new());
    for (name, shape) in tensors {
        let end = at + 4 * shape.iter().product::<usize>();
        header.push(format!("{name:?}:{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}}"));
        at = end;
    }
    let header = format!("{{{}}}", header.join(","));
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend((0..at / 4).flat_map(|i| (i as f32 / 64.0).to_le_bytes()));
    out
}

/// A `tokenizer.model` of single letters.
fn pieces(count: u8) -> Vec<u8> {
    let piece = |i: u8| [&[0x0a, 3, 0x0a, 1, b'a' + i][..]].concat();
    (0..count).flat_map(piece).collect()
}

/// A Llama of one layer in a folder of its own.
fn llama(name: &str, class: &str) -> Folder {
    let folder = Folder(std::env::temp_dir().join(format!("modelsmith-arch-{name}-{}", std::process::id())));
    std::fs::create_dir_all(folder.0.join("tiny")).unwrap();
    let put = |name: &str, bytes: Vec<u8>| std::fs::write(folder.0.join("tiny").join(name), bytes).unwrap();
    let config = format!(
        "{{\"architectures\": [\"{class}\"], \"hidden_size\": 256, \"intermediate_size\": 256, \"vocab_size\": 8, \
         \"num_hidden_layers\": 1, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \
         \"max_position_embeddings\": 64, \"rms_norm_eps\": 1e-06, \"rope_theta\": 10000.0, \"eos_token_id\": 2}}"
    );
    put("config.json", config.into_bytes());
    put("tokenizer.model", pieces(8));
    let layer = |part: &str| format!("model.layers.0.{part}.weight");
    let names = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj"];
    let rows = [256, 128, 128, 256, 256].map(|r| [r, 256]);
    let mut all = names.iter().zip(&rows).map(|(n, s)| (layer(n), &s[..])).collect::<Vec<_>>();
    let (square, wide, table) = ([256, 256], [256], [8, 256]);
    all.extend(["mlp.up_proj", "mlp.down_proj"].map(|n| (layer(n), &square[..])));
    all.extend(["input_layernorm", "post_attention_layernorm"].map(|n| (layer(n), &wide[..])));
    all.extend([("model.norm.weight".into(), &wide[..]), ("model.embed_tokens.weight".into(), &table[..])]);
    put("model.safetensors", safetensors(&all.iter().map(|(n, s)| (n.as_str(), *s)).collect::<Vec<_>>()));
    folder
}

#[test]
fn a_folder_becomes_gguf_and_a_folder_again() {
    let f = llama("both", "LlamaForCausalLM");
    let (given, gguf, back) = (f.path("tiny"), f.path("x.gguf"), f.path("back/"));
    let (code, out, err) = run(&["inspect", &given]);
    assert!(code == 0 && out.contains("architecture  Llama (LlamaForCausalLM)"), "{out}{err}");
    let (code, _, err) = run(&["convert", &given, "-o", &gguf]);
    assert_eq!((code, err.as_str()), (0, ""));
    let (_, out, _) = run(&["inspect", &gguf, "--weights"]);
    assert!(out.contains("Llama (llama)") && out.contains("blk.0.attn_q.weight"), "{out}");
    assert!(out.contains("[a, b, c, d, e, f, g, h]") && !out.contains("model.layers"), "{out}");
    let (code, _, err) = run(&["convert", &gguf, &back, "--verify", "full"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let mut names =
        std::fs::read_dir(&back).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>();
    names.sort();
    assert_eq!(names, ["config.json", "model.safetensors", "tokenizer.model", "tokenizer_config.json"]);
    let (code, out, err) = run(&["diff", &f.path("tiny/model.safetensors"), &f.path("back/model.safetensors")]);
    assert_eq!(code, 0, "{out}{err}");
    let again = f.path("again.gguf");
    assert_eq!(run(&["convert", &f.path("back"), &again]).0, 0);
    assert_eq!(run(&["diff", &gguf, &again]).0, 0);
}

#[test]
fn types_are_chosen_on_the_way() {
    let f = llama("types", "LlamaForCausalLM");
    let given = f.path("tiny");
    let (half, direct, two) = (f.path("half.gguf"), f.path("direct.gguf"), f.path("two.gguf"));
    assert_eq!(run(&["convert", &given, &half, "--type", "F16"]).0, 0);
    let (_, out, _) = run(&["inspect", &half]);
    assert!(out.contains("f16") && out.contains("general.file_type"), "{out}");
    // What is quantized is the checkpoint itself.
    assert_eq!(run(&["convert", &given, &direct, "--type", "Q4_K_M"]).0, 0);
    let whole = f.path("whole.gguf");
    assert_eq!(run(&["convert", &given, &whole, "--type", "F32"]).0, 0);
    assert_eq!(run(&["convert", &whole, &two, "--type", "Q4_K_M"]).0, 0);
    assert!(std::fs::read(&direct).unwrap() == std::fs::read(&two).unwrap());
    let (code, _, err) = run(&["convert", &direct, "-o", &f.path("wide/"), "--cast", "bf16"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let config = std::fs::read_to_string(f.path("wide/config.json")).unwrap();
    assert!(
        config.contains("\"torch_dtype\": \"bfloat16\"") && config.contains("\"num_key_value_heads\": 2"),
        "{config}"
    );
}

#[test]
fn what_is_not_known_is_said() {
    let f = llama("unknown", "MambaForCausalLM");
    let (given, gguf) = (f.path("tiny"), f.path("x.gguf"));
    let (code, out, _) = run(&["inspect", &given]);
    assert!(code == 0 && out.contains("MambaForCausalLM (not known)"), "{out}");
    let (code, _, err) = run(&["convert", &given, &gguf]);
    assert_eq!(code, 0);
    assert!(err.contains("the architecture MambaForCausalLM is not known: tensors keep their names"), "{err}");
    assert!(err.contains("known are BERT, Gemma"), "{err}");
    assert!(run(&["inspect", &gguf, "--weights"]).1.contains("model.layers.0.self_attn.q_proj.weight"));
    let (code, _, err) = run(&["convert", &gguf, &f.path("no/")]);
    assert!(code == 5 && err.contains("a folder is written from a GGUF file"), "{err}");
    assert!(!f.0.join("no").exists());
    let (code, _, err) = run(&["convert", &given, &gguf, "--no-clobber"]);
    assert!(code == 6 && err.contains("may not be replaced"), "{err}");
}
