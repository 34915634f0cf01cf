//! Names with `*` and `?`.

/// A pattern for tensor names: `*` stands for any text, dots included, `?` for one character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl Glob {
    /// A pattern; every text is one.
    pub fn new(text: &str) -> Glob {
        Glob(text.chars().collect())
    }

    /// Whether all of `name` fits. Takes time in proportion to the product of both lengths at most.
    pub fn matches(&self, name: &str) -> bool {
        let name = name.chars().collect::<Vec<_>>();
        let (mut p, mut n) = (0, 0);
        // The last star, and where what follows it was tried.
        let mut star = None;
        while n < name.len() {
            match self.0.get(p) {
                Some('*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(&c) if c == '?' || c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => match star {
                    Some((at, tried)) => {
                        star = Some((at, tried + 1));
                        p = at + 1;
                        n = tried + 1;
                    }
                    None => return false,
                },
            }
        }
        self.0[p..].iter().all(|&c| c == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_take_any_text() {
        let fits = |pattern: &str, name: &str| Glob::new(pattern).matches(name);
        assert!(fits("*.weight", "a.b.weight") && fits("a.*", "a.b.c") && fits("*", "") && fits("a?c", "abc"));
        assert!(fits("*a*b*", "xxaxxbxx") && fits("a*a", "aba") && fits("layers.*.q*", "layers.10.q_proj"));
        assert!(!fits("*.weight", "weight.x") && !fits("a?c", "ac") && !fits("", "a") && !fits("a*a", "a"));
    }
}
