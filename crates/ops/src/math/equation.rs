//! Einsum equations: labels of each operand and of the result.

use crate::prelude::*;

/// One dimension's label: a letter, or a dimension of the ellipsis counted from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// Dimension of the ellipsis, 0 for its last.
    Ellipsis(usize),
    /// A letter.
    Letter(char),
}

/// An equation whose ellipses are expanded for operands of known ranks.
#[derive(Debug)]
pub struct Equation {
    /// Labels of each operand's dimensions.
    pub inputs: Vec<Vec<Label>>,
    /// Labels of the result's dimensions, each once.
    pub output: Vec<Label>,
}

impl Equation {
    /// Parses `text` for operands of these ranks.
    ///
    /// # Errors
    /// When it is malformed or does not fit the operands.
    pub fn parse(text: &str, ranks: &[usize]) -> OpResult<Equation> {
        let fail = |why: std::string::String| OpError::invalid(format!("equation {text:?}: {why}"));
        let plain = text.replace(' ', "");
        let (left, right) = match plain.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (plain.as_str(), None),
        };
        let terms = left.split(',').collect::<Vec<_>>();
        if terms.len() != ranks.len() {
            return Err(fail(format!("{} terms for {} operands", terms.len(), ranks.len())));
        }
        let mut inputs = Vec::new();
        for (term, &rank) in terms.iter().zip(ranks) {
            let letters = term.replace("...", "").chars().count();
            let covered = rank.checked_sub(letters).filter(|&n| n == 0 || term.contains("..."));
            let covered = covered.ok_or_else(|| fail(format!("term {term:?} for an operand of rank {rank}")))?;
            inputs.push(labels(term, covered).ok_or_else(|| fail(format!("term {term:?} is malformed")))?);
        }
        let wide = inputs.iter().flatten().filter_map(|l| if let Label::Ellipsis(i) = l { Some(i + 1) } else { None });
        let wide = wide.max().unwrap_or(0);
        let output = match right {
            Some(term) => labels(term, wide).ok_or_else(|| fail(format!("result {term:?} is malformed")))?,
            None => implied(&inputs, wide),
        };
        for (i, label) in output.iter().enumerate() {
            let made = matches!(label, Label::Ellipsis(_)) || inputs.iter().flatten().any(|l| l == label);
            if !made || output[..i].contains(label) {
                return Err(fail(format!("label {label:?} of the result is named twice or by no operand")));
            }
        }
        Ok(Equation { inputs, output })
    }
}

/// Labels of a term whose ellipsis stands for `wide` dimensions.
fn labels(term: &str, wide: usize) -> Option<Vec<Label>> {
    let letters = |text: &str| {
        text.chars().map(|c| c.is_ascii_alphabetic().then_some(Label::Letter(c))).collect::<Option<Vec<_>>>()
    };
    match term.split_once("...") {
        None => letters(term),
        Some((before, after)) => {
            let ellipsis = (0..wide).rev().map(Label::Ellipsis);
            Some(letters(before)?.into_iter().chain(ellipsis).chain(letters(after)?).collect())
        }
    }
}

/// The result of an equation without one: the ellipsis, then the labels that occur once, in order of their letters.
fn implied(inputs: &[Vec<Label>], wide: usize) -> Vec<Label> {
    let all = inputs.iter().flatten().copied().collect::<Vec<_>>();
    let mut once = all.iter().copied().filter(|l| matches!(l, Label::Letter(_))).collect::<Vec<_>>();
    once.retain(|l| all.iter().filter(|o| *o == l).count() == 1);
    once.sort();
    (0..wide).rev().map(Label::Ellipsis).chain(once).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_expand() {
        let e = Equation::parse("b...i, ...ij", &[3, 3]).unwrap();
        assert_eq!(e.inputs[0], [Label::Letter('b'), Label::Ellipsis(0), Label::Letter('i')]);
        assert_eq!(e.output, [Label::Ellipsis(0), Label::Letter('b'), Label::Letter('j')]);
        assert_eq!(Equation::parse("ij->ji", &[2]).unwrap().output, [Label::Letter('j'), Label::Letter('i')]);
        for (text, ranks) in [("ij,jk", &[2][..]), ("ij", &[3]), ("i->ii", &[1]), ("i->k", &[1]), ("i!", &[2])] {
            assert!(Equation::parse(text, ranks).is_err(), "{text}");
        }
    }
}
