//! Shapes, strides and broadcasting over row-major tensors.

use crate::{Error, Result};

/// Strides in elements of a dense row-major tensor.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut out = vec![1usize; shape.len()];
    for i in (1..shape.len()).rev() {
        out[i - 1] = out[i].saturating_mul(shape[i]);
    }
    out
}

/// The shape to which `shapes` broadcast (ONNX multidirectional broadcasting, as numpy).
///
/// # Errors
/// When two dimensions differ and neither is 1.
pub fn broadcast(shapes: &[&[usize]]) -> Result<Vec<usize>> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut out = vec![1; rank];
    for shape in shapes {
        for (o, &d) in out[rank - shape.len()..].iter_mut().zip(*shape) {
            match (*o, d) {
                (a, b) if a == b || b == 1 => {}
                (1, b) => *o = b,
                _ => return Err(Error::Shape(format!("shapes {shapes:?} do not broadcast"))),
            }
        }
    }
    Ok(out)
}

/// Strides with which a tensor of `shape` is read as if it had `target`: 0 where it is repeated.
///
/// # Errors
/// When `shape` does not broadcast to `target`.
pub fn broadcast_strides(shape: &[usize], target: &[usize]) -> Result<Vec<usize>> {
    let fail = || Error::Shape(format!("shape {shape:?} does not broadcast to {target:?}"));
    let lead = target.len().checked_sub(shape.len()).ok_or_else(fail)?;
    let own = strides(shape);
    let mut out = vec![0; target.len()];
    for (i, (&d, &s)) in shape.iter().zip(&own).enumerate() {
        match d {
            d if d == target[lead + i] => out[lead + i] = if d == 1 { 0 } else { s },
            1 => {}
            _ => return Err(fail()),
        }
    }
    Ok(out)
}

/// Flat offsets, under `strides`, of all positions of `shape` in row-major order.
pub struct Offsets {
    shape: Vec<usize>,
    strides: Vec<isize>,
    at: Vec<usize>,
    offset: isize,
    left: usize,
}

impl Offsets {
    /// All positions of `shape`, starting from `start`, under signed `strides`.
    pub fn new(shape: &[usize], strides: &[isize], start: isize) -> Offsets {
        let left = shape.iter().product();
        Offsets { shape: shape.to_vec(), strides: strides.to_vec(), at: vec![0; shape.len()], offset: start, left }
    }

    /// As [`Offsets::new`] from 0, for strides that are never negative.
    pub fn unsigned(shape: &[usize], strides: &[usize]) -> Offsets {
        Offsets::new(shape, &strides.iter().map(|&s| s as isize).collect::<Vec<_>>(), 0)
    }
}

impl Iterator for Offsets {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let out = self.offset;
        for d in (0..self.shape.len()).rev() {
            self.at[d] += 1;
            self.offset += self.strides[d];
            if self.at[d] < self.shape[d] {
                break;
            }
            self.offset -= self.strides[d] * self.shape[d] as isize;
            self.at[d] = 0;
        }
        Some(out as usize)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// The multi-index of flat position `flat` in `shape`.
pub fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut out = vec![0; shape.len()];
    for (o, &d) in out.iter_mut().zip(shape).rev() {
        *o = flat % d.max(1);
        flat /= d.max(1);
    }
    out
}

/// `axis` of a tensor of `rank` dimensions, counted from the end when negative.
///
/// # Errors
/// When it is outside `-rank..rank`.
pub fn axis(axis: i64, rank: usize) -> Result<usize> {
    let r = rank as i64;
    match axis {
        a if (0..r).contains(&a) => Ok(a as usize),
        a if (-r..0).contains(&a) => Ok((a + r) as usize),
        _ => Err(Error::Shape(format!("axis {axis} is outside a tensor of rank {rank}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        assert_eq!(broadcast(&[&[3, 1], &[4]]).unwrap(), [3, 4]);
        assert_eq!(broadcast(&[&[0], &[1]]).unwrap(), [0]);
        assert_eq!(broadcast(&[&[2], &[3]]).unwrap_err().to_string(), "shapes [[2], [3]] do not broadcast");
        let s = broadcast_strides(&[3, 1], &[2, 3, 4]).unwrap();
        assert_eq!(s, [0, 1, 0]);
        assert_eq!(Offsets::unsigned(&[3, 2], &[1, 0]).collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn negative_axes_count_from_the_end() {
        assert_eq!(axis(-1, 3).unwrap(), 2);
        assert_eq!(axis(3, 3).unwrap_err().to_string(), "axis 3 is outside a tensor of rank 3");
        assert!(axis(0, 0).is_err());
    }
}
