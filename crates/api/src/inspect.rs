//! What a model file holds, in figures.

use crate::model::Model;
use modelsmith_base::Diagnostic;
use modelsmith_ir::{Def, NodeId, Op};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// What [`inspect`] finds.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// File.
    pub path: String,
    /// Format.
    pub format: String,
    /// Size of the file in bytes.
    pub file_bytes: u64,
    /// Version of the format.
    pub ir_version: i64,
    /// Producer and its version.
    pub producer: String,
    /// Imported operator sets.
    pub opsets: BTreeMap<String, u32>,
    /// Documentation.
    pub doc: String,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
    /// Inputs: name and type.
    pub inputs: Vec<Port>,
    /// Outputs: name and type.
    pub outputs: Vec<Port>,
    /// Nodes, those of bodies included.
    pub nodes: usize,
    /// Local functions.
    pub functions: usize,
    /// Bodies of control flow.
    pub subgraphs: usize,
    /// How often each operator occurs, most frequent first.
    pub ops: Vec<OpCount>,
    /// Weight tensors.
    pub weights: usize,
    /// Elements of the floating-point weights.
    pub parameters: u64,
    /// Bytes of weights by element type.
    pub weight_bytes: BTreeMap<String, u64>,
    /// What an engine says of itself; `None` for a model.
    pub engine: Option<EngineInfo>,
    /// Findings.
    pub findings: Vec<Finding>,
}

/// An engine file.
#[derive(Clone, Debug, Serialize)]
pub struct EngineInfo {
    /// Name of the model's graph.
    pub model: String,
    /// Version of the program that built it.
    pub builder: String,
    /// Instruction sets of the machine that built it.
    pub machine: String,
    /// Levels for which it holds a plan, best first.
    pub levels: Vec<String>,
    /// Bytes of its weights.
    pub weight_bytes: u64,
    /// Where kernels less precise than f32 are used, or why none is; `None` where they were not allowed.
    pub f32_fast: Option<String>,
}

/// Checks the payload of an engine file against its checksums; returns how many blobs there are. A model has no
/// checksums: its weights are read.
///
/// # Errors
/// Names file and offset of what is damaged, or the tensor that cannot be read.
pub fn verify_payload(model: &Model) -> crate::Result<usize> {
    if model.engine().is_some() {
        return Ok(modelsmith_engine::file::verify(model.path())?);
    }
    let mut count = 0;
    for (_, v) in model.file().values.iter() {
        if let Def::Weight(_, w) = &v.def {
            let budget = modelsmith_base::Budget::unlimited();
            modelsmith_tensor::materialize(w, &modelsmith_ops::interp::Operators, &budget).map_err(|e| {
                let place = modelsmith_base::Place::tensor(v.name.clone());
                crate::Error::damaged(e.to_string()).at(place).in_file(model.path())
            })?;
            count += 1;
        }
    }
    Ok(count)
}

/// An input or output.
#[derive(Clone, Debug, Serialize)]
pub struct Port {
    /// Name.
    pub name: String,
    /// Type, as the text syntax writes it.
    #[serde(rename = "type")]
    pub ty: String,
}

/// An operator and how often it occurs.
#[derive(Clone, Debug, Serialize)]
pub struct OpCount {
    /// Operator, with its domain unless that is the default one.
    pub op: String,
    /// How often.
    pub count: usize,
    /// Version of the operator set of its domain that the file imports.
    pub opset: u32,
    /// True when the hub knows it.
    pub known: bool,
}

/// A diagnostic as data.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Code.
    pub code: String,
    /// `note`, `warning` or `error`.
    pub severity: String,
    /// What.
    pub message: String,
    /// Where.
    pub place: String,
    /// What to do.
    pub help: Option<String>,
}

impl From<&Diagnostic> for Finding {
    fn from(d: &Diagnostic) -> Finding {
        Finding {
            code: d.code.into(),
            severity: format!("{:?}", d.severity).to_lowercase(),
            message: d.message.clone(),
            place: d.place.to_string(),
            help: d.help.clone(),
        }
    }
}

/// One weight tensor.
#[derive(Clone, Debug, Serialize)]
pub struct WeightInfo {
    /// Name.
    pub name: String,
    /// Element type.
    pub dtype: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Bytes.
    pub bytes: u64,
}

/// What `model` holds.
pub fn inspect(model: &Model) -> Inspection {
    let m = model.file();
    let nodes = all_nodes(m);
    let mut bytes = BTreeMap::new();
    let mut parameters = 0;
    let weights = weights(model);
    for w in &weights {
        *bytes.entry(w.dtype.clone()).or_insert(0) += w.bytes;
        if w.dtype.starts_with('f') || w.dtype.starts_with("bf") {
            parameters += w.shape.iter().product::<usize>() as u64;
        }
    }
    let port = |&v: &modelsmith_ir::ValueId| Port { name: m.values[v].name.clone(), ty: m.ty(v).to_string() };
    let version =
        if m.meta.producer_version.is_empty() { String::new() } else { format!(" {}", m.meta.producer_version) };
    Inspection {
        path: model.path().display().to_string(),
        format: model.format_title().into(),
        file_bytes: model.bytes(),
        ir_version: m.meta.ir_version,
        producer: format!("{}{version}", m.meta.producer),
        opsets: m.meta.opsets.iter().map(|o| (domain(&o.domain).to_owned(), o.version)).collect(),
        doc: m.meta.doc.clone(),
        metadata: m.meta.props.iter().cloned().collect(),
        inputs: m.graph().params.iter().map(port).collect(),
        outputs: m.graph().results.iter().map(port).collect(),
        nodes: nodes.len(),
        functions: m.functions.len(),
        subgraphs: nodes.iter().map(|&n| m.nodes[n].regions.len()).sum(),
        ops: histogram(model, &nodes),
        weights: weights.len(),
        parameters,
        weight_bytes: bytes,
        engine: model.engine().map(|e| EngineInfo {
            model: e.info().model.clone(),
            builder: e.info().builder.clone(),
            machine: e.info().machine.clone(),
            levels: e.levels(),
            weight_bytes: e.weight_bytes(),
            f32_fast: e.f32_fast().map(str::to_owned),
        }),
        findings: model.findings().iter().map(Finding::from).collect(),
    }
}

fn domain(name: &str) -> &str {
    if name.is_empty() { "ai.onnx" } else { name }
}

/// Nodes of the main graph, of its bodies and of local functions.
fn all_nodes(m: &modelsmith_ir::Model) -> Vec<NodeId> {
    let mut out = m.nodes_in(m.main);
    for (_, f) in m.functions.iter() {
        out.extend(m.nodes_in(f.region));
    }
    out
}

fn histogram(model: &Model, nodes: &[NodeId]) -> Vec<OpCount> {
    let m = model.file();
    let mut counts = BTreeMap::<(String, String), (usize, u32)>::new();
    for &n in nodes {
        let version = match &m.nodes[n].op {
            Op::Foreign { version, .. } => *version,
            _ => 0,
        };
        let slot = counts.entry((m.op_domain(n).into(), m.op_name(n).into())).or_insert((0, version));
        slot.0 += 1;
    }
    let local = |d: &str, name: &str| m.functions.iter().any(|(_, f)| f.domain == d && f.name == name);
    let mut out = counts
        .into_iter()
        .map(|((d, name), (count, opset))| OpCount {
            known: modelsmith_ops::all().get(&d, &name).is_some() || local(&d, &name),
            op: if d.is_empty() || d == "ai.onnx" { name } else { format!("{d}.{name}") },
            count,
            opset,
        })
        .collect::<Vec<_>>();
    out.sort_by(|a, b| b.count.cmp(&a.count).then(a.op.cmp(&b.op)));
    out
}

/// Every weight of the model; one that several names share counts once for each name.
pub fn weights(model: &Model) -> Vec<WeightInfo> {
    let m = model.file();
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for (id, v) in m.values.iter() {
        if let Def::Weight(_, w) = &v.def
            && seen.insert(id)
        {
            out.push(WeightInfo {
                name: v.name.clone(),
                dtype: w.dtype().name().into(),
                shape: w.shape(),
                bytes: w.byte_len(),
            });
        }
    }
    out
}

/// The graph as text.
pub fn text(model: &Model) -> String {
    modelsmith_ir::text::print(model.file())
}
