//! SequenceMap: the body run on each element of a sequence (and of further sequences, or whole tensors), its results collected in
//! sequences.
//!
//! <https://onnx.ai/onnx/operators/onnx__SequenceMap.html>

use crate::prelude::*;

use crate::sequence::positions;
const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input_sequence", "S"), Param::mixed("additional_inputs", "V", 0)],
    outputs: &[Param::mixed("out_sequence", "S", 1)],
    attrs: &[AttrDef::required("body", AttrKind::Graph)],
    types: &[types_of("S", ALL.only_sequences()), types_of("V", ALL.or(ALL.only_sequences()))],
};

/// The ONNX operator SequenceMap.
pub static SEQUENCE_MAP: OpDef = OpDef {
    name: "SequenceMap",
    since: 17,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let element = |ty: Type| match ty {
        Type::Sequence(item) => *item,
        other => other,
    };
    let params = (0..cx.input_count()).map(|i| Fact::of(element(cx.ty(i)))).collect::<Vec<_>>();
    for (i, fact) in cx.region("body", &params)?.into_iter().enumerate() {
        cx.set(i, Type::Sequence(Box::new(fact.ty)));
    }
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let n = positions::items(inputs, 0)?.len();
    let mut out = vec![Vec::new(); cx.outputs];
    for i in 0..n {
        let argument = |v: &Option<&Value>| match v {
            Some(Value::Sequence(items)) => {
                let fail = || OpError::invalid(format!("sequences of {n} and {} elements", items.len()));
                items.get(i).filter(|_| items.len() == n).cloned().ok_or_else(fail)
            }
            Some(v) => Ok((*v).clone()),
            None => Err(OpError::invalid("an absent operand")),
        };
        let args = inputs.iter().map(argument).collect::<OpResult<Vec<_>>>()?;
        for (list, value) in out.iter_mut().zip(cx.run_region("body", &args)?) {
            list.push(value);
        }
    }
    Ok(out.into_iter().map(Value::Sequence).collect())
}

fn samples(s: &mut Samples) {
    for dtype in ALL.dtypes() {
        let items = Value::Sequence(vec![s.any(dtype, &[1]).into(), s.any(dtype, &[3]).into()]);
        let x = s.any(dtype, &[2]);
        let text = format!(
            "graph(%a: seq({dtype}[?]), %b: seq({dtype}[?]), %x: {dtype}[2]) {{
               %y, %z = SequenceMap(%a, %b, %x) {{body = graph(%p: {dtype}[?], %q: {dtype}[?], %r: {dtype}[2]) {{
                 %c: {dtype}[?] = Concat(%p, %r) {{axis = 0}} %d: {dtype}[?] = Identity(%q) return %c, %d
               }}}}
               return %y, %z
             }}"
        );
        s.case().input(items.clone()).input(items).input(x).outputs(2).model(&text).add();
    }
}
