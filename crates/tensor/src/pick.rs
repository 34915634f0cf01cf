//! Tensors whose elements are picked from others: by flat index, by runs, by strides; for every element type.

use crate::index::Offsets;
use crate::tensor::Data;
use crate::{DType, Error, Result, Tensor};
use std::ops::Range;

/// Runs `$call::<W>` with the bytes of an element as `W`.
macro_rules! by_width {
    ($dtype:expr, $call:ident($($arg:expr),*)) => {
        match $dtype.bits() / 8 {
            1 => $call::<1>($($arg),*),
            2 => $call::<2>($($arg),*),
            4 => $call::<4>($($arg),*),
            8 => $call::<8>($($arg),*),
            _ => $call::<16>($($arg),*),
        }
    };
}

impl Tensor {
    /// True where elements are whole bytes.
    fn is_bytes(&self) -> bool {
        self.dtype() != DType::String && self.dtype().bits() >= 8
    }

    /// Elements gathered by flat index: `out[i] = self[source[i]]`. Works for every element type.
    ///
    /// # Errors
    /// When the count does not fill `shape` or an index is out of range.
    pub fn gathered(&self, shape: &[usize], source: impl Iterator<Item = usize>) -> Result<Tensor> {
        let n = self.len();
        let checked = |i: usize| if i < n { Ok(i) } else { Err(outside(i, n)) };
        match &self.data {
            Data::Strings(s) => {
                Tensor::from_strings(shape, source.map(|i| Ok(s[checked(i)?].clone())).collect::<Result<_>>()?)
            }
            Data::Bytes(..) if self.is_bytes() => {
                let mut out = Tensor::zeros(self.dtype(), shape)?;
                let done = by_width!(self.dtype(), gather(self.bytes(), out.bytes_mut(), source))
                    .map_err(|i| outside(i, n))?;
                filled(out, done)
            }
            Data::Bytes(..) => {
                let (all, bits) = (self.bytes(), self.dtype().bits());
                let (mask, per) = (((1u16 << bits) - 1) as u8, 8 / bits);
                let values = source
                    .map(|i| checked(i).map(|i| i64::from((all[i / per] >> (i % per * bits)) & mask)))
                    .collect::<Result<Vec<_>>>()?;
                let unsigned = if bits == 2 { DType::U2 } else { DType::U4 };
                Ok(Tensor::from_i64s(unsigned, shape, &values)?.relabelled(self.dtype()))
            }
        }
    }

    /// Runs of elements that follow each other, by their flat indices.
    ///
    /// # Errors
    /// When the count does not fill `shape` or a run leaves the tensor.
    pub fn gathered_runs(&self, shape: &[usize], runs: impl Iterator<Item = Range<usize>>) -> Result<Tensor> {
        if !self.is_bytes() {
            return self.gathered(shape, runs.flatten());
        }
        let (mut out, width) = (Tensor::zeros(self.dtype(), shape)?, self.dtype().bits() / 8);
        let (from, mut done, total) = (self.bytes(), 0, out.len());
        let (to, n) = (out.bytes_mut(), self.len());
        for run in runs.filter(|r| !r.is_empty()) {
            if run.end > n {
                return Err(outside(run.end - 1, n));
            }
            if total - done < run.len() {
                done = total.saturating_add(1);
                break;
            }
            let place = &mut to[done * width..][..run.len() * width];
            done += run.len();
            place.copy_from_slice(&from[run.start * width..run.end * width]);
        }
        filled(out, done)
    }

    /// The view of `shape` whose element at `i` is `start + sum(i[d] * strides[d])`, as a tensor of its own.
    ///
    /// # Errors
    /// When the view leaves the tensor.
    pub fn strided(&self, shape: &[usize], strides: &[isize], start: isize) -> Result<Tensor> {
        if !self.is_bytes() {
            return self.gathered(shape, Offsets::new(shape, strides, start));
        }
        let mut out = Tensor::zeros(self.dtype(), shape)?;
        if out.is_empty() {
            return Ok(out);
        }
        let reach = |sign: isize| {
            let steps = shape.iter().zip(strides).filter(|(_, s)| s.signum() == sign);
            steps.fold(start as i128, |at, (&d, &s)| at + (d as i128 - 1) * s as i128)
        };
        for end in [reach(-1), reach(1)] {
            if end < 0 || end >= self.len() as i128 {
                return Err(outside(usize::try_from(end).unwrap_or(usize::MAX), self.len()));
            }
        }
        let (dims, strides) = merged(shape, strides);
        by_width!(self.dtype(), walk(self.bytes(), out.bytes_mut(), &dims, &strides, start));
        Ok(out)
    }

    /// A copy in which element `at[i]` is element `i` of `values`, the last where several have one place.
    ///
    /// # Errors
    /// When the types differ, there are not as many places as values, or a place is out of range.
    pub fn replaced(&self, at: &[usize], values: &Tensor) -> Result<Tensor> {
        if self.dtype() != values.dtype() || at.len() != values.len() {
            let what = format!("{} places for {} values of type {}", at.len(), values.len(), values.dtype());
            return Err(Error::Shape(what));
        }
        let n = self.len();
        if let Some(&i) = at.iter().find(|&&i| i >= n) {
            return Err(outside(i, n));
        }
        if !self.is_bytes() {
            let mut from = (0..n).collect::<Vec<_>>();
            at.iter().enumerate().for_each(|(i, &p)| from[p] = n + i);
            let flat = |t: &Tensor| t.reshaped(&[t.len()]);
            return crate::concat(&[flat(self)?, flat(values)?], 0)?.gathered(self.shape(), from.into_iter());
        }
        let mut out = self.clone();
        by_width!(self.dtype(), put(values.bytes(), out.bytes_mut(), at));
        Ok(out)
    }

    /// A copy in which the `run` elements from `starts[i]` on are the `i`-th `run` elements of `values`, the last where
    /// several have one place.
    ///
    /// # Errors
    /// When the types differ, there are not as many places as values, or a run leaves the tensor.
    pub fn replaced_runs(&self, starts: &[usize], run: usize, values: &Tensor) -> Result<Tensor> {
        if !self.is_bytes() || run == 1 {
            let at = starts.iter().flat_map(|&s| s..s.saturating_add(run)).collect::<Vec<_>>();
            return self.replaced(&at, values);
        }
        if self.dtype() != values.dtype() || starts.len().checked_mul(run) != Some(values.len()) {
            let what = format!("{} runs of {run} for {} values of type {}", starts.len(), values.len(), values.dtype());
            return Err(Error::Shape(what));
        }
        let (n, width) = (self.len(), self.dtype().bits() / 8);
        if let Some(&s) = starts.iter().find(|&&s| s > n || n - s < run) {
            return Err(outside(s.saturating_add(run).saturating_sub(1), n));
        }
        let mut out = self.clone();
        let to = out.bytes_mut();
        for (&start, new) in starts.iter().zip(values.bytes().chunks_exact((run * width).max(1))) {
            to[start * width..][..new.len()].copy_from_slice(new);
        }
        Ok(out)
    }

    /// A copy in which the elements of each of `runs` are zeros, `false`, or empty strings. Runs that leave the tensor end
    /// with it.
    pub fn cleared(&self, runs: impl Iterator<Item = Range<usize>>) -> Tensor {
        let (mut out, n) = (self.clone(), self.len());
        let (bits, inside) = (self.dtype().bits(), |r: Range<usize>| r.start.min(n)..r.end.min(n));
        match &mut out.data {
            Data::Strings(s) => {
                let all = std::sync::Arc::make_mut(s);
                runs.flat_map(inside).for_each(|i| all[i].clear());
            }
            Data::Bytes(_) if bits >= 8 => {
                let to = out.bytes_mut();
                runs.map(inside)
                    .filter(|r| r.start < r.end)
                    .for_each(|r| to[r.start * bits / 8..r.end * bits / 8].fill(0));
            }
            Data::Bytes(_) => {
                let (to, per) = (out.bytes_mut(), 8 / bits);
                let mask = ((1u16 << bits) - 1) as u8;
                runs.flat_map(inside).for_each(|i| to[i / per] &= !(mask << (i % per * bits)));
            }
        }
        out
    }

    /// Rows that are put together from pieces of rows of this tensor: for each of `rows`, the flat index of the row that it
    /// comes from or `None` for `fill` alone; for each of `pieces`, which follow each other in a row, the elements of such a
    /// row or `None` for `fill`, with their number.
    ///
    /// # Errors
    /// When `fill` is not one element of this type, or the pieces leave the tensor or do not fill `shape`.
    pub fn pieced(
        &self,
        shape: &[usize],
        rows: &[Option<usize>],
        pieces: &[(Option<Range<usize>>, usize)],
        fill: &Tensor,
    ) -> Result<Tensor> {
        let width: usize = pieces.iter().map(|p| p.1).sum();
        let reach = pieces.iter().filter_map(|p| p.0.as_ref().map(|r| r.end)).max().unwrap_or(0);
        let last = rows.iter().flatten().max().copied();
        let outside = last.is_some_and(|last| last.saturating_add(reach) > self.len());
        let wrong = pieces.iter().any(|p| p.0.as_ref().is_some_and(|r| r.len() != p.1));
        if fill.dtype() != self.dtype() || fill.len() != 1 || wrong || outside {
            return Err(Error::Shape(format!("pieces of rows of a tensor of shape {:?}", self.shape())));
        }
        if !self.is_bytes() {
            let all = crate::concat(&[self.reshaped(&[self.len()])?, fill.reshaped(&[1])?], 0)?;
            let one = |base: Option<usize>| {
                let of = move |(run, n): &(Option<Range<usize>>, usize)| {
                    let (from, n) = (base.and_then(|b| run.as_ref().map(|r| b + r.start)), *n);
                    (0..n).map(move |i| from.map_or(usize::MAX, |f| f + i))
                };
                pieces.iter().flat_map(of)
            };
            let n = self.len();
            return all.gathered(shape, rows.iter().flat_map(|&b| one(b)).map(|i| i.min(n)));
        }
        let mut out = Tensor::zeros(self.dtype(), shape)?;
        if rows.len().checked_mul(width) != Some(out.len()) {
            let (found, wanted) = (rows.len().saturating_mul(width), out.len());
            return Err(Error::Size { dtype: out.dtype(), shape: shape.to_vec(), wanted, found, unit: "elements" });
        }
        if !out.is_empty() {
            by_width!(self.dtype(), join(self.bytes(), out.bytes_mut(), (rows, width), pieces, fill.bytes()));
        }
        Ok(out)
    }
}

fn outside(i: usize, n: usize) -> Error {
    Error::Shape(format!("flat index {i} is outside a tensor of {n} elements"))
}

/// `out`, of which `done` elements were given.
fn filled(out: Tensor, done: usize) -> Result<Tensor> {
    let total = out.len();
    match done {
        d if d == total => Ok(out),
        d if d > total => Err(Error::Shape(format!("more elements than shape {:?} holds", out.shape()))),
        found => {
            Err(Error::Size { dtype: out.dtype(), shape: out.shape().to_vec(), wanted: total, found, unit: "elements" })
        }
    }
}

/// Number of elements given, one more than there is room for when there were too many; the first index outside otherwise.
fn gather<const W: usize>(
    from: &[u8],
    to: &mut [u8],
    source: impl Iterator<Item = usize>,
) -> std::result::Result<usize, usize> {
    let (from, to) = (from.as_chunks::<W>().0, to.as_chunks_mut::<W>().0);
    let mut done = 0;
    for i in source {
        let value = *from.get(i).ok_or(i)?;
        let Some(slot) = to.get_mut(done) else { return Ok(done + 1) };
        *slot = value;
        done += 1;
    }
    Ok(done)
}

fn join<const W: usize>(
    from: &[u8],
    to: &mut [u8],
    (rows, width): (&[Option<usize>], usize),
    pieces: &[(Option<Range<usize>>, usize)],
    fill: &[u8],
) {
    let (from, to) = (from.as_chunks::<W>().0, to.as_chunks_mut::<W>().0);
    let fill = fill.as_chunks::<W>().0[0];
    for (&base, row) in rows.iter().zip(to.chunks_exact_mut(width)) {
        let Some(base) = base else {
            row.fill(fill);
            continue;
        };
        let (from, mut at) = (&from[base..], 0);
        for (run, n) in pieces {
            match run {
                None => row[at..at + n].fill(fill),
                // Mirrored borders are pieces of one element.
                Some(run) if *n == 1 => row[at] = from[run.start],
                Some(run) => row[at..at + n].copy_from_slice(&from[run.clone()]),
            }
            at += n;
        }
    }
}

fn put<const W: usize>(from: &[u8], to: &mut [u8], at: &[usize]) {
    let to = to.as_chunks_mut::<W>().0;
    for (&i, value) in at.iter().zip(from.as_chunks::<W>().0) {
        to[i] = *value;
    }
}

/// The same walk in as few dimensions as say it, at least two.
fn merged(shape: &[usize], strides: &[isize]) -> (Vec<usize>, Vec<isize>) {
    let (mut dims, mut steps): (Vec<usize>, Vec<isize>) = (vec![1], vec![0]);
    for (&d, &s) in shape.iter().zip(strides).filter(|(d, _)| **d != 1) {
        let last = dims.len() - 1;
        if dims[last] > 1 && steps[last] == s.wrapping_mul(d as isize) {
            (dims[last], steps[last]) = (dims[last] * d, s);
        } else {
            dims.push(d);
            steps.push(s);
        }
    }
    if dims.len() == 1 {
        dims.push(1);
        steps.push(0);
    }
    (dims, steps)
}

/// Fills `to` in order from the elements that `dims` and `strides` meet in `from`.
fn walk<const W: usize>(from: &[u8], to: &mut [u8], dims: &[usize], strides: &[isize], start: isize) {
    let (from, mut to) = (from.as_chunks::<W>().0, to.as_chunks_mut::<W>().0);
    let outer = dims.len() - 2;
    let ([rows, columns], [down, along]) = ([dims[outer], dims[outer + 1]], [strides[outer], strides[outer + 1]]);
    for base in Offsets::new(&dims[..outer], &strides[..outer], start) {
        for row in 0..rows {
            let at = (base as isize + row as isize * down) as usize;
            let (now, later) = to.split_at_mut(columns);
            match along {
                1 => now.copy_from_slice(&from[at..][..columns]),
                0 => now.fill(from[at]),
                _ => {
                    let mut place = at as isize;
                    for slot in now {
                        *slot = from[place as usize];
                        place += along;
                    }
                }
            }
            to = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(n: usize) -> Tensor {
        Tensor::from_i64s(DType::I32, &[n], &(0..n as i64).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn elements_are_gathered_by_index() {
        let a = Tensor::from_i64s(DType::I4, &[4], &[-1, 2, 3, 4]).unwrap();
        assert_eq!(a.gathered(&[2], [3, 0].into_iter()).unwrap().to_i64s().unwrap(), [4, -1]);
        let b = Tensor::vector(&[1.5f32, 2.5]);
        assert_eq!(b.gathered(&[1], [1].into_iter()).unwrap().to_f64s().unwrap(), [2.5]);
        let said = |r: Result<Tensor>| r.err().unwrap().to_string();
        assert_eq!(said(b.gathered(&[1], [2].into_iter())), "flat index 2 is outside a tensor of 2 elements");
        assert_eq!(said(b.gathered(&[1], [0, 1].into_iter())), "more elements than shape [1] holds");
        assert!(b.gathered(&[2], [0].into_iter()).is_err());
    }

    #[test]
    fn runs_are_those_of_single_elements() {
        for t in [count(12), Tensor::from_i64s(DType::U4, &[12], &(0..12).collect::<Vec<_>>()).unwrap()] {
            let got = t.gathered_runs(&[2, 3], [9..12, 4..4, 0..3].into_iter()).unwrap();
            assert_eq!(got.to_i64s().unwrap(), [9, 10, 11, 0, 1, 2]);
            assert!(t.gathered_runs(&[3], std::iter::once(10..13)).is_err());
            assert!(t.gathered_runs(&[3], [0..3, 0..3].into_iter()).is_err());
            assert!(t.gathered_runs(&[6], std::iter::once(0..3)).is_err());
        }
    }

    #[test]
    fn strided_views_are_those_of_their_offsets() {
        let cases: [(&[usize], &[isize], isize); 8] = [
            (&[], &[], 5),
            (&[24], &[1], 0),
            (&[2, 3, 4], &[12, 4, 1], 0),
            (&[4, 3, 2], &[1, 4, 12], 0),
            (&[2, 1, 3, 2], &[0, 7, 4, 1], 3),
            (&[3, 4], &[-4, -1], 23),
            (&[2, 3, 2, 4], &[12, 0, 4, 1], 1),
            (&[3, 0], &[1, 1], 0),
        ];
        for dtype in [DType::U8, DType::F16, DType::I32, DType::F64, DType::Complex128, DType::I4] {
            let all = (0..24).map(|i| f64::from(i % 8)).collect::<Vec<_>>();
            let pairs = all.iter().map(|&x| [x, 0.0]).collect::<Vec<_>>();
            let t = match dtype.is_complex() {
                true => Tensor::from_complex(dtype, &[24], &pairs),
                false => Tensor::from_f64s(dtype, &[24], &all),
            };
            let t = t.unwrap();
            for (shape, strides, start) in cases {
                let want = t.gathered(shape, Offsets::new(shape, strides, start)).unwrap();
                assert!(t.strided(shape, strides, start).unwrap().same_bits(&want), "{dtype} {shape:?} {strides:?}");
            }
            assert!(t.strided(&[2, 3], &[12, 6], 1).is_err());
            assert!(t.strided(&[2], &[-1], 0).is_err());
        }
    }

    #[test]
    fn runs_are_replaced_and_cleared() {
        for dtype in [DType::I32, DType::I4, DType::F64] {
            let t = Tensor::from_i64s(dtype, &[3, 2], &[1, 2, 3, 4, 5, 6]).unwrap();
            let values = Tensor::from_i64s(dtype, &[6], &[7, -1, -2, -3, -4, -5]).unwrap();
            let got = t.replaced_runs(&[4, 0, 4], 2, &values).unwrap();
            assert_eq!(got.to_f64s().unwrap(), [-2.0, -3.0, 3.0, 4.0, -4.0, -5.0], "{dtype}");
            assert!(t.replaced_runs(&[5, 0, 4], 2, &values).is_err());
            assert!(t.replaced_runs(&[0, 0, usize::MAX], 2, &values).is_err());
            assert!(t.replaced_runs(&[0], 2, &values).is_err());
            let none = Tensor::zeros(dtype, &[0]).unwrap();
            assert!(t.replaced_runs(&[], 2, &none).unwrap().same_bits(&t));
            let got = t.cleared([1..2, 3..3, 4..9].into_iter());
            assert_eq!(got.to_f64s().unwrap(), [1.0, 0.0, 3.0, 4.0, 0.0, 0.0], "{dtype}");
        }
        let words = Tensor::from_strings(&[3], vec!["a".into(), "b".into(), "c".into()]).unwrap();
        assert_eq!(words.cleared(std::iter::once(1..2)).strings().unwrap(), ["a", "", "c"]);
    }

    #[test]
    fn rows_are_put_together_from_pieces() {
        let rows = [Some(3), None, Some(0)];
        let pieces = [(None, 1), (Some(1..3), 2), (Some(1..2), 1), (Some(0..0), 0)];
        for dtype in [DType::U8, DType::I4, DType::I64] {
            let t = Tensor::from_i64s(dtype, &[2, 3], &[1, 2, 3, 4, 5, 6]).unwrap();
            let fill = Tensor::from_i64s(dtype, &[], &[7]).unwrap();
            let got = t.pieced(&[3, 4], &rows, &pieces, &fill).unwrap().to_i64s().unwrap();
            assert_eq!(got, [7, 5, 6, 5, 7, 7, 7, 7, 7, 2, 3, 2], "{dtype}");
            assert!(t.pieced(&[3, 5], &rows, &pieces, &fill).is_err());
            assert!(t.pieced(&[3, 4], &[Some(4), None, None], &pieces, &fill).is_err());
            assert!(t.pieced(&[1, 2], &[Some(0)], &[(Some(0..1), 2)], &fill).is_err());
            assert!(t.pieced(&[0, 4], &[], &pieces, &fill).unwrap().is_empty());
        }
    }

    #[test]
    fn the_last_of_several_values_stays() {
        for dtype in [DType::I32, DType::I4] {
            let t = Tensor::from_i64s(dtype, &[2, 2], &[1, 2, 3, 4]).unwrap();
            let values = Tensor::from_i64s(dtype, &[3], &[5, 6, 7]).unwrap();
            assert_eq!(t.replaced(&[0, 3, 0], &values).unwrap().to_i64s().unwrap(), [7, 2, 3, 6]);
            assert!(t.replaced(&[0, 4, 0], &values).is_err());
            assert!(t.replaced(&[0], &values).is_err());
        }
    }
}
