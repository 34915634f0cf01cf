//! Conditions on a node beyond operator, version and type.

use modelsmith_ir::{Attr, Model, NodeId};

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Operand `.0`, where present, is a constant.
    Constant(usize),
    /// No more than so many results are used.
    Outputs(usize),
    /// Operand `.0` has at least `.1` and at most `.2` dimensions.
    Rank(usize, usize, usize),
    /// The attribute, where given, has one of these values (each of its elements, for a list).
    Attr(String, Vec<String>),
    /// The attribute is not given.
    Without(String),
    /// The shape of operand `.0` is known.
    Static(usize),
}

impl Rule {
    /// Reads `constant 1`, `outputs 1`, `rank 0 3-5`, `attr mode nearest linear`, `without layout` or `static 0`.
    pub(crate) fn parse(text: &str) -> Result<Rule, String> {
        let words = text.split_whitespace().collect::<Vec<_>>();
        let number = |t: &str| t.parse::<usize>().map_err(|_| format!("{text:?}: {t} is no number"));
        match *words.as_slice() {
            ["constant", i] => Ok(Rule::Constant(number(i)?)),
            ["outputs", n] => Ok(Rule::Outputs(number(n)?)),
            ["without", name] => Ok(Rule::Without(name.into())),
            ["static", i] => Ok(Rule::Static(number(i)?)),
            ["rank", i, span] => {
                let (a, b) = span.split_once('-').ok_or_else(|| format!("{text:?}: a range is wanted"))?;
                Ok(Rule::Rank(number(i)?, number(a)?, number(b)?))
            }
            ["attr", name, ref values @ ..] if !values.is_empty() => {
                Ok(Rule::Attr(name.into(), values.iter().map(|&v| v.into()).collect()))
            }
            _ => Err(format!("{text:?} is no rule")),
        }
    }

    /// Why the node breaks the rule, as far as the model tells.
    pub(crate) fn broken(&self, model: &Model, node: NodeId) -> Option<String> {
        let n = &model.nodes[node];
        match self {
            Rule::Constant(i) => {
                let v = n.input(*i)?;
                let fixed = model.weight(v).is_some() && !model.overridable(v)
                    || model.producer(v).is_some_and(|p| model.op_name(p) == "Constant");
                (!fixed).then(|| format!("input {i} must be a constant, it is computed"))
            }
            Rule::Outputs(most) => {
                let used = n.outputs.iter().rposition(Option::is_some).map_or(0, |i| i + 1);
                (used > *most).then(|| format!("it gives {most} results only, {used} are used"))
            }
            Rule::Rank(i, low, high) => {
                let rank = model.ty(n.input(*i)?).rank()?;
                (!(*low..=*high).contains(&rank))
                    .then(|| format!("input {i} has {rank} dimensions, {low} to {high} are taken"))
            }
            Rule::Static(i) => {
                let ty = model.ty(n.input(*i)?);
                ty.sizes().is_none().then(|| format!("the shape of input {i} must be known, it is {ty}"))
            }
            Rule::Without(name) => {
                n.attrs.get(name)?;
                Some(format!("it has no attribute {name}"))
            }
            Rule::Attr(name, values) => {
                let have = texts(n.attrs.get(name)?);
                let bad = have.iter().find(|h| !values.contains(h))?;
                Some(format!("{name} is {bad}, it takes {}", values.join(", ")))
            }
        }
    }
}

fn texts(attr: &Attr) -> Vec<String> {
    match attr {
        Attr::Int(x) => vec![x.to_string()],
        Attr::Ints(x) => x.iter().map(ToString::to_string).collect(),
        Attr::Float(x) => vec![x.to_string()],
        Attr::String(x) => vec![x.clone()],
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_tested() {
        let text = "stage foreign
graph(%x: f32[n, 3], %k: i64[1]) {
  %y, %i = TopK@11(%x, %k) {sorted = 0}
  return %y, %i
}
";
        let m = modelsmith_ir::text::parse(text, modelsmith_ops::all()).unwrap();
        let node = m.graph().body[0];
        let broken = |t: &str| Rule::parse(t).unwrap().broken(&m, node);
        assert!(broken("constant 1").unwrap().contains("computed") && broken("constant 2").is_none());
        assert!(broken("outputs 1").unwrap().contains("2 are used") && broken("outputs 2").is_none());
        assert!(broken("rank 0 3-5").unwrap().contains("2 dimensions") && broken("rank 0 1-2").is_none());
        assert!(broken("static 0").unwrap().contains("f32[n, 3]") && broken("static 1").is_none());
        assert_eq!(broken("attr sorted 1").unwrap(), "sorted is 0, it takes 1");
        assert!(broken("without sorted").is_some() && broken("without largest").is_none());
        assert!(broken("attr largest 1").is_none() && Rule::parse("nonsense 1").is_err());
    }
}
