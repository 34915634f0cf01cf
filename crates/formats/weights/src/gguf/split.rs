//! Names of the parts of a split file: `NAME-00001-of-00003.gguf`.

/// The name of part `number` beside a part of that name, and how many there are; `None` when it is not the name of one.
pub(super) fn part(name: &str, number: u64) -> Option<(String, u64)> {
    let file = name.rsplit(['/', '\\']).next()?;
    let stem = file.strip_suffix(".gguf")?;
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (stem, own) = rest.rsplit_once('-')?;
    let plain = |digits: &str| digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit());
    let count: u64 = Some(count).filter(|c| plain(c) && plain(own))?.parse().ok()?;
    Some((format!("{stem}-{number:05}-of-{count:05}.gguf"), count))
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts_are_found_by_name() {
        let (name, count) = part("models/a-00002-of-00010.gguf", 7).unwrap();
        assert_eq!((name.as_str(), count), ("a-00007-of-00010.gguf", 10));
        for other in ["a.gguf", "a-1-of-2.gguf", "a-00001-of-00002.bin", "-of-.gguf", ""] {
            assert!(part(other, 1).is_none(), "{other}");
        }
    }
}
