//! Operators that give their operand back.

use modelsmith_ir::{Dim, NodeId};
use modelsmith_rewrite::{Graph, Preserves, Rule, Try};

/// All of them.
pub static RULES: &[&Rule] = &[
    &MUL_ONE,
    &DIV_ONE,
    &ADD_ZERO,
    &SUB_ZERO,
    &POW_ONE,
    &NEG_NEG,
    &NOT_NOT,
    &RELU_RELU,
    &ABS_ABS,
    &IDENTITY,
    &SINGLE,
    &SPLIT,
    &CAST,
    &SAME_TYPE,
    &PERMUTATION,
    &SLICE,
    &PAD,
    &DROPOUT,
    &TILE,
    &CAST_CAST,
    &RESIZE,
    &REDUCE_NOTHING,
];

static MUL_ONE: Rule = Rule::text("mul-one", "Mul(x, 1)", "x", Preserves::Exact);
static DIV_ONE: Rule = Rule::text("div-one", "Div(x, 1)", "x", Preserves::Exact);
// -0 + 0 is +0, which compares equal.
static ADD_ZERO: Rule = Rule::text("add-zero", "Add(x, 0)", "x", Preserves::Exact);
static SUB_ZERO: Rule = Rule::text("sub-zero", "Sub(x, 0)", "x", Preserves::Exact);
static POW_ONE: Rule = Rule::text("pow-one", "Pow(x, 1)", "x", Preserves::Exact);
static NEG_NEG: Rule = Rule::text("neg-neg", "Neg(Neg(x))", "x", Preserves::Exact);
static NOT_NOT: Rule = Rule::text("not-not", "Not(Not(x))", "x", Preserves::Exact);
static RELU_RELU: Rule = Rule::text("relu-relu", "Relu(Relu(x))", "Relu(x)", Preserves::Exact);
static ABS_ABS: Rule = Rule::text("abs-abs", "Abs(Abs(x))", "Abs(x)", Preserves::Exact);

static IDENTITY: Rule = Rule::code("identity", &["Identity"], identity, Preserves::Exact)
    .samples(&["graph(%x: f32[2]) { %y = Identity(%x) %z = Neg(%y) return %z }"]);

static SINGLE: Rule = Rule::code("single-operand", &["Concat", "Max", "Min", "Sum", "Mean"], single, Preserves::Exact)
    .doc("these operators give their only operand back")
    .samples(&[
        "graph(%x: f32[2]) { %y = Concat(%x) {axis = 0} %z = Neg(%y) return %z }",
        "graph(%x: f32[2]) { %y = Max(%x) %z = Neg(%y) return %z }",
    ]);

static SPLIT: Rule = Rule::code("split-nothing", &["Split"], split, Preserves::Exact)
    .doc("a single part is the whole")
    .samples(&["graph(%x: f32[2, n]) { %y = Split(%x) {num_outputs = 1, axis = 1} %z = Neg(%y) return %z }"]);

static CAST: Rule = Rule::code("cast-same", &["Cast", "CastLike"], cast, Preserves::Exact)
    .samples(&["graph(%x: f32[2]) { %y = Cast(%x) {to = f32} %z = Neg(%y) return %z }"]);

static SAME_TYPE: Rule =
    Rule::code("same-shape", &["Reshape", "Expand", "Squeeze", "Unsqueeze", "Flatten"], same_type, Preserves::Exact)
        .doc("these operators give their operand back when its shape is the one asked for")
        .samples(&[
            "graph(%x: f32[2, n]) { %y = Reshape(%x, i64[2] [2, -1]) %z = Neg(%y) return %z }",
            "graph(%x: f32[2, 3]) { %y = Expand(%x, i64[1] [3]) %z = Neg(%y) return %z }",
            "graph(%x: f32[2, 3]) { %y = Flatten(%x) %z = Neg(%y) return %z }",
        ]);

static PERMUTATION: Rule = Rule::code("transpose-nothing", &["Transpose"], permutation, Preserves::Exact)
    .samples(&["graph(%x: f32[2, 3]) { %y = Transpose(%x) {perm = [0, 1]} %z = Neg(%y) return %z }"]);

static SLICE: Rule = Rule::code("slice-everything", &["Slice"], slice, Preserves::Exact).samples(&[
    "graph(%x: f32[n, 3]) { %y = Slice(%x, i64[1] [0], i64[1] [9223372036854775807], i64[1] [0]) %z = Neg(%y) return %z }",
]);

static PAD: Rule = Rule::code("pad-nothing", &["Pad"], pad, Preserves::Exact)
    .samples(&["graph(%x: f32[n, 3]) { %y = Pad(%x, i64[4] [0, 0, 0, 0]) %z = Neg(%y) return %z }"]);

static DROPOUT: Rule = Rule::code("dropout", &["Dropout"], dropout, Preserves::Exact)
    .doc("outside of training it does nothing")
    .samples(&[
        "graph(%x: f32[2]) { %y = Dropout(%x) %z = Neg(%y) return %z }",
        "graph(%x: f32[2]) { %y = Dropout(%x, f32[] 0.5, bool[] false) %z = Neg(%y) return %z }",
    ]);

static TILE: Rule = Rule::code("tile-once", &["Tile"], tile, Preserves::Exact)
    .samples(&["graph(%x: f32[n, 3]) { %y = Tile(%x, i64[2] [1, 1]) %z = Neg(%y) return %z }"]);

static CAST_CAST: Rule = Rule::code("cast-cast", &["Cast"], cast_cast, Preserves::Exact)
    .doc("a cast to a type that holds every value of the first, and on to another, is one cast")
    .samples(&["graph(%x: f16[4]) { %y = Cast(%x) {to = f32} %z = Cast(%y) {to = f64} %u = Neg(%z) return %u }"]);

static RESIZE: Rule = Rule::code("resize-nothing", &["Resize"], resize, Preserves::Exact).samples(&[
    "graph(%x: f32[1, 2, 3, 3]) { %y = Resize(%x, _, _, i64[4] [1, 2, 3, 3]) {mode = \"linear\"} %z = Neg(%y) return %z }",
]);

static REDUCE_NOTHING: Rule = Rule::code(
    "reduce-nothing",
    &["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"],
    reduce,
    Preserves::Exact,
)
.doc("a reduction over dimensions of one element that keeps them gives its operand back")
.samples(&["graph(%x: f32[n, 1]) { %y = ReduceSum(%x, i64[1] [1]) {keepdims = 1} %z = Neg(%y) return %z }"]);

/// Result 0 becomes operand 0, under the type guard.
fn pass_through(g: &mut Graph, n: NodeId) -> Try {
    let x = g.input(n, 0)?;
    g.replace(n, x)
}

/// As [`pass_through`] where the operand is the result by definition, so that no type need be known.
fn same(g: &mut Graph, n: NodeId) -> Try {
    let (x, y) = (g.input(n, 0)?, g.output(n)?);
    g.replace_same(y, x)?;
    g.remove_dead(n);
    Ok(())
}

fn identity(g: &mut Graph, n: NodeId) -> Try {
    same(g, n)
}

fn single(g: &mut Graph, n: NodeId) -> Try {
    match g.model().nodes[n].inputs.len() {
        1 => same(g, n),
        _ => Err("it has several operands".into()),
    }
}

fn split(g: &mut Graph, n: NodeId) -> Try {
    match g.model().nodes[n].outputs.len() {
        1 => same(g, n),
        _ => Err("it has several parts".into()),
    }
}

fn cast(g: &mut Graph, n: NodeId) -> Try {
    let (x, y) = (g.input(n, 0)?, g.output(n)?);
    match (g.ty(x).dtype(), g.ty(y).dtype()) {
        (Some(a), Some(b)) if a == b => same(g, n),
        _ => Err("the element type changes".into()),
    }
}

fn same_type(g: &mut Graph, n: NodeId) -> Try {
    let (x, y) = (g.input(n, 0)?, g.output(n)?);
    match g.shape(x)? == g.shape(y)? && !g.shape(y)?.contains(&Dim::Unknown) {
        true => pass_through(g, n),
        false => Err("the shape changes".into()),
    }
}

fn permutation(g: &mut Graph, n: NodeId) -> Try {
    let x = g.input(n, 0)?;
    let rank = g.shape(x)?.len() as i64;
    let perm = g.attrs(n)?.opt_ints("perm")?.unwrap_or_else(|| (0..rank).rev().collect());
    match perm.into_iter().eq(0..rank) {
        true => pass_through(g, n),
        false => Err("axes move".into()),
    }
}

fn slice(g: &mut Graph, n: NodeId) -> Try {
    let (x, y) = (g.input(n, 0)?, g.output(n)?);
    let steps = match g.model().nodes[n].input(4) {
        Some(v) => g.ints(v)?,
        None => vec![],
    };
    if steps.iter().any(|&s| s != 1) {
        return Err("the step is not 1".into());
    }
    // With steps of 1, a slice of the same size starts at 0.
    match g.shape(x)? == g.shape(y)? {
        true => pass_through(g, n),
        false => slice_to_end(g, n),
    }
}

/// From 0 to an end beyond every size, along dimensions whose size is not known.
fn slice_to_end(g: &mut Graph, n: NodeId) -> Try {
    let bound = |i: usize| g.input(n, i).and_then(|v| g.ints(v));
    let (starts, ends) = (bound(1)?, bound(2)?);
    match starts.iter().all(|&s| s == 0) && ends.iter().all(|&e| e >= i64::from(i32::MAX)) {
        true => same(g, n),
        false => Err("a part is cut off".into()),
    }
}

fn pad(g: &mut Graph, n: NodeId) -> Try {
    let pads = g.input(n, 1)?;
    match g.ints(pads)?.iter().all(|&p| p == 0) {
        true => same(g, n),
        false => Err("something is added".into()),
    }
}

fn dropout(g: &mut Graph, n: NodeId) -> Try {
    let node = &g.model().nodes[n];
    if node.outputs.iter().skip(1).flatten().any(|&v| !g.uses(v).is_empty()) {
        return Err("the mask is used".into());
    }
    match node.input(2) {
        None => same(g, n),
        Some(training) if g.scalar(training)? == 0.0 => same(g, n),
        Some(_) => Err("it is in training".into()),
    }
}

fn tile(g: &mut Graph, n: NodeId) -> Try {
    let repeats = g.input(n, 1)?;
    match g.ints(repeats)?.iter().all(|&r| r == 1) {
        true => same(g, n),
        false => Err("something is repeated".into()),
    }
}

fn cast_cast(g: &mut Graph, n: NodeId) -> Try {
    let mid = g.input(n, 0)?;
    let inner = g.made_by(mid, "Cast").ok_or("the operand is not cast")?;
    let x = g.input(inner, 0)?;
    let (Some(from), Some(via)) = (g.ty(x).dtype(), g.ty(mid).dtype()) else {
        return Err("an element type is not known".into());
    };
    if !holds(via, from) {
        return Err(format!("{via} does not hold every {from}").into());
    }
    g.set_input(n, 0, Some(x));
    g.remove_dead(inner);
    Ok(())
}

/// True when every value of `from` is a value of `via`.
fn holds(via: modelsmith_tensor::DType, from: modelsmith_tensor::DType) -> bool {
    use modelsmith_tensor::DType::{BF16, Bool, F16, F32, F64};
    match (via.int_range(), from.int_range()) {
        (Some((a, b)), Some((c, d))) if via != Bool => a <= c && d <= b,
        _ => matches!((via, from), (F64, F32 | F16 | BF16) | (F32, F16 | BF16)),
    }
}

fn resize(g: &mut Graph, n: NodeId) -> Try {
    let (x, y) = (g.input(n, 0)?, g.output(n)?);
    if g.attrs(n)?.opt_string("coordinate_transformation_mode")? == Some("tf_crop_and_resize") {
        return Err("it may cut".into());
    }
    match g.sizes(x)? == g.sizes(y)? {
        true => pass_through(g, n),
        false => Err("the size changes".into()),
    }
}

fn reduce(g: &mut Graph, n: NodeId) -> Try {
    let (x, y) = (g.input(n, 0)?, g.output(n)?);
    let axes = g.input(n, 1).and_then(|v| g.ints(v))?;
    let shape = g.shape(x)?;
    let one = |a: &i64| {
        let at = if *a < 0 { *a + shape.len() as i64 } else { *a };
        usize::try_from(at).ok().and_then(|a| shape.get(a)) == Some(&Dim::Known(1))
    };
    match !axes.is_empty() && axes.iter().all(one) && g.shape(y)? == shape {
        true => pass_through(g, n),
        false => Err("something is reduced".into()),
    }
}
