use super::*;
use modelsmith_kop::BatchDim;

/// Bytes that do not repeat soon, the extremes among them.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |i: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if i.is_multiple_of(7) { [0, 255, 127, 128][(state >> 60) as usize % 4] } else { (state >> 32) as u8 }
    };
    (0..len).map(next).collect()
}

fn number(byte: u8, signed: bool) -> i64 {
    if signed { i64::from(byte as i8) } else { i64::from(byte) }
}

/// The zero point of row or column `i`, and the bytes that follow those of it.
fn zero_of(kind: ZeroPoint, bytes: &[u8], signed: bool, i: usize) -> i64 {
    match kind {
        ZeroPoint::None => 0,
        ZeroPoint::One => number(bytes[0], signed),
        ZeroPoint::Each => number(bytes[i], signed),
    }
}

fn given<'a>(base: [&'a [u8]; 2], zeros: [(ZeroPoint, &'a [u8]); 2]) -> Vec<Src<'a>> {
    let kinds = zeros.into_iter().filter(|z| z.0 != ZeroPoint::None).map(|z| Src::new(z.1));
    base.into_iter().map(Src::new).chain(kinds).collect()
}

const KINDS: [ZeroPoint; 3] = [ZeroPoint::None, ZeroPoint::One, ZeroPoint::Each];

fn check_gemm(p: &IntegerGemmProblem, threads: usize) {
    let [a_len, b_len, c_len] = extents(p).unwrap();
    let (rows, columns) = (noise(p.m.max(1), 3), noise(p.n, 4));
    let a = noise(a_len, 1);
    let logical = noise(if p.b == GemmB::Packed { p.k * p.n } else { b_len }, 2);
    let mut b = logical.clone();
    let (row, column) = match p.b {
        GemmB::Packed => {
            let shape = crate::WeightShape::Matrix { k: p.k, n: p.n, transposed: false };
            b = vec![9; b_len];
            pack_format(p).unwrap().pack_bytes(&shape, &logical, &mut b).unwrap();
            (p.n, 1)
        }
        GemmB::Strided { row_stride, col_stride } => (row_stride, col_stride),
    };
    let mut wanted = vec![-1i32; c_len];
    for at in offsets(p) {
        for (i, j) in (0..p.m).flat_map(|i| (0..p.n).map(move |j| (i, j))) {
            let (za, zb) = (zero_of(p.zeros[0], &rows, p.signed[0], i), zero_of(p.zeros[1], &columns, p.signed[1], j));
            let product = |k: usize| {
                let x = number(a[at[0] + i * p.a_row_stride + k * p.a_col_stride], p.signed[0]) - za;
                x * (number(logical[at[1] + k * row + j * column], p.signed[1]) - zb)
            };
            wanted[at[2] + i * p.c_row_stride + j] = (0..p.k).map(product).sum::<i64>() as i32;
        }
    }
    let pool = Pool::new(threads);
    let inputs = given([&a, &b], [(p.zeros[0], &rows), (p.zeros[1], &columns)]);
    for kernel in GEMM.iter().filter(|k| crate::detect().contains(k.isa)) {
        let mut out = vec![-1i32; c_len];
        let mut workspace = vec![0xa5; kernel.workspace(p, threads)];
        let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut out)], workspace: &mut workspace };
        kernel.run(p, args, &pool).unwrap();
        assert_eq!(out, wanted, "{} {p:?}", kernel.name);
    }
}

fn dense(m: usize, n: usize, k: usize) -> IntegerGemmProblem {
    IntegerGemmProblem {
        m,
        n,
        k,
        batch: vec![],
        a_row_stride: k,
        a_col_stride: 1,
        b: GemmB::Strided { row_stride: n, col_stride: 1 },
        c_row_stride: n,
        signed: [false, true],
        zeros: [ZeroPoint::One, ZeroPoint::One],
    }
}

#[test]
fn products_are_those_of_plain_loops() {
    let sizes = [[1, 1, 1], [5, 17, 3], [13, 64, 8], [7, 65, 130], [150, 33, 21], [3, 5, 0], [0, 4, 4], [6, 130, 64]];
    let sizes = sizes.into_iter().chain([[50, 120, 200], [16, 16, 64], [35, 40, 131], [33, 50, 256]]);
    for (i, [m, n, k]) in sizes.enumerate() {
        for case in 0..36 {
            let signed = [case % 2 == 0, case / 2 % 2 == 0];
            let zeros = [KINDS[case / 4 % 3], KINDS[case / 12]];
            let mut p = IntegerGemmProblem { signed, zeros, ..dense(m, n, k) };
            match (i + case) % 3 {
                0 => p.b = GemmB::Packed,
                1 => p.b = GemmB::Strided { row_stride: 1, col_stride: k },
                _ => {}
            }
            check_gemm(&p, 1 + case % 3);
        }
    }
}

#[test]
fn batches_and_transposed_operands() {
    let batch = |a, b, c| {
        vec![
            BatchDim { len: 2, a_stride: 3 * a, b_stride: 0, c_stride: 3 * c },
            BatchDim { len: 3, a_stride: a, b_stride: b, c_stride: c },
        ]
    };
    let p = dense(9, 40, 12);
    check_gemm(&IntegerGemmProblem { batch: batch(9 * 12, 12 * 40, 9 * 40), ..p.clone() }, 2);
    check_gemm(&IntegerGemmProblem { batch: batch(0, 12 * 40, 9 * 40), ..p.clone() }, 2);
    check_gemm(&IntegerGemmProblem { a_row_stride: 1, a_col_stride: 9, signed: [true, false], ..p.clone() }, 2);
    check_gemm(&IntegerGemmProblem { c_row_stride: 45, ..p }, 2);
}

#[test]
fn long_sums_wrap() {
    let p = IntegerGemmProblem { zeros: [ZeroPoint::None; 2], signed: [false; 2], ..dense(1, 1, 40_000) };
    let ones = vec![255u8; 40_000];
    for kernel in GEMM.iter().filter(|k| crate::detect().contains(k.isa)) {
        let (mut out, mut workspace) = ([0i32], vec![0; kernel.workspace(&p, 1)]);
        let inputs = [Src::new(&ones), Src::new(&ones)];
        let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut out)], workspace: &mut workspace };
        kernel.run(&p, args, &Pool::new(1)).unwrap();
        assert_eq!(out[0], (40_000i64 * 255 * 255) as i32, "{}", kernel.name);
    }
}

#[test]
fn sizes_of_a_damaged_plan_are_computed_without_lists() {
    let (len, c_stride) = (1 << 40, 16);
    let gemm =
        IntegerGemmProblem { batch: vec![BatchDim { len, a_stride: 1, b_stride: 0, c_stride }], ..dense(4, 4, 4) };
    let (mut out, bytes) = ([0i32; 16], [0u8; 16]);
    let inputs = [Src::new(&bytes), Src::new(&bytes), Src::new(&bytes), Src::new(&bytes)];
    for kernel in GEMM.iter().filter(|k| crate::detect().contains(k.isa)) {
        assert!(kernel.accepts(&gemm).is_ok() && kernel.workspace(&gemm, 2) >= len);
        let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut out)], workspace: &mut [] };
        assert!(kernel.run(&gemm, args, &Pool::new(1)).is_err());
    }
    let wide = 1 << 31;
    let conv = IntegerConvProblem { c: wide, oc: wide, groups: wide, h: 1, w: 1, oh: 1, ow: 1, ..conv() };
    for kernel in CONV {
        assert!(kernel.accepts(&conv).is_ok() && kernel.workspace(&conv, 2) >= wide);
    }
}

#[test]
fn problems_that_cannot_be_are_refused() {
    let overlap = IntegerGemmProblem { c_row_stride: 3, ..dense(4, 4, 4) };
    let huge = IntegerGemmProblem { a_row_stride: usize::MAX, ..dense(4, 4, 4) };
    let packed = IntegerGemmProblem {
        b: GemmB::Packed,
        batch: vec![BatchDim { len: 2, a_stride: 16, b_stride: 16, c_stride: 16 }],
        ..dense(4, 4, 4)
    };
    for p in [overlap, huge, packed] {
        assert!(GEMM.iter().all(|k| k.accepts(&p).is_err()), "{p:?}");
    }
    for p in [
        IntegerConvProblem { groups: 2, c: 3, ..conv() },
        IntegerConvProblem { stride: [0, 1], ..conv() },
        IntegerConvProblem { x_zero: ZeroPoint::Each, ..conv() },
        IntegerConvProblem { h: usize::MAX, ..conv() },
    ] {
        assert!(CONV.iter().all(|k| k.accepts(&p).is_err()), "{p:?}");
    }
    let (short, mut out) = ([0u8; 15], [0i32; 16]);
    let inputs = [Src::new(&short), Src::new(&short), Src::new(&short), Src::new(&short)];
    for kernel in GEMM.iter().filter(|k| crate::detect().contains(k.isa)) {
        let mut workspace = vec![0; kernel.workspace(&dense(4, 4, 4), 1)];
        let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut out)], workspace: &mut workspace };
        assert!(kernel.run(&dense(4, 4, 4), args, &Pool::new(1)).is_err());
    }
}

fn conv() -> IntegerConvProblem {
    IntegerConvProblem {
        n: 2,
        c: 6,
        h: 9,
        w: 11,
        oc: 8,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [1, 1, 1, 1],
        groups: 1,
        oh: 9,
        ow: 11,
        signed: [false, true],
        x_zero: ZeroPoint::One,
        w_zero: ZeroPoint::None,
    }
}

fn check_conv(p: &IntegerConvProblem, threads: usize) {
    let [kh, kw] = p.kernel;
    let (ic, m) = (p.c / p.groups, p.oc / p.groups);
    let (x, w) = (noise(p.n * p.c * p.h * p.w, 5), noise(p.oc * ic * kh * kw, 6));
    let (xz, wz) = (noise(1, 7), noise(p.oc, 8));
    let mut wanted = Vec::new();
    for (image, o, y, z) in (0..p.n)
        .flat_map(|i| (0..p.oc).flat_map(move |o| (0..p.oh).flat_map(move |y| (0..p.ow).map(move |z| (i, o, y, z)))))
    {
        let mut sum = 0i64;
        for (c, i, j) in (0..ic).flat_map(|c| (0..kh).flat_map(move |i| (0..kw).map(move |j| (c, i, j)))) {
            let row = (y * p.stride[0] + i * p.dilation[0]).wrapping_sub(p.pad[0]);
            let column = (z * p.stride[1] + j * p.dilation[1]).wrapping_sub(p.pad[1]);
            if row < p.h && column < p.w {
                let at = ((image * p.c + o / m * ic + c) * p.h + row) * p.w + column;
                let a = number(x[at], p.signed[0]) - zero_of(p.x_zero, &xz, p.signed[0], 0);
                let b = number(w[((o * ic + c) * kh + i) * kw + j], p.signed[1]);
                sum += a * (b - zero_of(p.w_zero, &wz, p.signed[1], o));
            }
        }
        wanted.push(sum as i32);
    }
    let pool = Pool::new(threads);
    let inputs = given([&x, &w], [(p.x_zero, &xz), (p.w_zero, &wz)]);
    for kernel in CONV.iter().filter(|k| crate::detect().contains(k.isa)) {
        let mut out = vec![-1i32; wanted.len()];
        let mut workspace = vec![0xa5; kernel.workspace(p, threads)];
        let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut out)], workspace: &mut workspace };
        kernel.run(p, args, &pool).unwrap();
        assert_eq!(out, wanted, "{} {p:?}", kernel.name);
    }
}

#[test]
fn convolutions_are_those_of_plain_loops() {
    let c = conv();
    let shapes = [
        c.clone(),
        IntegerConvProblem { c: 16, oc: 40, ..c.clone() },
        IntegerConvProblem { groups: 2, oc: 4, ..c.clone() },
        IntegerConvProblem { groups: 6, oc: 6, ..c.clone() },
        IntegerConvProblem { kernel: [1, 1], pad: [0; 4], ..c.clone() },
        IntegerConvProblem { stride: [2, 2], oh: 5, ow: 6, ..c.clone() },
        IntegerConvProblem { kernel: [5, 2], dilation: [1, 3], pad: [3, 0, 0, 5], oh: 8, ow: 13, ..c.clone() },
        IntegerConvProblem { pad: [20, 20, 20, 20], oh: 47, ow: 49, ..c.clone() },
        IntegerConvProblem { kernel: [1, 1], stride: [2, 3], pad: [0; 4], oh: 5, ow: 4, ..c },
    ];
    for p in shapes {
        for case in 0..24 {
            let p = IntegerConvProblem {
                signed: [case % 2 == 0, case / 2 % 2 == 0],
                x_zero: KINDS[case / 4 % 2],
                w_zero: KINDS[case / 8],
                ..p.clone()
            };
            check_conv(&p, 1 + case % 3);
        }
    }
}
