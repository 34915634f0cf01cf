//! Reads ONNX models and writes them again, for `tests/judge_rewrite.py`, which compares the two in Python.
//!
//! Standard input: one line per file, `IN<tab>OUT<tab>SIDE`, SIDE being `auto` or `always`.

use modelsmith_base::Budget;
use modelsmith_format::{Input, Output, ReadOptions, Result, SideData, WriteOptions};
use modelsmith_format_onnx::{read, write};
use modelsmith_ops::interp::Operators;
use std::io::BufRead;
use std::path::Path;

fn rewrite(from: &Path, to: &Path, side_data: SideData) -> Result<()> {
    let imported = read(&Input::open(from)?, &ReadOptions::default())?;
    for finding in &imported.findings {
        println!("{}: {finding}", from.display());
    }
    let mut output = Output::file(to, true);
    write(
        &imported.artifact,
        &mut output,
        &WriteOptions { budget: Budget::unlimited(), side_data, evaluator: &Operators },
    )?;
    output.commit()
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let [from, to, side] = line.split('\t').collect::<Vec<_>>()[..] else { return Err("IN, OUT, SIDE".into()) };
        let side = if side == "always" { SideData::Always } else { SideData::Auto };
        if let Err(e) = rewrite(Path::new(from), Path::new(to), side) {
            println!("refused: {e}");
        }
    }
    Ok(())
}
