//! Values between inputs and outputs, matched by name.

use crate::agreement::Agreement;
use crate::compare::describe;
use modelsmith_tensor::Value;
use serde::Serialize;
use std::collections::HashMap;

/// Named values of one run, in the order in which they were made.
#[derive(Default)]
pub struct Trace {
    order: Vec<String>,
    values: HashMap<String, Value>,
}

impl Trace {
    /// Keeps a value; a name that comes again (a loop) counts once, with its last value.
    pub fn add(&mut self, name: &str, value: &Value) {
        if self.values.insert(name.to_owned(), value.clone()).is_none() {
            self.order.push(name.to_owned());
        }
    }
}

/// How one value on the way differs, over all samples.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    /// Name of the value.
    pub name: String,
    /// Element type and shape.
    pub ty: String,
    /// Largest absolute difference.
    pub max_abs: f64,
    /// Smallest cosine.
    pub cosine: f64,
    /// Largest value.
    pub largest: f64,
    /// True when it agrees in every sample.
    pub agrees: bool,
    /// Type in the first sample, for a tensor.
    #[serde(skip)]
    pub kind: Option<modelsmith_ir::Type>,
}

/// Compares the values that both runs show and adds them to `layers`.
pub fn merge(layers: &mut Vec<LayerReport>, a: &Trace, b: &Trace, agreement: &Agreement) {
    for name in &a.order {
        let (Some(x), Some(y)) = (a.values.get(name), b.values.get(name)) else { continue };
        let (d, agrees) = agreement.compare(name, x, y);
        let at = layers.iter().position(|l| l.name == *name).unwrap_or_else(|| {
            let ty = describe(x);
            let kind = x.tensor().ok().map(|t| modelsmith_ir::Type::fixed(t.dtype(), t.shape()));
            layers.push(LayerReport {
                name: name.clone(),
                ty,
                max_abs: 0.0,
                cosine: 1.0,
                largest: 0.0,
                agrees: true,
                kind,
            });
            layers.len() - 1
        });
        let l = &mut layers[at];
        l.max_abs = l.max_abs.max(d.max_abs);
        l.cosine = l.cosine.min(d.cosine);
        l.largest = l.largest.max(d.largest);
        l.agrees &= agrees;
    }
}
