//! Prints each file named on the command line as one line of JSON: its tensors with type, shape and the CRC-32 of their
//! dense bytes, and its metadata. The other half of `conformance/pytorch.py`.

use modelsmith_base::Budget;
use modelsmith_format::{Artifact, Input, MetaValue};
use modelsmith_tensor::{Evaluator, Result as TensorResult, Tensor, materialize};
use serde_json::{Value as Json, json};
use std::path::Path;

struct NoOperators;

impl Evaluator for NoOperators {
    fn eval(&self, op: &str, _: &[Tensor]) -> TensorResult<Tensor> {
        Err(modelsmith_tensor::Error::Eval { op: op.into(), message: "no operators here".into() })
    }
}

fn value(v: &MetaValue) -> Json {
    match v {
        MetaValue::None => Json::Null,
        MetaValue::Bool(b) => json!(b),
        MetaValue::Int { value, .. } => json!(value.to_string()),
        MetaValue::Float { value, .. } => json!(format!("{:016x}", value.to_bits())),
        MetaValue::Text(t) => json!(t),
        MetaValue::Bytes(_) => json!(v.text()),
        MetaValue::List { items, .. } => Json::Array(items.iter().map(value).collect()),
    }
}

fn dump(path: &str) -> Result<Json, modelsmith_format::Error> {
    let input = Input::open(Path::new(path))?;
    let imported = modelsmith_format_torch::read(&input, &Default::default())?;
    let findings = imported.findings.iter().map(ToString::to_string).collect::<Vec<_>>();
    let Artifact::Checkpoint(checkpoint) = imported.artifact else { return Ok(Json::Null) };
    let mut tensors = Vec::new();
    for (name, weight) in &checkpoint.tensors {
        let tensor = materialize(weight, &NoOperators, &Budget::unlimited())?;
        let mut crc = flate2::Crc::new();
        crc.update(tensor.bytes());
        tensors.push(json!({"name": name, "dtype": tensor.dtype().name(), "shape": tensor.shape(), "crc": crc.sum()}));
    }
    let meta = checkpoint.meta.iter().map(|(k, v)| json!([k, value(v)])).collect::<Vec<_>>();
    Ok(json!({"tensors": tensors, "meta": meta, "findings": findings}))
}

fn main() {
    for path in std::env::args().skip(1) {
        println!("{}", dump(&path).unwrap_or_else(|e| json!({"error": e.to_string()})));
    }
}
