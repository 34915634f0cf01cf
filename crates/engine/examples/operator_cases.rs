//! Writes calls of operators as ONNX test cases, for `conformance/differential.py`, which runs them in ONNX Runtime:
//! `operator_cases FOLDER OPSET VARIED [NAME]...` makes `FOLDER/NAME_K/model.onnx` with `test_data_set_0` beside it, for
//! every sample of each operator and for VARIED variations of them. A NAME is an operator or a domain with a dot behind.
//! `model_N.onnx` is the call at opset N, the last at which the operator has an older version that says it.
//! The outputs are those of the reference; where those of the cpu backend are other bits, they lie beside as `cpu_J.pb`,
//! and what a backend refuses alone as `cpu.txt`. `change_J.txt` says by how much output J changes at most when each
//! float of the operands takes a neighbouring value. A backend that panics ends the program with 1 after all is written.

use modelsmith_engine::CpuRunner;
use modelsmith_format::{Artifact, Output, WriteOptions};
use modelsmith_format_onnx::{value_to_bytes, write};
use modelsmith_ir::{HUB_OPSET, Model, OpDef, OpSetImport, Samples};
use modelsmith_ops::interp::{Operators, Reference};
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{DType, Tensor, Value};
use modelsmith_testkit::{Case, varied_cases};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

type Failure = Box<dyn std::error::Error>;

/// Variations tried for each that is wanted: most changes make no valid call.
const TRIES: usize = 60;

/// Runs a case; the inner error is the backend's, the outer one a panic.
fn run(runner: &dyn Runner, case: &Case, inputs: &[Value]) -> Result<Result<Vec<Value>, String>, String> {
    let opts = Opts { threads: 1, ..Opts::default() };
    let run = || runner.load(&case.model, &opts).and_then(|mut r| r.run(inputs, &mut |_, _| {}));
    catch_unwind(AssertUnwindSafe(run)).map(|r| r.map_err(|e| e.to_string())).map_err(|_| {
        let show = |v: &Value| v.tensor().map(|t| format!("{}{:?}", t.dtype(), t.shape())).unwrap_or(v.kind().into());
        format!("{} panics in {}: {}", case.name, runner.name(), inputs.iter().map(show).collect::<Vec<_>>().join(", "))
    })
}

/// The operands with every float one unit in the last place away, up or down.
fn nudged(inputs: &[Value], rng: &mut Samples) -> Vec<Value> {
    let nudge = |v: &Value| -> Option<Value> {
        let t = v.tensor().ok().filter(|t| t.dtype().is_float())?;
        let step = match t.dtype() {
            DType::F64 => f64::EPSILON,
            DType::F32 => f64::from(f32::EPSILON),
            DType::F16 => 1.0 / 1024.0,
            DType::BF16 => 1.0 / 128.0,
            _ => return None,
        };
        let values = t.to_f64s().ok()?.into_iter().map(|x| x * (1.0 + step * (rng.below(2) as f64 * 2.0 - 1.0)));
        Some(Value::Tensor(Tensor::from_f64s(t.dtype(), t.shape(), &values.collect::<Vec<_>>()).ok()?))
    };
    inputs.iter().map(nudge).zip(inputs).map(|(n, v)| n.unwrap_or_else(|| v.clone())).collect()
}

/// The largest change of an output of finite floats; `None` where it has none or is no such tensor.
fn change(a: &Value, b: &Value) -> Option<f64> {
    let (a, b) = (a.tensor().ok()?, b.tensor().ok()?);
    if !a.dtype().is_float() || a.shape() != b.shape() {
        return None;
    }
    let off = a.to_f64s().ok()?.into_iter().zip(b.to_f64s().ok()?).map(|(a, b)| (a - b).abs());
    off.filter(|d| d.is_finite()).reduce(f64::max)
}

/// The opsets of the domain of `def` to write a call at: the newest, then for each older version of the operator the last
/// that has it. Another domain than ai.onnx has few opsets, all of them; one may have dropped the operator.
fn opsets(def: &OpDef, opset: u32) -> Vec<u32> {
    let newest = modelsmith_ops::all().iter().filter(|d| d.domain == def.domain).map(|d| d.since).max();
    let newest = if def.domain.is_empty() { opset } else { newest.unwrap_or(1) };
    if !def.domain.is_empty() {
        return (1..=newest).rev().collect();
    }
    let starts = def.history.iter().map(|p| p.since).skip(1).chain([def.since]).chain(def.ends);
    let ends = starts.filter(|&s| 1 < s && s <= newest).map(|s| s - 1);
    let mut out = ends.chain([newest]).collect::<Vec<_>>();
    out.sort_unstable_by(|a, b| b.cmp(a));
    out.dedup();
    out
}

/// The call at an opset of the operator's domain; `None` where that has no such operator, or says the call by others.
fn lowered(case: &Case, def: &OpDef, own: u32, opset: u32) -> Option<Model> {
    let mut model = case.model.clone();
    let newest = |domain: &str| modelsmith_ops::all().iter().filter(|d| d.domain == domain).map(|d| d.since).max();
    let version = |domain: &str, newest| if domain == def.domain { own } else { newest };
    let import = |domain: &str, newest| OpSetImport { domain: domain.into(), version: version(domain, newest) };
    let others = ["ai.onnx.ml", "com.microsoft"].into_iter().filter_map(|d| Some(import(d, newest(d)?)));
    model.meta.opsets = [import("", opset)].into_iter().chain(others).collect();
    let target = model.meta.opsets.clone();
    modelsmith_ops::opset::downgrade(&mut model, &target).ok()?;
    let is = |model: &Model| model.regions.iter().any(|(_, r)| r.body.iter().any(|&n| model.op_name(n) == def.name));
    is(&model).then_some(model)
}

/// Writes one case; `Ok(false)` where the operator cannot be said at the opset, or the call has no result.
fn emit(folder: &Path, case: &Case, def: &OpDef, opset: u32, panics: &mut Vec<String>) -> Result<bool, Failure> {
    let Ok(outputs) = run(&Reference, case, &case.inputs)? else { return Ok(false) };
    let models = opsets(def, opset).into_iter().filter_map(|own| Some((own, lowered(case, def, own, opset)?)));
    let models = models.collect::<Vec<_>>();
    if models.is_empty() {
        return Ok(false);
    }
    let data = folder.join("test_data_set_0");
    std::fs::create_dir_all(&data)?;
    for (kind, values) in [("input", &case.inputs), ("output", &outputs)] {
        for (i, value) in values.iter().enumerate() {
            std::fs::write(data.join(format!("{kind}_{i}.pb")), value_to_bytes("", value)?)?;
        }
    }
    for (k, (own, model)) in models.into_iter().enumerate() {
        let name = if k == 0 { "model.onnx".to_owned() } else { format!("model_{own}.onnx") };
        let mut output = Output::file(&folder.join(name), true);
        write(&Artifact::Model(Box::new(model)), &mut output, &WriteOptions::new(&Operators))?;
        output.commit()?;
    }
    match run(&CpuRunner, case, &case.inputs) {
        Err(panic) => panics.push(panic),
        Ok(Err(why)) => std::fs::write(folder.join("cpu.txt"), why)?,
        Ok(Ok(cpu)) => {
            for (j, (a, b)) in cpu.iter().zip(&outputs).enumerate() {
                let (a, b) = (value_to_bytes("", a)?, value_to_bytes("", b)?);
                if a != b {
                    std::fs::write(data.join(format!("cpu_{j}.pb")), a)?;
                }
            }
        }
    }
    let mut changes = vec![0f64; outputs.len()];
    for seed in 0..3 {
        let Ok(near) = run(&Reference, case, &nudged(&case.inputs, &mut Samples::new(seed)))? else { continue };
        for (most, (a, b)) in changes.iter_mut().zip(outputs.iter().zip(&near)) {
            *most = most.max(change(a, b).unwrap_or(0.0));
        }
    }
    for (j, most) in changes.iter().enumerate().filter(|(_, c)| **c > 0.0) {
        std::fs::write(folder.join(format!("change_{j}.txt")), format!("{most:e}"))?;
    }
    Ok(true)
}

/// Writes the cases of one operator; how many.
fn operator(folder: &Path, def: &'static OpDef, opset: u32, varied: usize, panics: &mut Vec<String>) -> usize {
    let mut written = 0;
    let mut keep = |case: &Case| {
        let to = folder.join(case.name.replace('/', "_"));
        let made = emit(&to, case, def, opset, panics).unwrap_or_else(|e| {
            panics.push(e.to_string());
            false
        });
        written += usize::from(made);
        made
    };
    let made = varied_cases(def, modelsmith_ops::all(), varied, TRIES * varied, &mut keep);
    panics.extend(made.err());
    written
}

fn main() -> Result<(), Failure> {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let [folder, opset, varied, names @ ..] = args.as_slice() else {
        return Err("FOLDER OPSET VARIED [NAME]..".into());
    };
    let (opset, varied) = (opset.parse::<u32>()?.min(HUB_OPSET), varied.parse::<usize>()?);
    let (mut written, mut panics) = (0, Vec::new());
    for def in modelsmith_ops::ALL.iter().filter(|d| !d.flags.random) {
        let name = format!("{def:?}");
        let wanted = |n: &String| name == *n || (n.ends_with('.') && name.starts_with(n.as_str()));
        if names.is_empty() || names.iter().any(wanted) {
            let made = operator(Path::new(folder), def, opset, varied, &mut panics);
            println!("{name}: {made}");
            written += made;
        }
    }
    panics.iter().for_each(|p| eprintln!("{p}"));
    println!("{written} cases written");
    if panics.is_empty() { Ok(()) } else { Err(format!("{} cases fail", panics.len()).into()) }
}
