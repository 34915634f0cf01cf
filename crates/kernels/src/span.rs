//! How far a strided view reaches.

/// Elements from the first to just behind the last of a view of these lengths and strides; 0 where it is empty;
/// `None` on overflow.
pub(crate) fn span(dims: &[(usize, usize)]) -> Option<usize> {
    span_of(dims.iter().copied())
}

/// As [`span`], of lengths and strides that lie in no list of pairs.
pub(crate) fn span_of(dims: impl Iterator<Item = (usize, usize)>) -> Option<usize> {
    let mut last = 0usize;
    for (len, stride) in dims {
        if len == 0 {
            return Some(0);
        }
        last = last.checked_add((len - 1).checked_mul(stride)?)?;
    }
    let end = last.checked_add(1)?;
    (end <= isize::MAX as usize / 16).then_some(end)
}

/// Whether no two elements of a view of these lengths and strides are one: the strides, from small to large, must each step
/// over what lies inside.
pub(crate) fn distinct(mut dims: Vec<(usize, usize)>) -> bool {
    if dims.iter().any(|d| d.0 == 0) {
        return true;
    }
    dims.retain(|d| d.0 > 1);
    dims.sort_by_key(|d| d.1);
    let mut reach = 1usize;
    dims.into_iter().all(|(len, stride)| {
        let apart = stride >= reach;
        reach = reach.saturating_add(stride.saturating_mul(len - 1));
        apart
    })
}

/// Product, `None` on overflow or beyond what memory can hold.
pub(crate) fn product(factors: &[usize]) -> Option<usize> {
    if factors.contains(&0) {
        return Some(0);
    }
    let all = factors.iter().try_fold(1usize, |a, &b| a.checked_mul(b))?;
    (all <= isize::MAX as usize / 16).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        assert_eq!(span(&[(3, 10), (4, 1)]), Some(24));
        assert_eq!(span(&[(3, 10), (0, 1)]), Some(0));
        assert_eq!(span(&[(usize::MAX, 2)]), None);
        assert_eq!(product(&[usize::MAX, 2]), None);
        assert_eq!(product(&[usize::MAX, 0, 2]), Some(0));
        assert!(distinct(vec![(3, 10), (10, 1), (1, 0)]) && distinct(vec![(3, 0), (0, 1)]));
        assert!(!distinct(vec![(3, 9), (10, 1)]) && !distinct(vec![(2, 0), (10, 1)]));
    }
}
