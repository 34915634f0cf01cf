//! Weights computed range by range, so that a file larger than memory can be written.

use crate::runs::{Runs, runs};
use crate::weight::view_end;
use crate::{DType, Encoding, Error, Evaluator, Result, Source, Tensor, WeightExpr, bf16, f16, materialize};
use half::slice::HalfFloatSliceExt;
use modelsmith_base::{Budget, Reservation};
use std::sync::Arc;

/// What bytes a weight has in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Little-endian elements, row-major, sub-byte types packed.
    Dense,
    /// Blocks stay blocks, and [`WeightExpr::Encode`] makes them; all else as `Dense`.
    Stored,
}

/// A weight whose bytes can be computed range by range, from several threads.
///
/// Views of a file are turned as they are read. Only what has no contiguous axis, and what an operator makes, is held.
pub struct Ranged<'a> {
    node: Node,
    unit: usize,
    len: u64,
    evaluator: &'a dyn Evaluator,
}

enum Node {
    /// Bytes of a source from here on.
    Bytes(Arc<dyn Source>, u64),
    /// A tensor that can only be computed whole, and the memory that it takes.
    Held {
        tensor: Tensor,
        _memory: Reservation,
    },
    /// A tensor that is in memory anyway.
    Literal(Tensor),
    Runs(Runs),
    Cast {
        of: Box<Node>,
        from: DType,
        to: DType,
        /// Elements converted at a time.
        step: usize,
    },
    Decode {
        of: Box<Node>,
        encoding: &'static Encoding,
    },
    Encode {
        of: Box<Node>,
        encoding: &'static Encoding,
        row: usize,
        /// Elements encoded at a time: whole rows.
        step: usize,
        /// Elements of one matrix of a stack.
        matrix: usize,
        importance: Option<Arc<[f32]>>,
    },
}

/// See [`pieces`].
const PIECE: usize = 32 << 10;

impl<'a> Ranged<'a> {
    /// Prepares `expr`. What cannot be computed range by range (a view without a contiguous axis, an operator) is computed here and
    /// held, within `budget`.
    ///
    /// # Errors
    /// For strings, blocks that do not divide the last dimension, ranges outside their source, and those of
    /// [`materialize`].
    pub fn new(expr: &WeightExpr, form: Form, evaluator: &'a dyn Evaluator, budget: &Budget) -> Result<Ranged<'a>> {
        if expr.dtype() == DType::String {
            return Err(Error::DType { wanted: "numbers", found: DType::String });
        }
        let stored = stored_len(expr, form)?;
        let (node, unit) = match (form, expr) {
            (Form::Stored, WeightExpr::Blocks(b)) => (bytes(&b.source, b.offset, b.len)?, b.encoding.bytes),
            (Form::Stored, WeightExpr::Encode { of, encoding, importance }) => {
                let shape = of.shape();
                let row = shape.last().copied().unwrap_or(0);
                let cast = WeightExpr::Cast(of.clone(), DType::F32);
                let floats = if of.dtype() == DType::F32 { of } else { &cast };
                // Whole rows, and whole units of what is encoded.
                let elements = common_multiple(row, unit_of(floats) / 4);
                let of = Box::new(node(floats, evaluator, budget)?);
                let unit = encoding.bytes_for(elements).unwrap_or(0).max(1);
                let matrix = shape.iter().rev().take(2).product::<usize>().max(1);
                let weights = importance.as_ref().map_or(row, |w| w.len());
                if weights != row && weights != expr.len() / matrix * row {
                    return Err(Error::Shape(format!("{weights} weights of importance for rows of {row} elements")));
                }
                let step = pieces(elements);
                (Node::Encode { of, encoding, row, step, matrix, importance: importance.clone() }, unit)
            }
            _ => (node(expr, evaluator, budget)?, unit_of(expr)),
        };
        Ok(Ranged { node, unit, len: stored, evaluator })
    }

    /// Number of bytes.
    pub fn byte_len(&self) -> u64 {
        self.len
    }

    /// Offsets and lengths of [`Ranged::fill`] are multiples of this, but for a range that reaches the end.
    pub fn unit(&self) -> usize {
        self.unit
    }

    /// Fills `out` with the bytes from `offset`.
    ///
    /// # Errors
    /// When the source cannot be read, or an element has no value in the type wanted.
    pub fn fill(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        fill(&self.node, offset, out, self.evaluator)
    }
}

/// Bytes that `expr` takes in `form`.
///
/// # Errors
/// When blocks do not divide its last dimension.
pub fn stored_len(expr: &WeightExpr, form: Form) -> Result<u64> {
    let encoding = match (form, expr) {
        (Form::Stored, WeightExpr::Blocks(b)) => return Ok(b.len),
        (Form::Stored, WeightExpr::Encode { encoding, .. }) => *encoding,
        _ => return Ok(expr.byte_len()),
    };
    let shape = expr.shape();
    let row = shape.last().copied().unwrap_or(0);
    let whole = encoding.bytes_for(row).and_then(|_| encoding.bytes_for(expr.len()));
    whole.map(|n| n as u64).ok_or_else(|| {
        Error::Shape(format!("rows of {row} elements are not whole {encoding:?} blocks of {}", encoding.elements))
    })
}

/// Elements taken at a time, in multiples of `unit`: few enough that what is between reading and writing stays in cache.
fn pieces(unit: usize) -> usize {
    let unit = unit.max(1);
    (PIECE / unit).max(1) * unit
}

/// The least common multiple; `a` where `b` is 0.
fn common_multiple(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    if x == 0 || b == 0 { a } else { (a / x).saturating_mul(b) }
}

fn unit_of(expr: &WeightExpr) -> usize {
    let width = |d: DType| (d.bits() / 8).max(1);
    match expr {
        WeightExpr::Blocks(b) => b.encoding.elements * 4,
        WeightExpr::Cast(of, to) => (unit_of(of) / width(of.dtype())).max(1) * width(*to),
        WeightExpr::Reshape(of, _) | WeightExpr::Encode { of, .. } => unit_of(of),
        WeightExpr::View { of, offset, shape, strides } => {
            runs(of, *offset, shape, strides).map_or(width(of.dtype()), |r| r.width * r.inner())
        }
        other => width(other.dtype()),
    }
}

fn bytes(source: &Arc<dyn Source>, offset: u64, len: u64) -> Result<Node> {
    match offset.checked_add(len).is_some_and(|end| end <= source.len()) {
        true => Ok(Node::Bytes(source.clone(), offset)),
        false => Err(crate::source::out_of_range(source.as_ref(), offset, len)),
    }
}

fn node(expr: &WeightExpr, evaluator: &dyn Evaluator, budget: &Budget) -> Result<Node> {
    let child = |w: &WeightExpr| node(w, evaluator, budget).map(Box::new);
    let whole = |w: &WeightExpr| w.dtype().bits() >= 8;
    Ok(match expr {
        WeightExpr::Literal(t) => Node::Literal(t.clone()),
        WeightExpr::Read(r) if r.len == expr.byte_len() => bytes(&r.source, r.offset, r.len)?,
        WeightExpr::Reshape(of, shape) if of.len() == shape.iter().product() => return node(of, evaluator, budget),
        WeightExpr::Encode { of, .. } => return node(of, evaluator, budget),
        WeightExpr::Blocks(b) if b.encoding.bytes_for(expr.len()).map(|n| n as u64) == Some(b.len) => {
            Node::Decode { of: Box::new(bytes(&b.source, b.offset, b.len)?), encoding: b.encoding }
        }
        WeightExpr::Cast(of, to) if of.dtype() == *to => return node(of, evaluator, budget),
        WeightExpr::Cast(of, to) if whole(of) && to.bits() >= 8 => {
            let step = pieces(unit_of(of) / (of.dtype().bits() / 8));
            Node::Cast { of: child(of)?, from: of.dtype(), to: *to, step }
        }
        WeightExpr::View { of, offset, shape, strides } => match contiguous(of, *offset, shape, strides)? {
            Some(read) => return node(&read, evaluator, budget),
            None => match runs(of, *offset, shape, strides) {
                Some(runs) => Node::Runs(runs),
                None => held(expr, evaluator, budget)?,
            },
        },
        other => held(other, evaluator, budget)?,
    })
}

fn held(expr: &WeightExpr, evaluator: &dyn Evaluator, budget: &Budget) -> Result<Node> {
    let _memory = budget.reserve(expr.byte_len())?;
    Ok(Node::Held { tensor: materialize(expr, evaluator, budget)?, _memory })
}

/// A view of consecutive bytes of a file as a plain read.
///
/// # Errors
/// When the view leaves its storage.
pub(crate) fn contiguous(
    of: &WeightExpr,
    offset: usize,
    shape: &[usize],
    strides: &[usize],
) -> Result<Option<WeightExpr>> {
    let end = view_end(offset, shape, strides).filter(|&end| end <= of.len());
    if end.is_none() {
        let what = format!("a view of {shape:?} with strides {strides:?} from {offset} of {} elements", of.len());
        return Err(Error::Shape(format!("{what} leaves its storage")));
    }
    let own = crate::index::strides(shape);
    let dense = shape.contains(&0) || (0..shape.len()).all(|i| shape[i] == 1 || strides[i] == own[i]);
    let (WeightExpr::Read(r), true, 0) = (of, dense, r_bits(of) % 8) else { return Ok(None) };
    let width = (r_bits(of) / 8) as u64;
    let count = shape.iter().product::<usize>() as u64;
    Ok(Some(WeightExpr::Read(crate::Read {
        source: r.source.clone(),
        offset: r.offset + if count == 0 { 0 } else { offset as u64 * width },
        len: count * width,
        dtype: r.dtype,
        shape: shape.to_vec(),
    })))
}

fn r_bits(w: &WeightExpr) -> usize {
    w.dtype().bits()
}

/// Memory for `n` bytes, aligned for every element type.
fn room(n: usize) -> Vec<u64> {
    vec![0; n.div_ceil(8)]
}

fn fill(node: &Node, offset: u64, out: &mut [u8], evaluator: &dyn Evaluator) -> Result<()> {
    match node {
        Node::Bytes(source, base) => source.read_at(base + offset, out),
        Node::Runs(r) => r.fill(usize::try_from(offset).unwrap_or(usize::MAX) / r.width, out),
        Node::Held { tensor: t, .. } | Node::Literal(t) => {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let found = t.bytes().get(start..).and_then(|b| b.get(..out.len()));
            let past = || Error::Shape(format!("bytes from {offset} of a tensor of {}", t.bytes().len()));
            out.copy_from_slice(found.ok_or_else(past)?);
            Ok(())
        }
        Node::Cast { of, from, to, step } => {
            let (narrow, wide) = (from.bits() / 8, to.bits() / 8);
            let mut memory = room(narrow * (*step).min(out.len() / wide));
            let mut at = offset / wide as u64 * narrow as u64;
            for out in out.chunks_mut(step * wide) {
                let bytes = &mut bytemuck::cast_slice_mut(&mut memory)[..out.len() / wide * narrow];
                fill(of, at, bytes, evaluator)?;
                cast(*from, *to, bytes, out, evaluator)?;
                at += bytes.len() as u64;
            }
            Ok(())
        }
        Node::Decode { of, encoding } => {
            let blocks = out.len() / 4 / encoding.elements;
            let mut bytes = vec![0; blocks * encoding.bytes];
            let first = offset / 4 / encoding.elements as u64;
            fill(of, first * encoding.bytes as u64, &mut bytes, evaluator)?;
            with_floats(out, |to| (encoding.decode)(&bytes, to));
            Ok(())
        }
        Node::Encode { of, encoding, row, step, matrix, importance } => {
            let elements = out.len() / encoding.bytes * encoding.elements;
            let mut memory = vec![0f32; elements.min(*step)];
            let mut first = offset / encoding.bytes as u64 * encoding.elements as u64;
            for out in out.chunks_mut(step / encoding.elements * encoding.bytes) {
                let floats = &mut memory[..out.len() / encoding.bytes * encoding.elements];
                fill(of, first * 4, bytemuck::cast_slice_mut(floats), evaluator)?;
                encode(encoding, floats, *row, (*matrix, first as usize, importance.as_deref()), out)?;
                first += floats.len() as u64;
            }
            Ok(())
        }
    }
}

/// Encodes the elements from `first` on of a stack of matrices. Importance is given for a row, or for one row of each
/// matrix.
fn encode(
    encoding: &Encoding,
    floats: &[f32],
    row: usize,
    (matrix, first, importance): (usize, usize, Option<&[f32]>),
    out: &mut [u8],
) -> Result<()> {
    let encode = encoding.encode.ok_or_else(|| Error::Shape(format!("{encoding:?} is read, not written")))?;
    let Some(all) = importance.filter(|w| w.len() > row) else {
        encode(floats, row, importance, out);
        return Ok(());
    };
    let mut done = 0;
    while done < floats.len() {
        let at = first + done;
        let count = (matrix - at % matrix).min(floats.len() - done);
        let (from, to) = [done, done + count].map(|n| n / encoding.elements * encoding.bytes).into();
        encode(&floats[done..][..count], row, Some(&all[at / matrix * row..][..row]), &mut out[from..to]);
        done += count;
    }
    Ok(())
}

/// Lends `out` as floats, through a copy where it is not aligned.
fn with_floats(out: &mut [u8], body: impl FnOnce(&mut [f32])) {
    if let Ok(floats) = bytemuck::try_cast_slice_mut(out) {
        return body(floats);
    }
    let mut floats = vec![0f32; out.len() / 4];
    body(&mut floats);
    out.copy_from_slice(bytemuck::cast_slice(&floats));
}

/// Converts elements as the operator Cast does. The float types of checkpoints go without it: widening is exact, and
/// narrowing rounds to nearest, ties to even.
fn cast(from: DType, to: DType, bytes: &[u8], out: &mut [u8], evaluator: &dyn Evaluator) -> Result<()> {
    let count = bytes.len() * 8 / from.bits();
    if to == DType::F32
        && is_short(from)
        && let Ok(floats) = bytemuck::try_cast_slice_mut(out)
        && widen(from, bytes, floats)
    {
        return Ok(());
    }
    if let (true, true) = (is_short(from), is_short(to)) {
        let mut floats = vec![0f32; count];
        if widen(from, bytes, &mut floats) && narrow(to, &floats, out) {
            return Ok(());
        }
    }
    let t = Tensor::from_bytes(from, &[count], bytes)?;
    let cast = evaluator.eval(&format!("Cast() {{to = {}}}", to.name()), &[t])?;
    match cast.bytes().len() == out.len() {
        true => out.copy_from_slice(cast.bytes()),
        false => return Err(Error::Shape(format!("a cast to {to} gave {} bytes", cast.bytes().len()))),
    }
    Ok(())
}

fn is_short(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F16 | DType::BF16)
}

/// Elements of a short float type as `f32`; false where the bytes are not aligned.
fn widen(from: DType, bytes: &[u8], out: &mut [f32]) -> bool {
    match from {
        DType::F16 => bytemuck::try_cast_slice::<u8, f16>(bytes).map(|x| x.convert_to_f32_slice(out)).is_ok(),
        DType::BF16 => bytemuck::try_cast_slice::<u8, bf16>(bytes).map(|x| x.convert_to_f32_slice(out)).is_ok(),
        _ => bytemuck::try_cast_slice::<u8, f32>(bytes).map(|x| out.copy_from_slice(x)).is_ok(),
    }
}

/// The inverse of [`widen`], rounding once.
fn narrow(to: DType, floats: &[f32], out: &mut [u8]) -> bool {
    match to {
        DType::F16 => bytemuck::try_cast_slice_mut::<u8, f16>(out).map(|y| y.convert_from_f32_slice(floats)).is_ok(),
        DType::BF16 => bytemuck::try_cast_slice_mut::<u8, bf16>(out).map(|y| y.convert_from_f32_slice(floats)).is_ok(),
        _ => {
            out.copy_from_slice(bytemuck::cast_slice(floats));
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Blocks, MemSource, Read, encoding};

    struct NoOperators;
    impl Evaluator for NoOperators {
        fn eval(&self, op: &str, _: &[Tensor]) -> Result<Tensor> {
            Err(Error::Eval { op: op.into(), message: "no operators here".into() })
        }
    }

    fn floats(n: usize) -> Arc<WeightExpr> {
        let values = (0..n).map(|i| (i as f32 - 40.0) * 0.37).collect::<Vec<_>>();
        let bytes = bytemuck::cast_slice(&values).to_vec();
        let len = bytes.len() as u64;
        let source: Arc<dyn Source> = Arc::new(MemSource::new("w", bytes));
        Arc::new(WeightExpr::Read(Read { source, offset: 0, len, dtype: DType::F32, shape: vec![n] }))
    }

    /// All bytes, in ranges of `step` units.
    fn streamed(expr: &WeightExpr, form: Form, step: usize) -> Vec<u8> {
        let r = Ranged::new(expr, form, &NoOperators, &Budget::unlimited()).unwrap();
        let mut out = vec![0; r.byte_len() as usize];
        let mut at = 0;
        for part in out.chunks_mut(step.saturating_mul(r.unit())) {
            r.fill(at, part).unwrap();
            at += part.len() as u64;
        }
        out
    }

    #[test]
    fn ranges_join_to_the_whole() {
        let storage = floats(192);
        let view = |offset, shape: &[usize], strides: &[usize]| WeightExpr::View {
            of: storage.clone(),
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        };
        let exprs = [
            view(5, &[7, 3], &[3, 1]),
            view(5, &[3, 7], &[1, 3]),
            view(5, &[4, 2], &[0, 9]),
            view(2, &[3, 5, 4], &[20, 1, 5]),
            view(0, &[4, 3, 5, 2], &[1, 40, 4, 20]),
            view(1, &[6, 3], &[9, 1]),
            view(0, &[3, 4], &[8, 2]),
            view(3, &[2, 1, 5], &[0, 7, 1]),
            view(191, &[1, 1], &[400, 300]),
            view(500, &[0, 4], &[4, 1]),
            WeightExpr::Reshape(storage.clone(), vec![3, 64]),
        ];
        for e in exprs {
            let whole = materialize(&e, &NoOperators, &Budget::unlimited()).unwrap();
            assert_eq!(whole.shape(), e.shape());
            for step in [1, 3, 1000] {
                assert_eq!(streamed(&e, Form::Dense, step), whole.bytes());
            }
        }
    }

    #[test]
    fn a_view_stays_in_its_storage() {
        let e = WeightExpr::View { of: floats(4), offset: 1, shape: vec![2, 2], strides: vec![2, 1] };
        let error = Ranged::new(&e, Form::Dense, &NoOperators, &Budget::unlimited()).err().unwrap().to_string();
        assert_eq!(error, "a view of [2, 2] with strides [2, 1] from 1 of 4 elements leaves its storage");
        assert!(materialize(&e, &NoOperators, &Budget::unlimited()).is_err());
    }

    #[test]
    fn casts_need_no_operators_between_floats() {
        for to in [DType::F16, DType::BF16] {
            let narrow = WeightExpr::Cast(floats(100), to);
            let bytes = streamed(&narrow, Form::Dense, 7);
            let wider = WeightExpr::Cast(Arc::new(narrow.clone()), DType::F32);
            let other = if to == DType::F16 { DType::BF16 } else { DType::F16 };
            let across = WeightExpr::Cast(Arc::new(wider.clone()), other);
            let direct = WeightExpr::Cast(Arc::new(narrow), other);
            assert_eq!(streamed(&across, Form::Dense, 9), streamed(&direct, Form::Dense, 100));
            let halves = Tensor::from_bytes(to, &[100], &bytes).unwrap().to_f64s().unwrap();
            let wide = Tensor::from_bytes(DType::F32, &[100], floats(100).mapped().unwrap()).unwrap();
            let wanted = Tensor::from_f64s(to, &[100], &wide.to_f64s().unwrap()).unwrap();
            assert_eq!(halves, wanted.to_f64s().unwrap());
        }
    }

    /// Pieces within a range end in the middle of a matrix.
    #[test]
    fn what_is_larger_than_a_piece_comes_out_as_in_single_units() {
        let rows = 3 * PIECE / 64 + 5;
        let storage = floats(2 * rows * 64);
        let narrow = WeightExpr::Cast(storage.clone(), DType::F16);
        let once = usize::MAX / 1024;
        assert_eq!(streamed(&narrow, Form::Dense, once), streamed(&narrow, Form::Dense, 1000));
        let wide = WeightExpr::Cast(Arc::new(narrow), DType::F32);
        let turned = WeightExpr::View { of: storage, offset: 0, shape: vec![64, 2 * rows], strides: vec![1, 64] };
        let turned = WeightExpr::Cast(Arc::new(turned), DType::BF16);
        assert_eq!(streamed(&turned, Form::Dense, once), streamed(&turned, Form::Dense, 1));
        let importance = (0..128).map(|i| (i % 7) as f32 + 0.5).collect::<Arc<[f32]>>();
        let of = Arc::new(WeightExpr::Reshape(Arc::new(wide), vec![2, rows, 64]));
        for importance in [None, Some(importance)] {
            let e = WeightExpr::Encode { of: of.clone(), encoding: encoding("Q4_0").unwrap(), importance };
            assert_eq!(streamed(&e, Form::Stored, once), streamed(&e, Form::Stored, 7));
        }
    }

    #[test]
    fn each_matrix_of_a_stack_has_its_own_importance() {
        let q = encoding("Q4_0").unwrap();
        let stack = Arc::new(WeightExpr::Reshape(floats(2 * 3 * 64), vec![2, 3, 64]));
        let weights = (0..128).map(|i| (i % 7) as f32 + if i < 64 { 0.1 } else { 9.0 }).collect::<Vec<_>>();
        let encode = |of, weights: &[f32]| {
            streamed(&WeightExpr::Encode { of, encoding: q, importance: Some(Arc::from(weights)) }, Form::Stored, 2)
        };
        let one = |i: usize| {
            let slice = Arc::new(WeightExpr::Slice { of: stack.clone(), axis: 0, start: i, len: 1 });
            encode(slice, &weights[i * 64..][..64])
        };
        assert_eq!(encode(stack.clone(), &weights), [one(0), one(1)].concat());
        let bad = WeightExpr::Encode { of: stack.clone(), encoding: q, importance: Some(Arc::from(&weights[..65])) };
        let error = Ranged::new(&bad, Form::Stored, &NoOperators, &Budget::unlimited()).err().unwrap().to_string();
        assert_eq!(error, "65 weights of importance for rows of 64 elements");
    }

    #[test]
    fn blocks_are_copied_decoded_and_made() {
        let q = encoding("Q8_0").unwrap();
        let of = Arc::new(WeightExpr::Reshape(floats(192), vec![3, 64]));
        let encode = WeightExpr::Encode { of, encoding: q, importance: None };
        let bytes = streamed(&encode, Form::Stored, 1);
        assert_eq!(bytes.len(), 6 * 34);
        assert_eq!(streamed(&encode, Form::Dense, 50), floats(192).mapped().unwrap());
        let source: Arc<dyn Source> = Arc::new(MemSource::new("q", bytes.clone()));
        let blocks = WeightExpr::Blocks(Blocks { source, offset: 0, len: 6 * 34, encoding: q, shape: vec![3, 64] });
        assert_eq!(streamed(&blocks, Form::Stored, 2), bytes);
        let whole = materialize(&blocks, &NoOperators, &Budget::unlimited()).unwrap();
        assert_eq!(streamed(&blocks, Form::Dense, 2), whole.bytes());
        let halves = WeightExpr::Cast(Arc::new(blocks), DType::F16);
        assert_eq!(streamed(&halves, Form::Dense, 1).len(), 192 * 2);
        let view = |strides: [usize; 3]| WeightExpr::View {
            of: floats(192),
            offset: 0,
            shape: vec![2, 3, 32],
            strides: strides.to_vec(),
        };
        for strides in [[1, 2, 6], [96, 1, 3], [3, 1, 6]] {
            let turned = Arc::new(view(strides));
            let whole = materialize(&turned, &NoOperators, &Budget::unlimited()).unwrap();
            let plain = WeightExpr::Encode { of: Arc::new(WeightExpr::Literal(whole)), encoding: q, importance: None };
            let encode = WeightExpr::Encode { of: turned, encoding: q, importance: None };
            assert_eq!(streamed(&encode, Form::Stored, 1), streamed(&plain, Form::Stored, 3));
        }
        let odd = WeightExpr::Encode { of: floats(40), encoding: q, importance: None };
        let error = stored_len(&odd, Form::Stored).unwrap_err().to_string();
        assert_eq!(error, "rows of 40 elements are not whole Q8_0 blocks of 32");
    }
}
