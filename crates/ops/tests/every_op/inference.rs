//! What `infer` says of a sample holds for what `eval` returns.

use crate::case::{Case, all_cases, type_of};
use modelsmith_ir::{AttrView, Dim, Fact, InferCx, NoRegions, OpDef, SymTensor, TensorType, Type};
use modelsmith_tensor::{Tensor, Value};
use std::collections::HashMap;

/// Operators whose result's shape depends on the elements of an operand that is no constant in practice, with what
/// it depends on: their shapes need not be inferred, even from constants.
const DATA_DEPENDENT: &[(&str, &str)] = &[
    ("NonZero", "the number of elements that are not zero"),
    ("Unique", "the number of different elements"),
    ("Compress", "the number of true conditions"),
    ("NonMaxSuppression", "the number of boxes that stay"),
    ("StringSplit", "the number of parts"),
    ("TfIdfVectorizer", "the largest index of its attributes"),
    ("SequenceAt", "which element is taken"),
    ("ConcatFromSequence", "the lengths of the elements"),
    ("SplitToSequence", "the lengths of the elements"),
    ("SequenceEmpty", "nothing: it holds no element"),
    ("ImageDecoder", "the image"),
    ("CastMap", "the number of keys of the map"),
    ("StringNormalizer", "the number of words that stay"),
    ("Tokenizer", "the number of tokens"),
];

/// What is known of a case's operands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    /// Types only.
    Types,
    /// Types and elements.
    Constants,
    /// Element types, ranks, and symbols for sizes; elements of shapes and axes.
    Symbols,
    /// Element types only.
    ElementTypes,
}

fn facts(case: &Case, known: Known, sizes: &mut HashMap<String, i64>) -> Vec<Option<Fact>> {
    let inputs = case.sample.inputs.iter().enumerate();
    inputs.map(|(i, value)| value.as_ref().map(|v| fact(i, v, known, sizes))).collect()
}

fn fact(i: usize, value: &Value, known: Known, sizes: &mut HashMap<String, i64>) -> Fact {
    let Value::Tensor(t) = value else { return Fact::of(type_of(value)) };
    let parameter = t.dtype().is_int() && t.rank() <= 1 && t.len() <= 16;
    match known {
        Known::Types => Fact::of(type_of(value)),
        Known::Constants => Fact::constant(t.clone()),
        Known::ElementTypes => Fact::of(Type::of(t.dtype())),
        Known::Symbols if parameter && i > 0 => Fact::constant(t.clone()),
        Known::Symbols => {
            let mut dims = Vec::new();
            for (axis, &size) in t.shape().iter().enumerate() {
                let name = format!("d{i}_{axis}");
                dims.push(Dim::symbol(&name));
                sizes.insert(name, size as i64);
            }
            Fact::of(Type::tensor(t.dtype(), &dims))
        }
    }
}

/// What is wrong with an inferred type for the value that came out.
fn wrong_type(inferred: &Type, value: &Value, sizes: &HashMap<String, i64>) -> Option<String> {
    let fail = || Some(format!("{inferred} is inferred, {} came out", type_of(value)));
    match (inferred, value) {
        (Type::Unknown, _) => None,
        (Type::Tensor(ty), Value::Tensor(t)) => {
            if tensor_fits(ty, t, sizes) {
                None
            } else {
                fail()
            }
        }
        (Type::Sequence(item), Value::Sequence(items)) => items.iter().find_map(|v| wrong_type(item, v, sizes)),
        (Type::Optional(item), Value::Optional(Some(v))) => wrong_type(item, v, sizes),
        (Type::Optional(_), Value::Optional(None)) | (Type::Map(..), Value::Map(_)) => None,
        (Type::Sparse(_), Value::Sparse(_)) => None,
        _ => fail(),
    }
}

fn tensor_fits(ty: &TensorType, t: &Tensor, sizes: &HashMap<String, i64>) -> bool {
    let dim = |(d, &n): (&Dim, &usize)| match d {
        Dim::Unknown => true,
        d => d.eval(&|s| sizes.get(s).copied()).is_none_or(|size| size == n as i64),
    };
    ty.dtype.is_none_or(|d| d == t.dtype())
        && ty.shape.as_ref().is_none_or(|s| s.len() == t.rank() && s.iter().zip(t.shape()).all(dim))
}

fn wrong_value(inferred: &SymTensor, value: &Value, sizes: &HashMap<String, i64>) -> Option<String> {
    let t = value.tensor().ok()?;
    let elements = t.to_i64s().ok()?;
    let same = |(d, &n): (&Dim, &i64)| d.eval(&|s| sizes.get(s).copied()).is_none_or(|x| x == n);
    let fits = inferred.shape == t.shape() && inferred.dims.iter().zip(&elements).all(same);
    (!fits).then(|| format!("elements {inferred:?} are inferred, {t:?} came out"))
}

fn problems(def: &'static OpDef, case: &Case, known: Known, results: &[Value]) -> Vec<String> {
    let mut sizes = HashMap::new();
    let facts = facts(case, known, &mut sizes);
    let mut cx = InferCx::new(AttrView::new(def, case.attrs()), &facts, results.len(), &NoRegions);
    if let Err(e) = (def.infer)(&mut cx) {
        return vec![format!("inference fails: {e}")];
    }
    let mut out = Vec::new();
    for (i, (fact, value)) in cx.finish().into_iter().zip(results).enumerate() {
        out.extend(wrong_type(&fact.ty, value, &sizes).map(|why| format!("output {i}: {why}")));
        out.extend(fact.value.and_then(|v| wrong_value(&v, value, &sizes)).map(|why| format!("output {i}: {why}")));
        if let (Some(c), Value::Tensor(t)) = (&fact.constant, value)
            && !c.same_bits(t)
        {
            out.push(format!("output {i}: {c:?} is inferred, {t:?} came out"));
        }
        let free = DATA_DEPENDENT.iter().any(|(name, _)| *name == def.name);
        let precise = fact.ty.as_tensor().is_some_and(|t| t.dtype.is_some() && fact.ty.sizes().is_some());
        if known == Known::Constants && matches!(value, Value::Tensor(_)) && !free && !precise {
            out.push(format!("output {i}: only {} is inferred from constants, {} came out", fact.ty, type_of(value)));
        }
    }
    out
}

#[test]
fn inference_agrees_with_the_reference() {
    let mut findings = Vec::new();
    for (def, case) in all_cases().filter(|(_, c)| c.sample.model.is_none()) {
        let Ok(results) = case.run() else { continue };
        for known in [Known::Types, Known::Constants, Known::Symbols, Known::ElementTypes] {
            let found = problems(def, &case, known, &results);
            findings.extend(found.into_iter().map(|p| format!("{} with {known:?}: {p}", case.label)));
        }
    }
    crate::report(findings);
}
