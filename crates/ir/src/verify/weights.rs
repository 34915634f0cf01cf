//! Weights against their shapes.

use modelsmith_base::DType;
use modelsmith_tensor::{WeightExpr, view_end};

/// Says what is wrong with the expression.
pub(super) fn check(w: &WeightExpr) -> Result<(), String> {
    match w {
        WeightExpr::Literal(_) => Ok(()),
        WeightExpr::Read(r) => {
            let count = r.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
            let wanted = count.and_then(|n| r.dtype.bytes_for(n)).map(|n| n as u64);
            let end = r.offset.checked_add(r.len);
            if r.dtype == DType::String || wanted != Some(r.len) {
                return Err(format!("{}{:?} does not take {} bytes", r.dtype, r.shape, r.len));
            }
            match end.is_some_and(|end| end <= r.source.len()) {
                true => Ok(()),
                false => Err(format!(
                    "bytes {}..{} are wanted of {}, which has {}",
                    r.offset,
                    r.offset.saturating_add(r.len),
                    r.source.name(),
                    r.source.len()
                )),
            }
        }
        WeightExpr::Cast(w, _) => check(w),
        WeightExpr::Permute(w, perm) => {
            let rank = w.shape().len();
            let mut sorted = perm.clone();
            sorted.sort_unstable();
            match sorted.into_iter().eq(0..rank) {
                true => check(w),
                false => Err(format!("{perm:?} is not a permutation of {rank} axes")),
            }
        }
        WeightExpr::Reshape(w, shape) => {
            let count = |s: &[usize]| s.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
            match count(&w.shape()) == count(shape) {
                true => check(w),
                false => Err(format!("{:?} does not reshape to {shape:?}", w.shape())),
            }
        }
        WeightExpr::Slice { of, axis, start, len } => {
            let d = of.shape().get(*axis).copied();
            match start.checked_add(*len).zip(d).is_some_and(|(end, d)| end <= d) {
                true => check(of),
                false => Err(format!("a slice of {len} from {start} along axis {axis} of {:?}", of.shape())),
            }
        }
        WeightExpr::Concat(parts, axis) => {
            let first = parts.first().ok_or("nothing to concatenate")?;
            let other = |s: Vec<usize>| s.into_iter().enumerate().filter(|(i, _)| i != axis).collect::<Vec<_>>();
            for p in parts {
                let fits = p.dtype() == first.dtype()
                    && *axis < p.shape().len()
                    && p.shape().len() == first.shape().len()
                    && other(p.shape()) == other(first.shape());
                if !fits {
                    return Err(format!("{:?} and {:?} do not join along axis {axis}", first.shape(), p.shape()));
                }
                check(p)?;
            }
            Ok(())
        }
        WeightExpr::View { of, offset, shape, strides } => {
            match view_end(*offset, shape, strides).is_some_and(|end| end <= of.len()) {
                true => check(of),
                false => Err(format!("a view of {shape:?} with strides {strides:?} from {offset} of {:?}", of.shape())),
            }
        }
        WeightExpr::Blocks(b) => {
            let wanted = b.encoding.bytes_for(w.len()).map(|n| n as u64);
            match wanted == Some(b.len) && b.offset.checked_add(b.len).is_some_and(|end| end <= b.source.len()) {
                true => Ok(()),
                false => Err(format!("{:?} blocks of {:?} do not lie in {} bytes", b.encoding, b.shape, b.len)),
            }
        }
        WeightExpr::Encode { of, .. } => check(of),
        WeightExpr::Eval { inputs, .. } => inputs.iter().try_for_each(|w| check(w)),
    }
}
