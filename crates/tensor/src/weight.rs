//! Weights as lazy expressions over byte ranges: data that can be printed, hashed, shared and scheduled.

use crate::{DType, Encoding, Error, Result, Source, Tensor, index};
use modelsmith_base::Budget;
use std::sync::Arc;

/// A dense little-endian tensor inside a [`Source`].
#[derive(Clone, Debug)]
pub struct Read {
    /// Where the bytes are.
    pub source: Arc<dyn Source>,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
    /// Element type.
    pub dtype: DType,
    /// Shape.
    pub shape: Vec<usize>,
}

/// Block-encoded elements inside a [`Source`]. Their logical type is `f32`.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Where the bytes are.
    pub source: Arc<dyn Source>,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
    /// How they are encoded.
    pub encoding: &'static Encoding,
    /// Logical shape; the last dimension is a multiple of the block.
    pub shape: Vec<usize>,
}

/// A tensor described by how it is made. Shared sub-expressions are shared `Arc`s.
#[derive(Clone, Debug)]
pub enum WeightExpr {
    /// Bytes of a file.
    Read(Read),
    /// A tensor in memory.
    Literal(Tensor),
    /// Element type conversion, as the ONNX operator Cast.
    Cast(Arc<WeightExpr>, DType),
    /// `out.shape[i] = in.shape[perm[i]]`.
    Permute(Arc<WeightExpr>, Vec<usize>),
    /// Same elements, other shape.
    Reshape(Arc<WeightExpr>, Vec<usize>),
    /// `start..start + len` along `axis`.
    Slice {
        /// What is cut.
        of: Arc<WeightExpr>,
        /// Axis.
        axis: usize,
        /// First index.
        start: usize,
        /// Number of indices.
        len: usize,
    },
    /// Joined along `axis`.
    Concat(Vec<Arc<WeightExpr>>, usize),
    /// The elements of a weight of rank 1, such as a PyTorch storage, at `offset + sum(index[k] * strides[k])`, all
    /// counted in elements. Views of one storage share its `Arc`.
    View {
        /// The storage.
        of: Arc<WeightExpr>,
        /// Element at index 0.
        offset: usize,
        /// Shape of the view.
        shape: Vec<usize>,
        /// Distance of neighbours along each axis.
        strides: Vec<usize>,
    },
    /// Blocks of a file, decoded.
    Blocks(Blocks),
    /// The same elements, to be stored as `encoding` by a format that can.
    Encode {
        /// What is stored.
        of: Arc<WeightExpr>,
        /// How.
        encoding: &'static Encoding,
        /// A weight for each column, from an importance matrix; for a stack of matrices one set, or one for each.
        importance: Option<Arc<[f32]>>,
    },
    /// An operator of the hub applied to weights, in the text syntax of the IR; one result of known type.
    Eval {
        /// Operator with attributes, for example `Mul()` or `Transpose() {perm = [1, 0]}`.
        op: String,
        /// Operands.
        inputs: Vec<Arc<WeightExpr>>,
        /// Element type of the result.
        dtype: DType,
        /// Shape of the result.
        shape: Vec<usize>,
    },
}

/// Runs hub operators for [`WeightExpr::Eval`] and [`WeightExpr::Cast`]; `ops` implements it.
pub trait Evaluator: Sync {
    /// The result of `op` on `inputs`.
    ///
    /// # Errors
    /// When the operator is unknown or refuses its operands.
    fn eval(&self, op: &str, inputs: &[Tensor]) -> Result<Tensor>;
}

impl WeightExpr {
    /// Element type of the result.
    pub fn dtype(&self) -> DType {
        match self {
            WeightExpr::Read(r) => r.dtype,
            WeightExpr::Literal(t) => t.dtype(),
            WeightExpr::Cast(_, d) | WeightExpr::Eval { dtype: d, .. } => *d,
            WeightExpr::Blocks(_) => DType::F32,
            WeightExpr::Permute(w, _) | WeightExpr::Reshape(w, _) => w.dtype(),
            WeightExpr::Slice { of, .. } | WeightExpr::View { of, .. } | WeightExpr::Encode { of, .. } => of.dtype(),
            WeightExpr::Concat(parts, _) => parts.first().map_or(DType::F32, |p| p.dtype()),
        }
    }

    /// Shape of the result.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            WeightExpr::Read(r) => r.shape.clone(),
            WeightExpr::Literal(t) => t.shape().to_vec(),
            WeightExpr::Cast(w, _) => w.shape(),
            WeightExpr::Permute(w, perm) => {
                let s = w.shape();
                perm.iter().map(|&p| s.get(p).copied().unwrap_or(0)).collect()
            }
            WeightExpr::Reshape(_, s) | WeightExpr::Eval { shape: s, .. } | WeightExpr::View { shape: s, .. } => {
                s.clone()
            }
            WeightExpr::Blocks(b) => b.shape.clone(),
            WeightExpr::Encode { of, .. } => of.shape(),
            WeightExpr::Slice { of, axis, len, .. } => {
                let mut s = of.shape();
                if let Some(d) = s.get_mut(*axis) {
                    *d = *len;
                }
                s
            }
            WeightExpr::Concat(parts, axis) => {
                let mut s = parts.first().map(|p| p.shape()).unwrap_or_default();
                if let Some(d) = s.get_mut(*axis) {
                    *d = parts.iter().map(|p| p.shape().get(*axis).copied().unwrap_or(0)).sum();
                }
                s
            }
        }
    }

    /// Number of elements of the result.
    pub fn len(&self) -> usize {
        self.shape().iter().fold(1, |n: usize, &d| n.saturating_mul(d))
    }

    /// True when the result has no elements.
    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }

    /// Packed bytes of the result; 0 for strings.
    pub fn byte_len(&self) -> u64 {
        self.dtype().bytes_for(self.len()).unwrap_or(0) as u64
    }

    /// The bytes where they lie, when the expression is a plain read of mapped bytes.
    pub fn mapped(&self) -> Option<&[u8]> {
        match self {
            WeightExpr::Read(r) => {
                let start = usize::try_from(r.offset).ok()?;
                r.source.as_slice()?.get(start..)?.get(..usize::try_from(r.len).ok()?)
            }
            WeightExpr::Literal(t) if t.dtype() != DType::String => Some(t.bytes()),
            _ => None,
        }
    }
}

/// Computes `expr`. Memory beyond what the source maps is taken from `budget` while it is needed.
///
/// # Errors
/// When a range is outside its source, a file cannot be read, an operator fails or the budget is reached.
pub fn materialize(expr: &WeightExpr, evaluator: &dyn Evaluator, budget: &Budget) -> Result<Tensor> {
    let _held = match expr {
        WeightExpr::Literal(t) => return Ok(t.clone()),
        _ => budget.reserve(expr.byte_len())?,
    };
    let child = |w: &Arc<WeightExpr>| materialize(w, evaluator, budget);
    match expr {
        WeightExpr::Literal(t) => Ok(t.clone()),
        WeightExpr::Read(r) => read(r),
        WeightExpr::Cast(w, to) => evaluator.eval(&format!("Cast() {{to = {}}}", to.name()), &[child(w)?]),
        WeightExpr::Permute(w, perm) => permuted(&child(w)?, perm),
        WeightExpr::Reshape(w, shape) => child(w)?.reshaped(shape),
        WeightExpr::Slice { of, axis, start, len } => sliced(&child(of)?, *axis, *start, *len),
        WeightExpr::Concat(parts, axis) => concat(&parts.iter().map(child).collect::<Result<Vec<_>>>()?, *axis),
        WeightExpr::View { of, offset, shape, strides } => {
            // Most views are consecutive bytes of a storage that may be much larger.
            match crate::ranged::contiguous(of, *offset, shape, strides)? {
                Some(read) => materialize(&read, evaluator, budget),
                None => viewed(&child(of)?, *offset, shape, strides),
            }
        }
        WeightExpr::Blocks(b) => decoded(b),
        WeightExpr::Encode { of, .. } => child(of),
        WeightExpr::Eval { op, inputs, .. } => {
            evaluator.eval(op, &inputs.iter().map(child).collect::<Result<Vec<_>>>()?)
        }
    }
}

/// One past the last element that a view touches; `None` on overflow, 0 for a view without elements.
pub fn view_end(offset: usize, shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.len() != strides.len() {
        return None;
    }
    if shape.contains(&0) {
        return Some(0);
    }
    let reach = shape.iter().zip(strides).try_fold(offset, |n, (&d, &s)| n.checked_add((d - 1).checked_mul(s)?));
    reach?.checked_add(1)
}

fn viewed(t: &Tensor, offset: usize, shape: &[usize], strides: &[usize]) -> Result<Tensor> {
    if view_end(offset, shape, strides).is_none_or(|end| end > t.len()) {
        let what = format!("a view of {shape:?} with strides {strides:?} from {offset} of {} elements", t.len());
        return Err(Error::Shape(format!("{what} leaves its storage")));
    }
    let signed = strides.iter().map(|&s| s as isize).collect::<Vec<_>>();
    t.strided(shape, &signed, offset as isize)
}

fn decoded(b: &Blocks) -> Result<Tensor> {
    let mut out = Tensor::zeros(DType::F32, &b.shape)?;
    let wanted = b.encoding.bytes_for(out.len());
    let found = usize::try_from(b.len).unwrap_or(usize::MAX);
    if wanted != Some(found) {
        let message = format!("{:?} blocks of shape {:?} do not take {} bytes", b.encoding, b.shape, b.len);
        return Err(Error::Shape(message));
    }
    let mut bytes = vec![0; found];
    b.source.read_at(b.offset, &mut bytes)?;
    (b.encoding.decode)(&bytes, out.as_mut_slice()?);
    Ok(out)
}

fn read(r: &Read) -> Result<Tensor> {
    let mut out = Tensor::zeros(r.dtype, &r.shape)?;
    let wanted = out.bytes().len();
    if wanted as u64 != r.len || r.dtype == DType::String {
        let found = usize::try_from(r.len).unwrap_or(usize::MAX);
        return Err(Error::Size { dtype: r.dtype, shape: r.shape.clone(), wanted, found, unit: "bytes" });
    }
    r.source.read_at(r.offset, out.bytes_mut())?;
    Ok(out)
}

/// `out.shape[i] = t.shape[perm[i]]`, for every element type.
///
/// # Errors
/// When `perm` is not a permutation of the axes.
pub fn permuted(t: &Tensor, perm: &[usize]) -> Result<Tensor> {
    let mut seen = vec![false; t.rank()];
    if perm.len() != t.rank() || perm.iter().any(|&p| p >= seen.len() || std::mem::replace(&mut seen[p], true)) {
        return Err(Error::Shape(format!("{perm:?} is not a permutation of {} axes", t.rank())));
    }
    let own = index::strides(t.shape());
    let shape = perm.iter().map(|&p| t.shape()[p]).collect::<Vec<_>>();
    let strides = perm.iter().map(|&p| own[p]).collect::<Vec<_>>();
    if t.dtype() == DType::String || t.dtype().bits() < 8 || t.is_empty() {
        return t.gathered(&shape, index::Offsets::unsigned(&shape, &strides));
    }
    let mut out = Tensor::zeros(t.dtype(), &shape)?;
    match t.dtype().bits() / 8 {
        1 => move_axes::<u8>(t.raw(), bytemuck::cast_slice_mut(out.bytes_mut()), &shape, &strides),
        2 => move_axes::<u16>(t.raw(), bytemuck::cast_slice_mut(out.bytes_mut()), &shape, &strides),
        4 => move_axes::<u32>(t.raw(), bytemuck::cast_slice_mut(out.bytes_mut()), &shape, &strides),
        8 => move_axes::<u64>(t.raw(), bytemuck::cast_slice_mut(out.bytes_mut()), &shape, &strides),
        _ => move_axes::<[u64; 2]>(t.raw(), bytemuck::cast_slice_mut(out.bytes_mut()), &shape, &strides),
    }
    Ok(out)
}

/// Fills `to`, of `shape`, from elements at `strides`: in tiles over the last axis and the one that is contiguous in
/// `from`, so that both sides stay in cache.
fn move_axes<T: Copy>(from: &[T], to: &mut [T], shape: &[usize], strides: &[usize]) {
    const TILE: usize = 32;
    let Some(last) = shape.len().checked_sub(1) else {
        to.copy_from_slice(from);
        return;
    };
    let own = index::strides(shape);
    // The axis of `to` along which `from` is contiguous; the last one when that is longest in any case.
    let near = (0..last).find(|&i| strides[i] == 1 && shape[i] > 1).filter(|_| strides[last] != 1);
    let outer = (0..last).filter(|&i| Some(i) != near).collect::<Vec<_>>();
    let pick = |of: &[usize]| outer.iter().map(|&i| of[i]).collect::<Vec<_>>();
    let sizes = pick(shape);
    let (rows, columns) = (near.map_or(1, |i| shape[i]), shape[last]);
    let (row_from, row_to) = (near.map_or(0, |i| strides[i]), near.map_or(0, |i| own[i]));
    let starts = index::Offsets::unsigned(&sizes, &pick(strides)).zip(index::Offsets::unsigned(&sizes, &pick(&own)));
    for (f, t) in starts {
        if near.is_none() && strides[last] == 1 {
            to[t..t + columns].copy_from_slice(&from[f..f + columns]);
            continue;
        }
        for r0 in (0..rows).step_by(TILE) {
            for c0 in (0..columns).step_by(TILE) {
                for r in r0..(r0 + TILE).min(rows) {
                    let line = &mut to[t + r * row_to + c0..][..(c0 + TILE).min(columns) - c0];
                    for (c, slot) in line.iter_mut().enumerate() {
                        *slot = from[f + r * row_from + (c0 + c) * strides[last]];
                    }
                }
            }
        }
    }
}

fn sliced(t: &Tensor, axis: usize, start: usize, len: usize) -> Result<Tensor> {
    let d = *t.shape().get(axis).ok_or_else(|| Error::Shape(format!("axis {axis} is outside rank {}", t.rank())))?;
    if start.checked_add(len).is_none_or(|end| end > d) {
        return Err(Error::Shape(format!("slice {start}..{} of a dimension of {d}", start.saturating_add(len))));
    }
    let own = index::strides(t.shape());
    let mut shape = t.shape().to_vec();
    shape[axis] = len;
    let signed = own.iter().map(|&s| s as isize).collect::<Vec<_>>();
    t.strided(&shape, &signed, (start * own[axis]) as isize)
}

/// `parts` joined along `axis`.
///
/// # Errors
/// When types, ranks or the other dimensions differ.
pub fn concat(parts: &[Tensor], axis: usize) -> Result<Tensor> {
    let first = parts.first().ok_or_else(|| Error::Shape("nothing to concatenate".into()))?;
    let fits = |t: &&Tensor| {
        t.dtype() == first.dtype()
            && t.rank() == first.rank()
            && axis < t.rank()
            && (0..t.rank()).all(|i| i == axis || t.shape()[i] == first.shape()[i])
    };
    if let Some(bad) = parts.iter().find(|t| !fits(t)) {
        return Err(Error::Shape(format!(
            "{}{:?} and {}{:?} do not join along axis {axis}",
            first.dtype(),
            first.shape(),
            bad.dtype(),
            bad.shape()
        )));
    }
    let mut shape = first.shape().to_vec();
    shape[axis] = parts.iter().map(|t| t.shape()[axis]).sum();
    let outer: usize = shape[..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    if first.dtype() == DType::String {
        let mut out = Vec::new();
        for o in 0..outer {
            for t in parts {
                let row = t.shape()[axis] * inner;
                out.extend_from_slice(&t.strings()?[o * row..][..row]);
            }
        }
        return Tensor::from_strings(&shape, out);
    }
    if first.dtype().bits() < 8 {
        let mut out = Vec::new();
        for o in 0..outer {
            for t in parts {
                let row = t.shape()[axis] * inner;
                out.extend_from_slice(&t.to_f64s()?[o * row..][..row]);
            }
        }
        return Tensor::from_f64s(first.dtype(), &shape, &out);
    }
    let width = first.dtype().bits() / 8;
    let mut out = Tensor::zeros(first.dtype(), &shape)?;
    let to = out.bytes_mut();
    let mut at = 0;
    for o in 0..outer {
        for t in parts {
            let row = t.shape()[axis] * inner * width;
            to[at..at + row].copy_from_slice(&t.bytes()[o * row..][..row]);
            at += row;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemSource;

    struct None_;
    impl Evaluator for None_ {
        fn eval(&self, op: &str, _: &[Tensor]) -> Result<Tensor> {
            Err(Error::Eval { op: op.into(), message: "no operators here".into() })
        }
    }

    fn iota() -> Arc<WeightExpr> {
        let bytes = (0..6u8).collect::<Vec<_>>();
        let source: Arc<dyn Source> = Arc::new(MemSource::new("w", bytes));
        Arc::new(WeightExpr::Read(Read { source, offset: 0, len: 6, dtype: DType::U8, shape: vec![2, 3] }))
    }

    fn value(e: WeightExpr) -> (Vec<usize>, Vec<i64>) {
        let t = materialize(&e, &None_, &Budget::unlimited()).unwrap();
        assert_eq!((t.shape().to_vec(), t.dtype()), (e.shape(), e.dtype()));
        (t.shape().to_vec(), t.to_i64s().unwrap())
    }

    #[test]
    fn expressions_compute_what_they_say() {
        assert_eq!(value(WeightExpr::Permute(iota(), vec![1, 0])), (vec![3, 2], vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(value(WeightExpr::Slice { of: iota(), axis: 1, start: 1, len: 2 }), (vec![2, 2], vec![1, 2, 4, 5]));
        assert_eq!(value(WeightExpr::Concat(vec![iota(), iota()], 0)).0, vec![4, 3]);
        assert_eq!(value(WeightExpr::Reshape(iota(), vec![6])).1, vec![0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn axes_move_like_elements_one_by_one() {
        let shape = [3, 1, 40, 33, 2];
        let n = shape.iter().product::<usize>();
        for perm in
            [[4, 3, 2, 1, 0], [0, 3, 2, 1, 4], [2, 0, 1, 3, 4], [0, 1, 2, 4, 3], [1, 2, 4, 3, 0], [0, 1, 2, 3, 4]]
        {
            let values = (0..n).map(|i| i as i64).collect::<Vec<_>>();
            let own = index::strides(&shape);
            let to = perm.map(|p| shape[p]);
            let wanted = index::Offsets::unsigned(&to, &perm.map(|p| own[p])).map(|i| i as i64).collect::<Vec<_>>();
            for dtype in [DType::I64, DType::I32, DType::U16, DType::F64] {
                let t = Tensor::from_i64s(dtype, &shape, &values).unwrap();
                let moved = permuted(&t, &perm).unwrap();
                assert_eq!(moved.shape(), to);
                assert_eq!(moved.to_f64s().unwrap(), wanted.iter().map(|&x| x as f64).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_budget_holds() {
        let e = materialize(&iota(), &None_, &Budget::new(5)).unwrap_err();
        assert_eq!(e.to_string(), "memory budget reached: 6 bytes wanted, 5 of 5 left");
    }
}
