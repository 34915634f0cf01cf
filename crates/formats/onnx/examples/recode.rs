//! Decodes ONNX messages and encodes them again, for `tests/judge_schema.py`, which compares the two in Python.
//!
//! Standard input: one line per file, `KIND<tab>IN<tab>OUT`, KIND being `model`, `tensor`, `sequence` or `optional`.

use modelsmith_format_onnx::schema::{ModelProto, OptionalProto, Proto, SequenceProto, TensorProto};
use modelsmith_wire::proto::{Error, Limits, Message};
use std::io::BufRead;

fn recode<'a, T: Proto<'a>>(bytes: &'a [u8]) -> Result<Vec<u8>, Error> {
    let message = T::decode(Message::new(bytes, 0), &mut Limits::for_file(bytes.len() as u64))?;
    Ok(message.to_rope().to_vec().expect("nothing was replaced by a stream"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let [kind, from, to] = line.split('\t').collect::<Vec<_>>()[..] else { return Err("KIND, IN, OUT".into()) };
        let bytes = std::fs::read(from)?;
        let again = match kind {
            "model" => recode::<ModelProto>(&bytes),
            "tensor" => recode::<TensorProto>(&bytes),
            "sequence" => recode::<SequenceProto>(&bytes),
            _ => recode::<OptionalProto>(&bytes),
        };
        match again {
            Ok(again) => std::fs::write(to, again)?,
            Err(e) => println!("{from}: {e}"),
        }
    }
    Ok(())
}
