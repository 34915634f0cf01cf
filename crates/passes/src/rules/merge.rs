//! Operators of one kind that follow each other, and pairs for which there is one operator.

use modelsmith_ir::{Attrs, NodeId, ValueId};
use modelsmith_rewrite::{Graph, Pass, Preserves, Rule, Try};

/// See the module.
pub static PASS: Pass = Pass {
    name: "merge-operators",
    doc: "makes one operator of two that follow each other: Concat, Slice, reduction and Unsqueeze, Gemm and Transpose",
    preserves: Preserves::Float(16),
    after: &["lift-constants"],
    rules: &[RULES],
    run: |cx| Ok(Pass::apply(cx, PASS.rules)),
    ..Pass::BASE
};

/// All of them.
pub static RULES: &[&Rule] = &[
    &CEIL_CEIL,
    &FLOOR_FLOOR,
    &ROUND_ROUND,
    &WHERE_NOT,
    &CONCAT_CONCAT,
    &SLICE_SLICE,
    &REDUCE_UNSQUEEZE,
    &GEMM_TRANSPOSE,
    &LOG_SOFTMAX,
];

static CEIL_CEIL: Rule = Rule::text("ceil-ceil", "Ceil(Ceil(x))", "Ceil(x)", Preserves::Exact);
static FLOOR_FLOOR: Rule = Rule::text("floor-floor", "Floor(Floor(x))", "Floor(x)", Preserves::Exact);
static ROUND_ROUND: Rule = Rule::text("round-round", "Round(Round(x))", "Round(x)", Preserves::Exact);
static WHERE_NOT: Rule = Rule::text("where-not", "Where(Not(c), a, b)", "Where(c, b, a)", Preserves::Exact);

static CONCAT_CONCAT: Rule = Rule::code("concat-concat", &["Concat"], concat_concat, Preserves::Exact)
    .doc("what is joined along the same axis again is joined once")
    .samples(&["graph(%x: f32[n, 3], %y: f32[n, 2]) {
      %a = Concat(%x, %y) {axis = 1}
      %b = Concat(%y, %a, %x) {axis = -1}
      return %b
    }"]);

static SLICE_SLICE: Rule = Rule::code("slice-slice", &["Slice"], slice_slice, Preserves::Exact)
    .doc("slices along different axes are one")
    .samples(&["graph(%x: f32[n, 6, 7]) {
      %a = Slice(%x, i64[1] [1], i64[1] [5], i64[1] [1], i64[1] [2])
      %b = Slice(%a, i64[1] [-1], i64[1] [-9], i64[1] [-1], i64[1] [-1])
      return %b
    }"]);

const REDUCTIONS: &[&str] = &[
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
];

static REDUCE_UNSQUEEZE: Rule = Rule::code("reduce-unsqueeze", &["Unsqueeze"], reduce_unsqueeze, Preserves::Exact)
    .doc("a reduction whose dimensions are put back keeps them")
    .samples(&["graph(%x: f32[n, 3, 4]) {
          %a = ReduceMean(%x, i64[2] [-1, 1]) {keepdims = 0}
          %b = Unsqueeze(%a, i64[2] [1, 2])
          return %b
        }"]);

static GEMM_TRANSPOSE: Rule = Rule::code("gemm-transpose", &["Gemm"], gemm_transpose, Preserves::Exact)
    .doc("Gemm takes its operands transposed")
    .samples(&["graph(%x: f32[2, n], %w: f32[4, 2]) {
      %a = Transpose(%x) {perm = [1, 0]}
      %b = Transpose(%w)
      %y = Gemm(%a, %b)
      return %y
    }"]);

static LOG_SOFTMAX: Rule = Rule::code("log-softmax", &["Log"], log_softmax, Preserves::Float(16))
    .doc("the logarithm of Softmax is LogSoftmax, which stays finite where the first rounds to zero")
    .samples(&["graph(%x: f32[n, 3]) { %a = Softmax(%x) {axis = 1} %y = Log(%a) return %y }"]);

/// `axis` counted from the front.
fn front(axis: i64, rank: usize) -> Try<i64> {
    let rank = rank as i64;
    let axis = if axis < 0 { axis + rank } else { axis };
    match (0..rank).contains(&axis) {
        true => Ok(axis),
        false => Err("an axis is outside".into()),
    }
}

/// The node of one of these operators behind `v`, which nothing else uses.
fn inner(g: &Graph, v: ValueId, ops: &[&str]) -> Try<NodeId> {
    let n = g.model().producer(v).ok_or("the operand is made by no node")?;
    match ops.iter().any(|op| g.model().nodes[n].is(op)) && g.used_once(v) {
        true => Ok(n),
        false => Err("the operand is made by another operator or used elsewhere".into()),
    }
}

fn concat_concat(g: &mut Graph, n: NodeId) -> Try {
    let rank = g.shape(g.output(n)?)?.len();
    let axis = front(g.attrs(n)?.int("axis")?, rank)?;
    let (mut operands, mut sources) = (Vec::new(), Vec::new());
    for v in g.model().nodes[n].inputs.iter().flatten().copied() {
        let joined = inner(g, v, &["Concat"]).ok();
        match joined.filter(|&p| g.attrs(p).and_then(|a| front(a.int("axis")?, rank)).is_ok_and(|a| a == axis)) {
            Some(p) => {
                operands.extend(g.model().nodes[p].inputs.iter().flatten());
                sources.push(p);
            }
            None => operands.push(v),
        }
    }
    if sources.is_empty() {
        return Err("no operand is joined along this axis".into());
    }
    sources.push(n);
    let new = g.build(n, &sources, |b| b.op_with("Concat", &operands, Attrs::new().with("axis", axis)))?;
    g.replace(n, new)
}

/// Starts, ends, axes and steps of a Slice, axes counted from the front.
fn cuts(g: &Graph, n: NodeId) -> Try<[Vec<i64>; 4]> {
    let rank = g.shape(g.input(n, 0)?)?.len();
    let read = |i: usize| g.input(n, i).and_then(|v| g.ints(v));
    let absent = |i: usize| g.model().nodes[n].input(i).is_none();
    let (starts, ends) = (read(1)?, read(2)?);
    let axes = if absent(3) { (0..starts.len() as i64).collect() } else { read(3)? };
    let axes = axes.into_iter().map(|a| front(a, rank)).collect::<Try<Vec<_>>>()?;
    let steps = if absent(4) { vec![1; starts.len()] } else { read(4)? };
    match [&ends, &axes, &steps].iter().all(|l| l.len() == starts.len()) {
        true => Ok([starts, ends, axes, steps]),
        false => Err("the bounds are not one for each axis".into()),
    }
}

fn slice_slice(g: &mut Graph, n: NodeId) -> Try {
    let first = inner(g, g.input(n, 0)?, &["Slice"])?;
    let x = g.input(first, 0)?;
    let (a, b) = (cuts(g, first)?, cuts(g, n)?);
    if b[2].iter().any(|axis| a[2].contains(axis)) {
        return Err("both cut along the same axis".into());
    }
    let new = g.build(n, &[first, n], |build| {
        let mut operands = vec![x];
        operands.extend(a.iter().zip(&b).map(|(a, b)| build.ints(&[&a[..], &b[..]].concat())));
        build.op("Slice", &operands)
    })?;
    g.replace(n, new)
}

fn reduce_unsqueeze(g: &mut Graph, n: NodeId) -> Try {
    let reduced = inner(g, g.input(n, 0)?, REDUCTIONS)?;
    if g.attrs(reduced)?.int("keepdims")? != 0 {
        return Err("the dimensions are kept already".into());
    }
    let (x, list) = (g.input(reduced, 0)?, g.input(reduced, 1)?);
    let sorted = |v: ValueId, rank: usize| {
        let mut axes = g.ints(v)?.into_iter().map(|a| front(a, rank)).collect::<Try<Vec<_>>>()?;
        axes.sort_unstable();
        Ok(axes)
    };
    let rank = g.shape(x)?.len();
    let (gone, put): (Vec<i64>, Vec<i64>) = match (sorted(list, rank), sorted(g.input(n, 1)?, rank)) {
        (Ok(gone), Ok(put)) => (gone, put),
        (Err(e), _) | (_, Err(e)) => return Err(e),
    };
    if gone.is_empty() || gone != put {
        return Err("other dimensions are put back".into());
    }
    let name = g.model().nodes[reduced].known().map_or("", |d| d.name);
    let attrs = g.model().nodes[reduced].attrs.clone().with("keepdims", 1i64);
    let new = g.build(n, &[reduced, n], |b| b.op_with(name, &[x, list], attrs))?;
    g.replace(n, new)
}

fn gemm_transpose(g: &mut Graph, n: NodeId) -> Try {
    for (i, flag) in [(0, "transA"), (1, "transB")] {
        let Ok(turn) = inner(g, g.input(n, i)?, &["Transpose"]) else { continue };
        let x = g.input(turn, 0)?;
        let perm = g.attrs(turn)?.opt_ints("perm")?;
        if perm.is_some_and(|p| p != [1, 0]) || g.shape(x)?.len() != 2 {
            continue;
        }
        let turned = g.attrs(n)?.int(flag)? != 0;
        g.set_attr(n, flag, i64::from(!turned));
        g.set_input(n, i, Some(x));
        g.remove_dead(turn);
        return Ok(());
    }
    Err("no operand is transposed for it alone".into())
}

fn log_softmax(g: &mut Graph, n: NodeId) -> Try {
    let softmax = inner(g, g.input(n, 0)?, &["Softmax"])?;
    let x = g.input(softmax, 0)?;
    let attrs = g.model().nodes[softmax].attrs.clone();
    let new = g.build(n, &[softmax, n], |b| b.op_with("LogSoftmax", &[x], attrs))?;
    g.replace(n, new)
}

#[cfg(test)]
mod tests {
    #[test]
    fn literate() {
        let file = include_str!("../../tests/ir/merge_operators.ir");
        modelsmith_rewrite::check::check_literate(&super::PASS, file).unwrap();
    }
}
