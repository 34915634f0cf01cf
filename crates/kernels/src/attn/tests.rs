use super::*;
use crate::gemm::tests::noise;
use crate::{Dst, Src};
use modelsmith_kop::AttentionMask;

/// Sizes: batch, heads, heads of keys, queries, keys, columns of Q, columns of V.
type Sizes = [usize; 7];

/// Heads lie inside rows, as a projection leaves them, with `gap` values more between rows.
fn problem([batch, heads, kv_heads, queries, keys, size, values]: Sizes, gap: usize) -> AttentionProblem {
    let view = |offset: usize, heads: usize, rows: usize, columns: usize| {
        let row = heads * columns + gap;
        HeadView { offset, batch: rows * row, head: columns, row }
    };
    AttentionProblem {
        batch,
        heads,
        kv_heads,
        queries,
        keys,
        size,
        values,
        scale: 1.0 / (size.max(1) as f32).sqrt(),
        causal: false,
        blind_zero: true,
        mask: None,
        q: view(3, heads, queries, size),
        k: view(1, kv_heads, keys, size),
        v: view(0, kv_heads, keys, values),
        // The result is dense.
        y: HeadView { offset: 0, batch: heads * queries * values, head: queries * values, row: values },
    }
}

/// Plain loops in f64.
fn reference(p: &AttentionProblem, [q, k, v]: [&[f32]; 3], mask: &dyn Fn(usize) -> f64) -> Vec<f64> {
    let mut y = vec![0.0; reach(&p.y, [p.batch, p.heads, p.queries, p.values]).unwrap()];
    let at = |w: &HeadView, b: usize, h: usize, r: usize| w.offset + b * w.batch + h * w.head + r * w.row;
    for b in 0..p.batch {
        for h in 0..p.heads {
            let kv = h / (p.heads / p.kv_heads);
            for i in 0..p.queries {
                let score = |j: usize| {
                    let (a, c) = (at(&p.q, b, h, i), at(&p.k, b, kv, j));
                    let dot = (0..p.size).map(|d| f64::from(q[a + d]) * f64::from(k[c + d])).sum::<f64>();
                    let added = p.mask.map_or(0.0, |m| mask(b * m.batch + h * m.head + i * m.row + j));
                    if p.causal && j > i { f64::NEG_INFINITY } else { dot * f64::from(p.scale) + added }
                };
                let scores: Vec<f64> = (0..p.keys).map(score).collect();
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                if top == f64::NEG_INFINITY {
                    let blind = if p.blind_zero { 0.0 } else { f64::NAN };
                    (0..p.values).for_each(|e| y[at(&p.y, b, h, i) + e] = blind);
                    continue;
                }
                let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for e in 0..p.values {
                    let all = (0..p.keys).map(|j| weights[j] * f64::from(v[at(&p.v, b, kv, j) + e]));
                    y[at(&p.y, b, h, i) + e] = all.sum::<f64>() / sum;
                }
            }
        }
    }
    y
}

fn check(p: &AttentionProblem, mask_values: &[f32]) {
    check_with(p, mask_values, &|_| ());
}

/// As [`check`], with values that `change` has changed.
fn check_with(p: &AttentionProblem, mask_values: &[f32], change: &dyn Fn(&mut [f32])) {
    let [q, k, v, mask_len, y_len] = extents(p).unwrap();
    let (q, k, mut v) = (noise(q, 1), noise(k, 2), noise(v, 3));
    change(&mut v);
    assert!(mask_len <= mask_values.len());
    let bytes: Vec<u8> = mask_values.iter().map(|x| u8::from(*x == 0.0)).collect();
    let keep = p.mask.is_some_and(|m| m.kind == MaskKind::Keep);
    let added = |i: usize| match keep {
        true if bytes[i] == 0 => f64::NEG_INFINITY,
        true => 0.0,
        false => f64::from(mask_values[i]),
    };
    let want = reference(p, [&q, &k, &v], &added);
    for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
        for threads in [1, 3] {
            let pool = Pool::new(threads);
            let mut y = vec![7.0; y_len];
            let mut workspace = vec![0xffu8; kernel.workspace(p, pool.threads())];
            let mut inputs = vec![Src::new(&q), Src::new(&k), Src::new(&v)];
            if p.mask.is_some() {
                inputs.push(if keep { Src::new(&bytes) } else { Src::new(mask_values) });
            }
            let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut y)], workspace: &mut workspace };
            kernel.run(p, args, &pool).unwrap();
            for (i, (g, w)) in y.iter().zip(&want).enumerate() {
                let near = (f64::from(*g) - w).abs() < 3e-6 || f64::from(*g) == *w || (g.is_nan() && w.is_nan());
                assert!(near, "{} {p:?} at {i}: {g} {w}", kernel.name);
            }
        }
    }
}

#[test]
fn sizes_of_all_kinds() {
    let all: [Sizes; 9] = [
        [1, 1, 1, 1, 1, 1, 1],
        [1, 2, 2, 5, 9, 8, 8],
        [2, 3, 3, 17, 33, 20, 7],
        [1, 12, 12, 30, 30, 64, 64],
        [1, 8, 2, 1, 700, 40, 40],
        [2, 6, 2, 11, 70, 64, 80],
        [1, 4, 1, 150, 128, 16, 16],
        [1, 1, 1, 600, 1500, 12, 12],
        [1, 2, 2, 3, 400, 129, 257],
    ];
    for sizes in all {
        check(&problem(sizes, 0), &[]);
        check(&AttentionProblem { causal: true, ..problem(sizes, 5) }, &[]);
    }
}

#[test]
fn nothing_to_do() {
    for sizes in [[0, 2, 2, 3, 4, 5, 6], [1, 2, 2, 0, 4, 5, 6], [1, 2, 2, 3, 0, 5, 6], [1, 2, 2, 3, 4, 0, 6]] {
        check(&problem(sizes, 0), &[]);
    }
}

#[test]
fn masks() {
    for kind in [MaskKind::Add, MaskKind::Keep] {
        for (sizes, per_head) in [([2, 4, 2, 9, 37, 24, 24], true), ([1, 2, 2, 5, 900, 16, 16], false)] {
            let [batch, heads, _, queries, keys, ..] = sizes;
            let mut values: Vec<f32> = noise(batch * heads * queries * keys, 9).iter().map(|x| x * 4.0).collect();
            for (i, x) in values.iter_mut().enumerate() {
                if kind == MaskKind::Keep && *x > -1.0 {
                    *x = 0.0;
                }
                // Some rows see no key, others none of the first block.
                let (row, key) = (i / keys, i % keys);
                if row % 5 == 2 || i % 7 == 1 || (row % 5 == 3 && key < keys / 2) {
                    *x = f32::NEG_INFINITY;
                }
            }
            let mask = match per_head {
                true => AttentionMask { kind, batch: heads * queries * keys, head: queries * keys, row: keys },
                false => AttentionMask { kind, batch: 0, head: 0, row: keys },
            };
            let p = AttentionProblem { mask: Some(mask), ..problem(sizes, 2) };
            check(&p, &values);
            check(&AttentionProblem { causal: true, blind_zero: false, ..p }, &values);
            // The same for all queries.
            check(&AttentionProblem { mask: Some(AttentionMask { row: 0, ..mask }), ..p }, &values);
        }
    }
}

#[test]
fn values_of_unseen_keys_count_with_weight_zero() {
    for sizes in [[1, 1, 1, 2, 9, 8, 8], [1, 2, 1, 130, 150, 16, 20], [2, 2, 2, 40, 40, 24, 7]] {
        let p = AttentionProblem { causal: true, ..problem(sizes, 5) };
        for (key, value, odd) in
            [(sizes[4] - 1, 3, f32::NAN), (1, 0, f32::INFINITY), (sizes[4] / 2, 6, f32::NEG_INFINITY)]
        {
            check_with(&p, &[], &|v| v[p.v.offset + key * p.v.row + value] = odd);
        }
    }
}

#[test]
fn large_scores_stay_finite() {
    let p = AttentionProblem { scale: 300.0, ..problem([1, 2, 2, 40, 700, 32, 32], 0) };
    let [q, k, v, _, y_len] = extents(&p).unwrap();
    let (q, k, v) = (noise(q, 1), noise(k, 2), noise(v, 3));
    for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
        let mut y = vec![f32::NAN; y_len];
        let mut workspace = vec![0u8; kernel.workspace(&p, 1)];
        let inputs = [Src::new(&q), Src::new(&k), Src::new(&v)];
        let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut y)], workspace: &mut workspace };
        kernel.run(&p, args, &Pool::new(1)).unwrap();
        let most = v.iter().fold(0f32, |m, x| m.max(x.abs()));
        assert!(y.iter().all(|x| x.abs() <= most * 1.0001), "{}", kernel.name);
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let p = problem([1, 4, 2, 3, 5, 8, 8], 0);
    let refused = |p: AttentionProblem| accepts(&p).unwrap_err().0;
    assert!(refused(AttentionProblem { kv_heads: 3, ..p }).contains("share"));
    assert!(refused(AttentionProblem { y: HeadView { row: 3, ..p.y }, ..p }).contains("overlap"));
    assert!(refused(AttentionProblem { q: HeadView { head: usize::MAX, ..p.q }, ..p }).contains("overflow"));
    let (q, mut y) = (vec![0f32; 10], vec![0f32; 96]);
    let mut workspace = vec![0u8; 1 << 20];
    let inputs = [Src::new(&q), Src::new(&q), Src::new(&q)];
    let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut y)], workspace: &mut workspace };
    assert!(matches!(KERNELS[KERNELS.len() - 1].run(&p, args, &Pool::new(1)), Err(KernelError::Buffer { .. })));
}
