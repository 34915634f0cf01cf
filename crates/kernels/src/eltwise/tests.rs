use super::*;
use crate::gemm::tests::noise;
use crate::{Dst, Src};
use modelsmith_kop::{BinaryOp, Lane, Operand};

fn operand(lane: Lane, strides: &[usize]) -> Operand {
    Operand { lane, strides: strides.to_vec() }
}

fn on_all(p: &EltwiseProblem, inputs: &[Src<'_>], out_bytes: usize, judge: impl Fn(&str, &[u8])) {
    for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
        for threads in [1, 3] {
            let mut out = vec![0xeeu8; out_bytes];
            let args = Args { inputs, outputs: &mut [Dst::new(&mut out)], workspace: &mut [] };
            kernel.run(p, args, &Pool::new(threads)).unwrap();
            judge(kernel.name, &out);
        }
    }
}

fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[test]
fn chains_with_broadcast() {
    // silu(x * row + column) + 2, over every kind of broadcast and odd lengths.
    for (a, b, c) in
        [(3, 5, 7), (1, 1, 1), (2, 33, 65), (4, 1, 300), (1, 700, 1), (13, 17, 3), (3, 7, 48), (2, 5, 272), (1, 9, 528)]
    {
        let dims = vec![a, b, c];
        let full = [b * c, c, 1];
        for (row, col) in [([0, 0, 1], [0, 1, 0]), ([0, 0, 0], [1, 0, 0]), ([0, 1, 0], full)] {
            let p = EltwiseProblem {
                dims: dims.clone(),
                inputs: vec![operand(Lane::F32, &full), operand(Lane::F32, &row), operand(Lane::F32, &col)],
                outputs: vec![operand(Lane::F32, &full)],
                registers: 4,
                code: vec![
                    Inst::Load { dst: 0, input: 0 },
                    Inst::Load { dst: 1, input: 1 },
                    Inst::Load { dst: 2, input: 2 },
                    Inst::ConstF32 { dst: 3, value: 2.0 },
                    Inst::Binary { op: BinaryOp::Mul, lane: Lane::F32, dst: 0, a: 0, b: 1 },
                    Inst::Binary { op: BinaryOp::Add, lane: Lane::F32, dst: 0, a: 0, b: 2 },
                    Inst::Unary { op: UnaryOp::Act(Activation::Silu), lane: Lane::F32, dst: 0, a: 0 },
                    Inst::Binary { op: BinaryOp::Add, lane: Lane::F32, dst: 1, a: 0, b: 3 },
                    Inst::Store { output: 0, a: 1 },
                ],
            };
            let (x, r, q) = (noise(a * b * c, 1), noise(a * b * c, 2), noise(a * b * c, 3));
            on_all(&p, &[Src::new(&x), Src::new(&r), Src::new(&q)], 4 * a * b * c, |name, out| {
                for (i, got) in f32s(out).into_iter().enumerate() {
                    let at = |s: [usize; 3]| i / (b * c) * s[0] + i / c % b * s[1] + i % c * s[2];
                    let v = f64::from(x[i]) * f64::from(r[at(row)]) + f64::from(q[at(col)]);
                    let want = v / (1.0 + (-v).exp()) + 2.0;
                    assert!((f64::from(got) - want).abs() < 2e-6, "{name} {dims:?} {i}: {got} {want}");
                }
            });
        }
    }
}

/// A slice of the channels of a wider image, normalised into another such slice: rows lie in place, gaps stay as they are.
#[test]
fn gapped_rows() {
    for (pixels, c) in [(9, 64), (5, 272), (4, 300), (3, 40), (7, 1008)] {
        let (x_row, y_row) = (c + 24, c + 7);
        let f32_at = |strides: [usize; 2]| operand(Lane::F32, &strides);
        let p = EltwiseProblem {
            dims: vec![pixels, c],
            inputs: vec![f32_at([x_row, 1]), f32_at([0, 1]), f32_at([0, 1]), f32_at([1, 0])],
            outputs: vec![f32_at([y_row, 1])],
            registers: 4,
            code: vec![
                Inst::Load { dst: 0, input: 0 },
                Inst::Load { dst: 1, input: 1 },
                Inst::Load { dst: 2, input: 2 },
                Inst::Load { dst: 3, input: 3 },
                Inst::Binary { op: BinaryOp::Mul, lane: Lane::F32, dst: 0, a: 0, b: 1 },
                Inst::Binary { op: BinaryOp::Add, lane: Lane::F32, dst: 0, a: 0, b: 2 },
                Inst::Binary { op: BinaryOp::Sub, lane: Lane::F32, dst: 0, a: 0, b: 3 },
                Inst::Unary { op: UnaryOp::Act(Activation::Relu), lane: Lane::F32, dst: 1, a: 0 },
                Inst::Store { output: 0, a: 1 },
            ],
        };
        let (x, scale, shift, mean) = (noise(pixels * x_row, 1), noise(c, 2), noise(c, 3), noise(pixels, 4));
        let inputs = [Src::new(&x), Src::new(&scale), Src::new(&shift), Src::new(&mean)];
        on_all(&p, &inputs, 4 * pixels * y_row, |name, out| {
            for (i, got) in f32s(out).into_iter().enumerate() {
                let (row, ch) = (i / y_row, i % y_row);
                if ch >= c {
                    assert_eq!(got.to_bits(), 0xeeee_eeee, "{name}: gap {ch} behind pixel {row}");
                    continue;
                }
                let want = (x[row * x_row + ch] * scale[ch] + shift[ch] - mean[row]).max(0.0);
                assert_eq!(got, want, "{name}: channel {ch} of {c} of pixel {row}");
            }
        });
    }
}

#[test]
fn strided_views_and_in_place() {
    // A transposed input and a transposed output.
    let p = EltwiseProblem {
        dims: vec![20, 30],
        inputs: vec![operand(Lane::F32, &[1, 20])],
        outputs: vec![operand(Lane::F32, &[2, 50])],
        registers: 1,
        code: vec![
            Inst::Load { dst: 0, input: 0 },
            Inst::Unary { op: UnaryOp::Neg, lane: Lane::F32, dst: 0, a: 0 },
            Inst::Store { output: 0, a: 0 },
        ],
    };
    let x = noise(600, 7);
    on_all(&p, &[Src::new(&x)], 4 * (19 * 2 + 29 * 50 + 1), |_, out| {
        let out = f32s(out);
        for i in 0..20 {
            for j in 0..30 {
                assert_eq!(out[i * 2 + j * 50], -x[i + j * 20]);
            }
        }
    });
    let flat = EltwiseProblem {
        dims: vec![1000],
        inputs: vec![operand(Lane::F32, &[1])],
        outputs: vec![operand(Lane::F32, &[1])],
        registers: 2,
        code: vec![
            Inst::Load { dst: 0, input: 0 },
            Inst::Binary { op: BinaryOp::Add, lane: Lane::F32, dst: 1, a: 0, b: 0 },
            Inst::Store { output: 0, a: 1 },
        ],
    };
    for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
        let x = noise(1000, 9);
        let mut y = x.clone();
        let ptr = y.as_mut_ptr().cast::<u8>();
        // SAFETY: both views are of `y`, which nothing else uses meanwhile.
        let (src, dst) = unsafe { (Src::from_raw(ptr, 4000), Dst::from_raw(ptr, 4000)) };
        kernel.run(&flat, Args { inputs: &[src], outputs: &mut [dst], workspace: &mut [] }, &Pool::new(2)).unwrap();
        assert!(y.iter().zip(&x).all(|(y, x)| *y == x + x));
        // SAFETY: as above.
        let (src, dst) = unsafe { (Src::from_raw(ptr.add(4), 3996), Dst::from_raw(ptr, 3996)) };
        let short = EltwiseProblem { dims: vec![999], ..flat.clone() };
        let args = Args { inputs: &[src], outputs: &mut [dst], workspace: &mut [] };
        assert!(matches!(kernel.run(&short, args, &Pool::new(2)), Err(KernelError::Buffer { what: "input", .. })));
    }
}

#[test]
fn narrow_types_are_loaded_cast_and_stored() {
    // Rows of `(u8 - zero of the row) * 0.5` as halves, and of the same rounded to i8.
    let (rows, columns) = (3usize, 75usize);
    let x = (0..rows * columns).map(|i| (i * 7 % 256) as u8).collect::<Vec<_>>();
    let zeros = [0i8, 100, -128];
    let p = |to: Lane, bytes: Vec<Inst>| EltwiseProblem {
        dims: vec![rows, columns],
        inputs: vec![operand(Lane::U8, &[columns, 1]), operand(Lane::I8, &[1, 0])],
        outputs: vec![operand(to, &[columns, 1])],
        registers: 6,
        code: [
            vec![
                Inst::Load { dst: 0, input: 0 },
                Inst::Load { dst: 1, input: 1 },
                Inst::Cast { from: Lane::U8, to: Lane::F32, dst: 2, a: 0 },
                Inst::Cast { from: Lane::I8, to: Lane::F32, dst: 3, a: 1 },
                Inst::ConstF32 { dst: 4, value: 0.5 },
                Inst::Binary { op: BinaryOp::Sub, lane: Lane::F32, dst: 2, a: 2, b: 3 },
                Inst::Binary { op: BinaryOp::Mul, lane: Lane::F32, dst: 2, a: 2, b: 4 },
            ],
            bytes,
        ]
        .concat(),
    };
    let value = |i: usize| (f32::from(x[i]) - f32::from(zeros[i / columns])) * 0.5;
    let bytes = zeros.map(|z| z as u8);
    let inputs = [Src::new(&x), Src::new(&bytes)];
    let half = vec![Inst::Cast { from: Lane::F32, to: Lane::F16, dst: 5, a: 2 }, Inst::Store { output: 0, a: 5 }];
    on_all(&p(Lane::F16, half), &inputs, 2 * x.len(), |name, out| {
        for (i, got) in out.chunks_exact(2).enumerate() {
            let got = modelsmith_base::f16::from_le_bytes([got[0], got[1]]);
            assert_eq!(got.to_f32(), value(i), "{name} {i}");
        }
    });
    let byte = vec![Inst::Cast { from: Lane::F32, to: Lane::I8, dst: 5, a: 2 }, Inst::Store { output: 0, a: 5 }];
    on_all(&p(Lane::I8, byte), &inputs, x.len(), |name, out| {
        for (i, &got) in out.iter().enumerate() {
            assert_eq!(got as i8, value(i) as i8, "{name} {i}");
        }
    });
    let sum =
        vec![Inst::Binary { op: BinaryOp::Add, lane: Lane::U8, dst: 5, a: 0, b: 0 }, Inst::Store { output: 0, a: 5 }];
    for kernel in KERNELS {
        let refused = (kernel.accepts)(&p(Lane::U8, sum.clone())).err().unwrap();
        assert_eq!(refused.to_string(), "instruction 7: no such function of this type");
    }
}

#[test]
fn integers_booleans_and_casts() {
    let n = 300;
    let x: Vec<i64> = (0..n).map(|i| i * 37 % 101 - 50).collect();
    let y: Vec<i64> = (0..n).map(|i| i % 7 - 3).collect();
    // bool: (x mod y) < 0 or not (x == y); out = select(bool, (x / y) as i32 as f32, 0.5) as f32
    let flat = |lane| operand(lane, &[1]);
    let p = EltwiseProblem {
        dims: vec![n as usize],
        inputs: vec![flat(Lane::I64), flat(Lane::I64)],
        outputs: vec![flat(Lane::F32)],
        registers: 6,
        code: vec![
            Inst::Load { dst: 0, input: 0 },
            Inst::Load { dst: 1, input: 1 },
            Inst::Binary { op: BinaryOp::Mod, lane: Lane::I64, dst: 2, a: 0, b: 1 },
            Inst::ConstInt { dst: 3, lane: Lane::I64, value: 0 },
            Inst::Binary { op: BinaryOp::Less, lane: Lane::I64, dst: 2, a: 2, b: 3 },
            Inst::Binary { op: BinaryOp::Equal, lane: Lane::I64, dst: 4, a: 0, b: 1 },
            Inst::Unary { op: UnaryOp::Not, lane: Lane::Bool, dst: 4, a: 4 },
            Inst::Binary { op: BinaryOp::Or, lane: Lane::Bool, dst: 2, a: 2, b: 4 },
            Inst::Binary { op: BinaryOp::Div, lane: Lane::I64, dst: 0, a: 0, b: 1 },
            Inst::Cast { from: Lane::I64, to: Lane::I32, dst: 0, a: 0 },
            Inst::Cast { from: Lane::I32, to: Lane::F32, dst: 0, a: 0 },
            Inst::ConstF32 { dst: 5, value: 0.5 },
            Inst::Select { lane: Lane::F32, dst: 2, cond: 2, a: 0, b: 5 },
            Inst::Store { output: 0, a: 2 },
        ],
    };
    on_all(&p, &[Src::new(&x), Src::new(&y)], 4 * n as usize, |name, out| {
        for (i, got) in f32s(out).into_iter().enumerate() {
            let (a, b) = (x[i], y[i]);
            let m = if b == 0 { 0 } else { a - b * (a as f64 / b as f64).floor() as i64 };
            let want = if m < 0 || a != b { if b == 0 { 0.0 } else { (a / b) as f32 } } else { 0.5 };
            assert_eq!(got, want, "{name} {i}: {a} {b}");
        }
    });
}

#[test]
fn every_f32_function() {
    let x: Vec<f32> = noise(500, 5).iter().map(|v| v * 4.0).chain([0.0, -0.0, f32::NAN]).collect();
    let y: Vec<f32> = noise(500, 6).iter().map(|v| v * 2.0).chain([1.0, 2.0, 3.0]).collect();
    let flat = || operand(Lane::F32, &[1]);
    let run = |inst: Inst, judge: &dyn Fn(f32, f32) -> f32| {
        let p = EltwiseProblem {
            dims: vec![x.len()],
            inputs: vec![flat(), flat()],
            outputs: vec![flat()],
            registers: 3,
            code: vec![
                Inst::Load { dst: 0, input: 0 },
                Inst::Load { dst: 1, input: 1 },
                inst,
                Inst::Store { output: 0, a: 2 },
            ],
        };
        on_all(&p, &[Src::new(&x), Src::new(&y)], 4 * x.len(), |name, out| {
            for (i, got) in f32s(out).into_iter().enumerate() {
                let want = judge(x[i], y[i]);
                let near = (got - want).abs() <= 2e-6 * want.abs().max(1.0);
                assert!(
                    near || got == want || (got.is_nan() && want.is_nan()),
                    "{name} {inst:?} {}: {got} {want}",
                    x[i]
                );
            }
        });
    };
    let unary = |op, judge: &dyn Fn(f32) -> f32| {
        run(Inst::Unary { op, lane: Lane::F32, dst: 2, a: 0 }, &|x, _| judge(x));
    };
    use Activation::*;
    unary(UnaryOp::Abs, &f32::abs);
    unary(UnaryOp::Sign, &|x| {
        if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            x
        }
    });
    unary(UnaryOp::Sqrt, &f32::sqrt);
    unary(UnaryOp::Reciprocal, &f32::recip);
    unary(UnaryOp::Exp, &f32::exp);
    unary(UnaryOp::Log, &f32::ln);
    unary(UnaryOp::Sin, &f32::sin);
    unary(UnaryOp::Cos, &f32::cos);
    unary(UnaryOp::Atan, &f32::atan);
    unary(UnaryOp::Floor, &f32::floor);
    unary(UnaryOp::Ceil, &f32::ceil);
    unary(UnaryOp::Round, &f32::round_ties_even);
    let nan_max = |x: f32, y: f32| if x.is_nan() { x } else { x.max(y) };
    unary(UnaryOp::Act(Relu), &|x| nan_max(x, 0.0));
    unary(UnaryOp::Act(Clip { min: -1.0, max: 0.5 }), &|x| x.clamp(-1.0, 0.5));
    unary(UnaryOp::Act(LeakyRelu { alpha: 0.1 }), &|x| if x < 0.0 { 0.1 * x } else { x });
    unary(UnaryOp::Act(HardSigmoid { alpha: 0.2, beta: 0.5 }), &|x| (0.2 * x + 0.5).clamp(0.0, 1.0));
    unary(UnaryOp::Act(HardSwish), &|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0));
    unary(UnaryOp::Act(Tanh), &f32::tanh);
    unary(UnaryOp::Act(Elu { alpha: 1.5 }), &|x| if x < 0.0 { 1.5 * x.exp_m1() } else { x });
    unary(UnaryOp::Act(Softplus), &|x| x.exp().ln_1p());
    unary(UnaryOp::Act(Mish), &|x| x * x.exp().ln_1p().tanh());
    let binary = |op, judge: &dyn Fn(f32, f32) -> f32| {
        run(Inst::Binary { op, lane: Lane::F32, dst: 2, a: 0, b: 1 }, judge);
    };
    binary(BinaryOp::Sub, &|x, y| x - y);
    binary(BinaryOp::Div, &|x, y| x / y);
    binary(BinaryOp::Min, &|x, y| if x.is_nan() { x } else { x.min(y) });
    binary(BinaryOp::Max, &nan_max);
    binary(BinaryOp::Pow, &f32::powf);
    binary(BinaryOp::PRelu, &|x, y| if x < 0.0 { x * y } else { x });
    binary(BinaryOp::Mod, &|x, y| x % y);
}

#[test]
fn broken_programs_are_refused() {
    let flat = |lane| operand(lane, &[1]);
    let good = EltwiseProblem {
        dims: vec![10],
        inputs: vec![flat(Lane::F32)],
        outputs: vec![flat(Lane::F32)],
        registers: 1,
        code: vec![Inst::Load { dst: 0, input: 0 }, Inst::Store { output: 0, a: 0 }],
    };
    assert!(KERNELS[0].accepts(&good).is_ok());
    let with = |code: Vec<Inst>| EltwiseProblem { code, ..good.clone() };
    for bad in [
        with(vec![Inst::Store { output: 0, a: 0 }]),
        with(vec![Inst::Load { dst: 1, input: 0 }]),
        with(vec![Inst::Load { dst: 0, input: 1 }]),
        with(vec![Inst::Load { dst: 0, input: 0 }, Inst::Store { output: 3, a: 0 }]),
        with(vec![Inst::Load { dst: 0, input: 0 }, Inst::Unary { op: UnaryOp::Not, lane: Lane::F32, dst: 0, a: 0 }]),
        with(vec![Inst::Load { dst: 0, input: 0 }, Inst::Cast { from: Lane::I64, to: Lane::F32, dst: 0, a: 0 }]),
        EltwiseProblem { registers: 200, ..good.clone() },
        EltwiseProblem { outputs: vec![operand(Lane::F32, &[0])], ..good.clone() },
        EltwiseProblem { inputs: vec![operand(Lane::F32, &[usize::MAX])], ..good.clone() },
        EltwiseProblem { inputs: vec![operand(Lane::F32, &[])], ..good.clone() },
    ] {
        assert!(KERNELS[0].accepts(&bad).is_err(), "{bad:?}");
    }
}

/// What is the same in every chunk is computed once, in whatever register the program has it.
#[test]
fn uniform_values_serve_all_chunks() {
    for (rows, n) in [(1, 1), (1, 255), (1, 1024), (1, 1030), (3, 2064), (2, 5000), (7, 48), (5, 33)] {
        for columns in [false, true] {
            let full = [n, 1];
            let step = if columns { [1, 0] } else { [0, 0] };
            // (x - zero) * scale, and zero * scale where x is 3: the zero point is cast in a register that x had before.
            let p = EltwiseProblem {
                dims: vec![rows, n],
                inputs: vec![operand(Lane::U8, &full), operand(Lane::U8, &[0, 0]), operand(Lane::F32, &step)],
                outputs: vec![operand(Lane::F32, &full)],
                registers: 4,
                code: vec![
                    Inst::Load { dst: 0, input: 0 },
                    Inst::Cast { from: Lane::U8, to: Lane::F32, dst: 1, a: 0 },
                    Inst::Load { dst: 0, input: 1 },
                    Inst::Cast { from: Lane::U8, to: Lane::F32, dst: 2, a: 0 },
                    Inst::ConstF32 { dst: 0, value: 3.0 },
                    Inst::Binary { op: BinaryOp::Equal, lane: Lane::F32, dst: 3, a: 1, b: 0 },
                    Inst::Binary { op: BinaryOp::Sub, lane: Lane::F32, dst: 1, a: 1, b: 2 },
                    Inst::Select { lane: Lane::F32, dst: 1, cond: 3, a: 2, b: 1 },
                    Inst::Load { dst: 0, input: 2 },
                    Inst::Binary { op: BinaryOp::Mul, lane: Lane::F32, dst: 0, a: 1, b: 0 },
                    Inst::Store { output: 0, a: 0 },
                ],
            };
            let x = (0..rows * n).map(|i| (i * 7 % 256) as u8).collect::<Vec<_>>();
            let scale = [0.5f32, 0.25, 2.0, 1.0, 8.0, 16.0, 4.0];
            on_all(&p, &[Src::new(&x), Src::new(&[9u8]), Src::new(&scale)], 4 * rows * n, |name, out| {
                for (i, got) in f32s(out).into_iter().enumerate() {
                    let by = scale[if columns { i / n } else { 0 }];
                    let want = if x[i] == 3 { 9.0 } else { f32::from(x[i]) - 9.0 } * by;
                    assert_eq!(got, want, "{name} {rows}x{n} {columns} {i}");
                }
            });
        }
    }
}

/// A result that depends on nothing that varies is written to all of the output.
#[test]
fn uniform_results_fill_the_output() {
    for n in [1, 17, 1024, 3000] {
        let p = EltwiseProblem {
            dims: vec![n],
            inputs: vec![operand(Lane::I64, &[0])],
            outputs: vec![operand(Lane::I64, &[1])],
            registers: 2,
            code: vec![
                Inst::Load { dst: 0, input: 0 },
                Inst::ConstInt { dst: 1, lane: Lane::I64, value: 3 },
                Inst::Binary { op: BinaryOp::Mul, lane: Lane::I64, dst: 0, a: 0, b: 1 },
                Inst::Store { output: 0, a: 0 },
            ],
        };
        on_all(&p, &[Src::new(&[-7i64])], 8 * n, |name, out| {
            assert!(out.chunks_exact(8).all(|b| b == (-21i64).to_le_bytes()), "{name} {n}");
        });
    }
}

/// With all registers in use there is none left for what could be kept.
#[test]
fn programs_with_all_registers_run() {
    let n = 2100;
    let mut code = vec![Inst::Load { dst: 0, input: 0 }];
    for r in 1..16u8 {
        code.push(Inst::ConstInt { dst: r, lane: Lane::I64, value: i64::from(r) });
        code.push(Inst::Binary { op: BinaryOp::Add, lane: Lane::I64, dst: r, a: r, b: r - 1 });
    }
    code.push(Inst::ConstInt { dst: 3, lane: Lane::I64, value: 2 });
    code.push(Inst::Binary { op: BinaryOp::Mul, lane: Lane::I64, dst: 15, a: 15, b: 3 });
    code.push(Inst::Store { output: 0, a: 15 });
    let p = EltwiseProblem {
        dims: vec![n],
        inputs: vec![operand(Lane::I64, &[1])],
        outputs: vec![operand(Lane::I64, &[1])],
        registers: 16,
        code,
    };
    let x = (0..n as i64).collect::<Vec<_>>();
    on_all(&p, &[Src::new(&x)], 8 * n, |name, out| {
        for (i, b) in out.chunks_exact(8).enumerate() {
            assert_eq!(i64::from_le_bytes(b.try_into().unwrap()), 2 * (i as i64 + 120), "{name} {i}");
        }
    });
}
