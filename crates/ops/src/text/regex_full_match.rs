//! RegexFullMatch: whether each whole string matches a pattern in RE2 syntax. <https://onnx.ai/onnx/operators/onnx__RegexFullMatch.html>

use crate::prelude::*;
use regex_lite::Regex;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1")],
    outputs: &[Param::one("Y", "T2")],
    attrs: &[AttrDef::optional("pattern", AttrKind::String)],
    types: &[types_of("T1", TypeSet::tensors(&[String])), types_of("T2", BOOL)],
};

/// The ONNX operator RegexFullMatch.
pub static REGEX_FULL_MATCH: OpDef = OpDef {
    name: "RegexFullMatch",
    since: 20,
    schema: SCHEMA,
    flags: Flags::ELEMENTWISE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, Some(Bool), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let pattern = cx.attrs.opt_string("pattern")?.unwrap_or_default();
    let whole = Regex::new(&format!(r"\A(?:{pattern})\z"))
        .map_err(|e| OpError::invalid(format!("pattern {pattern:?} is no regular expression: {e}")))?;
    let out = x.strings()?.iter().map(|s| whole.is_match(s)).collect();
    Ok(vec![Tensor::from_bools(x.shape(), out)?.into()])
}

fn samples(s: &mut Samples) {
    for pattern in ["[a-z]*", "(?i)onnx|model", r"\w+@\w+\.(com|org)", "."] {
        for shape in Samples::shapes() {
            let x = s.any(String, shape);
            s.case().attr("pattern", pattern).input(x).add();
        }
    }
    let mails = ["a@b.com", "a@b.com ", "no"].map(std::string::String::from).to_vec();
    let x = Tensor::from_strings(&[3], mails).expect("three strings");
    s.case().attr("pattern", r"\w+@\w+\.(com|org)").input(x).add();
}
