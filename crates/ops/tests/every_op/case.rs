//! The samples of an operator as models of one node.

use modelsmith_ir::{Attrs, HUB_OPSET, Model, NodeId, Op, OpDef, OpSetImport, Origin, Sample, Samples, Type, text};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_tensor::{MapKeys, Value, WeightExpr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// One sample.
pub struct Case {
    /// Operator and number of the sample, for messages.
    pub label: String,
    /// The sample.
    pub sample: Sample,
    /// The model: for an operator with bodies the sample's own, else one node over typed inputs.
    pub model: Model,
    /// The operator's node in it.
    pub node: NodeId,
    /// What the model is run on.
    pub inputs: Vec<Value>,
}

impl Case {
    /// Attributes of the node.
    pub fn attrs(&self) -> &Attrs {
        &self.model.nodes[self.node].attrs
    }

    /// Results of the model through the reference.
    pub fn run(&self) -> Result<Vec<Value>, String> {
        run(&self.model, &self.inputs)
    }

    /// The same with all tensor operands but the first as constants of the model; `None` where there are none.
    pub fn with_constants(&self, def: &'static OpDef) -> Option<Case> {
        let constant = |(i, v): (usize, &Option<Value>)| i > 0 && matches!(v, Some(Value::Tensor(_)));
        if self.sample.model.is_some() || !self.sample.inputs.iter().enumerate().any(constant) {
            return None;
        }
        let (model, node, inputs) = single(def, &self.sample, true);
        let label = format!("{} with constants", self.label);
        Some(Case { label, sample: self.sample.clone(), model, node, inputs })
    }
}

/// Results of a model through the reference; a panic is an error like any other.
pub fn run(model: &Model, inputs: &[Value]) -> Result<Vec<Value>, String> {
    let go = || {
        let mut running = Reference.load(model, &Opts::default())?;
        running.run(inputs, &mut |_, _| {})
    };
    match catch_unwind(AssertUnwindSafe(go)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("it panicked".into()),
    }
}

/// The type of a value, as precise as it can be.
pub fn type_of(value: &Value) -> Type {
    match value {
        Value::Tensor(t) => Type::fixed(t.dtype(), t.shape()),
        Value::Sparse(s) => Type::Sparse(match Type::fixed(s.values.dtype(), &s.shape) {
            Type::Tensor(t) => t,
            _ => Default::default(),
        }),
        Value::Sequence(items) => {
            let item = items.iter().map(type_of).reduce(|a, b| a.join(&b));
            Type::Sequence(Box::new(item.unwrap_or_default()))
        }
        Value::Optional(item) => Type::Optional(Box::new(item.as_deref().map(type_of).unwrap_or_default())),
        Value::Map(m) => {
            let key = match &m.keys {
                MapKeys::Ints(dtype, _) => *dtype,
                MapKeys::Strings(_) => modelsmith_tensor::DType::String,
            };
            let value = m.values.iter().map(type_of).reduce(|a, b| a.join(&b));
            Type::Map(key, Box::new(value.unwrap_or_default()))
        }
    }
}

/// The opsets of a file that imports `domain` at `version`.
pub fn opsets(domain: &str, version: u32) -> Vec<OpSetImport> {
    let mut all = vec![OpSetImport { domain: domain.into(), version }];
    if !domain.is_empty() {
        all.push(OpSetImport { domain: String::new(), version: HUB_OPSET });
    }
    all
}

/// All samples of an operator, or why one is no model.
pub fn cases(def: &'static OpDef) -> Vec<Result<Case, String>> {
    let mut samples = Samples::new(7);
    (def.samples)(&mut samples);
    let made = samples.into_cases().into_iter().enumerate();
    made.map(|(i, sample)| {
        let label = format!("{def:?} sample {i}");
        let (model, node, inputs) = match &sample.model {
            Some(text) => {
                let (model, node) = parsed(def, text).map_err(|e| format!("{label}: {e}"))?;
                (model, node, sample.inputs.iter().flatten().cloned().collect())
            }
            None => single(def, &sample, false),
        };
        Ok(Case { label, sample, model, node, inputs })
    })
    .collect()
}

fn parsed(def: &'static OpDef, text: &str) -> Result<(Model, NodeId), String> {
    let model = text::parse(text, modelsmith_ops::all()).map_err(|e| e.to_string())?;
    let node = model.nodes_in(model.main).into_iter().find(|&n| model.nodes[n].known() == Some(def));
    let node = node.ok_or("the model does not hold the operator")?;
    Ok((model, node))
}

/// One node over its operands; with `constants`, tensors after the first are weights of the model.
fn single(def: &'static OpDef, sample: &Sample, constants: bool) -> (Model, NodeId, Vec<Value>) {
    let mut model = Model::new();
    model.meta.opsets = opsets(def.domain, if def.domain.is_empty() { HUB_OPSET } else { def.since });
    let (mut inputs, mut given) = (Vec::new(), Vec::new());
    for (i, value) in sample.inputs.iter().enumerate() {
        let name = format!("x{i}");
        inputs.push(value.as_ref().map(|value| match value {
            Value::Tensor(t) if constants && i > 0 => {
                model.add_weight(model.main, &name, Arc::new(WeightExpr::Literal(t.clone())))
            }
            v => {
                given.push(v.clone());
                model.add_param(model.main, &name, type_of(v))
            }
        }));
    }
    let node = modelsmith_ir::Node {
        op: Op::Known(def),
        inputs,
        outputs: vec![],
        attrs: sample.attrs.clone(),
        regions: vec![],
        name: "n".into(),
        origin: Origin::default(),
    };
    let names = (0..sample.outputs).map(|i| format!("y{i}")).collect::<Vec<_>>();
    let names = names.iter().map(|n| Some(n.as_str())).collect::<Vec<_>>();
    let node = model.add_node(model.main, 0, node, &names);
    let main = model.main;
    model.regions[main].results = model.nodes[node].outputs.iter().flatten().copied().collect();
    (model, node, given)
}

/// Every case of every operator that could be made, with its operator.
pub fn all_cases() -> impl Iterator<Item = (&'static OpDef, Case)> {
    let defs = modelsmith_ops::all().iter().collect::<Vec<_>>();
    defs.into_iter().flat_map(|def| cases(def).into_iter().filter_map(move |c| Some((def, c.ok()?))))
}

#[test]
fn every_operator_has_samples_that_run() {
    let mut findings = Vec::new();
    for def in modelsmith_ops::all().iter() {
        let made = cases(def);
        if made.is_empty() {
            findings.push(format!("{def:?} has no samples"));
        }
        for case in made {
            findings.extend(match case {
                Err(why) => Some(why),
                Ok(case) => case.run().err().map(|e| format!("{}: {e}", case.label)),
            });
        }
    }
    crate::report(findings);
}

/// [`all_cases`], and each again with constants.
pub fn all_forms() -> impl Iterator<Item = (&'static OpDef, Case)> {
    all_cases().flat_map(|(def, case)| {
        let constant = case.with_constants(def);
        [Some(case), constant].into_iter().flatten().map(move |c| (def, c))
    })
}
