//! Samples obey the schema of their operator.

use crate::case::{Case, all_cases};
use modelsmith_ir::{Attrs, Default, OpDef, ParamKind, Schema};
use modelsmith_ops::typesets::spelled;
use modelsmith_tensor::{DType, Value};
use std::collections::HashMap;

/// Element type of a value, through sequences and optionals; `None` where it holds nothing.
pub fn dtype_of(value: &Value) -> Option<DType> {
    match value {
        Value::Tensor(t) => Some(t.dtype()),
        Value::Sparse(s) => Some(s.values.dtype()),
        Value::Sequence(items) => items.iter().find_map(dtype_of),
        Value::Optional(item) => item.as_deref().and_then(dtype_of),
        Value::Map(m) => m.values.iter().find_map(dtype_of),
    }
}

/// What is wrong with a value for a parameter of type `ty`.
fn misfit(schema: &Schema, ty: &str, value: &Value) -> Option<String> {
    let dtype = dtype_of(value);
    if let Some(set) = schema.allowed(ty) {
        let fits = match value {
            Value::Tensor(t) => set.has(t.dtype()),
            Value::Sequence(_) => set.has_sequences() && dtype.is_none_or(|d| set.dtypes().any(|e| e == d)),
            Value::Optional(_) => set.has_optionals() && dtype.is_none_or(|d| set.dtypes().any(|e| e == d)),
            Value::Sparse(_) | Value::Map(_) => true,
        };
        return (!fits).then(|| format!("a {} of {dtype:?} is not allowed for {ty}", value.kind()));
    }
    let kind = match value {
        Value::Tensor(_) => "tensor(",
        Value::Sequence(_) => "seq(",
        Value::Optional(_) => "optional(",
        Value::Sparse(_) => "sparse_tensor(",
        Value::Map(_) => "map(",
    };
    let spelled = dtype.map(spelled).is_none_or(|name| ty.contains(&format!("({name}")));
    (!ty.starts_with(kind) || !spelled).then(|| format!("a {} of {dtype:?} is given for {ty}", value.kind()))
}

/// What a node's attributes lack or hold against a schema.
pub fn attr_problems(schema: &Schema, attrs: &Attrs, bodies: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for (name, value) in attrs.iter() {
        match schema.attrs.iter().find(|a| a.name == name) {
            None => out.push(format!("attribute {name} is not in the schema")),
            Some(def) if def.kind != value.kind() => {
                out.push(format!("attribute {name} is {:?}, not {:?}", value.kind(), def.kind));
            }
            _ => {}
        }
    }
    for def in schema.attrs.iter().filter(|a| a.default == Default::Required) {
        if attrs.get(def.name).is_none() && !bodies.iter().any(|b| b == def.name) {
            out.push(format!("attribute {} is required", def.name));
        }
    }
    out
}

fn problems(def: &OpDef, case: &Case) -> Vec<String> {
    let schema = &def.schema;
    let node = &case.model.nodes[case.node];
    let bodies = node.regions.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    let mut out = attr_problems(schema, &node.attrs, &bodies);
    let (lo, hi) = schema.input_range();
    if !(lo..=hi).contains(&node.inputs.len()) {
        out.push(format!("{} inputs, {lo} to {hi} are allowed", node.inputs.len()));
    }
    let (lo, hi) = schema.output_range();
    if !(lo..=hi).contains(&node.outputs.len()) {
        out.push(format!("{} outputs, {lo} to {hi} are allowed", node.outputs.len()));
    }
    if case.sample.model.is_some() {
        return out;
    }
    let mut bound = HashMap::new();
    for (i, value) in case.sample.inputs.iter().enumerate() {
        let Some(param) = schema.input(i) else { continue };
        let Some(value) = value else {
            if param.kind == ParamKind::Single {
                out.push(format!("input {i} ({}) is required", param.name));
            }
            continue;
        };
        out.extend(misfit(schema, param.ty, value).map(|why| format!("input {i} ({}): {why}", param.name)));
        let Some(dtype) = dtype_of(value).filter(|_| !matches!(param.kind, ParamKind::Mixed(_))) else { continue };
        let held = *bound.entry(param.ty).or_insert(dtype);
        if schema.allowed(param.ty).is_some() && held != dtype {
            out.push(format!("{} is both {held} and {dtype}", param.ty));
        }
    }
    out
}

#[test]
fn samples_obey_the_schema() {
    let found = |(def, case): (&'static OpDef, Case)| {
        problems(def, &case).into_iter().map(|p| format!("{}: {p}", case.label)).collect::<Vec<_>>()
    };
    crate::report(all_cases().flat_map(found).collect());
}

#[test]
fn schemas_are_consistent() {
    let mut findings = Vec::new();
    for def in modelsmith_ops::all().iter() {
        let schemas = def.history.iter().map(|p| (p.since, &p.schema)).chain([(def.since, &def.schema)]);
        for (version, schema) in schemas {
            for p in schema.inputs.iter().chain(schema.outputs) {
                if schema.allowed(p.ty).is_none() && !p.ty.contains('(') {
                    findings.push(format!("{def:?} at {version}: type {} of {} is not declared", p.ty, p.name));
                }
            }
            let mut names = schema.attrs.iter().map(|a| a.name).collect::<Vec<_>>();
            names.sort_unstable();
            names.dedup();
            if names.len() != schema.attrs.len() {
                findings.push(format!("{def:?} at {version}: an attribute is declared twice"));
            }
        }
    }
    crate::report(findings);
}
