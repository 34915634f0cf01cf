//! StringNormalizer: a row of strings without its stop words, in lower or upper case. Where none is left, one empty string. <https://onnx.ai/onnx/operators/onnx__StringNormalizer.html>

use crate::prelude::*;
use std::collections::HashSet;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "tensor(string)")],
    outputs: &[Param::one("Y", "tensor(string)")],
    attrs: &[
        AttrDef::string("case_change_action", "NONE"),
        AttrDef::int("is_case_sensitive", 0),
        AttrDef::optional("locale", AttrKind::String),
        AttrDef::optional("stopwords", AttrKind::Strings),
    ],
    types: &[],
};

/// The ONNX operator StringNormalizer.
pub static STRING_NORMALIZER: OpDef = OpDef {
    name: "StringNormalizer",
    since: 10,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let kept = cx.attrs.opt_strings("stopwords")?.is_none_or(|w| w.is_empty());
    let shape = match cx.shape(0) {
        None => None,
        Some(shape @ ([n] | [_, n])) => {
            let mut out = shape.to_vec();
            let left = if kept && n.size().is_some_and(|n| n > 0) { n.clone() } else { Dim::Unknown };
            out[shape.len() - 1] = left;
            Some(out)
        }
        Some(other) => return Err(OpError::invalid(format!("one or two dimensions are wanted, not {}", other.len()))),
    };
    cx.set_tensor(0, Some(String), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    if !matches!(x.shape(), [_] | [1, _]) {
        return Err(OpError::invalid(format!("shape [C] or [1, C] is wanted, not {:?}", x.shape())));
    }
    let exact = cx.attrs.flag("is_case_sensitive")?;
    let key = |s: &str| if exact { s.to_owned() } else { s.to_lowercase() };
    let stop = cx.attrs.opt_strings("stopwords")?.unwrap_or_default();
    let stop = stop.iter().map(|s| key(s)).collect::<HashSet<_>>();
    let change: fn(&str) -> std::string::String = match cx.attrs.string("case_change_action")? {
        "LOWER" => str::to_lowercase,
        "UPPER" => str::to_uppercase,
        "NONE" => str::to_owned,
        other => return Err(OpError::invalid(format!("case_change_action {other:?} is not LOWER, UPPER or NONE"))),
    };
    let mut out = x.strings()?.iter().filter(|s| !stop.contains(&key(s))).map(|s| change(s)).collect::<Vec<_>>();
    if out.is_empty() {
        out.push(std::string::String::new());
    }
    let shape = if x.rank() == 1 { vec![out.len()] } else { vec![1, out.len()] };
    Ok(vec![Tensor::from_strings(&shape, out)?.into()])
}

fn samples(s: &mut Samples) {
    let stop = |words: &[&str]| Attr::Strings(words.iter().map(|w| (*w).to_owned()).collect());
    for shape in [&[6][..], &[1, 6], &[0]] {
        let x = s.any(String, shape);
        s.case().input(x.clone()).add();
        for action in ["LOWER", "UPPER"] {
            s.case().attr("case_change_action", action).attr("locale", "en_US").input(x.clone()).add();
        }
        s.case().attr("stopwords", stop(&["a", "model"])).input(x.clone()).add();
        let all = stop(&["", "a", "Model", "smith", "ONNX", "\u{e9}t\u{e9}"]);
        s.case().attr("is_case_sensitive", 1).attr("stopwords", all).input(x).add();
    }
}
