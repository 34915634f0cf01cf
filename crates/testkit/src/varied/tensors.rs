//! Tensors near another: of another type, size or content.

use modelsmith_ir::Samples;
use modelsmith_tensor::{DType, Map, MapKeys, Tensor};

/// The same values in another type, as near as it holds them; `None` between numbers and strings.
pub fn retyped(t: &Tensor, dtype: DType, rng: &mut Samples) -> Option<Tensor> {
    let from = t.dtype();
    if from == DType::String || dtype == DType::String {
        return Some(rng.any(dtype, t.shape()));
    }
    if from.is_complex() || dtype.is_complex() {
        let values = t.to_complex().ok()?;
        return match dtype.is_complex() {
            true => Tensor::from_complex(dtype, t.shape(), &values).ok(),
            false => Tensor::from_f64s(dtype, t.shape(), &values.iter().map(|v| v[0]).collect::<Vec<_>>()).ok(),
        };
    }
    if let (Ok(ints), true) = (t.to_i64s(), dtype.is_int()) {
        let (lo, hi) = dtype.int_range()?;
        let fit = |&x: &i64| i128::from(x).clamp(lo, hi) as i64;
        return Tensor::from_i64s(dtype, t.shape(), &ints.iter().map(fit).collect::<Vec<_>>()).ok();
    }
    Tensor::from_f64s(dtype, t.shape(), &t.to_f64s().ok()?).ok()
}

/// A tensor of another shape whose elements are those of `t`, read round and round along every axis that both have,
/// axes matched from the last.
pub fn resized(t: &Tensor, shape: &[usize], rng: &mut Samples) -> Option<Tensor> {
    let total = shape.iter().product::<usize>();
    if t.is_empty() || total > 1 << 16 {
        return (total <= 1 << 16).then(|| rng.any(t.dtype(), shape));
    }
    let from = t.shape();
    let at = (0..total).map(|flat| {
        let (mut rest, mut stride, mut index) = (flat, 1, 0);
        for (k, &size) in shape.iter().rev().enumerate() {
            let position = rest % size;
            rest /= size;
            if let Some(&old) = from.len().checked_sub(k + 1).and_then(|a| from.get(a)) {
                index += (position % old) * stride;
                stride *= old;
            }
        }
        index
    });
    picked(t, shape, &at.collect::<Vec<_>>())
}

/// The elements of `t` at these places.
pub fn picked(t: &Tensor, shape: &[usize], at: &[usize]) -> Option<Tensor> {
    if let Ok(words) = t.strings() {
        return Tensor::from_strings(shape, at.iter().map(|&i| words[i].clone()).collect()).ok();
    }
    if t.dtype().bits() >= 8 {
        let width = t.dtype().bits() / 8;
        let bytes = at.iter().flat_map(|&i| t.bytes()[i * width..][..width].to_vec()).collect::<Vec<_>>();
        return Tensor::from_bytes(t.dtype(), shape, &bytes).ok();
    }
    let values = t.to_f64s().ok()?;
    Tensor::from_f64s(t.dtype(), shape, &at.iter().map(|&i| values[i]).collect::<Vec<_>>()).ok()
}

/// Other values in the same shape. `free` says that integers stand for numbers, not for places or sizes.
pub fn revalued(t: &Tensor, free: bool, rng: &mut Samples) -> Option<Tensor> {
    let (dtype, shape, n) = (t.dtype(), t.shape(), t.len());
    if n == 0 {
        return None;
    }
    if rng.below(4) == 0 || dtype == DType::String || dtype.is_complex() || dtype == DType::Bool {
        let at = (0..n).map(|_| rng.below(n as u64) as usize).collect::<Vec<_>>();
        return picked(t, shape, &at);
    }
    if dtype.is_int() {
        let mut values = t.to_i64s().ok()?;
        let (lo, hi) = dtype.int_range()?;
        let (lo, hi) = (lo.max(i64::MIN.into()) as i64, hi.min(i64::MAX.into()) as i64);
        // A number alone may be a size, of which the largest fill the memory.
        let (lo, hi) = if n == 1 { (lo.max(-4096), hi.min(4096)) } else { (lo, hi) };
        let some = rng.below(n as u64) as usize;
        match rng.below(if free { 5 } else { 2 }) {
            0 => values[some] = values[some].saturating_add(1),
            1 => values[some] = values[some].saturating_sub(1),
            2 => values[some] = if rng.below(2) == 0 { lo } else { hi },
            3 => values.iter_mut().for_each(|v| *v = v.wrapping_neg()),
            _ => values = t_any(rng, dtype, n)?,
        }
        let fit = values.iter().map(|&v| v.clamp(lo, hi)).collect::<Vec<_>>();
        return Tensor::from_i64s(dtype, shape, &fit).ok();
    }
    let mut values = t.to_f64s().ok()?;
    match rng.below(6) {
        0 => {
            let edge = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e-40, 6e-8, 3e38, -6e4, 1.0, -0.5];
            for _ in 0..1 + rng.below(3) {
                values[rng.below(n as u64) as usize] = edge[rng.below(edge.len() as u64) as usize];
            }
        }
        // Halves: equal elements to choose between, and numbers in the middle of two integers.
        1 => values.iter_mut().for_each(|v| *v = (*v * 2.0).round() / 2.0),
        2 => values.fill(0.0),
        // A few elements keep small, lest they be the sizes of what is made.
        3 => {
            let by = if n > 8 { [1e4, 50.0, 1e-3, -7.0] } else { [3.0, 0.25, -1.0, 1.5] };
            let by = by[rng.below(4) as usize];
            values.iter_mut().for_each(|v| *v *= by);
        }
        4 => values.iter_mut().for_each(|v| *v = -*v),
        _ => values = rng.floats(DType::F64, &[n], -4.0, 4.0).to_f64s().ok()?,
    }
    Tensor::from_f64s(dtype, shape, &values).ok()
}

/// Other keys or values: an entry is left out, a key moves, or a value changes.
pub fn remapped(map: &Map, rng: &mut Samples) -> Option<Map> {
    let mut map = map.clone();
    let at = rng.below(map.values.len() as u64) as usize;
    match (rng.below(4), &mut map.keys) {
        (0, MapKeys::Ints(_, keys)) if at < keys.len() => drop((keys.remove(at), map.values.remove(at))),
        (0, MapKeys::Strings(keys)) if at < keys.len() => drop((keys.remove(at), map.values.remove(at))),
        (1, MapKeys::Ints(_, keys)) => {
            let new = keys.get(at)?.saturating_add(1 + rng.below(3) as i64);
            (!keys.contains(&new)).then(|| keys[at] = new)?;
        }
        (1, MapKeys::Strings(keys)) => {
            let new = ["a", "b", "c", "", "d"][rng.below(5) as usize].to_owned();
            (at < keys.len() && !keys.contains(&new)).then(|| keys[at] = new)?;
        }
        _ => {
            let value = map.values.get_mut(at)?;
            let old = value.tensor().ok()?.clone();
            // Text stays a number, which is what it may be read as.
            *value = match old.dtype() {
                DType::String => {
                    let words = ["0", "7", "-12", "3.5", "1e3"];
                    Tensor::from_strings(&[], vec![words[rng.below(5) as usize].to_owned()]).ok()?.into()
                }
                _ => revalued(&old, true, rng)?.into(),
            };
        }
    }
    Some(map)
}

fn t_any(rng: &mut Samples, dtype: DType, n: usize) -> Option<Vec<i64>> {
    rng.any(dtype, &[n]).to_i64s().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_read_round_and_round() {
        let mut rng = Samples::new(1);
        let t = Tensor::new(&[2, 2], vec![1f32, 2.0, 3.0, 4.0]).unwrap();
        let big = resized(&t, &[3, 3], &mut rng).unwrap();
        assert_eq!(big.as_slice::<f32>().unwrap(), [1.0, 2.0, 1.0, 3.0, 4.0, 3.0, 1.0, 2.0, 1.0]);
        let row = resized(&t, &[3], &mut rng).unwrap();
        assert_eq!(row.as_slice::<f32>().unwrap(), [1.0, 2.0, 1.0]);
        assert_eq!(resized(&t, &[2, 0], &mut rng).unwrap().len(), 0);
        let narrow = Tensor::new(&[3], vec![1i64, -300, 9]).unwrap();
        assert_eq!(retyped(&narrow, DType::I4, &mut rng).unwrap().to_i64s().unwrap(), [1, -8, 7]);
    }
}
