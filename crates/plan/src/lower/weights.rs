//! The constants of a plan: which bytes they are, and packing them once for all plans.

use crate::backend::{Backend, WeightDims};
use crate::error::{Error, Result};
use crate::plan::{Form, Home, Plan, Weight, WeightId};
use modelsmith_base::Budget;
use modelsmith_ir::{Attr, Attrs, Model, Type};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{DType, Tensor, WeightExpr, materialize};
use std::collections::HashMap;
use std::sync::Arc;

/// The payload of the weight section: each blob once, shared by all plans.
#[derive(Default)]
pub struct Blobs {
    /// Row-major tensors, or packed weights as vectors of f32.
    pub tensors: Vec<Tensor>,
    /// What each blob was made of: tensor name, and the form as text.
    pub origins: Vec<String>,
    by_source: HashMap<(usize, Form), usize>,
    /// Keeps the expressions alive whose addresses are keys.
    sources: Vec<Arc<WeightExpr>>,
}

/// Constants that blocks refer to while they are lowered.
#[derive(Default)]
pub(super) struct WeightTable {
    entries: Vec<Entry>,
    by_source: HashMap<(usize, Form), WeightId>,
}

struct Entry {
    name: String,
    expr: Arc<WeightExpr>,
    form: Form,
}

impl WeightTable {
    /// A weight of the model, row-major.
    pub fn expr(&mut self, name: String, expr: &Arc<WeightExpr>) -> WeightId {
        self.entry(name, expr.clone(), Form::Raw)
    }

    /// A constant that is not an initializer.
    pub fn literal(&mut self, name: String, tensor: Tensor) -> WeightId {
        self.entry(name, Arc::new(WeightExpr::Literal(tensor)), Form::Raw)
    }

    /// The same weight in a pack format.
    pub fn packed(&mut self, weight: WeightId, format: &str, dims: WeightDims) -> WeightId {
        let (name, expr) = (self.entries[weight].name.clone(), self.entries[weight].expr.clone());
        self.entry(name, expr, Form::Packed { format: format.into(), shape: dims.to_numbers() })
    }

    /// Element type and logical shape of a weight.
    pub fn ty(&self, weight: WeightId) -> Type {
        Type::fixed(self.entries[weight].expr.dtype(), &self.entries[weight].expr.shape())
    }

    /// The name of a weight's pack format, if it has one.
    pub fn form(&self, weight: WeightId) -> Option<&str> {
        match &self.entries.get(weight)?.form {
            Form::Raw => None,
            Form::Packed { format, .. } => Some(format),
        }
    }

    fn entry(&mut self, name: String, expr: Arc<WeightExpr>, form: Form) -> WeightId {
        let key = (Arc::as_ptr(&expr) as usize, form.clone());
        if let Some(&id) = self.by_source.get(&key) {
            return id;
        }
        self.entries.push(Entry { name, expr, form });
        self.by_source.insert(key, self.entries.len() - 1);
        self.entries.len() - 1
    }

    /// Makes the bytes of every weight that the plan still reads and numbers those weights anew.
    pub fn finish(self, _: &Model, backend: &dyn Backend, plan: &mut Plan, blobs: &mut Blobs) -> Result<()> {
        let mut renumbered = HashMap::new();
        for block in &mut plan.blocks {
            let used = block.used();
            for (i, b) in block.buffers.iter_mut().enumerate() {
                let Home::Weight(w) = b.home else { continue };
                if !used[i] {
                    // Nothing reads it: the buffer stays for its index and holds nothing.
                    b.home = Home::Host;
                    continue;
                }
                let id = match renumbered.get(&w) {
                    Some(&id) => id,
                    None => {
                        let e = &self.entries[w];
                        let blob = blobs.add(e, backend)?;
                        plan.weights.push(Weight {
                            name: e.name.clone(),
                            dtype: e.expr.dtype(),
                            shape: e.expr.shape(),
                            form: e.form.clone(),
                            blob,
                        });
                        renumbered.insert(w, plan.weights.len() - 1);
                        plan.weights.len() - 1
                    }
                };
                b.home = Home::Weight(id);
            }
        }
        Ok(())
    }
}

impl Blobs {
    fn add(&mut self, entry: &Entry, backend: &dyn Backend) -> Result<usize> {
        let key = (Arc::as_ptr(&entry.expr) as usize, entry.form.clone());
        if let Some(&blob) = self.by_source.get(&key) {
            return Ok(blob);
        }
        let fail = |message: String| Error::Weight { tensor: entry.name.clone(), message };
        let raw = materialize(&entry.expr, &Operators, &Budget::unlimited()).map_err(|e| fail(e.to_string()))?;
        let (tensor, origin) = match &entry.form {
            Form::Raw => (raw, entry.name.clone()),
            Form::Packed { format, shape } => {
                let dims = WeightDims::from_numbers(shape).ok_or_else(|| fail("no such weight".into()))?;
                let raw = raw.as_slice::<f32>().map_err(|e| fail(e.to_string()))?;
                let packed = backend.pack(format, dims, raw).map_err(fail)?;
                let n = packed.len();
                let t = Tensor::new(&[n], packed).map_err(|e| fail(e.to_string()))?;
                (t, format!("{} as {format}", entry.name))
            }
        };
        if let Some(blob) = self.same(&tensor, &origin) {
            self.sources.push(entry.expr.clone());
            self.by_source.insert(key, blob);
            return Ok(blob);
        }
        self.tensors.push(tensor);
        self.origins.push(origin);
        self.sources.push(entry.expr.clone());
        self.by_source.insert(key, self.tensors.len() - 1);
        Ok(self.tensors.len() - 1)
    }

    /// A blob of the same bits, among those small enough that comparing is nothing.
    fn same(&self, tensor: &Tensor, origin: &str) -> Option<usize> {
        let small = tensor.dtype() != DType::String && tensor.bytes().len() <= 4096;
        (0..self.tensors.len()).find(|&i| {
            (small || self.origins[i] == origin)
                && self.tensors[i].len() == tensor.len()
                && self.tensors[i].same_bits(tensor)
        })
    }
}

/// The attributes with the tensors among them in memory: a plan refers to no file.
pub(super) fn literal_attrs(mut attrs: Attrs) -> Result<Attrs> {
    let fail = |e: modelsmith_tensor::Error| Error::Weight { tensor: "attribute".into(), message: e.to_string() };
    let literal = |w: &mut Arc<WeightExpr>| -> Result<()> {
        if !matches!(**w, WeightExpr::Literal(_)) {
            *w = Arc::new(WeightExpr::Literal(materialize(w, &Operators, &Budget::unlimited()).map_err(fail)?));
        }
        Ok(())
    };
    for (_, a) in attrs.iter_mut() {
        match a {
            Attr::Tensor(w) => literal(w)?,
            Attr::Sparse(v, i, _) => {
                literal(v)?;
                literal(i)?;
            }
            Attr::Tensors(all) => all.iter_mut().try_for_each(literal)?,
            _ => {}
        }
    }
    Ok(attrs)
}
