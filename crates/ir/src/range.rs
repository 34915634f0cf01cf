//! Sizes that a dimension may have, as properties of a model state them.

use std::ops::RangeInclusive;

/// Prefix of the properties that say which sizes a dimension may have: `modelsmith.dim.batch` with `1..64`, both ends within,
/// each of which may be left out.
pub const DIM_RANGE: &str = "modelsmith.dim.";

/// The sizes that `props` allow the dimension `symbol`; all sizes where they say nothing of it.
pub fn dim_range(props: &[(String, String)], symbol: &str) -> RangeInclusive<i64> {
    let stated = props.iter().find(|(k, _)| k.strip_prefix(DIM_RANGE) == Some(symbol));
    let (low, high) = stated.and_then(|(_, v)| v.split_once("..")).unwrap_or_default();
    low.trim().parse().unwrap_or(0)..=high.trim().parse().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_left_out_is_open() {
        let props = |text: &str| vec![("modelsmith.dim.n".to_owned(), text.to_owned())];
        assert_eq!(dim_range(&props("3..8"), "n"), 3..=8);
        assert_eq!(dim_range(&props("..8"), "n"), 0..=8);
        assert_eq!(dim_range(&props("3.."), "n"), 3..=i64::MAX);
        assert_eq!(dim_range(&props("3..8"), "m"), 0..=i64::MAX);
        assert_eq!(dim_range(&props("odd"), "n"), 0..=i64::MAX);
    }
}
