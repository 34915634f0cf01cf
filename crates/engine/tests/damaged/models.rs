//! Models whose engines are damaged: between them they have every kind of step, weight and buffer.

use modelsmith_format::{Input, ReadOptions};
use modelsmith_ir::{Attrs, Model, OpResult, Samples, Type, ValueId};
use modelsmith_tensor::{DType, WeightExpr};
use std::path::Path;
use std::sync::Arc;

/// Names and models.
pub fn all() -> Vec<(&'static str, Model)> {
    let ops = modelsmith_ops::all();
    let parse = |text: &str| modelsmith_ir::text::parse(text, ops).unwrap();
    let random = |seed| modelsmith_testkit::random_graph(seed, 14, ops).unwrap().model;
    vec![
        ("digits", digits()),
        ("image", image().unwrap()),
        ("volume", volume().unwrap()),
        ("lstm", lstm().unwrap()),
        ("control flow", parse(CONTROL)),
        ("sizes", parse(SIZES)),
        ("strings", parse(STRINGS)),
        ("bytes", parse(BYTES)),
        ("random 3", random(3)),
        ("random 8", random(8)),
    ]
}

/// The example of the README.
fn digits() -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/digits.onnx");
    let read = modelsmith_convert::open(&Input::open(&path).unwrap(), &ReadOptions::default()).unwrap();
    modelsmith_convert::to_hub(&read.model).0
}

fn weight(m: &mut Model, s: &mut Samples, shape: &[usize]) -> ValueId {
    let t = s.floats(DType::F32, shape, -0.5, 0.5);
    m.add_weight(m.main, "", Arc::new(WeightExpr::Literal(t)))
}

/// Convolutions, pooling, products, softmax, gather, shape arithmetic and steps of the reference.
pub fn image() -> OpResult<Model> {
    let (mut m, mut s) = (Model::new(), Samples::new(3));
    let main = m.main;
    let n = modelsmith_ir::Dim::symbol("n");
    let k = |x: i64| modelsmith_ir::Dim::Known(x);
    let x = m.add_param(main, "x", Type::tensor(DType::F32, &[n.clone(), k(3), k(8), k(8)]));
    let i = m.add_param(main, "i", Type::tensor(DType::I64, &[n, k(2)]));
    let (w1, w2, w3) = (
        weight(&mut m, &mut s, &[16, 3, 3, 3]),
        weight(&mut m, &mut s, &[16, 1, 3, 3]),
        weight(&mut m, &mut s, &[16, 5]),
    );
    let table = weight(&mut m, &mut s, &[7, 5]);
    let result = {
        let mut b = m.build(modelsmith_ops::all());
        let pads = Attrs::new().with("pads", [1, 1, 1, 1]);
        let a = b.op_with("Conv", &[x, w1], pads.clone())?;
        let a = b.op("Relu", &[a])?;
        let d = b.op_with("Conv", &[a, w2], pads.with("group", 16i64))?;
        let a = b.op("Add", &[a, d])?;
        let a = b.op_with("MaxPool", &[a], Attrs::new().with("kernel_shape", [2, 2]).with("strides", [2, 2]))?;
        let a = b.op("GlobalAveragePool", &[a])?;
        let a = b.op("Flatten", &[a])?;
        let a = b.op("MatMul", &[a, w3])?;
        let g = b.op("Gather", &[table, i])?;
        let axes = b.ints(&[1]);
        let g = b.op_with("ReduceSum", &[g, axes], Attrs::new().with("keepdims", 0i64))?;
        let a = b.op("Mul", &[a, g])?;
        let a = b.op("Softmax", &[a])?;
        let c = b.op("CumSum", &[a, axes])?;
        let t = b.op("Transpose", &[c])?;
        b.op_with("Concat", &[t, t], Attrs::new().with("axis", 1i64))?
    };
    m.regions[main].results = vec![result];
    Ok(m)
}

/// Convolutions and pooling of volumes of any size.
fn volume() -> OpResult<Model> {
    let (mut m, mut s) = (Model::new(), Samples::new(5));
    let main = m.main;
    let dim = modelsmith_ir::Dim::symbol;
    let k = |x: i64| modelsmith_ir::Dim::Known(x);
    let x = m.add_param(main, "x", Type::tensor(DType::F32, &[dim("n"), k(8), k(4), dim("h"), k(6)]));
    let (w, t) = (weight(&mut m, &mut s, &[8, 8, 3, 3, 3]), weight(&mut m, &mut s, &[8, 5, 2, 2, 2]));
    let result = {
        let mut b = m.build(modelsmith_ops::all());
        let a = b.op_with("Conv", &[x, w], Attrs::new().with("pads", [1, 1, 1, 1, 1, 1]))?;
        let a = b.op("Relu", &[a])?;
        let window = Attrs::new().with("kernel_shape", [2, 1, 2]).with("strides", [2, 1, 2]);
        let a = b.op_with("AveragePool", &[a], window)?;
        b.op_with("ConvTranspose", &[a, t], Attrs::new().with("strides", [2, 2, 2]))?
    };
    m.regions[main].results = vec![result];
    Ok(m)
}

/// An LSTM in both directions over sequences of any length, and a normalisation after it.
fn lstm() -> OpResult<Model> {
    let (mut m, mut s) = (Model::new(), Samples::new(4));
    let main = m.main;
    let dim = modelsmith_ir::Dim::symbol;
    let k = |x: i64| modelsmith_ir::Dim::Known(x);
    let x = m.add_param(main, "x", Type::tensor(DType::F32, &[dim("t"), dim("b"), k(6)]));
    let parts = [[2, 20, 6], [2, 20, 5]].map(|shape| weight(&mut m, &mut s, &shape));
    let bias = weight(&mut m, &mut s, &[2, 40]);
    let (scale, shift) = (weight(&mut m, &mut s, &[5]), weight(&mut m, &mut s, &[5]));
    let result = {
        let mut b = m.build(modelsmith_ops::all());
        let attrs = Attrs::new().with("hidden_size", 5i64).with("direction", "bidirectional");
        let y = b.op_with("LSTM", &[x, parts[0], parts[1], bias], attrs)?;
        let y = b.op_with("LayerNormalization", &[y, scale, shift], Attrs::new().with("axis", -1i64))?;
        let axes = b.ints(&[0]);
        b.op("ReduceMax", &[y, axes])?
    };
    m.regions[main].results = vec![result];
    Ok(m)
}

/// If and Loop with captures, a function that is called, and a product inside the loop.
const CONTROL: &str = "graph(%x: f32[n, 4], %m: i64[], %c: bool[]) {
    weight %w = f32[4, 4] [0.1, 0.2, 0.3, 0.4, -0.1, -0.2, -0.3, -0.4, 0.5, 0.6, 0.7, 0.8, -0.5, -0.6, -0.7, -0.8]
    %y, %s = Loop(%m, _, %x) {body = graph(%i: i64[], %go: bool[], %v: f32[n, 4]) {
      %p: f32[n, 4] = MatMul(%v, %w)
      %q: f32[n, 4] = Add(%p, %x)
      %again: bool[] = Less(%i, i64[] 3)
      return %again, %q, %p
    }}
    %z = If(%c) {then_branch = graph() {
      %a = Tanh(%y)
      return %a
    }, else_branch = graph() {
      %b = Mul(%y, %x)
      %d = Relu(%b)
      return %d
    }}
    return %z, %s
  }";

/// Sizes that the run makes: NonZero, TopK, Reshape to a computed shape, slices and pads that depend on sizes.
const SIZES: &str = "graph(%x: f32[n, m]) {
    %shape = Shape(%x)
    %big = Greater(%x, f32[] 0.0)
    %where = NonZero(%big)
    %t = Transpose(%where) {perm = [1, 0]}
    %g = GatherND(%x, %t)
    %e = Exp(%g)
    %top, %at = TopK(%x, i64[1] [2]) {axis = 1}
    %flat = Reshape(%x, i64[1] [-1])
    %back = Reshape(%flat, %shape)
    %p = Pad(%back, i64[4] [1, 0, 0, 2])
    %sl = Slice(%p, i64[1] [1], i64[1] [9223372036854775807], i64[1] [0])
    %r = Concat(%sl, %x) {axis = 1}
    %sm = Softmax(%r) {axis = 1}
    %twice = Concat(%x, %x) {axis = 0}
    %part0, %part1 = Split(%twice) {axis = 0, num_outputs = 2}
    %one = Slice(%sm, i64[1] [0], i64[1] [1], i64[1] [1])
    %ex = Expand(%one, i64[2] [1, 3])
    return %e, %top, %at, %part1, %part0, %ex
  }";

/// Strings and sequences, which only the reference handles.
const STRINGS: &str = "graph(%x: f32[2, 3]) {
    %s = SplitToSequence(%x, i64[] 1) {axis = 1}
    %one = SequenceAt(%s, i64[] 1)
    %n = SequenceLength(%s)
    %c = ConcatFromSequence(%s) {axis = 0}
    %k = Cast(%one) {to = string}
    %eq = Equal(%k, string[2, 1] [\"0\", \"1\"])
    %i = Cast(%eq) {to = f32}
    %sum = Add(%c, f32[] 1.0)
    return %n, %i, %sum, %k
  }";

/// Products and convolutions of bytes, with packed and strided operands.
const BYTES: &str = "graph(%x: u8[n, 4, 6, 6], %w: i8[8, 4, 3, 3], %z: u8[]) {
    weight %m = i8[6, 2] [1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12]
    %c = ConvInteger(%x, %w, %z) {pads = [1, 1, 1, 1], strides = [2, 1]}
    %p = MatMulInteger(%x, %m, %z)
    %t = Transpose(%x) {perm = [0, 1, 3, 2]}
    %q = MatMulInteger(%t, %x, _, %z)
    %f = Cast(%c) {to = f32}
    %s = Sigmoid(%f)
    return %s, %p, %q
  }";
