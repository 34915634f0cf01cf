//! Encodes or decodes raw blocks, for `conformance/blocks.py`: `blocks encode Q4_K 4096 FLOATS OUT [IMPORTANCE]`,
//! `blocks decode Q4_K BLOCKS OUT`, `blocks list`. Floats are little-endian `f32`.

use modelsmith_tensor::{ENCODINGS, encoding};
use std::fs;
use std::process::ExitCode;

fn floats(path: &str) -> Result<Vec<f32>, String> {
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

fn run(arguments: &[&str]) -> Result<(), String> {
    let find = |name: &str| encoding(name).ok_or(format!("no encoding {name}"));
    match arguments {
        ["list"] => {
            ENCODINGS.iter().for_each(|e| println!("{} {} {} {}", e.name, e.elements, e.bytes, e.encode.is_some()));
            Ok(())
        }
        ["decode", name, from, to] => {
            let (e, bytes) = (find(name)?, fs::read(from).map_err(|e| e.to_string())?);
            let mut out = vec![0f32; bytes.len() / e.bytes * e.elements];
            (e.decode)(&bytes, &mut out);
            fs::write(to, out.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()).map_err(|e| e.to_string())
        }
        ["encode", name, row, from, to, rest @ ..] => {
            let (e, x) = (find(name)?, floats(from)?);
            let importance = rest.first().map(|path| floats(path)).transpose()?;
            let mut out = vec![0u8; e.bytes_for(x.len()).ok_or("rows are not whole blocks")?];
            let row = row.parse().map_err(|_| "the row is not a number")?;
            let start = std::time::Instant::now();
            e.encode.ok_or("it is read only")?(&x, row, importance.as_deref(), &mut out);
            println!("{}", start.elapsed().as_secs_f64());
            fs::write(to, out).map_err(|e| e.to_string())
        }
        _ => Err("see the head of the file".into()),
    }
}

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
