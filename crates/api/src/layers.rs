//! Values between inputs and outputs, matched by name.

use crate::agreement::Agreement;
use crate::compare::describe;
use modelsmith_tensor::{DType, Tensor, Value};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of values that a [`Trace`] holds in memory; what comes later goes to a file.
const HELD: usize = 64 << 20;

/// Named values of one run, in the order in which they were made. Beyond [`HELD`] they lie in a file without a name, so that
/// the values of a large model need no memory.
#[derive(Default)]
pub struct Trace {
    order: Vec<String>,
    values: HashMap<String, Kept>,
    held: usize,
    file: Option<(File, u64)>,
}

enum Kept {
    Here(Value),
    /// Bytes of a tensor from this place of the file on.
    There(DType, Vec<usize>, u64),
}

impl Trace {
    /// Keeps a value; a name that comes again (a loop) counts once, with its last value.
    pub fn add(&mut self, name: &str, value: &Value) {
        let bytes = value.tensor().map_or(0, |t| t.bytes().len());
        let kept = match self.held.saturating_add(bytes) > HELD {
            true => self.written(value).unwrap_or_else(|| Kept::Here(value.clone())),
            false => Kept::Here(value.clone()),
        };
        if matches!(kept, Kept::Here(_)) {
            self.held = self.held.saturating_add(bytes);
        }
        match self.values.insert(name.to_owned(), kept) {
            None => self.order.push(name.to_owned()),
            Some(Kept::Here(old)) => {
                self.held = self.held.saturating_sub(old.tensor().map_or(0, |t| t.bytes().len()));
            }
            Some(Kept::There(..)) => {}
        }
    }

    /// The value in the file; `None` where it is no plain tensor or no file can be had.
    fn written(&mut self, value: &Value) -> Option<Kept> {
        let t = value.tensor().ok().filter(|t| t.dtype() != DType::String)?;
        if self.file.is_none() {
            self.file = Some((unnamed().ok()?, 0));
        }
        let (file, end) = self.file.as_mut()?;
        let at = *end;
        file.seek(SeekFrom::Start(at)).ok()?;
        file.write_all(t.bytes()).ok()?;
        *end += t.bytes().len() as u64;
        Some(Kept::There(t.dtype(), t.shape().to_vec(), at))
    }

    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        match self.values.get(name)? {
            Kept::Here(v) => Some(Cow::Borrowed(v)),
            Kept::There(dtype, shape, at) => {
                let mut t = Tensor::zeros(*dtype, shape).ok()?;
                let mut file = &self.file.as_ref()?.0;
                file.seek(SeekFrom::Start(*at)).ok()?;
                file.read_exact(t.bytes_mut()).ok()?;
                Some(Cow::Owned(Value::Tensor(t)))
            }
        }
    }
}

/// A file in the folder for temporary files that is gone when it is closed.
fn unnamed() -> std::io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("modelsmith-{}-{}.values", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
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
        let (Some(x), Some(y)) = (a.get(name), b.get(name)) else { continue };
        let (x, y) = (x.as_ref(), y.as_ref());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_bound_come_back_from_a_file() {
        let mut trace = Trace::default();
        let large = |x: f32| Value::Tensor(Tensor::new(&[1 << 22], vec![x; 1 << 22]).unwrap());
        for k in 0..6 {
            trace.add(&format!("v{k}"), &large(k as f32));
        }
        trace.add("v0", &large(7.0));
        assert!(trace.held <= HELD && trace.order.len() == 6);
        let there = trace.values.values().filter(|v| matches!(v, Kept::There(..))).count();
        assert_eq!(there, 3);
        for (name, want) in [("v0", 7.0), ("v3", 3.0), ("v5", 5.0)] {
            let v = trace.get(name).unwrap();
            let t = v.tensor().unwrap();
            assert!(t.shape() == [1 << 22] && t.as_slice::<f32>().unwrap().iter().all(|x| *x == want), "{name}");
        }
        assert!(trace.get("other").is_none());
    }
}
