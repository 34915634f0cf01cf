//! StringSplit: parts of each string between delimiters, filled up with empty strings, and their number. <https://onnx.ai/onnx/operators/onnx__StringSplit.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T1")],
    outputs: &[Param::one("Y", "T2"), Param::one("Z", "T3")],
    attrs: &[AttrDef::optional("delimiter", AttrKind::String), AttrDef::optional("maxsplit", AttrKind::Int)],
    types: &[
        types_of("T1", TypeSet::tensors(&[String])),
        types_of("T2", TypeSet::tensors(&[String])),
        types_of("T3", I64_ONLY),
    ],
};

/// The ONNX operator StringSplit.
pub static STRING_SPLIT: OpDef = OpDef {
    name: "StringSplit",
    since: 20,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = cx.shape(0).map(<[Dim]>::to_vec);
    let wide = shape.clone().map(|mut s| {
        s.push(Dim::Unknown);
        s
    });
    cx.set_tensor(0, Some(String), wide);
    cx.set_tensor(1, Some(I64), shape);
    Ok(())
}

/// Parts of `text`: at most `limit` splits. An empty delimiter means runs of white space.
fn split<'t>(text: &'t str, delimiter: &str, limit: usize) -> Vec<&'t str> {
    if !delimiter.is_empty() {
        return text.splitn(limit.saturating_add(1), delimiter).collect();
    }
    let (mut out, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        match rest.split_once(char::is_whitespace).filter(|_| out.len() < limit) {
            Some((part, tail)) => {
                out.push(part);
                rest = tail.trim_start();
            }
            None => {
                out.push(rest);
                break;
            }
        }
    }
    out
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let delimiter = cx.attrs.opt_string("delimiter")?.unwrap_or_default();
    let limit = cx.attrs.opt_int("maxsplit")?.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let parts = x.strings()?.iter().map(|s| split(s, delimiter, limit)).collect::<Vec<_>>();
    let width = parts.iter().map(Vec::len).max().unwrap_or(0);
    let shape = x.shape().iter().copied().chain([width]).collect::<Vec<_>>();
    let padded = parts.iter().flat_map(|p| (0..width).map(|i| p.get(i).copied().unwrap_or_default().to_owned()));
    let counts = parts.iter().map(|p| p.len() as i64).collect();
    Ok(vec![Tensor::from_strings(&shape, padded.collect())?.into(), Tensor::new(x.shape(), counts)?.into()])
}

fn samples(s: &mut Samples) {
    let lines = ["a,b,,c", " one  two three ", "", "x"].map(std::string::String::from).to_vec();
    let x = Tensor::from_strings(&[2, 2], lines).expect("four strings");
    for delimiter in [",", "", "e"] {
        s.case().attr("delimiter", delimiter).input(x.clone()).outputs(2).add();
        s.case().attr("delimiter", delimiter).attr("maxsplit", 1).input(x.clone()).outputs(2).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(String, shape);
        s.case().input(x).outputs(2).add();
    }
}
