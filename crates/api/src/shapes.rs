//! Sizes that a caller gives to free dimensions, by input or by symbol.

use crate::{Error, Result};
use modelsmith_ir::{Dim, Model, Type, ValueId};
use std::collections::BTreeMap;

/// Sizes of inputs and of named dimensions. What is not given is 1, and reported.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    /// Whole shapes by input name; a free entry is `None`.
    pub shapes: Vec<(String, Vec<Option<usize>>)>,
    /// Sizes by symbol.
    pub dims: Vec<(String, usize)>,
}

/// What stands in for free dimensions without a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Size of the last axis of an input, or of all axes from the third on where it has four or more.
    pub inner: usize,
    /// Size of the others.
    pub outer: usize,
}

impl Fill {
    /// 1 everywhere: what is taken first.
    pub const ONE: Fill = Fill { inner: 1, outer: 1 };

    /// What is tried in turn when a model fails on dimensions of 1, as one with a window or a stride does.
    pub const LARGER: [Fill; 6] = [
        Fill { inner: 224, outer: 1 },
        Fill { inner: 64, outer: 1 },
        Fill { inner: 256, outer: 1 },
        Fill { inner: 1024, outer: 1 },
        Fill { inner: 16, outer: 16 },
        Fill { inner: 2, outer: 2 },
    ];

    /// What is fed in some samples beside 1.
    pub const VARIED: [Fill; 2] = [Fill { inner: 5, outer: 1 }, Fill { inner: 3, outer: 2 }];

    fn at(self, axis: usize, rank: usize) -> usize {
        let inner = if rank >= 4 { axis >= 2 } else { axis + 1 == rank };
        if inner { self.inner } else { self.outer }
    }
}

/// The shapes that a model's inputs take under some [`Sizes`].
#[derive(Clone, Debug, Default)]
pub struct Bound {
    /// One shape for each parameter of the main graph; `None` where the value is no tensor.
    pub shapes: Vec<Option<Vec<usize>>>,
    /// Symbols and the sizes that they took.
    pub symbols: BTreeMap<String, usize>,
    /// Free dimensions that nobody gave a size, and that are 1 therefore.
    pub assumed: Vec<String>,
}

impl Sizes {
    /// Adds `NAME=1x3x224x224` or `NAME:1x3x224x224`, cut at the last separator; `?` leaves a dimension free.
    ///
    /// # Errors
    /// When the text has no separator or a size is not a number.
    pub fn shape(&mut self, text: &str) -> Result<()> {
        let bad = || Error::usage(format!("--shape {text}: NAME=SIZExSIZE.. is wanted, for example image=1x3x224x224"));
        let at = text.rfind(['=', ':']).ok_or_else(bad)?;
        let (name, sizes) = (&text[..at], &text[at + 1..]);
        let size = |s: &str| match s.trim() {
            "?" | "" => Ok(None),
            s => s.parse::<usize>().map(Some).map_err(|_| bad()),
        };
        let sizes = match sizes.trim() {
            "" | "scalar" => vec![],
            list => list.split(['x', ',']).map(size).collect::<Result<Vec<_>>>()?,
        };
        self.shapes.push((name.to_owned(), sizes));
        Ok(())
    }

    /// How many dimensions the inputs have whose shape is given.
    pub fn ranks(&self) -> Vec<(String, usize)> {
        self.shapes.iter().map(|(name, shape)| (name.clone(), shape.len())).collect()
    }

    /// Adds `batch=8`.
    ///
    /// # Errors
    /// When the text is not of that form.
    pub fn dim(&mut self, text: &str) -> Result<()> {
        let found = text.rsplit_once(['=', ':']).and_then(|(n, s)| Some((n, s.parse::<usize>().ok()?)));
        let (name, size) =
            found.ok_or_else(|| Error::usage(format!("--dim {text}: NAME=SIZE is wanted, for example batch=8")))?;
        self.dims.push((name.to_owned(), size));
        Ok(())
    }

    /// These sizes, and for dimensions of `model` without one those that `other` has fixed, whose input `i` is fed by the
    /// input `order[i]` of `model`: what runs both must suit both. Where they cannot be had together, these alone.
    pub fn with_those_of(&self, model: &Model, other: &Model, order: &[usize]) -> Sizes {
        let mut out = self.clone();
        for (&p, &at) in other.graph().params.iter().zip(order) {
            let Some(&own) = model.graph().params.get(at) else { continue };
            let (name, fixed) = (&model.values[own].name, other.ty(p).shape().unwrap_or_default());
            if self.shapes.iter().any(|(n, _)| n == name) || model.ty(own).rank().is_some_and(|r| r != fixed.len()) {
                continue;
            }
            let free = |axis: usize| match model.ty(own).shape().and_then(|s| s.get(axis)) {
                Some(Dim::Known(_)) => false,
                Some(dim) => !self.dims.iter().any(|(n, _)| dim.as_symbol() == Some(n)),
                None => true,
            };
            let sizes = fixed.iter().enumerate().map(|(axis, d)| d.size().filter(|_| free(axis))).collect::<Vec<_>>();
            if sizes.iter().any(Option::is_some) {
                out.shapes.push((name.clone(), sizes));
            }
        }
        if out.bind(model).is_ok() { out } else { self.clone() }
    }

    /// Shapes of the main graph's inputs.
    ///
    /// # Errors
    /// When a name is not in the model, a rank differs, or a size contradicts the model or another size.
    pub fn bind(&self, model: &Model) -> Result<Bound> {
        self.bind_with(model, Fill::ONE)
    }

    /// As [`Sizes::bind`], with another size for free dimensions that nobody gave one.
    ///
    /// # Errors
    /// As there.
    pub fn bind_with(&self, model: &Model, fill: Fill) -> Result<Bound> {
        let params = &model.graph().params;
        let names = || params.iter().map(|&p| model.values[p].name.as_str()).collect::<Vec<_>>().join(", ");
        for (name, _) in &self.shapes {
            if !params.iter().any(|&p| model.values[p].name == *name) {
                return Err(Error::usage(format!("--shape {name}: the model has no such input; it has {}", names())));
            }
        }
        let known = params.iter().flat_map(|&p| symbols_of(model, p)).collect::<std::collections::BTreeSet<_>>();
        let known = known.into_iter().collect::<Vec<_>>();
        let mut symbols = BTreeMap::new();
        for (name, size) in &self.dims {
            if !known.contains(name) {
                let known = if known.is_empty() { "none".into() } else { known.join(", ") };
                return Err(Error::usage(format!(
                    "--dim {name}: no input has a dimension of that name (free: {known})"
                )));
            }
            symbols.insert(name.clone(), *size);
        }
        self.solve_given(model, &mut symbols)?;
        let mut bound = Bound { symbols, ..Bound::default() };
        for &p in params {
            let shape = self.shape_of(model, p, fill, &mut bound)?;
            bound.shapes.push(shape);
        }
        bound.assumed.dedup();
        Ok(bound)
    }

    /// Symbols that follow from whole shapes.
    fn solve_given(&self, model: &Model, symbols: &mut BTreeMap<String, usize>) -> Result<()> {
        let mut from = BTreeMap::new();
        for (name, sizes) in &self.shapes {
            let param = model.graph().params.iter().find(|&&p| model.values[p].name == *name);
            let Some(dims) = param.and_then(|&p| model.ty(p).as_tensor()?.shape.as_ref()) else { continue };
            if dims.len() != sizes.len() {
                return Err(Error::usage(format!(
                    "--shape {name}: {} sizes given, the input has rank {}",
                    sizes.len(),
                    dims.len()
                )));
            }
            for (axis, (dim, size)) in dims.iter().zip(sizes).enumerate() {
                let (Some(symbol), Some(size)) = (dim.as_symbol(), size) else { continue };
                let old = *symbols.entry(symbol.to_owned()).or_insert(*size);
                if old != *size {
                    let from = from.get(symbol).cloned().unwrap_or_else(|| "--dim".to_owned());
                    return Err(Error::usage(format!(
                        "--shape {name}: {symbol} is {old} in {from} and {size} in `{name}` (axis {axis})"
                    )));
                }
                from.entry(symbol.to_owned()).or_insert_with(|| format!("`{name}` (axis {axis})"));
            }
        }
        Ok(())
    }

    fn shape_of(&self, model: &Model, param: ValueId, fill: Fill, bound: &mut Bound) -> Result<Option<Vec<usize>>> {
        let v = &model.values[param];
        let given = self.shapes.iter().rev().find(|(n, _)| *n == v.name).map(|(_, s)| s);
        let ty = match &v.ty {
            Type::Tensor(t) => t,
            Type::Optional(inner) if inner.as_tensor().is_some() => inner.as_tensor().unwrap_or(&EMPTY),
            _ => return Ok(None),
        };
        let Some(dims) = &ty.shape else {
            return match given {
                Some(s) => Ok(Some(s.iter().map(|d| d.unwrap_or(1)).collect())),
                None => {
                    bound.assumed.push(format!("input {}: rank unknown, taken as a scalar", v.name));
                    Ok(Some(vec![]))
                }
            };
        };
        let mut out = Vec::with_capacity(dims.len());
        for (axis, dim) in dims.iter().enumerate() {
            let given = given.and_then(|g| g.get(axis).copied().flatten());
            let fill = |symbol: &str| {
                let range = modelsmith_ir::dim_range(&model.meta.props, symbol);
                let low = usize::try_from(*range.start()).unwrap_or(0);
                let high = usize::try_from(*range.end()).unwrap_or(usize::MAX);
                fill.at(axis, dims.len()).max(low).min(high)
            };
            out.push(size_of((&v.name, axis), dim, given, &fill, bound)?);
        }
        Ok(Some(out))
    }
}

static EMPTY: modelsmith_ir::TensorType = modelsmith_ir::TensorType { dtype: None, shape: None };

fn symbols_of(model: &Model, param: ValueId) -> Vec<String> {
    let dims = model.ty(param).as_tensor().and_then(|t| t.shape.clone()).unwrap_or_default();
    dims.iter().flat_map(|d| d.symbols()).map(|s| s.to_string()).collect()
}

fn size_of(
    place: (&str, usize),
    dim: &Dim,
    given: Option<usize>,
    fill: &dyn Fn(&str) -> usize,
    bound: &mut Bound,
) -> Result<usize> {
    let (name, axis) = place;
    let assume = |bound: &mut Bound, what: String| {
        if !bound.assumed.contains(&what) {
            bound.assumed.push(what);
        }
    };
    if let Some(n) = dim.size() {
        return match given {
            Some(g) if g != n => Err(Error::usage(format!("--shape {name}: axis {axis} must be {n}, {g} is given"))),
            _ => Ok(n),
        };
    }
    if let (Some(g), None) = (given, dim.as_symbol()) {
        return Ok(g);
    }
    for symbol in dim.symbols() {
        if !bound.symbols.contains_key(&*symbol) {
            bound.symbols.insert(symbol.to_string(), fill(&symbol));
            assume(bound, format!("dimension {symbol}"));
        }
    }
    let size = dim.eval(&|s| bound.symbols.get(s).and_then(|&n| i64::try_from(n).ok()));
    match size.and_then(|n| usize::try_from(n).ok()) {
        Some(n) => Ok(n),
        None => {
            assume(bound, format!("input {name} axis {axis}"));
            Ok(fill(""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_base::DType;

    fn model() -> Model {
        let mut m = Model::new();
        let n = Dim::symbol("n");
        m.add_param(m.main, "a:0", Type::tensor(DType::F32, &[n.clone(), Dim::Known(3)]));
        m.add_param(m.main, "b", Type::tensor(DType::F32, &[n, Dim::Unknown]));
        m
    }

    #[test]
    fn symbols_follow_and_the_rest_is_one() {
        let mut s = Sizes::default();
        s.shape("a:0:5x3").unwrap();
        let b = s.bind(&model()).unwrap();
        assert_eq!(b.shapes, [Some(vec![5, 3]), Some(vec![5, 1])]);
        assert_eq!(b.assumed, ["input b axis 1"]);
    }

    #[test]
    fn what_another_model_fixes_is_taken() {
        let other = |a: [i64; 2], b: [i64; 2]| {
            let mut m = Model::new();
            let dims = |d: [i64; 2]| d.map(|n| if n < 0 { Dim::Unknown } else { Dim::Known(n) });
            m.add_param(m.main, "b", Type::tensor(DType::F32, &dims(b)));
            m.add_param(m.main, "a", Type::tensor(DType::F32, &dims(a)));
            m
        };
        let shapes =
            |sizes: &Sizes, m: &Model| sizes.with_those_of(&model(), m, &[1, 0]).bind(&model()).unwrap().shapes;
        assert_eq!(shapes(&Sizes::default(), &other([4, 3], [4, 7])), [Some(vec![4, 3]), Some(vec![4, 7])]);
        assert_eq!(shapes(&Sizes::default(), &other([-1, 3], [-1, 7])), [Some(vec![1, 3]), Some(vec![1, 7])]);
        // The two cannot both be `n`.
        assert_eq!(shapes(&Sizes::default(), &other([4, 3], [5, 7])), [Some(vec![1, 3]), Some(vec![1, 1])]);
        let mut given = Sizes::default();
        given.dim("n=2").unwrap();
        assert_eq!(shapes(&given, &other([4, 3], [4, 7])), [Some(vec![2, 3]), Some(vec![2, 7])]);
    }

    #[test]
    fn contradictions_are_named() {
        let text = |s: &[&str], d: &[&str]| {
            let mut z = Sizes::default();
            s.iter().for_each(|s| z.shape(s).unwrap());
            d.iter().for_each(|d| z.dim(d).unwrap());
            z.bind(&model()).unwrap_err().to_string()
        };
        assert_eq!(text(&["a:0=5x4"], &[]), "--shape a:0: axis 1 must be 3, 4 is given");
        assert_eq!(text(&["a:0=5x3"], &["n=2"]), "--shape a:0: n is 2 in --dim and 5 in `a:0` (axis 0)");
        assert_eq!(text(&["c=1"], &[]), "--shape c: the model has no such input; it has a:0, b");
        assert_eq!(text(&[], &["m=2"]), "--dim m: no input has a dimension of that name (free: n)");
    }
}
