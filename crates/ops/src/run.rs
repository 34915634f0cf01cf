//! Running a model: the interface that the interpreter and the engine share.

use crate::error::{Error, Result};
use modelsmith_ir::{Dim, Model, Type, ValueId};
use modelsmith_tensor::Value;
use std::collections::BTreeMap;

/// What a runner is asked for.
#[derive(Clone, Debug, Default)]
pub struct Opts {
    /// Threads; 0 for as many as the machine gives.
    pub threads: usize,
    /// Cap on the instruction set, by name; empty for none.
    pub isa: String,
    /// Refuse nodes that the backend would hand to the reference.
    pub no_fallback: bool,
    /// Values that `watch` will be asked for, even where fusion would remove them.
    pub watch: Vec<ValueId>,
    /// Most bytes of weights that the reference keeps from one use to the next; `None` for all. The rest is read at each use.
    pub kept_weights: Option<u64>,
}

/// Loads models.
pub trait Runner {
    /// Its name in reports.
    fn name(&self) -> &str;

    /// Prepares `model`.
    ///
    /// # Errors
    /// When it holds what the runner cannot run: all of it listed.
    fn load(&self, model: &Model, opts: &Opts) -> Result<Box<dyn Running>>;
}

/// Sees values as they are made.
pub type Watch<'a> = &'a mut dyn FnMut(ValueId, &Value);

/// A model ready to run.
pub trait Running: Send {
    /// Runs once: `inputs` in the order of the main graph's parameters, results in the order of its results.
    /// `watch` sees every value of the main graph that is materialised.
    ///
    /// # Errors
    /// When an input does not fit or a node fails.
    fn run(&mut self, inputs: &[Value], watch: Watch) -> Result<Vec<Value>>;
}

/// Checks `inputs` against the parameters of the main graph and solves the symbols of their shapes.
///
/// # Errors
/// Names the input, the axis and the bound that does not hold.
pub fn bind(model: &Model, inputs: &[Value]) -> Result<BTreeMap<String, i64>> {
    let params = &model.graph().params;
    if params.len() != inputs.len() {
        let names = params.iter().map(|&p| model.values[p].name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::Model(format!("{} inputs given, the model takes {} ({names})", inputs.len(), params.len())));
    }
    let mut sizes = BTreeMap::<String, (i64, String)>::new();
    for (&p, value) in params.iter().zip(inputs) {
        let v = &model.values[p];
        check(&v.name, &v.ty, value, &mut sizes)?;
    }
    Ok(sizes.into_iter().map(|(k, (n, _))| (k, n)).collect())
}

fn check(name: &str, ty: &Type, value: &Value, sizes: &mut BTreeMap<String, (i64, String)>) -> Result<()> {
    let fail = |message: String| Err(Error::Input { input: name.into(), message });
    let (ty, tensor) = match (ty, value) {
        (Type::Unknown, _) => return Ok(()),
        (Type::Tensor(ty), Value::Tensor(t)) => (ty, t),
        (Type::Sequence(inner), Value::Sequence(items)) => {
            return items.iter().try_for_each(|i| check(name, inner, i, &mut BTreeMap::new()));
        }
        (Type::Optional(inner), Value::Optional(Some(item))) => return check(name, inner, item, sizes),
        (Type::Optional(_), Value::Optional(None))
        | (Type::Map(..), Value::Map(_))
        | (Type::Sparse(_), Value::Sparse(_)) => return Ok(()),
        (Type::Optional(inner), item) => return check(name, inner, item, sizes),
        (ty, other) => return fail(format!("{ty} is wanted, a {} is given", other.kind())),
    };
    if let Some(d) = ty.dtype.filter(|d| *d != tensor.dtype()) {
        return fail(format!("element type {d} is wanted, {} is given", tensor.dtype()));
    }
    let Some(shape) = &ty.shape else { return Ok(()) };
    if shape.len() != tensor.rank() {
        return fail(format!("shape {ty} is wanted, rank {} is given", tensor.rank()));
    }
    for (axis, (dim, &size)) in shape.iter().zip(tensor.shape()).enumerate() {
        let size = size as i64;
        match (dim, dim.as_symbol()) {
            (Dim::Known(n), _) if *n != size => return fail(format!("axis {axis} must be {n}, {size} is given")),
            (_, Some(symbol)) => match sizes.get(symbol) {
                Some((n, from)) if *n != size => {
                    return fail(format!("{symbol} is {n} in {from} and {size} in `{name}` (axis {axis})"));
                }
                Some(_) => {}
                None => {
                    sizes.insert(symbol.into(), (size, format!("`{name}` (axis {axis})")));
                }
            },
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_tensor::{DType, Tensor};

    #[test]
    fn a_conflict_names_input_axis_and_bound() {
        let mut m = Model::new();
        let n = Dim::symbol("n");
        m.add_param(m.main, "a", Type::tensor(DType::F32, &[n.clone(), Dim::Known(2)]));
        m.add_param(m.main, "b", Type::tensor(DType::F32, &[n]));
        let t = |s: &[usize]| Value::Tensor(Tensor::zeros(DType::F32, s).unwrap());
        assert_eq!(bind(&m, &[t(&[3, 2]), t(&[3])]).unwrap()["n"], 3);
        let text = |a: &[usize], b: &[usize]| bind(&m, &[t(a), t(b)]).unwrap_err().to_string();
        assert_eq!(text(&[3, 2], &[4]), "input b: n is 3 in `a` (axis 0) and 4 in `b` (axis 0)");
        assert_eq!(text(&[3, 9], &[3]), "input a: axis 1 must be 2, 9 is given");
    }
}
