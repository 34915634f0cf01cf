use super::*;
use crate::Dst;
use crate::gemm::tests::noise;
use crate::pack::WeightShape;

/// Data of a problem: gates, weights of z, r and h, the first state, the candidate's bias, lengths.
struct Data {
    gates: Vec<f32>,
    weights: [Vec<f32>; 3],
    first: Vec<f32>,
    bias: Vec<f32>,
    lengths: Vec<i32>,
}

fn data(p: &GruProblem) -> Data {
    let h = p.hidden;
    Data {
        gates: noise(p.seq * p.batch * 3 * h, 1),
        // Larger ones make a recurrence that doubles every error of rounding.
        weights: [2, 3, 4].map(|seed| noise(h * h, seed).into_iter().map(|w| w / 4.0).collect()),
        first: noise(p.batch * h, 5),
        bias: noise(h, 6),
        lengths: (0..p.batch).map(|b| (b % (p.seq + 1)) as i32).collect(),
    }
}

/// All states and the last ones by the definition, in f64. Weights lie as `[unit, hidden]`.
fn definition(p: &GruProblem, d: &Data) -> (Vec<f64>, Vec<f64>) {
    let h = p.hidden;
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut state: Vec<f64> = d.first.iter().map(|v| f64::from(*v)).collect();
    let mut all = vec![0.0; p.seq * p.y_step_stride];
    for b in 0..p.batch {
        let len = if p.lengths { d.lengths[b] as usize } else { p.seq };
        for i in 0..len {
            let t = if p.reverse { len - 1 - i } else { i };
            let before = state[b * h..][..h].to_vec();
            let driven = |g: usize, u: usize| f64::from(d.gates[((t * p.batch + b) * 3 + g) * h + u]);
            let times = |g: usize, u: usize, x: &[f64]| -> f64 {
                (0..h).map(|k| f64::from(d.weights[g][u * h + k]) * x[k]).sum()
            };
            let gate = |g: usize, u: usize| sigmoid(driven(g, u) + times(g, u, &before));
            let gated = (0..h).map(|u| gate(1, u) * before[u]).collect::<Vec<_>>();
            for u in 0..h {
                let candidate = match p.linear_before_reset {
                    true => gate(1, u) * (times(2, u, &before) + f64::from(d.bias[u])),
                    false => times(2, u, &gated),
                };
                let new = (driven(2, u) + candidate).tanh();
                let z = gate(0, u);
                state[b * h + u] = (1.0 - z) * new + z * before[u];
                all[t * p.y_step_stride + b * h + u] = state[b * h + u];
            }
        }
    }
    (all, state)
}

fn run_on(kernel: &KernelDef<GruProblem>, p: &GruProblem, d: &Data, threads: usize) -> (Vec<f32>, Vec<f32>) {
    let shape = WeightShape::Matrix { k: p.hidden, n: p.hidden, transposed: true };
    let packed = d.weights.each_ref().map(|w| {
        let mut packed = vec![0.0; PackFormat::F32Panel16.packed_len(&shape).unwrap()];
        PackFormat::F32Panel16.pack(&shape, w, &mut packed).unwrap();
        packed
    });
    let (mut y, mut last) = (vec![7f32; sizes(p).unwrap().y], vec![7f32; p.batch * p.hidden]);
    let mut workspace = vec![0xffu8; kernel.workspace(p, threads)];
    let mut inputs = vec![Src::new(&d.gates)];
    inputs.extend(packed.iter().map(|w| Src::new(w)));
    inputs.push(Src::new(&d.first));
    inputs.extend(p.linear_before_reset.then(|| Src::new(&d.bias)));
    inputs.extend(p.lengths.then(|| Src::new(&d.lengths)));
    let outputs = &mut [Dst::new(&mut y), Dst::new(&mut last)];
    kernel.run(p, Args { inputs: &inputs, outputs, workspace: &mut workspace }, &Pool::new(threads)).unwrap();
    (y, last)
}

#[test]
fn agrees_with_the_definition() {
    for (seq, batch, hidden) in [(1, 1, 3), (5, 2, 20), (4, 3, 33), (3, 7, 48), (6, 4, 16), (4, 1, 200), (3, 0, 5)] {
        for bits in 0..8 {
            let (reverse, linear_before_reset, lengths) = (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0);
            let y_step_stride = batch * hidden + 2;
            let p = GruProblem { seq, batch, hidden, reverse, linear_before_reset, lengths, y_step_stride };
            let d = data(&p);
            let (all, state) = definition(&p, &d);
            for kernel in GRU.iter().filter(|k| crate::detect().contains(k.isa)) {
                let (y, last) = run_on(kernel, &p, &d, 2);
                for t in 0..seq {
                    for i in 0..batch * hidden {
                        let (g, w) = (y[t * y_step_stride + i], all[t * y_step_stride + i]);
                        assert!((f64::from(g) - w).abs() < 5e-6, "{} {p:?}: step {t}, {i}: {g}, {w}", kernel.name);
                    }
                }
                let near = |(g, w): (&f32, &f64)| (f64::from(*g) - w).abs() < 5e-6;
                assert!(last.iter().zip(&state).all(near), "{} {p:?}", kernel.name);
                let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                let (one, ends) = run_on(kernel, &p, &d, 1);
                assert!(bits(&one) == bits(&y) && bits(&ends) == bits(&last), "{} {p:?}: threads", kernel.name);
            }
        }
    }
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let p = GruProblem {
        seq: 3,
        batch: 2,
        hidden: 4,
        reverse: false,
        linear_before_reset: false,
        lengths: true,
        y_step_stride: 8,
    };
    let d = data(&p);
    let (w, mut y, mut last) = (vec![0f32; 64], vec![0f32; 24], vec![0f32; 8]);
    for (lengths, index) in [([1, 4], 4), ([-1, 3], -1)] {
        let inputs = [&d.gates[..], &w, &w, &w, &d.first].map(Src::new);
        let inputs = [&inputs[..], &[Src::new(&lengths[..])]].concat();
        let mut workspace = vec![0u8; GRU[GRU.len() - 1].workspace(&p, 1)];
        let outputs = &mut [Dst::new(&mut y), Dst::new(&mut last)];
        let args = Args { inputs: &inputs, outputs, workspace: &mut workspace };
        let got = GRU[GRU.len() - 1].run(&p, args, &Pool::new(1));
        assert_eq!(got, Err(KernelError::BadIndex { index, len: 3 }));
    }
}
