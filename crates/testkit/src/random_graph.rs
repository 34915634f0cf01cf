//! Random graphs: chains and joins of common operators whose shapes always fit.

use crate::Case;
use modelsmith_ir::{Attrs, Builder, Model, OpResult, OpSet, Samples, Type, ValueId};
use modelsmith_tensor::{DType, Tensor, Value};

/// A graph of `nodes` operators on one image or matrix input, and a value for the input. The same seed gives the same.
///
/// # Errors
/// When an operator of the generator is missing from `ops`.
pub fn random_graph(seed: u64, nodes: usize, ops: &OpSet) -> OpResult<Case> {
    let mut rng = Samples::new(seed);
    let image = rng.below(2) == 0;
    let shape = if image { vec![1 + rng.below(2) as usize, 3 + rng.below(6) as usize, 9, 8] } else { vec![4, 6, 10] };
    let mut model = Model::new();
    let main = model.main;
    let x = model.add_param(main, "x", Type::fixed(DType::F32, &shape));
    let mut live = vec![x];
    let mut b = Builder::new(&mut model, ops, main, 0);
    for _ in 0..nodes {
        let from = live[live.len() - 1 - rng.below(live.len().min(3) as u64) as usize];
        live.push(step(&mut b, &mut rng, from, &live)?);
    }
    // Every value that nothing uses is a result, so that nothing is dead.
    let used = |v: ValueId| model.nodes.iter().any(|(_, n)| n.inputs.contains(&Some(v)));
    let results = live.into_iter().skip(1).filter(|&v| !used(v)).collect::<Vec<_>>();
    for (i, &v) in results.iter().enumerate() {
        model.values[v].name = format!("y{i}");
    }
    model.regions[main].results = results;
    let input = Value::Tensor(rng.floats(DType::F32, &shape, -1.5, 1.5));
    Ok(Case { name: format!("random/{seed}"), model, inputs: vec![input] })
}

fn sizes(b: &Builder, v: ValueId) -> Vec<usize> {
    b.ty(v).sizes().unwrap_or_default()
}

fn weight(b: &mut Builder, rng: &mut Samples, shape: &[usize]) -> ValueId {
    let fan = shape[1..].iter().product::<usize>().max(1) as f64;
    let w = rng.floats(DType::F32, shape, -1.0 / fan.sqrt(), 1.0 / fan.sqrt());
    b.constant(w)
}

fn step(b: &mut Builder, rng: &mut Samples, x: ValueId, live: &[ValueId]) -> OpResult<ValueId> {
    let shape = sizes(b, x);
    let last = shape.last().copied().unwrap_or(1);
    match rng.below(12) {
        0 | 1 => {
            let names = ["Relu", "Sigmoid", "Tanh", "Neg", "Abs", "Softplus", "HardSwish", "Erf", "Elu", "Identity"];
            b.op(names[rng.below(names.len() as u64) as usize], &[x])
        }
        2 => {
            let names = ["Add", "Mul", "Sub", "Max", "Min"];
            let y = live.iter().copied().rfind(|&y| sizes(b, y) == shape).unwrap_or(x);
            b.op(names[rng.below(names.len() as u64) as usize], &[x, y])
        }
        3 => {
            let c = if rng.below(2) == 0 { weight(b, rng, &[last]) } else { b.constant(Tensor::scalar(0.5f32)) };
            b.op("Mul", &[x, c])
        }
        4 | 5 if shape.len() == 4 && shape[2] >= 3 && shape[3] >= 3 => convolution(b, rng, x, &shape),
        4 | 5 => {
            let n = 1 + rng.below(9) as usize;
            let w = weight(b, rng, &[last, n]);
            b.op("MatMul", &[x, w])
        }
        6 if shape.len() == 4 && shape[2] >= 2 && shape[3] >= 2 => {
            let attrs = Attrs::new().with("kernel_shape", [2, 2]).with("strides", [1 + rng.below(2) as i64, 1]);
            let name = if rng.below(2) == 0 { "MaxPool" } else { "AveragePool" };
            b.op_with(name, &[x], attrs)
        }
        6 => b.op_with("Softmax", &[x], Attrs::new().with("axis", -1)),
        7 => {
            let mut perm = (0..shape.len() as i64).collect::<Vec<_>>();
            perm.rotate_left(rng.below(shape.len().max(1) as u64) as usize);
            b.op_with("Transpose", &[x], Attrs::new().with("perm", perm))
        }
        8 => {
            let axes = b.ints(&[-1]);
            b.op_with("ReduceMean", &[x, axes], Attrs::new().with("keepdims", 1))
        }
        9 => b.op_with("Concat", &[x, x], Attrs::new().with("axis", rng.below(shape.len() as u64) as i64)),
        10 if last > 1 => {
            let [start, end, axis] = [1, i64::MAX, -1].map(|v| b.ints(&[v]));
            b.op("Slice", &[x, start, end, axis])
        }
        10 => b.op("Relu", &[x]),
        _ => {
            let target = b.ints(&[0, -1]);
            let flat = b.op("Reshape", &[x, target])?;
            let back = b.ints(&shape.iter().map(|&d| d as i64).collect::<Vec<_>>());
            let same = b.op("Abs", &[flat])?;
            b.op("Reshape", &[same, back])
        }
    }
}

fn convolution(b: &mut Builder, rng: &mut Samples, x: ValueId, shape: &[usize]) -> OpResult<ValueId> {
    let depthwise = rng.below(3) == 0;
    let channels = shape[1];
    let out = if depthwise { channels } else { 1 + rng.below(20) as usize };
    let k = if rng.below(2) == 0 { 1 } else { 3 };
    let group = if depthwise { channels } else { 1 };
    let w = weight(b, rng, &[out, channels / group, k, k]);
    let bias = weight(b, rng, &[out]);
    let stride = 1 + rng.below(2) as i64;
    let pad = (k as i64 - 1) / 2;
    let attrs = Attrs::new()
        .with("kernel_shape", [k as i64, k as i64])
        .with("strides", [stride, stride])
        .with("pads", [pad, pad, pad, pad])
        .with("group", group as i64);
    let mut y = b.op_with("Conv", &[x, w, bias], attrs)?;
    if rng.below(2) == 0 {
        let parts = [0.5, 1.5].map(|hi| rng.floats(DType::F32, &[out], 0.25, hi)).map(|t| b.constant(t));
        let more = [rng.floats(DType::F32, &[out], -0.2, 0.2), rng.floats(DType::F32, &[out], 0.5, 1.5)];
        let [mean, var] = more.map(|t| b.constant(t));
        y = b.op("BatchNormalization", &[y, parts[0], parts[1], mean, var])?;
    }
    if rng.below(2) == 0 { b.op("Relu", &[y]) } else { Ok(y) }
}
