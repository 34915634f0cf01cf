//! Finding the pass and the rewrite of the simplifier after which a model computes something else.

use crate::compare::{Comparison, Verdict, compare};
use crate::optimize::{Passes, limited};
use crate::write::{Verify, compare_options};
use crate::{Error, Model, Result};
use serde::Serialize;

/// The first rewrite after which results differ.
#[derive(Clone, Debug, Serialize)]
pub struct Rewrite {
    /// The rule.
    pub rule: String,
    /// Where it acted.
    pub node: String,
    /// Its number among the rewrites of the step, from 1.
    pub number: usize,
}

/// The first step of the simplifier after which results differ.
#[derive(Clone, Debug, Serialize)]
pub struct Bisection {
    /// The pass.
    pub pass: String,
    /// Its number among the runs of passes, from 1.
    pub step: usize,
    /// Runs of passes in all.
    pub steps: usize,
    /// Rewrites of this step that can be told apart.
    pub rewrites: usize,
    /// The rewrite; `None` where the pass changes the model as a whole.
    pub rewrite: Option<Rewrite>,
    /// Models that were compared.
    pub tried: usize,
    /// How results differ after it.
    pub comparison: Comparison,
}

/// Finds the first pass, and in it the first rewrite, after which results are outside the tolerance; `None` when they never are.
/// What differs is taken to differ after every later step too.
///
/// # Errors
/// When a pass is not known, or the original fails on every draw.
pub fn bisect(model: &Model, passes: &Passes, verify: &Verify) -> Result<Option<Bisection>> {
    let mut tried = 0;
    let mut judge = |steps, rewrites| {
        tried += 1;
        let (hub, report) = limited(model, passes, steps, rewrites)?;
        let found = compare(model, &model.with_hub(hub), &compare_options(verify))?;
        Ok::<_, Error>((found.verdict == Verdict::Differ, found, report))
    };
    let (differs, mut comparison, report) = judge(None, None)?;
    if !differs {
        return Ok(None);
    }
    let steps = report.steps.len();
    let step = first(steps, |k| {
        let (differs, found, _) = judge(Some(k), None)?;
        if differs {
            comparison = found;
        }
        Ok(differs)
    })?;
    let last = &report.steps[step - 1];
    let (pass, rewrites) = (last.pass.to_owned(), last.rewrites);
    let mut rewrite = None;
    if rewrites > 0 && !judge(Some(step), Some(0))?.0 {
        let number = first(rewrites, |k| Ok(judge(Some(step), Some(k))?.0))?;
        let (_, found, report) = judge(Some(step), Some(number))?;
        comparison = found;
        rewrite = report.trace.latest.map(|(rule, node)| Rewrite { rule: rule.into(), node, number });
    }
    Ok(Some(Bisection { pass, step, steps, rewrites, rewrite, tried, comparison }))
}

/// The smallest of `1..=n` that `bad` holds for, where it holds for `n`.
fn first(n: usize, mut bad: impl FnMut(usize) -> Result<bool>) -> Result<usize> {
    let (mut good, mut last) = (0, n);
    while last - good > 1 {
        let middle = good + (last - good) / 2;
        match bad(middle)? {
            true => last = middle,
            false => good = middle,
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::Agreement;

    fn digits() -> Model {
        Model::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits/digits.onnx")).unwrap()
    }

    #[test]
    fn nothing_to_find_where_all_agree() {
        assert!(bisect(&digits(), &Passes::default(), &Verify::default()).unwrap().is_none());
    }

    #[test]
    fn the_first_rewrite_that_rounds_otherwise_is_found() {
        // A rewrite that claims a few units in the last place is a fault where none is allowed.
        let exact =
            Verify { agreement: Agreement::parse(Some(0.0), &["0".into()], None).unwrap(), ..Verify::default() };
        let found = bisect(&digits(), &Passes::default(), &exact).unwrap().unwrap();
        let (_, report) = limited(&digits(), &Passes::default(), Some(found.step), None).unwrap();
        assert_eq!(report.steps.last().map(|s| s.pass), Some(found.pass.as_str()));
        let rewrite = found.rewrite.unwrap();
        assert!((1..=found.rewrites).contains(&rewrite.number), "{rewrite:?}");
        let without = Passes { skip: vec![rewrite.rule.clone()], ..Passes::default() };
        let next = bisect(&digits(), &without, &exact).unwrap();
        assert!(next.and_then(|n| n.rewrite).is_none_or(|r| r.rule != rewrite.rule));
    }

    #[test]
    fn the_smallest_is_found() {
        for n in 1..20 {
            for bad in 1..=n {
                assert_eq!(first(n, |k| Ok(k >= bad)).unwrap(), bad);
            }
        }
    }
}
