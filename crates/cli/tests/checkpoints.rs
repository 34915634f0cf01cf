//! Checkpoints through the binary: any to any, parts, shards, and into the graph of a model.

use std::path::{Path, PathBuf};
use std::process::Command;

fn digits(name: &str) -> String {
    format!("{}/../../examples/digits/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Exit code, standard output and standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_modelsmith")).args(args).output().unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (out.status.code().unwrap(), text(&out.stdout), text(&out.stderr))
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("modelsmith-checkpoints-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn names(&self) -> Vec<String> {
        let all = std::fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut all = all.collect::<Vec<_>>();
        all.sort();
        all
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn done(args: &[&str]) -> String {
    let (code, out, err) = run(args);
    assert_eq!(code, 0, "{args:?}: {err}");
    out
}

#[test]
fn formats_follow_each_other_without_a_change() {
    let dir = Folder::new("chain");
    let original = digits("digits.state_dict.pt");
    let mut from = original.clone();
    for name in ["a.safetensors", "b.npz", "c.pt", "d.safetensors"] {
        let to = dir.path(name);
        let out = done(&["convert", &from, &to, "--verify", "full"]);
        assert!(out.contains("verified: names, types, shapes and every element read back"), "{out}");
        from = to;
    }
    assert!(done(&["diff", &original, &from]).contains("equal: 0 of 25 tensors differ"));
    let bytes = |name: &str| std::fs::read(dir.path(name)).unwrap();
    assert!(bytes("a.safetensors") == bytes("d.safetensors"));
    assert_eq!(dir.names(), ["a.safetensors", "b.npz", "c.pt", "d.safetensors"]);
}

#[test]
fn parts_names_and_types_are_chosen() {
    let dir = Folder::new("edit");
    let (from, to) = (digits("digits.state_dict.pt"), dir.path("part.safetensors"));
    let edit =
        ["--include", "*.weight", "--exclude", "logits.*", "--map", r"^features\.(\d+)=block_$1", "--cast", "f16"];
    done(&[&["convert", &from, &to][..], &edit].concat());
    let out = done(&["inspect", &to, "--weights"]);
    assert!(out.contains("block_0.weight") && out.contains("f16") && !out.contains("logits"), "{out}");
    let (code, out, _) = run(&["diff", &from, &to]);
    assert_eq!(code, 1);
    assert!(out.contains("hidden.weight") && out.contains("f32[48, 64] against f16[48, 64]"), "{out}");
    let (code, _, err) = run(&["convert", &from, &to, "--include", "nothing*"]);
    assert_eq!(code, 5);
    assert!(err.contains("none of the 25 tensors is left by --include and --exclude"), "{err}");
    let (code, _, err) = run(&["convert", &from, &to, "--key", "model"]);
    assert_eq!(code, 5);
    assert!(err.contains("--key model: no tensor is under it") && err.contains("there are: features, hidden"), "{err}");
    let (code, _, err) = run(&["convert", &from, &to, "--budget", "many"]);
    assert_eq!(code, 2);
    assert!(err.contains("many: a number of bytes is wanted, such as 5GB or 512MiB"), "{err}");
    let (code, _, err) = run(&["convert", &from, &to, "--no-clobber"]);
    assert_eq!(code, 6, "{err}");
}

#[test]
fn shards_have_an_index_that_opens() {
    let dir = Folder::new("shards");
    let (from, to) = (digits("digits.state_dict.pt"), dir.path("model.safetensors"));
    done(&["convert", &from, &to, "--shard-size", "16KiB"]);
    let names = dir.names();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(
        (names[0].as_str(), names[4].as_str()),
        ("model-00001-of-00004.safetensors", "model.safetensors.index.json")
    );
    assert!(done(&["diff", &from, &dir.path(&names[4])]).starts_with("equal"));
    assert!(done(&["diff", &from, &dir.0.display().to_string()]).starts_with("equal"));
    let torch = Folder::new("torch-shards");
    done(&["convert", &from, &torch.path("pytorch_model.bin"), "--shard-size", "16KiB"]);
    assert_eq!(torch.names().len(), 5);
    assert!(done(&["diff", &from, &torch.0.display().to_string()]).starts_with("equal"));
    std::fs::remove_file(torch.path("pytorch_model-00002-of-00004.bin")).unwrap();
    let (code, _, err) = run(&["inspect", &torch.path("pytorch_model.bin.index.json")]);
    assert_eq!(code, 3);
    assert!(err.contains("`pytorch_model-00002-of-00004.bin`, which belongs to it, cannot be opened"), "{err}");
    let (code, _, err) = run(&["convert", &from, &dir.path("x.npz"), "--shard-size", "16KiB"]);
    assert_eq!(code, 5);
    assert!(err.contains("NumPy archive is not written in several files"), "{err}");
}

#[test]
fn weights_go_into_a_graph() {
    let dir = Folder::new("graph");
    let (graph, weights) = (digits("digits.onnx"), digits("digits.state_dict.pt"));
    let (part, engine) = (dir.path("part.safetensors"), dir.path("digits.engine"));
    let out = done(&["build", "--graph", &graph, "--weights", &weights, "-o", &engine]);
    assert!(
        out.contains("bound 22 weights by name and 0 by shape; 0 kept from the graph, 3 extra, 0 missing"),
        "{out}"
    );
    assert!(done(&["compare", &graph, &engine]).contains("agree"));
    done(&["build", &graph, "-o", &dir.path("own.engine")]);
    assert!(std::fs::read(&engine).unwrap() == std::fs::read(dir.path("own.engine")).unwrap());
    let bound = dir.path("bound.onnx");
    done(&["convert", &weights, &bound, "--graph", &graph]);
    assert!(done(&["compare", &graph, &bound]).contains("agree"));
    done(&["convert", &weights, &part, "--exclude", "hidden.*", "--exclude", "features.3.weight"]);
    let (code, _, err) = run(&["convert", &part, &bound, "--graph", &graph]);
    assert_eq!(code, 5);
    for line in
        ["3 weights of the graph do not get a tensor that fits", "missing: hidden.weight [48, 64]", "--map OLD=NEW"]
    {
        assert!(err.contains(line), "{err}");
    }
    let (code, _, err) = run(&["build", "--graph", &graph, "-o", &engine]);
    assert_eq!(code, 2, "{err}");
}

/// A header that promises `mib` MiB, of which the file has none: all of it is a hole.
fn sparse(path: &str, mib: u64) {
    let bytes = mib << 20;
    let header = format!(r#"{{"w":{{"dtype":"U8","shape":[{bytes}],"data_offsets":[0,{bytes}]}}}}"#);
    let mut text = header.into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut all = (text.len() as u64).to_le_bytes().to_vec();
    all.extend(&text);
    std::fs::write(path, &all).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_len(all.len() as u64 + bytes).unwrap();
}

#[test]
fn a_killed_conversion_leaves_nothing_that_lasts() {
    let dir = Folder::new("killed");
    let (from, to) = (dir.path("large.safetensors"), dir.path("out.pt"));
    sparse(&from, 2048);
    let mut killed = 0;
    for wait in [1, 5, 20, 60] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_modelsmith")).args(["convert", &from, &to]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        assert!(!Path::new(&to).exists() || killed == 0);
    }
    done(&["convert", &from, &to]);
    assert_eq!(dir.names(), ["large.safetensors", "out.pt"], "{killed} were killed");
    let again = dir.path("again.pt");
    done(&["convert", &from, &again]);
    assert!(done(&["diff", &to, &again]).starts_with("equal"));
}

#[test]
fn a_checkpoint_is_no_model() {
    let (code, _, err) = run(&["run", &digits("digits.state_dict.pt")]);
    assert_eq!(code, 5);
    assert!(err.contains("this is a checkpoint without a graph, a model is wanted"), "{err}");
    assert!(err.contains("--graph STRUCTURE.onnx"), "{err}");
    let out = done(&["inspect", &digits("digits.state_dict.pt"), "--stats"]);
    assert!(out.contains("11,242") && out.contains("features.1.running_var"), "{out}");
}

/// A pickle in an archive as PyTorch writes it: a dictionary with one entry, made by a call of `module.name("x")`.
fn hostile(path: &str, module: &str, name: &str) {
    let pickle =
        [b"\x80\x02}X\x01\0\0\0ac", module.as_bytes(), b"\n", name.as_bytes(), b"\nX\x01\0\0\0x\x85Rs."].concat();
    std::fs::write(path, pickle).unwrap();
}

#[test]
fn what_a_pickle_would_call_is_named_and_refused() {
    let dir = Folder::new("scan");
    let (bad, good) = (dir.path("bad.pkl"), digits("digits.state_dict.pt"));
    hostile(&bad, "os", "system");
    let (code, out, _) = run(&["scan", &bad]);
    assert_eq!(code, 1);
    assert!(out.contains("high[pickle.import]: would call os.system('x')") && out.contains("byte offset"), "{out}");
    assert!(done(&["scan", &good, &digits("digits.onnx")]).contains("digits.onnx: passes"));
    let (code, out, _) = run(&["scan", &bad, "--sarif"]);
    let log: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, log["runs"][0]["results"][0]["ruleId"].as_str()), (1, Some("pickle.import")));
    let (code, out, _) = run(&["scan", &bad, "--json", "--fail-on", "high"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["passed"].as_bool()), (1, Some(false)));
    std::fs::write(dir.path("short.pkl"), b"\x80\x04\x95").unwrap();
    let (code, out, _) = run(&["scan", &dir.0.display().to_string()]);
    assert_eq!(code, 1);
    assert!(out.contains("short.pkl: not understood") && out.contains("bad.pkl: refused"), "{out}");
    let safe = dir.path("safe.safetensors");
    done(&["scan", &good, "--extract-safe", &safe]);
    assert!(done(&["diff", &good, &safe]).starts_with("equal"));
}

#[test]
fn types_of_gguf_files_are_chosen_by_recipe() {
    let dir = Folder::new("types");
    let (from, gguf) = (dir.path("in.safetensors"), dir.path("out.gguf"));
    let elements = 4 * 256;
    let header =
        format!(r#"{{"blk.0.ffn_up.weight":{{"dtype":"F32","shape":[4,256],"data_offsets":[0,{}]}}}}"#, 4 * elements);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend((0..elements).flat_map(|i| (((i * 37 % 101) as f32 - 50.0) / 50.0).to_le_bytes()));
    std::fs::write(&from, bytes).unwrap();
    for (kind, stored) in [("Q4_K_M", "Q4_K"), ("q8_0", "Q8_0"), ("F16", "f16")] {
        done(&["convert", &from, &gguf, "--type", kind, "--verify", "full"]);
        let out = done(&["inspect", &gguf, "--weights"]);
        assert!(out.contains(stored), "{kind}: {out}");
    }
    done(&["convert", &from, &gguf, "--type", "Q4_K_M", "--tensor-type", "ffn_up=Q6_K"]);
    assert!(done(&["inspect", &gguf, "--weights"]).contains("Q6_K"));
    let (code, _, err) = run(&["convert", &from, &dir.path("x.npz"), "--type", "Q8_0"]);
    assert_eq!(code, 5);
    assert!(err.contains("--type Q8_0: only GGUF files have such types"), "{err}");
    let (code, _, err) = run(&["convert", &from, &gguf, "--type", "Q9"]);
    assert_eq!(code, 5);
    assert!(err.contains("--type Q9: not one that is written") && err.contains("Q4_K_M"), "{err}");
}
