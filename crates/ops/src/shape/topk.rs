//! TopK: the `K` largest (or smallest) elements along `axis` and their indices, in order; of equal ones the earlier comes first.
//! NaN counts as the largest.
//!
//! <https://onnx.ai/onnx/operators/onnx__TopK.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("K", "tensor(int64)")],
    outputs: &[Param::one("Values", "T"), Param::one("Indices", "I")],
    attrs: &[AttrDef::int("axis", -1), AttrDef::int("largest", 1), AttrDef::int("sorted", 1)],
    types: &[types_of("T", NUMERIC_BF16), types_of("I", I64_ONLY)],
};

/// The ONNX operator TopK.
pub static TOPK: OpDef = OpDef {
    name: "TopK",
    since: 24,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("X", "T")],
                attrs: &[AttrDef::int("axis", -1), AttrDef::required("k", AttrKind::Int)],
                types: &[types_of("T", FLOATS), types_of("I", I64_ONLY)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(|cx| cx.ints_to_input("k", 1)),
            down: Adapt::Rewrite(to_attribute),
        },
        Past {
            since: 10,
            schema: Schema {
                attrs: &[AttrDef::int("axis", -1)],
                types: &[types_of("T", FLOATS), types_of("I", I64_ONLY)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("T", NUMERIC), types_of("I", I64_ONLY)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn to_attribute(cx: &mut AdaptCx) -> OpResult<()> {
    cx.input_to_ints(1, "k")?;
    if let Some(Attr::Ints(k)) = cx.attrs().remove("k") {
        cx.attrs().set("k", k.first().copied().unwrap_or(0));
    }
    Ok(())
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let shape = match cx.shape(0) {
        Some(x) => {
            let axis = shapes::axis(cx.attrs.int("axis")?, x.len())?;
            let mut out = x.to_vec();
            out[axis] = cx.value(1).and_then(|v| v.dims.first().cloned()).unwrap_or(Dim::Unknown);
            Some(out)
        }
        None => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape.clone());
    cx.set_tensor(1, Some(I64), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, k) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?.to_i64s()?);
    let axis = shapes::axis(cx.attrs.int("axis")?, x.rank())?;
    let d = x.shape()[axis];
    let k = match k.as_slice() {
        &[k] if (0..=d as i64).contains(&k) => k as usize,
        _ => return Err(OpError::invalid(format!("K is {k:?}, axis {axis} has {d} elements"))),
    };
    let largest = cx.attrs.flag("largest")?;
    let (outer, inner) = (x.shape()[..axis].iter().product::<usize>(), x.shape()[axis + 1..].iter().product::<usize>());
    let mut from = vec![0; outer * k * inner];
    let mut indices = vec![0i64; from.len()];
    let mut rows = Rows { sizes: [outer, d, inner], k, from: &mut from, indices: &mut indices };
    match x.dtype() {
        F32 if d <= INDEX as usize => {
            let x = x.as_slice::<f32>()?;
            let flip = if largest { !INDEX } else { 0 };
            let number = |v: f32, j: usize| (single_key(v) ^ flip) | j as u64;
            match (inner, largest) {
                (1, true) => rows.fill_rows(x, number, |v, worst| v > worst || v.is_nan()),
                (1, false) => rows.fill_rows(x, number, |v, worst| v < worst || worst.is_nan()),
                _ => rows.fill(|at, j| number(x[at], j), |n| (n & INDEX) as usize),
            }
        }
        _ => {
            let keys = moves::sort_keys(x)?;
            rows.fill(|at, j| (if largest { !keys[at] } else { keys[at] }, j), |p| p.1);
        }
    }
    let mut shape = x.shape().to_vec();
    shape[axis] = k;
    Ok(vec![x.gathered(&shape, from.into_iter())?.into(), Tensor::new(&shape, indices)?.into()])
}

/// The bits of an index behind a key.
const INDEX: u64 = (1 << 29) - 1;

/// A number whose upper 35 bits are ordered as singles are, NaN last, and whose others are zero.
fn single_key(x: f32) -> u64 {
    let bits = (x + 0.0).to_bits();
    let ordered = bits ^ (((bits as i32) >> 31) as u32 | 0x8000_0000);
    u64::from(if x.is_nan() { u32::MAX } else { ordered }) << 29
}

/// Where the elements of rows are chosen.
struct Rows<'a> {
    /// Rows before the axis, its length, and elements behind it.
    sizes: [usize; 3],
    k: usize,
    from: &'a mut [usize],
    indices: &'a mut [i64],
}

impl Rows<'_> {
    /// Chooses by numbers made of an element's place and its index along the axis, which `index` finds in them again.
    fn fill<T: Copy + Ord>(&mut self, number: impl Fn(usize, usize) -> T, index: impl Fn(T) -> usize) {
        let ([outer, d, inner], k) = (self.sizes, self.k);
        let mut found = Vec::new();
        for row in 0..outer * inner {
            let (o, i) = (row / inner, row % inner);
            let at = |j: usize| (o * d + j) * inner + i;
            least(k, (0..d).map(|j| number(at(j), j)), &mut found);
            for (j, &n) in found.iter().enumerate() {
                let (to, source) = ((o * k + j) * inner + i, index(n));
                self.from[to] = at(source);
                self.indices[to] = source as i64;
            }
        }
    }
}

/// Elements of a row that are compared with the worst of those chosen so far at once.
const BLOCK: usize = 16;
/// So many are kept in order while a row is passed over; of more, those that may be chosen are gathered and selected from.
const FEW: usize = 32;

impl Rows<'_> {
    /// As [`Rows::fill`] for rows of singles whose elements are neighbours; `before` tells that a value may come before the
    /// worst of those chosen so far, as that of equal ones with a higher index never does.
    fn fill_rows(&mut self, x: &[f32], number: impl Fn(f32, usize) -> u64, before: impl Fn(f32, f32) -> bool) {
        let ([outer, d, _], k) = (self.sizes, self.k);
        if k == 0 {
            return;
        }
        let mut found = Vec::new();
        for row in 0..outer {
            let values = &x[row * d..(row + 1) * d];
            match k <= FEW {
                true => least_by_insertion(values, k, &number, &before, &mut found),
                false => least_by_selection(values, k, &number, &before, &mut found),
            }
            for (j, &n) in found.iter().enumerate() {
                let source = (n & INDEX) as usize;
                self.from[row * k + j] = row * d + source;
                self.indices[row * k + j] = source as i64;
            }
        }
    }
}

/// True where nothing of `block` comes before `worst`: counted rather than searched, so that whole vectors are compared.
#[inline(always)]
fn none(block: &[f32], worst: f32, before: impl Fn(f32, f32) -> bool) -> bool {
    block.iter().fold(0u32, |any, &v| any | u32::from(before(v, worst))) == 0
}

/// The `k` least numbers of a row, in order, in `found`; `k` is not 0 and not above the row's length.
fn least_by_insertion(
    values: &[f32],
    k: usize,
    number: impl Fn(f32, usize) -> u64,
    before: impl Fn(f32, f32) -> bool,
    found: &mut Vec<u64>,
) {
    found.clear();
    found.extend(values[..k].iter().enumerate().map(|(i, &v)| number(v, i)));
    found.sort_unstable();
    let worst_of = |found: &[u64]| values[(found[k - 1] & INDEX) as usize];
    let mut worst = worst_of(found);
    for (b, block) in values[k..].chunks(BLOCK).enumerate() {
        if none(block, worst, &before) {
            continue;
        }
        for (i, &v) in block.iter().enumerate() {
            if !before(v, worst) {
                continue;
            }
            let n = number(v, k + b * BLOCK + i);
            if n < found[k - 1] {
                let place = found.partition_point(|&f| f < n);
                found.copy_within(place..k - 1, place + 1);
                found[place] = n;
                worst = worst_of(found);
            }
        }
    }
}

/// As [`least_by_insertion`], for many.
fn least_by_selection(
    values: &[f32],
    k: usize,
    number: impl Fn(f32, usize) -> u64,
    before: impl Fn(f32, f32) -> bool,
    found: &mut Vec<u64>,
) {
    let room = 2 * k + 64;
    let mut limit: Option<(u64, f32)> = None;
    found.clear();
    for (b, block) in values.chunks(BLOCK).enumerate() {
        let numbered = block.iter().enumerate().map(|(i, &v)| (v, b * BLOCK + i));
        match limit {
            Some((_, worst)) if none(block, worst, &before) => continue,
            Some((most, worst)) => {
                let candidates = numbered.filter(|&(v, _)| before(v, worst)).map(|(v, i)| number(v, i));
                found.extend(candidates.filter(|&n| n < most));
            }
            None => found.extend(numbered.map(|(v, i)| number(v, i))),
        }
        // What is behind the k-th so far cannot be among the least.
        if found.len() >= room {
            let most = *found.select_nth_unstable(k - 1).1;
            found.truncate(k);
            limit = Some((most, values[(most & INDEX) as usize]));
        }
    }
    if found.len() > k {
        found.select_nth_unstable(k - 1);
        found.truncate(k);
    }
    found.sort_unstable();
}

/// The `k` least of `all`, in order, in `found`.
fn least<T: Copy + Ord>(k: usize, all: impl Iterator<Item = T>, found: &mut Vec<T>) {
    found.clear();
    if k == 0 {
        return;
    }
    let (room, mut most) = (2 * k + 64, None);
    for item in all {
        if most.is_some_and(|most| item >= most) {
            continue;
        }
        found.push(item);
        // What is behind the k-th so far cannot be among the least.
        if found.len() == room {
            most = Some(*found.select_nth_unstable(k - 1).1);
            found.truncate(k);
        }
    }
    if found.len() > k {
        found.select_nth_unstable(k - 1);
        found.truncate(k);
    }
    found.sort_unstable();
}

fn samples(s: &mut Samples) {
    for dtype in NUMERIC_BF16.dtypes() {
        let x = s.any(dtype, &[3, 5]);
        s.case().input(x.clone()).input(Tensor::vector(&[2i64])).outputs(2).add();
        s.case().input(x).input(Tensor::vector(&[3i64])).attr("largest", 0).attr("axis", 0).outputs(2).add();
    }
    let cases: [(&[usize], i64, i64); 5] =
        [(&[6], 0, 6), (&[2, 3, 4], 1, 2), (&[2, 1, 3, 2], -2, 1), (&[1, 2, 1, 3, 2], 3, 2), (&[2, 0], 1, 0)];
    for (shape, axis, k) in cases {
        let x = s.any(F32, shape);
        s.case().input(x).input(Tensor::vector(&[k])).attr("axis", axis).attr("sorted", 0).outputs(2).add();
    }
    let x = s.special(F32, 12);
    s.case().input(x).input(Tensor::vector(&[12i64])).outputs(2).add();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_singles_keep_their_order() {
        let low = [f32::NEG_INFINITY, f32::MIN, -1.0000001, -1.0, -f32::MIN_POSITIVE, -1e-45, -0.0, 1e-45, 1.0];
        let keys = low.into_iter().chain([1.0000001, f32::MAX, f32::INFINITY, f32::NAN]).map(single_key);
        let keys = keys.collect::<Vec<_>>();
        assert!(keys.is_sorted_by(|a, b| a < b) && keys.iter().all(|k| k & INDEX == 0));
        assert_eq!((single_key(0.0), single_key(-f32::NAN)), (single_key(-0.0), single_key(f32::NAN)));
    }

    #[test]
    fn rows_of_singles_are_those_of_single_elements() {
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1.0];
        let value = |i: usize| match (i.wrapping_mul(0x9e37_79b9) >> 7) % 997 {
            n if n < 6 => special[n],
            n => (n % 300) as f32 - 150.0,
        };
        for (d, k) in [(1, 1), (63, 63), (64, 5), (65, 64), (700, 1), (1000, 5), (48, 32), (800, 33), (3000, 300)] {
            let x = (0..3 * d).map(value).collect::<Vec<_>>();
            for largest in [true, false] {
                let flip = if largest { !INDEX } else { 0 };
                let number = |v: f32, j: usize| (single_key(v) ^ flip) | j as u64;
                let [mut from, mut want] = [vec![0; 3 * k], vec![0; 3 * k]];
                let [mut indices, mut places] = [vec![0; 3 * k], vec![0; 3 * k]];
                let mut rows = Rows { sizes: [3, d, 1], k, from: &mut from, indices: &mut indices };
                match largest {
                    true => rows.fill_rows(&x, number, |v, worst| v > worst || v.is_nan()),
                    false => rows.fill_rows(&x, number, |v, worst| v < worst || worst.is_nan()),
                }
                let mut rows = Rows { sizes: [3, d, 1], k, from: &mut want, indices: &mut places };
                rows.fill(|at, j| number(x[at], j), |n| (n & INDEX) as usize);
                assert_eq!((from, indices), (want, places), "{d} {k} {largest}");
            }
        }
    }

    #[test]
    fn the_least_are_those_of_a_sort() {
        let all = (0u64..5000).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 700).collect::<Vec<_>>();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        for k in [0, 1, 5, 699, 4999, 5000] {
            let mut found = vec![7];
            least(k, all.iter().copied(), &mut found);
            assert_eq!(found, sorted[..k]);
        }
    }
}
