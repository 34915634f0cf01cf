//! Samples of operators as models of one node.

use modelsmith_ir::{Builder, Dim, Model, OpDef, OpResult, OpSet, Sample, Samples, Stage, Type};
use modelsmith_tensor::{DType, MapKeys, Value};

/// A model with inputs.
pub struct Case {
    /// Operator and number of the sample, or seed.
    pub name: String,
    /// The model, at the hub.
    pub model: Model,
    /// One value per parameter.
    pub inputs: Vec<Value>,
}

/// Every sample of every operator in `ops` that is not random, as a model. Samples that are whole models in the text
/// syntax are parsed; the reason is in the panic message when one does not parse, for that is a fault of its record.
pub fn sample_cases(ops: &'static OpSet) -> Vec<Case> {
    let mut out = Vec::new();
    for def in ops.iter().filter(|d| !d.flags.random) {
        let mut samples = Samples::new(7);
        (def.samples)(&mut samples);
        for (i, sample) in samples.into_cases().into_iter().enumerate() {
            let name = format!("{def:?}/{i}");
            let inputs = sample.inputs.iter().flatten().cloned().collect();
            let model = match &sample.model {
                Some(text) => modelsmith_ir::text::parse(text, ops).unwrap_or_else(|e| panic!("{name}: {e}")),
                None => single(def, &sample, ops).unwrap_or_else(|e| panic!("{name}: {e}")),
            };
            out.push(Case { name, model, inputs });
        }
    }
    out
}

/// Type of a value as a parameter declares it: every dimension a number.
pub fn type_of(value: &Value) -> Type {
    match value {
        Value::Tensor(t) => Type::fixed(t.dtype(), t.shape()),
        Value::Sequence(items) => {
            let joined = items.iter().map(type_of).reduce(|a, b| a.join(&b));
            Type::Sequence(Box::new(joined.unwrap_or(Type::Unknown)))
        }
        Value::Optional(inner) => Type::Optional(Box::new(inner.as_deref().map_or(Type::Unknown, type_of))),
        Value::Map(map) => {
            let joined = map.values.iter().map(type_of).reduce(|a, b| a.join(&b));
            let key = if let MapKeys::Ints(key, _) = &map.keys { *key } else { DType::String };
            Type::Map(key, Box::new(joined.unwrap_or(Type::Unknown)))
        }
        Value::Sparse(s) => {
            let shape = s.shape.iter().map(|&d| Dim::from(d)).collect();
            Type::Sparse(modelsmith_ir::TensorType::new(s.values.dtype(), shape))
        }
    }
}

/// The model whose only node is the call.
///
/// # Errors
/// When inference refuses the call.
pub(crate) fn single(def: &'static OpDef, sample: &Sample, ops: &OpSet) -> OpResult<Model> {
    let mut model = Model::new();
    model.stage = Stage::Hub;
    let main = model.main;
    let mut operands = Vec::new();
    for (i, input) in sample.inputs.iter().enumerate() {
        operands.push(input.as_ref().map(|v| model.add_param(main, &format!("x{i}"), type_of(v))));
    }
    let mut builder = Builder::new(&mut model, ops, main, 0);
    let results = builder.node(def.domain, def.name, &operands, sample.attrs.clone(), sample.outputs.max(1))?;
    for (i, &v) in results.iter().enumerate() {
        model.values[v].name = format!("y{i}");
    }
    model.regions[main].results = results;
    Ok(model)
}
