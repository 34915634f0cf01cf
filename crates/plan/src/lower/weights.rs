//! The constants of a plan: which bytes they are, and packing them once for all plans.

use crate::backend::{Backend, WeightDims};
use crate::error::{Error, Result};
use crate::plan::{Form, Home, Plan, Weight, WeightId};
use modelsmith_base::Budget;
use modelsmith_ir::{Attr, Attrs, Type};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{DType, Tensor, WeightExpr, materialize};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The payload of the weight section: each blob once, shared by all plans.
#[derive(Default)]
pub struct Blobs {
    /// Row-major tensors, or packed weights as vectors.
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

impl Entry {
    fn key(&self) -> (usize, Form) {
        (Arc::as_ptr(&self.expr) as usize, self.form.clone())
    }

    /// The bytes as they are kept, and what they were made of.
    fn bytes(&self, backend: &dyn Backend) -> Result<(Tensor, String)> {
        let fail = |message: String| Error::Weight { tensor: self.name.clone(), message };
        let raw = materialize(&self.expr, &Operators, &Budget::unlimited()).map_err(|e| fail(e.to_string()))?;
        match &self.form {
            Form::Raw => Ok((raw, self.name.clone())),
            Form::Packed { format, shape } => {
                let dims = WeightDims::from_numbers(shape).ok_or_else(|| fail("no such weight".into()))?;
                let t = backend.pack(format, dims, &raw).map_err(fail)?;
                Ok((t, format!("{} as {format}", self.name)))
            }
        }
    }
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
        let entry = Entry { name, expr, form };
        if let Some(&id) = self.by_source.get(&entry.key()) {
            return id;
        }
        self.by_source.insert(entry.key(), self.entries.len());
        self.entries.push(entry);
        self.entries.len() - 1
    }

    /// Makes the bytes of every weight that the plan still reads, on `threads` threads, and numbers those weights anew.
    pub fn finish(self, backend: &dyn Backend, threads: usize, plan: &mut Plan, blobs: &mut Blobs) -> Result<()> {
        let mut renumbered = HashMap::new();
        let mut read = Vec::new();
        for block in &plan.blocks {
            let used = block.used();
            for (b, _) in block.buffers.iter().zip(used).filter(|(_, used)| *used) {
                if let Home::Weight(w) = b.home
                    && !read.contains(&w)
                {
                    read.push(w);
                }
            }
        }
        blobs.make(read.iter().map(|&w| &self.entries[w]).collect(), backend, threads)?;
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
                        let blob = blobs.of(e)?;
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
    /// Makes the bytes of those entries that have none yet, several at once. They are numbered in the order given.
    fn make(&mut self, mut entries: Vec<&Entry>, backend: &dyn Backend, threads: usize) -> Result<()> {
        entries.retain(|e| !self.by_source.contains_key(&e.key()));
        let made = entries.iter().map(|_| OnceLock::new()).collect::<Vec<_>>();
        // The largest first, so that no thread is left with one at the end.
        let mut order = (0..entries.len()).collect::<Vec<_>>();
        order.sort_by_key(|&i| std::cmp::Reverse(entries[i].expr.byte_len()));
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(&i) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let _ = made[i].set(entries[i].bytes(backend));
            }
        };
        std::thread::scope(|s| {
            (1..threads.min(entries.len())).for_each(|_| {
                s.spawn(work);
            });
            work();
        });
        for (entry, made) in entries.into_iter().zip(made) {
            let none = || Error::Weight { tensor: entry.name.clone(), message: "its bytes were not made".into() };
            let (tensor, origin) = made.into_inner().ok_or_else(none)??;
            let blob = match self.same(&tensor, &origin) {
                Some(blob) => blob,
                None => {
                    self.tensors.push(tensor);
                    self.origins.push(origin);
                    self.tensors.len() - 1
                }
            };
            self.sources.push(entry.expr.clone());
            self.by_source.insert(entry.key(), blob);
        }
        Ok(())
    }

    fn of(&self, entry: &Entry) -> Result<usize> {
        let none = || Error::Weight { tensor: entry.name.clone(), message: "it has no bytes".into() };
        self.by_source.get(&entry.key()).copied().ok_or_else(none)
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
