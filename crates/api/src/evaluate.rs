//! Accuracy on inputs with known labels.

use crate::agreement::largest;
use crate::judge::Runs;
use crate::{Error, Model, Result, npz};
use modelsmith_tensor::{Tensor, Value};
use serde::Serialize;
use std::path::Path;

/// Samples that are run at once, where the model has a free batch dimension.
const BATCH: usize = 32;

/// Inputs and their labels.
pub struct Labelled {
    inputs: Vec<Tensor>,
    labels: Vec<i64>,
}

/// Accuracy of the model and of what was made of it.
#[derive(Clone, Debug, Serialize)]
pub struct Accuracy {
    /// Labelled samples.
    pub samples: usize,
    /// Share that the model gets right, run by the reference.
    pub model: f64,
    /// Share that the engine gets right.
    pub engine: f64,
    /// Share on which both say the same.
    pub same: f64,
    /// What the engine loses: share of the model less that of the engine.
    pub drop: f64,
}

impl Labelled {
    /// Reads inputs (an `.npy` file for a model with one input, an `.npz` file with one array per input; the first
    /// axis is the sample) and labels (an `.npy` file of integers).
    ///
    /// # Errors
    /// When a file cannot be read or the numbers of samples differ.
    pub fn read(data: &Path, labels: &Path, model: &Model) -> Result<Labelled> {
        let names = model.input_names();
        let npz = data.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"));
        let inputs = match npz {
            true => {
                let arrays = npz::read(data)?;
                let find = |n: &String| arrays.iter().find(|(a, _)| a == n).map(|(_, t)| t.clone());
                let missing = |n: &String| Error::usage(format!("no array is named {n}")).in_file(data);
                names.iter().map(|n| find(n).ok_or_else(|| missing(n))).collect::<Result<Vec<_>>>()?
            }
            false if names.len() == 1 => vec![npz::read_npy(data)?],
            false => {
                let text = format!("the model has {} inputs, an .npy file holds one", names.len());
                return Err(Error::usage(text).in_file(data).help("give an .npz file with one array per input"));
            }
        };
        let labels_read = npz::read_npy(labels)?.to_i64s().map_err(|e| Error::from(e).in_file(labels))?;
        let count = |t: &Tensor| t.shape().first().copied().unwrap_or(0);
        if let Some(t) = inputs.iter().find(|t| count(t) != labels_read.len()) {
            let text = format!("{} samples, but {} labels in {}", count(t), labels_read.len(), labels.display());
            return Err(Error::usage(text).in_file(data));
        }
        Ok(Labelled { inputs, labels: labels_read })
    }

    /// Class of each sample: the place of the largest element of its row in the first output that is a matrix of
    /// floats.
    ///
    /// # Errors
    /// When a run fails or no output has a row per sample.
    pub fn classes(&self, side: &mut dyn Runs, model: &Model) -> Result<Vec<usize>> {
        let first = model.hub().graph().params.first().and_then(|&p| model.hub().ty(p).shape()?.first()?.size());
        let step = first.unwrap_or(BATCH).max(1);
        let total = self.labels.len();
        let mut out = Vec::with_capacity(total);
        let mut at = 0;
        while at < total {
            // A model of fixed batch gets its last samples twice rather than a smaller batch.
            let start = if first.is_some() { at.min(total.saturating_sub(step)) } else { at };
            let len = step.min(total - start);
            let inputs = self.inputs.iter().map(|t| rows(t, start, len)).collect::<Result<Vec<_>>>()?;
            let outputs = side.run(&inputs)?;
            let logits = outputs
                .iter()
                .filter_map(|v| v.tensor().ok())
                .find(|t| t.dtype().is_float() && t.rank() >= 2 && t.shape()[0] == len && !t.is_empty());
            let logits = logits.ok_or_else(|| Error::usage("no output has a row of floats for each sample"))?;
            let width = logits.len() / len;
            let classes = logits.to_f64s()?.chunks(width).map(largest).collect::<Vec<_>>();
            out.extend_from_slice(&classes[at - start..]);
            at = start + len;
        }
        Ok(out)
    }

    /// Share of classes that are the labels.
    pub fn share(&self, classes: &[usize]) -> f64 {
        let right = classes.iter().zip(&self.labels).filter(|(c, l)| i64::try_from(**c) == Ok(**l)).count();
        right as f64 / self.labels.len().max(1) as f64
    }

    /// Accuracy of both sides.
    ///
    /// # Errors
    /// As [`Labelled::classes`].
    pub fn accuracy(&self, model: &Model, original: &mut dyn Runs, made: &mut dyn Runs) -> Result<Accuracy> {
        let (a, b) = (self.classes(original, model)?, self.classes(made, model)?);
        let same = a.iter().zip(&b).filter(|(x, y)| x == y).count() as f64 / a.len().max(1) as f64;
        let (model, engine) = (self.share(&a), self.share(&b));
        Ok(Accuracy { samples: self.labels.len(), model, engine, same, drop: model - engine })
    }
}

fn rows(t: &Tensor, start: usize, len: usize) -> Result<Value> {
    let row = t.shape()[1..].iter().product::<usize>();
    let mut shape = t.shape().to_vec();
    shape[0] = len;
    Ok(Value::Tensor(t.gathered(&shape, start * row..(start + len) * row)?))
}
