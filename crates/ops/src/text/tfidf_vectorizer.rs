//! TfIdfVectorizer: counts of the n-grams of a pool in each row, with items skipped between, and weighted if asked. <https://onnx.ai/onnx/operators/onnx__TfIdfVectorizer.html>

use crate::math::contraction::checked_len;
use crate::prelude::*;
use std::collections::HashMap;
use std::hash::Hash;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "T1")],
    attrs: &[
        AttrDef::required("max_gram_length", AttrKind::Int),
        AttrDef::required("max_skip_count", AttrKind::Int),
        AttrDef::required("min_gram_length", AttrKind::Int),
        AttrDef::required("mode", AttrKind::String),
        AttrDef::required("ngram_counts", AttrKind::Ints),
        AttrDef::required("ngram_indexes", AttrKind::Ints),
        AttrDef::optional("pool_int64s", AttrKind::Ints),
        AttrDef::optional("pool_strings", AttrKind::Strings),
        AttrDef::optional("weights", AttrKind::Floats),
    ],
    types: &[types_of("T", TypeSet::tensors(&[I32, I64, String])), types_of("T1", TypeSet::tensors(&[F32]))],
};

/// The ONNX operator TfIdfVectorizer.
pub static TFIDF_VECTORIZER: OpDef = OpDef {
    name: "TfIdfVectorizer",
    since: 9,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let width = Dim::from(width(&cx.attrs)?);
    let shape = match cx.shape(0) {
        None => None,
        Some([_]) => Some(vec![width]),
        Some([rows, _]) => Some(vec![rows.clone(), width]),
        Some(other) => return Err(OpError::invalid(format!("one or two dimensions are wanted, not {}", other.len()))),
    };
    cx.set_tensor(0, Some(F32), shape);
    Ok(())
}

/// Length of a result's row: one more than the largest coordinate.
fn width(attrs: &AttrView) -> OpResult<usize> {
    let largest = attrs.ints("ngram_indexes")?.into_iter().max().unwrap_or(-1);
    usize::try_from(largest + 1).map_err(|_| OpError::invalid("ngram_indexes holds a negative number"))
}

/// The number of each n-gram of the pool.
fn numbered<T: Clone + Eq + Hash>(pool: &[T], starts: &[i64]) -> OpResult<HashMap<Vec<T>, usize>> {
    let bad = || OpError::invalid("ngram_counts does not rise within the pool");
    let mut out = HashMap::new();
    let mut number = 0;
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(pool.len() as i64);
        let (start, end) = (usize::try_from(start).map_err(|_| bad())?, usize::try_from(end).map_err(|_| bad())?);
        for gram in pool.get(start..end).ok_or_else(bad)?.chunks_exact(i + 1) {
            out.insert(gram.to_vec(), number);
            number += 1;
        }
    }
    Ok(out)
}

/// How often each n-gram of the pool occurs in `row`, by its number.
fn counts<T: Clone + Eq + Hash>(
    row: &[T],
    pool: &HashMap<Vec<T>, usize>,
    lengths: [usize; 2],
    skips: usize,
    out: &mut [f64],
) {
    for n in lengths[0]..=lengths[1].min(row.len()) {
        // One item has no gap in which items could be skipped.
        let gaps = if n == 1 { 0 } else { skips.min(row.len()) };
        for step in 1..=gaps + 1 {
            for start in 0..row.len() {
                if (n - 1) * step + start >= row.len() {
                    break;
                }
                let gram = (0..n).map(|k| row[start + k * step].clone()).collect::<Vec<_>>();
                if let Some(slot) = pool.get(&gram).and_then(|&i| out.get_mut(i)) {
                    *slot += 1.0;
                }
            }
        }
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let size = |name: &str| {
        let n = cx.attrs.int(name)?;
        usize::try_from(n).map_err(|_| OpError::invalid(format!("{name} is {n}")))
    };
    let (lengths, skips) = ([size("min_gram_length")?.max(1), size("max_gram_length")?], size("max_skip_count")?);
    let (starts, places) = (cx.attrs.ints("ngram_counts")?, cx.attrs.ints("ngram_indexes")?);
    let (rows, columns) = match *x.shape() {
        [c] => (1, c),
        [n, c] => (n, c),
        _ => return Err(OpError::invalid(format!("one or two dimensions are wanted, not {:?}", x.shape()))),
    };
    let mut found = vec![0.0; checked_len(F64, &[rows, places.len()])?];
    let each = |row: usize, out: &mut [f64]| -> OpResult<()> {
        let part = row * columns..(row + 1) * columns;
        match x.dtype() {
            String => {
                let pool = numbered(&cx.attrs.opt_strings("pool_strings")?.unwrap_or_default(), &starts)?;
                counts(&x.strings()?[part], &pool, lengths, skips, out);
            }
            _ => {
                let pool = numbered(&cx.attrs.opt_ints("pool_int64s")?.unwrap_or_default(), &starts)?;
                counts(&x.to_i64s()?[part], &pool, lengths, skips, out);
            }
        }
        Ok(())
    };
    if !places.is_empty() {
        found.chunks_exact_mut(places.len()).enumerate().try_for_each(|(row, out)| each(row, out))?;
    }
    let weights = cx.attrs.opt_floats("weights")?;
    let weight = |i: usize| weights.as_ref().and_then(|w| w.get(i)).map_or(1.0, |&w| f64::from(w));
    let mode = cx.attrs.string("mode")?;
    let width = width(&cx.attrs)?;
    let mut out = vec![0.0; checked_len(F64, &[rows, width])?];
    for (k, &count) in found.iter().enumerate() {
        let (row, i) = (k / places.len(), k % places.len());
        let at = usize::try_from(places[i]).map_err(|_| OpError::invalid("ngram_indexes holds a negative number"))?;
        out[row * width + at] += match mode {
            "TF" => count,
            "IDF" => count.min(1.0) * weight(i),
            "TFIDF" => count * weight(i),
            other => return Err(OpError::invalid(format!("mode {other:?} is not TF, IDF or TFIDF"))),
        };
    }
    let shape = if x.rank() == 1 { vec![width] } else { vec![rows, width] };
    Ok(vec![Tensor::from_f64s(F32, &shape, &out)?.into()])
}

fn samples(s: &mut Samples) {
    let words = Attr::Strings(["a", "Model", "smith", "ONNX", "a", "a"].map(std::string::String::from).to_vec());
    for (mode, skip) in [("TF", 0), ("IDF", 1), ("TFIDF", 3)] {
        for shape in [&[7][..], &[2, 5], &[0], &[0, 3]] {
            for dtype in [I32, I64, String] {
                let x = s.any(dtype, shape);
                let case = s.case().attr("mode", mode).attr("max_skip_count", skip);
                let case = case.attr("min_gram_length", 1).attr("max_gram_length", 2).attr("ngram_counts", [0, 2]);
                let case = case.attr("ngram_indexes", [3, 0, 1, 2]).attr("weights", vec![1.0f32, 2.0, 0.5, 3.0]);
                let case = match dtype {
                    String => case.attr("pool_strings", words.clone()),
                    _ => case.attr("pool_int64s", [1, 2, 0, 1, -1, 3]),
                };
                case.input(x).add();
            }
        }
    }
}
