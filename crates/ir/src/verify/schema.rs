//! A node of the hub against its operator's schema.

use crate::{Attr, AttrDef, AttrKind, Default, Model, Node, OpDef, Param, ParamKind, Schema, Type, TypeSet};
use modelsmith_base::{DType, Diagnostic, Severity};
use std::collections::HashMap;

/// What is wrong with a node of operator `def` against `schema`, which is one of its versions.
pub(super) fn check(model: &Model, node: &Node, def: &OpDef, schema: &Schema) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let of = Of { name: def.name, schema };
    counts(node, of, &mut out);
    attrs(node, of, &mut out);
    types(model, node, of, &mut out);
    out
}

/// An operator at a version.
#[derive(Clone, Copy)]
struct Of<'s> {
    name: &'static str,
    schema: &'s Schema,
}

fn error(out: &mut Vec<Diagnostic>, code: &'static str, message: String) {
    out.push(Diagnostic::new(Severity::Error, code, message));
}

fn counts(node: &Node, def: Of<'_>, out: &mut Vec<Diagnostic>) {
    let range = |(lo, hi): (usize, usize)| match hi {
        _ if lo == hi => lo.to_string(),
        usize::MAX => format!("{lo} or more"),
        _ => format!("{lo} to {hi}"),
    };
    let sides = [
        ("operands", node.inputs.len(), def.schema.input_range()),
        ("results", node.outputs.len(), def.schema.output_range()),
    ];
    for (what, n, (lo, hi)) in sides {
        if n < lo || n > hi {
            error(out, "ir.arity", format!("{} wants {} {what}, the node has {n}", def.name, range((lo, hi))));
        }
    }
    for (i, v) in node.inputs.iter().enumerate() {
        let Some(p) = def.schema.input(i) else { continue };
        if v.is_none() && matches!(p.kind, ParamKind::Single | ParamKind::Variadic(_)) {
            error(out, "ir.operand", format!("operand {i} ({}) of {} may not be absent", p.name, def.name));
        }
    }
}

fn attrs(node: &Node, def: Of<'_>, out: &mut Vec<Diagnostic>) {
    let find = |name: &str| def.schema.attrs.iter().find(|a| a.name == name);
    for (name, value) in node.attrs.iter() {
        match find(name) {
            None => error(out, "ir.attr.unknown", format!("{} has no attribute {name}", def.name)),
            Some(a) if !kind_fits(a, value) => {
                let message = format!("attribute {name} of {} is {:?}, not {:?}", def.name, a.kind, value.kind());
                error(out, "ir.attr.kind", message);
            }
            Some(_) => {}
        }
    }
    for (name, _) in &node.regions {
        if !find(name).is_some_and(|a| matches!(a.kind, AttrKind::Graph | AttrKind::Graphs)) {
            error(out, "ir.attr.unknown", format!("{} has no body {name}", def.name));
        }
    }
    for a in def.schema.attrs.iter().filter(|a| a.default == Default::Required) {
        let given = match a.kind {
            AttrKind::Graph => node.region(a.name).is_some(),
            AttrKind::Graphs => true,
            _ => node.attrs.get(a.name).is_some(),
        };
        if !given {
            error(out, "ir.attr.missing", format!("{} wants the attribute {}", def.name, a.name));
        }
    }
}

/// An empty list has lost its element type in some files.
fn kind_fits(def: &AttrDef, value: &Attr) -> bool {
    let empty = matches!(value, Attr::Ints(v) if v.is_empty()) || matches!(value, Attr::Floats(v) if v.is_empty());
    let list = matches!(def.kind, AttrKind::Ints | AttrKind::Floats | AttrKind::Strings);
    value.kind() == def.kind || (empty && list)
}

fn types(model: &Model, node: &Node, def: Of<'_>, out: &mut Vec<Diagnostic>) {
    let mut bound = HashMap::<&str, (DType, &str)>::new();
    let inputs = node.inputs.iter().enumerate().map(|(i, v)| (*v, def.schema.input(i)));
    let outputs = node.outputs.iter().enumerate().map(|(i, v)| (*v, def.schema.output(i)));
    for (v, p) in inputs.chain(outputs) {
        let (Some(v), Some(p)) = (v.and_then(|v| model.values.get(v)), p) else { continue };
        match def.schema.allowed(p.ty) {
            Some(set) => variable(&v.ty, p, set, def, &mut bound, out),
            None => spelled(&v.ty, p, def, out),
        }
    }
}

/// A parameter whose type is a variable.
fn variable<'d>(
    ty: &Type,
    p: &'d Param,
    set: TypeSet,
    def: Of<'_>,
    bound: &mut HashMap<&'d str, (DType, &'d str)>,
    out: &mut Vec<Diagnostic>,
) {
    let (allowed, dtype) = match ty {
        Type::Tensor(t) => (t.dtype.is_none_or(|d| set.has(d)), t.dtype),
        // Sequences of maps are a kind of their own, of which the set says nothing.
        Type::Sequence(inner) => (set.has_sequences() || matches!(**inner, Type::Map(..)), None),
        Type::Optional(_) => (set.has_optionals(), None),
        _ => (true, None),
    };
    if !allowed {
        return error(out, "ir.type", format!("{} of {} may not be {ty}", p.name, def.name));
    }
    let Some(dtype) = dtype.filter(|_| !matches!(p.kind, ParamKind::Mixed(_))) else { return };
    let (other, name) = *bound.entry(p.ty).or_insert((dtype, p.name));
    if other != dtype {
        let message = format!("{name} and {} of {} are of one type, found {other} and {dtype}", p.name, def.name);
        error(out, "ir.type", message);
    }
}

/// A parameter whose type is spelled out, `tensor(int64)`.
fn spelled(ty: &Type, p: &Param, def: Of<'_>, out: &mut Vec<Diagnostic>) {
    let wanted = p.ty.strip_prefix("tensor(").and_then(|s| s.strip_suffix(')')).and_then(onnx_dtype);
    if let (Some(wanted), Type::Tensor(t)) = (wanted, ty)
        && t.dtype.is_some_and(|d| d != wanted)
    {
        error(out, "ir.type", format!("{} of {} is of {wanted}, found {ty}", p.name, def.name));
    }
}

/// An element type as the ONNX specification spells it.
fn onnx_dtype(name: &str) -> Option<DType> {
    let own = match name {
        "float" => "f32",
        "double" => "f64",
        "float16" => "f16",
        "bfloat16" => "bf16",
        "complex64" => "c64",
        "complex128" => "c128",
        "string" | "bool" => name,
        _ => {
            let short = name.replace("uint", "u").replace("int", "i").replace("float8", "f8").replace("float4", "f4");
            return DType::parse(&short);
        }
    };
    DType::parse(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_types_of_the_specification() {
        for (name, dtype) in [
            ("float", DType::F32),
            ("int64", DType::I64),
            ("uint4", DType::U4),
            ("float8e4m3fnuz", DType::F8E4M3FNUZ),
            ("float4e2m1", DType::F4E2M1),
            ("complex64", DType::Complex64),
        ] {
            assert_eq!(onnx_dtype(name), Some(dtype));
        }
    }
}
