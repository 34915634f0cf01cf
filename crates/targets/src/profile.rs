use crate::row::{Args, Fit, Row};
use crate::rule::Rule;
use modelsmith_base::DType;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

/// Texts of the profiles.
const FILES: [&str; 14] = [
    include_str!("../profiles/coreml-onnx.toml"),
    include_str!("../profiles/onnx2tf-1.28.toml"),
    include_str!("../profiles/onnx2tf-2.6.toml"),
    include_str!("../profiles/onnxruntime-1.17.toml"),
    include_str!("../profiles/onnxruntime-1.20.toml"),
    include_str!("../profiles/onnxruntime-1.23.toml"),
    include_str!("../profiles/onnxruntime-1.31.toml"),
    include_str!("../profiles/opencv-4.12.toml"),
    include_str!("../profiles/opencv-5.0.toml"),
    include_str!("../profiles/openvino-2024.6.toml"),
    include_str!("../profiles/openvino-2026.4.toml"),
    include_str!("../profiles/tensorrt-10.1.toml"),
    include_str!("../profiles/tensorrt-10.15.toml"),
    include_str!("../profiles/tensorrt-8.6.toml"),
];

/// Every profile, by name and version. A file that does not parse is left out; a test keeps that from happening.
pub static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    let mut all = FILES.iter().filter_map(|text| Profile::parse(text).ok()).collect::<Vec<_>>();
    all.sort_by_key(|p| (p.runtime().to_owned(), p.order()));
    all
});

/// The profile called `name`; the newest of a runtime where the version is left out. `None` when there is none.
pub fn find(name: &str) -> Option<&'static Profile> {
    let exact = PROFILES.iter().find(|p| p.name == name);
    exact.or_else(|| PROFILES.iter().filter(|p| p.runtime() == name).max_by_key(|p| p.order()))
}

/// What one version of a runtime loads, as far as it is known.
pub struct Profile {
    /// `RUNTIME-VERSION`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Version of the runtime, in full.
    pub version: String,
    /// The day on which the sources were read.
    pub read: String,
    /// Where the facts come from.
    pub sources: Vec<String>,
    /// What the profile does not know.
    pub unknown: Vec<String>,
    /// What holds for whole models.
    pub limits: Limits,
    /// Newest opset by domain; the default domain is `ai.onnx`.
    pub opsets: BTreeMap<String, u32>,
    /// Oldest opset by domain.
    pub oldest: BTreeMap<String, u32>,
    /// Commands: `load`, and what else the vendor wants.
    pub commands: BTreeMap<String, String>,
    casts: Vec<(DType, DType)>,
    narrowing: Vec<DType>,
    ops: HashMap<String, HashMap<String, Vec<Row>>>,
    rules: HashMap<String, Vec<Rule>>,
}

/// What holds for whole models.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Newest ONNX IR version.
    pub ir_version: Option<i64>,
    /// Model-local functions are read.
    pub functions: bool,
    /// Weights may lie in files beside the model.
    pub external_data: bool,
    /// Largest file without weights beside it, in bytes.
    pub message_bytes: Option<u64>,
    /// Inputs must be of known rank.
    pub input_ranks: bool,
    /// Inputs must be of known shape.
    pub fixed_shapes: bool,
    /// Most dimensions of a tensor.
    pub ranks: Option<usize>,
}

/// The file, before its rows are read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    title: String,
    version: String,
    read: String,
    sources: Vec<String>,
    unknown: Vec<String>,
    limits: Limits,
    opsets: BTreeMap<String, u32>,
    #[serde(default)]
    oldest: BTreeMap<String, u32>,
    #[serde(default)]
    casts: BTreeMap<String, String>,
    #[serde(default)]
    narrowing: BTreeMap<String, String>,
    commands: BTreeMap<String, String>,
    #[serde(default)]
    sets: BTreeMap<String, String>,
    ops: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    rules: BTreeMap<String, Vec<String>>,
}

impl Profile {
    /// Reads the text of a profile.
    ///
    /// # Errors
    /// Says what is wrong and in which operator.
    pub fn parse(text: &str) -> Result<Profile, String> {
        let f: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let dtype = |s: &str| DType::parse(s).ok_or_else(|| format!("{s} is no element type"));
        let pair = |(a, b): (&String, &String)| Ok::<_, String>((dtype(a)?, dtype(b)?));
        let mut ops = HashMap::new();
        for (domain, rows) in &f.ops {
            let mut by_name = HashMap::new();
            for (op, rows) in rows {
                let rows = rows.iter().map(|r| Row::parse(r, &f.sets).map_err(|e| format!("{op}: {e}")));
                by_name.insert(op.clone(), rows.collect::<Result<Vec<_>, _>>()?);
            }
            ops.insert(plain(domain).to_owned(), by_name);
        }
        let mut rules = HashMap::new();
        for (op, texts) in &f.rules {
            let read = texts.iter().map(|t| Rule::parse(t).map_err(|e| format!("{op}: {e}")));
            rules.insert(op.clone(), read.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Profile {
            casts: f.casts.iter().map(pair).collect::<Result<_, _>>()?,
            narrowing: f.narrowing.keys().map(|a| dtype(a)).collect::<Result<_, _>>()?,
            name: f.name,
            title: f.title,
            version: f.version,
            read: f.read,
            sources: f.sources,
            unknown: f.unknown,
            limits: f.limits,
            opsets: f.opsets,
            oldest: f.oldest,
            commands: f.commands,
            ops,
            rules,
        })
    }

    /// The name without the version.
    pub fn runtime(&self) -> &str {
        match self.name.rsplit_once('-') {
            Some((runtime, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => runtime,
            _ => &self.name,
        }
    }

    /// The version as numbers.
    fn order(&self) -> Vec<u32> {
        self.version.split('.').map(|p| p.parse().unwrap_or(0)).collect()
    }

    /// Newest opset of `domain` (empty for `ai.onnx`) that is read, where there is such a limit.
    pub fn newest(&self, domain: &str) -> Option<u32> {
        self.opsets.get(listed(domain)).copied()
    }

    /// Oldest opset of `domain` that is read.
    pub fn first(&self, domain: &str) -> Option<u32> {
        self.oldest.get(listed(domain)).copied()
    }

    /// Number of operators.
    pub fn operators(&self) -> usize {
        self.ops.values().map(HashMap::len).sum()
    }

    /// The rows of an operator; `None` when the runtime lacks it in every version.
    pub(crate) fn rows(&self, domain: &str, name: &str) -> Option<&[Row]> {
        self.ops.get(plain(domain))?.get(name).map(Vec::as_slice)
    }

    /// Conditions on an operator of the default domain beyond its types.
    pub(crate) fn rules(&self, domain: &str, name: &str) -> &[Rule] {
        let rules = self.rules.get(name).filter(|_| plain(domain).is_empty());
        rules.map_or(&[], Vec::as_slice)
    }

    /// Whether the runtime has an operator in the version that began at `since.0`, in a model at opset `since.1` of its
    /// domain, for these types.
    pub fn fit(&self, domain: &str, name: &str, since: (u32, u32), args: &Args) -> Fit {
        let Some(rows) = self.rows(domain, name) else { return Fit::NoOperator };
        let rows = rows.iter().filter(|r| r.has(since.0, since.1)).collect::<Vec<_>>();
        if rows.is_empty() {
            return Fit::NoVersion;
        }
        let mut why = None;
        for row in &rows {
            match row.refuses(args) {
                None => return Fit::Loads,
                Some(refused) => why = Some(why.unwrap_or(refused)),
            }
        }
        let cast = args.with(&self.casts);
        if !self.casts.is_empty() && cast.changed && rows.iter().any(|r| r.refuses(&cast.args).is_none()) {
            let narrowed = args.dtypes().any(|d| self.narrowing.contains(&d));
            return if narrowed { Fit::Narrowed } else { Fit::Loads };
        }
        why.map_or(Fit::Loads, Fit::NoType)
    }

    /// The vendor's commands for the file `model`; those with `{shapes}` only where `dynamic` gives them.
    pub fn command(&self, model: &str, dynamic: Option<&str>) -> String {
        let stem = model.strip_suffix(".onnx").unwrap_or(model);
        let fill = |text: &str| {
            text.replace("{model}", model).replace("{stem}", stem).replace("{shapes}", dynamic.unwrap_or_default())
        };
        let load = self.commands.get("load").map(|c| fill(c)).unwrap_or_default();
        match (self.commands.get("dynamic"), dynamic) {
            (Some(more), Some(_)) => format!("{load} {}", fill(more)),
            _ => load,
        }
    }
}

/// `ai.onnx` and the empty domain are one.
fn plain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn listed(domain: &str) -> &str {
    if domain.is_empty() { "ai.onnx" } else { domain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_profile_with_sources() {
        for text in FILES {
            let p = Profile::parse(text).unwrap_or_else(|e| panic!("{}: {e}", text.lines().nth(2).unwrap_or_default()));
            assert!(!p.sources.is_empty() && !p.read.is_empty() && !p.unknown.is_empty(), "{}", p.name);
            assert!(p.operators() > 80, "{}: {}", p.name, p.operators());
            assert!(p.command("m.onnx", None).contains("m.onnx"), "{}", p.name);
        }
        assert_eq!(PROFILES.len(), FILES.len());
    }

    #[test]
    fn a_bare_name_is_the_newest() {
        assert_eq!(find("onnxruntime").unwrap().name, "onnxruntime-1.31");
        assert_eq!(find("tensorrt").unwrap().name, "tensorrt-10.15");
        assert_eq!(find("coreml-onnx").unwrap().runtime(), "coreml-onnx");
        assert!(find("onnxruntime-9").is_none());
    }

    #[test]
    fn types_and_versions_are_told_apart() {
        let p = find("onnxruntime-1.31").unwrap();
        let of = |d| Args::tensors(&[d, d], &[d]);
        assert!(matches!(p.fit("", "Add", (14, 26), &of(DType::F32)), Fit::Loads));
        assert!(matches!(p.fit("ai.onnx", "Add", (14, 26), &of(DType::F16)), Fit::Loads));
        assert!(matches!(p.fit("", "Add", (14, 26), &of(DType::BF16)), Fit::NoType(_)));
        assert!(matches!(p.fit("", "Nothing", (14, 26), &of(DType::F32)), Fit::NoOperator));
        assert!(matches!(p.fit("", "Add", (99, 26), &of(DType::F32)), Fit::NoVersion));
        let t = find("tensorrt-8.6").unwrap();
        assert!(matches!(t.fit("", "Add", (14, 14), &of(DType::F64)), Fit::Narrowed));
    }

    #[test]
    fn commands_name_the_file_and_shapes() {
        let t = find("tensorrt-10.15").unwrap();
        assert_eq!(t.command("a/m.onnx", None), "trtexec --onnx=a/m.onnx --saveEngine=a/m.engine");
        assert!(t.command("m.onnx", Some("x:1x3")).ends_with("--minShapes=x:1x3 --optShapes=x:1x3 --maxShapes=x:1x3"));
    }

    #[test]
    fn faults_of_a_file_are_named() {
        let text = FILES[0].replace("Abs = [\"1+\"]", "Abs = [\"1+ | 0: f33\"]");
        assert!(Profile::parse(&text).err().unwrap().contains("Abs: f33"));
    }
}
