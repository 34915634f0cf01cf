//! Any bytes, read as the choices of a graph: what the pipelines make of it computes the same on the reference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelsmith_base::DType;
use modelsmith_ir::{Attrs, Builder, Model, OpResult, Samples, Type, ValueId};
use modelsmith_ops::interp::Reference;
use modelsmith_ops::run::{Opts, Runner};
use modelsmith_passes::pipelines;
use modelsmith_rewrite::Options;
use modelsmith_tensor::compare::{Atol, Tolerance, values};
use modelsmith_tensor::{Tensor, Value};

/// Nodes that a graph has at most.
const MOST: usize = 24;
/// Numbers that rules look for, among others.
const SCALARS: [f64; 14] = [
    0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    3.0,
    std::f64::consts::SQRT_2,
    std::f64::consts::FRAC_1_SQRT_2,
    0.797_884_56,
    0.044_715,
    1.702,
    1e-5,
    6.0,
    1.0 / 6.0,
];

/// Choices: the bytes in order, then zeros.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn below(&mut self, n: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % n.max(1)
    }
}

fn sizes(b: &Builder, v: ValueId) -> Vec<usize> {
    b.ty(v).sizes().unwrap_or_default()
}

fn scalar(b: &mut Builder, c: &mut Choices, dtype: DType) -> OpResult<ValueId> {
    let shape: &[usize] = [&[][..], &[1], &[1, 1]][c.below(3)];
    let t = Tensor::from_f64s(dtype, shape, &[SCALARS[c.below(SCALARS.len())]])
        .map_err(|e| modelsmith_ir::OpError::invalid(e.to_string()))?;
    Ok(b.constant(t))
}

fn weight(b: &mut Builder, c: &mut Choices, dtype: DType, shape: &[usize]) -> ValueId {
    let t = Samples::new(c.below(256) as u64).floats(dtype, shape, 0.25, 1.25);
    b.constant(t)
}

fn step(b: &mut Builder, c: &mut Choices, live: &[ValueId], dtype: DType) -> OpResult<ValueId> {
    let x = live[live.len() - 1 - c.below(live.len().min(6))];
    let y = live[live.len() - 1 - c.below(live.len().min(6))];
    let shape = sizes(b, x);
    let (rank, last) = (shape.len(), shape.last().copied().unwrap_or(1));
    let unary = ["Relu", "Neg", "Abs", "Sigmoid", "Tanh", "Erf", "Identity", "Softplus", "Exp", "Sqrt", "Reciprocal"];
    match c.below(18) {
        0 | 1 => b.op(unary[c.below(unary.len())], &[x]),
        2..=4 => {
            let s = scalar(b, c, dtype)?;
            let pair = if c.below(2) == 0 { [x, s] } else { [s, x] };
            b.op(["Add", "Mul", "Sub", "Div", "Pow"][c.below(5)], &pair)
        }
        5 | 6 => b.op(["Add", "Mul", "Sub", "Div"][c.below(4)], &[x, y]),
        7 => {
            let w = weight(b, c, dtype, &[last]);
            b.op(["Add", "Mul", "Sub"][c.below(3)], &[x, w])
        }
        8..=11 => reshaped(b, c, x, &shape),
        12 => {
            let axes = b.ints(&[-1]);
            let keep = c.below(2) as i64;
            b.op_with(
                ["ReduceMean", "ReduceSum", "ReduceMax"][c.below(3)],
                &[x, axes],
                Attrs::new().with("keepdims", keep),
            )
        }
        13 => b.op_with("Concat", &[x, x], Attrs::new().with("axis", c.below(rank) as i64)),
        14 => {
            let parts = [c.below(2) as i64, [i64::MAX, 1, 2][c.below(3)], c.below(rank) as i64].map(|v| b.ints(&[v]));
            b.op("Slice", &[x, parts[0], parts[1], parts[2]])
        }
        15 => {
            let width = 1 + c.below(5);
            let w = weight(b, c, dtype, &[last, width]);
            b.op("MatMul", &[x, w])
        }
        16 if rank == 4 => convolution(b, c, x, &shape, dtype),
        16 => b.op_with("Softmax", &[x], Attrs::new().with("axis", c.below(rank) as i64)),
        _ => {
            let to = if c.below(2) == 0 { dtype } else { DType::F64 };
            let wide = b.op_with("Cast", &[x], Attrs::new().with("to", modelsmith_ir::code_of_dtype(to)))?;
            b.op_with("Cast", &[wide], Attrs::new().with("to", modelsmith_ir::code_of_dtype(dtype)))
        }
    }
}

/// `x` with its axes permuted, merged, or one added or taken away.
fn reshaped(b: &mut Builder, c: &mut Choices, x: ValueId, shape: &[usize]) -> OpResult<ValueId> {
    let (rank, last) = (shape.len(), shape.last().copied().unwrap_or(1));
    match c.below(4) {
        0 => {
            let mut perm = (0..rank as i64).collect::<Vec<_>>();
            perm.rotate_left(c.below(rank));
            if rank > 1 && c.below(2) == 0 {
                perm.swap(0, rank - 1);
            }
            b.op_with("Transpose", &[x], Attrs::new().with("perm", perm))
        }
        1 => {
            let target = [vec![-1], vec![0, -1], vec![-1, last as i64], vec![1, -1]][c.below(4)].clone();
            let target = b.ints(&target);
            b.op("Reshape", &[x, target])
        }
        2 => {
            let axis = b.ints(&[c.below(rank + 1) as i64]);
            b.op("Unsqueeze", &[x, axis])
        }
        _ => {
            let ones = (0..rank).filter(|&i| shape[i] == 1).map(|i| i as i64).collect::<Vec<_>>();
            let axes = b.ints(&ones);
            b.op("Squeeze", &[x, axes])
        }
    }
}

fn convolution(b: &mut Builder, c: &mut Choices, x: ValueId, shape: &[usize], dtype: DType) -> OpResult<ValueId> {
    let out = 1 + c.below(4);
    let w = weight(b, c, dtype, &[out, shape[1], 1, 1]);
    let bias = weight(b, c, dtype, &[out]);
    let y = if c.below(2) == 0 { b.op("Conv", &[x, w])? } else { b.op("Conv", &[x, w, bias])? };
    if c.below(2) == 0 {
        return Ok(y);
    }
    let parts = [0; 4].map(|_| weight(b, c, dtype, &[out]));
    b.op("BatchNormalization", &[y, parts[0], parts[1], parts[2], parts[3]])
}

fn graph(c: &mut Choices) -> (Model, Vec<Value>) {
    // In double precision the order of roundings does not show, a wrong rule does.
    let dtype = DType::F64;
    let shape: &[usize] = [&[2, 3][..], &[1, 4], &[2, 3, 4], &[1, 3, 5, 2]][c.below(4)];
    let mut model = Model::new();
    let main = model.main;
    model.meta.opsets = vec![modelsmith_ir::OpSetImport { domain: String::new(), version: [17, 21, 28][c.below(3)] }];
    let x = model.add_param(main, "x", Type::fixed(dtype, shape));
    let mut live = vec![x];
    let mut b = Builder::new(&mut model, modelsmith_ops::all(), main, 0);
    for _ in 0..MOST {
        if c.0.is_empty() {
            break;
        }
        if let Ok(v) = step(&mut b, c, &live, dtype)
            && sizes(&b, v).iter().product::<usize>() <= 4096
            && sizes(&b, v).len() <= 6
        {
            live.push(v);
        }
    }
    let last = live[live.len() - 1];
    let middle = live[live.len() / 2];
    model.regions[main].results = if middle == last || middle == x { vec![last] } else { vec![last, middle] };
    let input = Samples::new(c.below(256) as u64 + 1).floats(dtype, shape, -2.0, 2.0);
    (model, vec![Value::Tensor(input)])
}

fn run(model: &Model, inputs: &[Value]) -> Option<Vec<Value>> {
    Reference.load(model, &Opts::default()).ok()?.run(inputs, &mut |_, _| {}).ok()
}

fn tame(v: &Value) -> bool {
    v.tensor().ok().and_then(|t| t.to_f64s().ok()).is_some_and(|x| x.iter().all(|x| x.abs() < 1e6))
}

fuzz_target!(|bytes: &[u8]| {
    let (model, inputs) = graph(&mut Choices(bytes));
    let mut seen_wild = false;
    let wanted = Reference
        .load(&model, &Opts::default())
        .ok()
        .and_then(|mut r| r.run(&inputs, &mut |_, v| seen_wild |= !tame(v)).ok());
    let Some(wanted) = wanted else { return };
    // Behind an infinity or a vast number a rewrite may round to something else.
    if seen_wild || !wanted.iter().all(tame) {
        return;
    }
    let tolerance = Tolerance { rtol: 1e-6, atol: Atol::OfLargest(1e-7) };
    for pipeline in [pipelines::simplify, pipelines::prepare] {
        let mut changed = model.clone();
        pipeline(&mut changed, &Options::default()).expect("the passes run on a valid model");
        let found = run(&changed, &inputs).unwrap_or_else(|| panic!("it fails where it did not:\n{}", shown(&model)));
        for (w, f) in wanted.iter().zip(&found) {
            let d = values(f, w, tolerance);
            assert!(d.agrees(), "{d:?}\n{}\nbecame\n{}", shown(&model), shown(&changed));
        }
    }
});

fn shown(model: &Model) -> String {
    modelsmith_ir::text::print_full(model)
}
