use super::Context;
use crate::args::{Convert, GraphArgs, Inspect, SizeArgs, TensorArgs};
use crate::table::{bytes, count, fields, table};
use modelsmith::checkpoint::{self, Budget, Checkpoint, Fate, Line, Readback, Stats, Target, Types};
use modelsmith::inspect::{Finding, WeightInfo};
use modelsmith::{Error, Model, Result};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

#[derive(Serialize)]
pub struct Entry {
    #[serde(flatten)]
    inspection: checkpoint::Inspection,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensor_list: Option<Vec<Tensor>>,
}

#[derive(Serialize)]
struct Tensor {
    #[serde(flatten)]
    info: WeightInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Stats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crc32: Option<u32>,
}

/// Shows a checkpoint.
pub fn inspect(cx: &Context, a: &Inspect, c: &Checkpoint) -> Result<Entry> {
    let inspection = checkpoint::inspect(c);
    let mut list = Vec::new();
    if a.weights || a.stats || a.dump || a.verify {
        for (info, (name, w)) in checkpoint::tensors(c).into_iter().zip(&c.data().tensors) {
            let budget = Budget::unlimited();
            let place = |e: Error| e.in_file(c.path()).help(format!("tensor {name}"));
            let stats = if a.stats { checkpoint::stats(w, &budget).map_err(place)? } else { None };
            let crc32 = match a.verify {
                true => checkpoint::crc32(w, &budget).map(Some).map_err(|e| place(e.into()))?,
                false => None,
            };
            list.push(Tensor { info, stats, crc32 });
        }
    }
    show(cx, &inspection, &list);
    let tensor_list = (!list.is_empty()).then_some(list);
    Ok(Entry { inspection, tensor_list })
}

fn show(cx: &Context, i: &checkpoint::Inspection, list: &[Tensor]) {
    let s = cx.screen;
    let types = i.weight_bytes.iter().map(|(d, n)| format!("{d} {}", bytes(*n))).collect::<Vec<_>>().join(", ");
    let tied = if i.tied > 0 { format!(", {} of them tied to others", i.tied) } else { String::new() };
    s.say(&s.bold(&i.path));
    let mut shown = vec![("format", format!("{}, a checkpoint", i.format))];
    shown.extend(i.architecture.clone().map(|a| ("architecture", a)));
    shown.extend([
        ("size", format!("{} ({} B)", bytes(i.file_bytes), count(i.file_bytes))),
        ("tensors", format!("{}{tied}", i.tensors)),
        ("parameters", count(i.parameters)),
        ("weight bytes", if types.is_empty() { "none".into() } else { types }),
    ]);
    s.say(&fields(&shown));
    if list.is_empty() {
        let deep = if cx.screen.verbose { usize::MAX } else { 2 };
        let rows = i.modules.iter().filter(|m| m.depth < deep).map(|m| {
            let name = format!("{}{}", "  ".repeat(m.depth), m.name);
            vec![name, count(m.tensors as u64), count(m.elements), bytes(m.bytes)]
        });
        let rows = rows.collect::<Vec<_>>();
        if !rows.is_empty() {
            s.say(&table(&["module", "tensors", "elements", "size"], &[1, 2, 3], &rows));
        }
    } else {
        s.say(&tensors(list));
    }
    if !i.metadata.is_empty() {
        let short = |t: &str| {
            if t.chars().count() > 80 { format!("{} ..", t.chars().take(78).collect::<String>()) } else { t.to_owned() }
        };
        let rows = i.metadata.iter().map(|(k, v)| vec![k.clone(), short(v)]).collect::<Vec<_>>();
        s.say(&table(&["metadata", "value"], &[], &rows));
    }
    notes(cx, &i.findings);
}

fn tensors(list: &[Tensor]) -> String {
    let number = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.4e}"));
    let row = |t: &Tensor| {
        let mut row =
            vec![t.info.name.clone(), t.info.dtype.clone(), format!("{:?}", t.info.shape), count(t.info.bytes)];
        if let Some(s) = &t.stats {
            row.extend([s.min, s.max, s.mean, s.std].map(number));
            row.extend([count(s.nan), count(s.inf), format!("{:.1} %", 100.0 * s.sparsity)]);
        }
        row.extend(t.crc32.map(|c| format!("{c:08x}")));
        row
    };
    let mut head = vec!["tensor", "type", "shape", "bytes"];
    if list.iter().any(|t| t.stats.is_some()) {
        head.extend(["min", "max", "mean", "std", "NaN", "inf", "zeros"]);
    }
    if list.iter().any(|t| t.crc32.is_some()) {
        head.push("CRC-32");
    }
    table(&head, &(3..head.len()).collect::<Vec<_>>(), &list.iter().map(row).collect::<Vec<_>>())
}

fn notes(cx: &Context, findings: &[Finding]) {
    for f in findings {
        let place = if f.place.is_empty() { String::new() } else { format!(" ({})", f.place) };
        cx.screen.note(&format!("{}[{}]: {}{place}", f.severity, f.code, f.message));
    }
}

#[derive(Serialize)]
struct Report {
    input: String,
    output: String,
    format: &'static str,
    tensors: usize,
    payload_bytes: u64,
    seconds: f64,
    files: Vec<(String, u64)>,
    verification: &'static str,
    findings: Vec<Finding>,
}

/// Whether a path to write to is a folder: it is one, or ends like one.
pub fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/')
}

/// The file of weights in a folder.
const WEIGHTS: &str = "model.safetensors";

/// Converts a checkpoint; into a folder where `output` is one.
pub fn convert(cx: &Context, a: &Convert, from: &Checkpoint, output: &Path) -> Result<u8> {
    let t = &a.tensors;
    let edit = edit(t)?;
    let folder = is_folder(output);
    let inside = output.join(WEIGHTS);
    let output = if folder { inside.as_path() } else { output };
    let format = modelsmith::write::weights_format_for(output, a.to.as_deref())?;
    let mut all = vec![from.data().clone()];
    for path in &t.merge {
        all.push(Checkpoint::open(path)?.data().clone());
    }
    let data = checkpoint::merge(all).map_err(Error::from)?;
    let readback = readback(&a.verify);
    let (budget, shard) = (checkpoint::size(&t.budget)?, t.shard_size.as_deref().map(checkpoint::size).transpose()?);
    let begun = Instant::now();
    cx.progress.step("writing");
    let progress = |done: u64, all: u64| {
        let rate = done as f64 / begun.elapsed().as_secs_f64().max(1e-3);
        cx.progress.part(&format!("{} of {}, {}/s", bytes(done), bytes(all), bytes(rate as u64)));
    };
    let target = Target {
        format,
        path: output,
        clobber: !a.no_clobber,
        budget: Budget::new(budget),
        threads: threads(cx),
        shard,
        readback,
        beside: &[],
        progress: &progress,
    };
    let (written, list) = match folder {
        true => checkpoint::convert_to_folder(&data, &edit, target)?,
        false => checkpoint::convert(&data, from.folder(), &edit, &target)?,
    };
    cx.progress.end();
    let seconds = begun.elapsed().as_secs_f64();
    let findings = from.findings().iter().chain(&written.findings).map(Finding::from).collect::<Vec<_>>();
    notes(cx, &findings);
    let verification = verification(readback);
    let rate = bytes((written.payload as f64 / seconds.max(1e-6)) as u64);
    cx.screen.say(&format!("{} tensors, {} in {seconds:.2} s, {rate}/s", list.len(), bytes(written.payload)));
    cx.screen.say(verification);
    let files = written.files.iter().map(|(p, n)| (p.display().to_string(), *n)).collect::<Vec<_>>();
    files.iter().for_each(|(p, n)| cx.screen.say(&format!("{p}  {}", bytes(*n))));
    let report = Report {
        input: from.path().display().to_string(),
        output: output.display().to_string(),
        format: format.name,
        tensors: list.len(),
        payload_bytes: written.payload,
        seconds,
        files,
        verification,
        findings,
    };
    cx.screen.document("convert", &report)?;
    Ok(0)
}

fn readback(verify: &str) -> Readback {
    match verify {
        "no" => Readback::No,
        "full" => Readback::Payload,
        _ => Readback::Header,
    }
}

fn verification(readback: Readback) -> &'static str {
    match readback {
        Readback::No => "not verified",
        Readback::Header => "verified: names, types and shapes read back",
        Readback::Payload => "verified: names, types, shapes and every element read back",
    }
}

fn threads(cx: &Context) -> usize {
    match cx.threads {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
        n => n,
    }
}

fn edit(t: &TensorArgs) -> Result<checkpoint::Edit> {
    let types = Types { recipe: t.kind.as_deref(), of_tensors: &t.tensor_type, importance: t.imatrix.as_deref() };
    checkpoint::edit(t.key.as_deref(), &t.include, &t.exclude, &t.map, t.cast.as_deref(), &types)
}

/// The model to work on: the one named, or one whose graph and weights come from two files, either of which may be the
/// one named.
pub fn bound(cx: &Context, model: Option<&Path>, sizes: &SizeArgs, g: &GraphArgs, t: &TensorArgs) -> Result<Model> {
    let (graph, weights) = match (model, &g.graph, &g.weights) {
        (Some(model), None, None) => return Model::open_sized(model, &super::options::sizes(sizes)?),
        (None, Some(graph), Some(weights)) => (graph.as_path(), weights.as_path()),
        (Some(graph), None, Some(weights)) => (graph, weights.as_path()),
        (Some(weights), Some(graph), None) => (graph.as_path(), weights),
        (None, None, None) => return Err(Error::usage("a model is wanted")),
        _ => {
            return Err(Error::usage(
                "one graph and one checkpoint are wanted: --graph MODEL and --weights CHECKPOINT",
            ));
        }
    };
    let (model, checkpoint) = (Model::open(graph)?, Checkpoint::open(weights)?);
    let (data, _) = edit(t)?.apply(checkpoint.data()).map_err(Error::from)?;
    let done = checkpoint::bind(&model, &data, g.partial).map_err(|e| e.in_file(graph))?;
    let of = |fate: Fate| done.lines.iter().filter(|l| l.fate == fate).count();
    cx.screen.say(&format!(
        "bound {} weights by name and {} by shape; {} kept from the graph, {} extra, {} missing",
        of(Fate::Name),
        of(Fate::Shape),
        of(Fate::Kept),
        of(Fate::Extra),
        of(Fate::Missing)
    ));
    let told = |l: &&Line| cx.screen.verbose || matches!(l.fate, Fate::Shape | Fate::Extra | Fate::Missing);
    done.lines.iter().filter(told).for_each(|l| cx.screen.note(&checkpoint::describe(l)));
    Ok(done.model)
}
