//! Importance matrices as llama.cpp writes them: how much the columns of each matrix matter.

use modelsmith_base::{Budget, Cursor, OutOfBytes};
use modelsmith_format::{Artifact, Checkpoint, Error, Input, ReadOptions, Result};
use modelsmith_format_weights::{GGUF, recipe::Importance};
use modelsmith_ops::interp::Operators;
use modelsmith_tensor::{Tensor, WeightExpr, materialize};

/// Reads an importance matrix: a GGUF file with `NAME.in_sum2` and `NAME.counts`, or the older binary form.
///
/// # Errors
/// When the file is neither.
pub fn importance(input: &Input) -> Result<Importance> {
    let mut head = [0; 4];
    match input.source().read_at(0, &mut head).is_ok() && head == *b"GGUF" {
        true => match (GGUF.read)(input, &ReadOptions::default())?.artifact {
            Artifact::Checkpoint(c) => sums(&c).map_err(|e| e.in_file(input.name())),
            _ => Err(Error::damaged("this GGUF file holds no tensors").in_file(input.name())),
        },
        false => {
            let mut bytes = vec![0; usize::try_from(input.source().len()).unwrap_or(0)];
            input.source().read_at(0, &mut bytes)?;
            older(&bytes).map_err(|e| Error::from(e).in_file(input.name()))
        }
    }
}

fn floats(w: &WeightExpr) -> Result<Vec<f32>> {
    let t: Tensor = materialize(w, &Operators, &Budget::new(1 << 30))?;
    Ok(t.as_slice::<f32>()?.to_vec())
}

/// Sums of squared activations over how many there were.
fn sums(c: &Checkpoint) -> Result<Importance> {
    let mut out = Importance::new();
    for (name, sums) in &c.tensors {
        let Some(base) = name.strip_suffix(".in_sum2") else { continue };
        let counts = c.find(&format!("{base}.counts"));
        let counts = floats(counts.ok_or_else(|| Error::damaged(format!("{base}.counts is missing")))?)?;
        // One count for each expert; one that was never asked counts evenly.
        let values = floats(sums)?;
        let columns = values.len() / counts.len().max(1);
        let rows = values.chunks(columns.max(1)).zip(&counts);
        let values = rows.flat_map(|(row, &n)| row.iter().map(move |x| if n > 0.0 { x / n } else { 1.0 }));
        out.insert(base.to_owned(), values.collect());
    }
    match out.is_empty() {
        true => Err(Error::damaged("this GGUF file is no importance matrix: it has no tensor NAME.in_sum2")),
        false => Ok(out),
    }
}

fn older(bytes: &[u8]) -> std::result::Result<Importance, modelsmith_tensor::Error> {
    let mut c = Cursor::new(bytes, 0);
    let mut out = Importance::new();
    for _ in 0..c.u32()? {
        let length = c.u32()?;
        let name = String::from_utf8_lossy(c.take(size(length))?).into_owned();
        let (calls, count) = (c.u32()?, size(c.u32()?));
        let values = c.take(count.saturating_mul(4))?;
        let divide = |b: &[u8; 4]| f32::from_le_bytes(*b) / if calls > 0 { calls as f32 } else { 1.0 };
        out.insert(name, values.as_chunks::<4>().0.iter().map(divide).collect());
    }
    match out.is_empty() {
        true => Err(OutOfBytes { offset: 0, wanted: 1, left: 0 }.into()),
        false => Ok(out),
    }
}

fn size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form_is_read_and_bounded() {
        let mut bytes = 1u32.to_le_bytes().to_vec();
        bytes.extend(1u32.to_le_bytes());
        bytes.push(b'w');
        bytes.extend([2u32, 2].iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend([4f32, 6.0].iter().flat_map(|x| x.to_le_bytes()));
        let found = importance(&Input::from_bytes("m.dat", bytes.clone())).unwrap();
        assert_eq!(found["w"][..], [2.0, 3.0]);
        for cut in 0..bytes.len() {
            let error = importance(&Input::from_bytes("m.dat", bytes[..cut].to_vec())).unwrap_err().to_string();
            assert!(error.starts_with("m.dat"), "{error}");
        }
        bytes[9] = 255;
        bytes[16] = 255;
        assert!(importance(&Input::from_bytes("m.dat", bytes)).is_err());
    }
}
