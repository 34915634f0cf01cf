//! Which axes a reduction covers, its result's shape, and the fold over its groups: shared by all `Reduce` operators.

use crate::prelude::*;

/// The groups of a reduction: element `i` of the operand belongs to group `group(i)`.
pub struct Groups {
    /// Shape of the result.
    pub shape: Vec<usize>,
    /// Elements in each group.
    pub size: usize,
    kept: Vec<usize>,
    strides: Vec<usize>,
    source: Vec<usize>,
}

impl Groups {
    /// Groups of `x` under the operands and attributes of a `Reduce` node.
    ///
    /// # Errors
    /// When an axis is outside the rank or repeats.
    pub fn of(cx: &EvalCx, inputs: &[Option<&Value>], x: &Tensor) -> OpResult<Groups> {
        let axes = axes(cx.opt_ints(inputs, 1)?.unwrap_or_default(), &cx.attrs, x.rank())?;
        Ok(Groups::over(x.shape(), &axes, cx.attrs.flag("keepdims")?))
    }

    /// Groups of a tensor of shape `source` reduced over `axes`.
    pub fn over(source: &[usize], axes: &[usize], keepdims: bool) -> Groups {
        let one = |i: usize| if axes.contains(&i) { 1 } else { source[i] };
        let kept = (0..source.len()).map(one).collect::<Vec<_>>();
        let dense = index::strides(&kept);
        let strides = (0..source.len()).map(|i| if axes.contains(&i) { 0 } else { dense[i] }).collect();
        let left = (0..source.len()).filter(|i| keepdims || !axes.contains(i)).map(one).collect();
        let size = axes.iter().map(|&i| source[i]).product();
        Groups { shape: left, size, kept, strides, source: source.to_vec() }
    }

    /// Number of groups.
    pub fn count(&self) -> usize {
        self.kept.iter().product()
    }

    /// Group of each element, in row-major order of the operand.
    pub fn of_each(&self) -> index::Offsets {
        index::Offsets::unsigned(&self.source, &self.strides)
    }

    /// `step` over the elements of each group, in order, from `init`.
    pub fn fold<E: Copy, A: Copy>(&self, elements: &[E], init: A, step: impl Fn(A, E) -> A) -> Vec<A> {
        let mut out = vec![init; self.count()];
        for (&e, group) in elements.iter().zip(self.of_each()) {
            out[group] = step(out[group], e);
        }
        out
    }
}

/// Axes that a list of a `Reduce` node means: all when it is empty, unless `noop_with_empty_axes` makes that none.
///
/// # Errors
/// When an axis is outside the rank or repeats.
pub fn axes(list: Vec<i64>, attrs: &AttrView, rank: usize) -> OpResult<Vec<usize>> {
    match (list.is_empty(), attrs.flag("noop_with_empty_axes")?) {
        (true, true) => Ok(vec![]),
        (true, false) => Ok((0..rank).collect()),
        _ => shapes::axes(&list, rank),
    }
}

/// Shape of a `Reduce` node's result.
///
/// # Errors
/// When an axis is outside the rank or repeats.
pub fn infer(cx: &mut InferCx) -> OpResult<()> {
    let keep = cx.attrs.flag("keepdims")?;
    let list = if cx.has(1) { cx.ints(1) } else { Some(vec![]) };
    let shape = match (cx.shape(0), list) {
        (Some(shape), Some(list)) => {
            let axes = axes(list, &cx.attrs, shape.len())?;
            let dim = |i: usize| if axes.contains(&i) { Dim::Known(1) } else { shape[i].clone() };
            Some((0..shape.len()).filter(|i| keep || !axes.contains(i)).map(dim).collect())
        }
        (Some(shape), None) if keep => Some(vec![Dim::Unknown; shape.len()]),
        _ => None,
    };
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

/// Symbolic result where all elements of a shape are folded into one.
pub fn folded_value(cx: &mut InferCx, f: impl Fn(Dim, Dim) -> Dim) {
    let Some(v) = cx.value(0).filter(|v| v.shape.len() == 1) else { return };
    let whole = if cx.has(1) { cx.ints(1).is_some_and(|a| a == [0] || a == [-1]) } else { true };
    let (Ok(keep), Ok(noop)) = (cx.attrs.flag("keepdims"), cx.attrs.flag("noop_with_empty_axes")) else { return };
    if !whole || (noop && !cx.has(1)) {
        return;
    }
    if let Some(total) = v.dims.iter().cloned().reduce(f) {
        cx.set_value(0, if keep { SymTensor::vector(vec![total]) } else { SymTensor::scalar(total) });
    }
}

/// A fold of floats in `f64`, and of integers in `i64` with wrapping; `finish` sees the size of the group.
///
/// # Errors
/// When the operand is not a tensor of numbers or an axis does not fit.
pub fn arithmetic(
    cx: &EvalCx,
    inputs: &[Option<&Value>],
    init: f64,
    float: impl Fn(f64, f64) -> f64,
    int: impl Fn(i64, i64) -> i64,
    finish: impl Fn(f64, usize) -> f64,
) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let g = Groups::of(cx, inputs, x)?;
    let out = if x.dtype().is_float() {
        let sums = g.fold(&x.to_f64s()?, init, float);
        Tensor::from_f64s(x.dtype(), &g.shape, &sums.into_iter().map(|s| finish(s, g.size)).collect::<Vec<_>>())?
    } else {
        Tensor::from_i64s(x.dtype(), &g.shape, &g.fold(&x.to_i64s()?, init as i64, int))?
    };
    Ok(vec![out.into()])
}

/// The largest (`largest`) or smallest element of each group; NaN wins over all. An empty group gives the end of the
/// type's range at which every element would replace it.
///
/// # Errors
/// When the operand is not a tensor of numbers or booleans, or an axis does not fit.
pub fn extreme(cx: &EvalCx, inputs: &[Option<&Value>], largest: bool) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let g = Groups::of(cx, inputs, x)?;
    let out = match x.dtype().int_range() {
        None => {
            let init = if largest { f64::NEG_INFINITY } else { f64::INFINITY };
            let pick = |a: f64, b: f64| match a.is_nan() || b.is_nan() {
                true => f64::NAN,
                false if largest => a.max(b),
                false => a.min(b),
            };
            Tensor::from_f64s(x.dtype(), &g.shape, &g.fold(&x.to_f64s()?, init, pick))?
        }
        Some((lo, hi)) if x.dtype() == U64 => {
            let init = if largest { lo } else { hi } as u64;
            let pick = |a: u64, b: u64| if largest { a.max(b) } else { a.min(b) };
            Tensor::from_u64s(U64, &g.shape, &g.fold(&x.to_u64s()?, init, pick))?
        }
        Some((lo, hi)) => {
            let init = if largest { lo } else { hi } as i64;
            let pick = |a: i64, b: i64| if largest { a.max(b) } else { a.min(b) };
            Tensor::from_i64s(x.dtype(), &g.shape, &g.fold(&x.to_i64s()?, init, pick))?
        }
    };
    Ok(vec![out.into()])
}

/// Position of the largest or smallest element along `axis`, for ArgMax and ArgMin. The first of equals, or the last
/// with `select_last_index`; NaN is never chosen over a number.
///
/// # Errors
/// When the axis is outside the rank or holds no element.
pub fn position(cx: &EvalCx, inputs: &[Option<&Value>], largest: bool) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let axis = shapes::axis(cx.attrs.int("axis")?, x.rank())?;
    let last = cx.attrs.flag("select_last_index")?;
    let g = Groups::over(x.shape(), &[axis], cx.attrs.flag("keepdims")?);
    if g.size == 0 && g.count() > 0 {
        return Err(OpError::invalid(format!("axis {axis} is empty, it has no extreme")));
    }
    let along = (g.size, x.shape()[axis + 1..].iter().product::<usize>());
    let out = match x.dtype() {
        F32 => positions(along, x.as_slice::<f32>()?, (largest, last), |v| v.is_nan()),
        d if d.is_float() => positions(along, &x.to_f64s()?, (largest, last), |v| v.is_nan()),
        U64 => positions(along, &x.to_u64s()?, (largest, last), |_| false),
        _ => positions(along, &x.to_i64s()?, (largest, last), |_| false),
    };
    Ok(vec![Tensor::new(&g.shape, out)?.into()])
}

/// [`best`] by what is asked for: each comparison has a loop of its own.
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "a comparison with NaN has to hold")]
fn positions<E: Copy + PartialOrd>(
    along: (usize, usize),
    x: &[E],
    (largest, last): (bool, bool),
    nan: impl Fn(E) -> bool + Copy,
) -> Vec<i64> {
    // A number is better than NaN, which compares with nothing. Without branches, so that whole vectors are compared.
    match (largest, last) {
        (true, false) => best(along, x, |a, b| !(b <= a) & !nan(b)),
        (true, true) => best(along, x, |a, b| !(b < a) & !nan(b)),
        (false, false) => best(along, x, |a, b| !(b >= a) & !nan(b)),
        (false, true) => best(along, x, |a, b| !(b > a) & !nan(b)),
    }
}

/// Rows that are compared at a time where elements of a row are neighbours.
const LANES: usize = 32;

/// Elements of a line that are compared before the next line is.
const PART: usize = 512;

/// For each row of `size` elements that lie `inner` apart, the index of the best: the first for which no later one is
/// `better`.
fn best<E: Copy>((size, inner): (usize, usize), x: &[E], better: impl Fn(E, E) -> bool) -> Vec<i64> {
    let mut out = Vec::with_capacity(x.len() / size.max(1));
    for block in x.chunks_exact((size * inner).max(1)) {
        if inner == 1 && size >= 4 * LANES {
            out.push(best_of_row(block, &better) as i64);
            continue;
        }
        // Parts of lines of which everything that is held stays in the first-level cache.
        for part in (0..inner).step_by(PART) {
            let n = PART.min(inner - part);
            let (mut held, mut places) = (block[part..part + n].to_vec(), [0u32; PART]);
            for (k, line) in block.chunks_exact(inner).enumerate().skip(1) {
                pick_line(&mut held, &mut places[..n], (k as u32, &line[part..part + n]), &better);
            }
            out.extend(places[..n].iter().map(|&k| i64::from(k)));
        }
    }
    out
}

/// Takes those elements of a line that are better than what is held.
#[inline(always)]
fn pick_line<E: Copy>(held: &mut [E], places: &mut [u32], (k, line): (u32, &[E]), better: impl Fn(E, E) -> bool) {
    for ((held, place), &v) in held.iter_mut().zip(&mut *places).zip(line) {
        let taken = better(*held, v);
        // Said with a mask: as a choice it becomes a store that depends on a condition, one element after the other.
        *place ^= (*place ^ k) & u32::from(taken).wrapping_neg();
        *held = if taken { v } else { *held };
    }
}

/// The index of the best of a row: pieces of it are lines, whose columns are compared first.
fn best_of_row<E: Copy>(row: &[E], better: impl Fn(E, E) -> bool) -> usize {
    let (lines, rest) = row.as_chunks::<LANES>();
    let (mut held, mut places) = (lines[0], [0u32; LANES]);
    for (k, line) in lines.iter().enumerate().skip(1) {
        pick_line(&mut held, &mut places, (k as u32, line), &better);
    }
    let mut found = (0..LANES).map(|i| (places[i] as usize * LANES + i, held[i])).collect::<Vec<_>>();
    // In the order of the row, so that of equals the one is chosen that a single pass would choose.
    found.sort_by_key(|f| f.0);
    found.extend(rest.iter().enumerate().map(|(i, &v)| (lines.len() * LANES + i, v)));
    let of = |a: (usize, E), b: (usize, E)| if better(a.1, b.1) { b } else { a };
    found.into_iter().reduce(of).map_or(0, |f| f.0)
}

/// Type of ArgMax and ArgMin.
///
/// # Errors
/// When the axis is outside the rank.
pub fn infer_position(cx: &mut InferCx) -> OpResult<()> {
    let (axis, keep) = (cx.attrs.int("axis")?, cx.attrs.flag("keepdims")?);
    let shape = match cx.shape(0) {
        Some(shape) => {
            let axis = shapes::axis(axis, shape.len())?;
            let mut shape = shape.to_vec();
            if keep {
                shape[axis] = Dim::Known(1);
            } else {
                shape.remove(axis);
            }
            Some(shape)
        }
        None => None,
    };
    cx.set_tensor(0, Some(I64), shape);
    Ok(())
}

/// A `Reduce` node built with the axes and attributes of `node`.
///
/// # Errors
/// When the operator is unknown.
pub fn rebuilt(b: &mut Builder, node: NodeId, name: &str, x: ValueId) -> OpResult<ValueId> {
    let view = b.attrs(node)?;
    let attrs = Attrs::new()
        .with("keepdims", view.int("keepdims")?)
        .with("noop_with_empty_axes", view.int("noop_with_empty_axes")?);
    let inputs = [Some(x), b.opt_input(node, 1)];
    let given = if inputs[1].is_some() { 2 } else { 1 };
    Ok(b.node("", name, &inputs[..given], attrs, 1)?[0])
}

/// `x` in a type in which sums, powers and exponentials of its elements neither overflow nor lose much: `f64`.
///
/// # Errors
/// When the type is not known.
pub fn widened(b: &mut Builder, x: ValueId) -> OpResult<(ValueId, DType)> {
    let dtype = b.ty(x).dtype().ok_or_else(|| OpError::unsupported("the element type is not known"))?;
    let wide = if dtype == F64 { x } else { b.op_with("Cast", &[x], Attrs::new().with("to", F64))? };
    Ok((wide, dtype))
}

/// `x` cast to `dtype`.
///
/// # Errors
/// When the operator is unknown.
pub fn narrowed(b: &mut Builder, x: ValueId, dtype: DType) -> OpResult<ValueId> {
    if b.ty(x).dtype() == Some(dtype) { Ok(x) } else { b.op_with("Cast", &[x], Attrs::new().with("to", dtype)) }
}

/// From the form with axes as an operand to that with an attribute.
///
/// # Errors
/// When the axes are computed at run time, or `noop_with_empty_axes` matters.
pub fn axes_to_attribute(cx: &mut AdaptCx) -> OpResult<()> {
    let noop = matches!(cx.attrs().remove("noop_with_empty_axes"), Some(Attr::Int(n)) if n != 0);
    cx.input_to_ints(1, "axes")?;
    let empty = match cx.attrs().get("axes") {
        None => true,
        Some(Attr::Ints(x)) => x.is_empty(),
        Some(_) => false,
    };
    if noop && empty {
        return Err(OpError::unsupported("noop_with_empty_axes without axes, which the target always reduces"));
    }
    if empty {
        cx.attrs().remove("axes");
    }
    Ok(())
}

/// Samples of a `Reduce` operator: every type, axes absent, empty, positive and negative, both attributes, all ranks.
/// Floats in `lo..hi`.
pub fn samples(s: &mut Samples, set: TypeSet, lo: f64, hi: f64) {
    for dtype in set.dtypes() {
        let x = if dtype.is_float() { s.floats(dtype, &[2, 3, 4], lo, hi) } else { s.any(dtype, &[2, 3, 4]) };
        s.case().input(x).input(Tensor::vector(&[1i64])).add();
    }
    for shape in Samples::shapes() {
        let x = s.floats(F32, shape, lo, hi);
        s.case().input(x.clone()).add();
        s.case().attr("keepdims", 0).input(x.clone()).add();
        if !shape.is_empty() {
            s.case().input(x.clone()).input(Tensor::vector(&[-1i64])).add();
            s.case().attr("keepdims", 0).input(x.clone()).input(Tensor::vector(&[0i64])).add();
        }
        s.case().attr("noop_with_empty_axes", 1).input(x).add();
    }
    let x = s.floats(F32, &[2, 3, 4], lo, hi);
    s.case().input(x.clone()).input(Tensor::vector::<i64>(&[])).add();
    s.case().attr("noop_with_empty_axes", 1).input(x.clone()).input(Tensor::vector::<i64>(&[])).add();
    s.case().attr("keepdims", 0).input(x).input(Tensor::vector(&[2i64, 0])).add();
    let x = s.special(F32, 12).reshaped(&[3, 4]).expect("12 elements");
    s.case().input(x).input(Tensor::vector(&[1i64])).add();
}

/// Samples of ArgMax and ArgMin.
pub fn position_samples(s: &mut Samples, set: TypeSet) {
    for dtype in set.dtypes() {
        let x = s.any(dtype, &[3, 4]);
        s.case().attr("axis", 1).input(x).add();
    }
    for shape in Samples::shapes().into_iter().filter(|shape| !shape.is_empty()) {
        let x = s.any(I32, shape);
        s.case().attr("axis", -1).input(x.clone()).add();
        s.case().attr("axis", -1).attr("keepdims", 0).input(x.clone()).add();
        s.case().attr("axis", -1).attr("select_last_index", 1).input(x).add();
    }
}
