//! Prints the type that a recipe gives each tensor of a checkpoint: `recipe FILE NAME [importance]`, the last word for a
//! model with an importance matrix.

use modelsmith_format::{Artifact, Input, ReadOptions, detect};
use modelsmith_format_weights::FORMATS;
use modelsmith_format_weights::recipe::{Stored, by_layer, choose, recipe};
use std::path::Path;
use std::process::ExitCode;

fn types(path: &str, name: &str, importance: bool) -> Result<(), String> {
    let input = Input::open(Path::new(path)).map_err(|e| e.to_string())?;
    let format = detect(FORMATS, &input).ok_or("no format claims the file")?;
    let read = (format.read)(&input, &ReadOptions::default()).map_err(|e| e.to_string())?;
    let Artifact::Checkpoint(checkpoint) = read.artifact else { return Err("this is no checkpoint".into()) };
    let recipe = recipe(name).ok_or("there is no such recipe")?;
    let mut tensors = checkpoint.tensors.iter().map(|(n, w)| (n.as_str(), w.shape())).collect::<Vec<_>>();
    tensors.sort_by(|a, b| by_layer(a.0, b.0));
    let chosen = choose(recipe, &checkpoint.meta, &tensors, &[], importance).map_err(|e| e.to_string())?;
    for ((name, _), stored) in tensors.iter().zip(chosen) {
        match stored {
            Stored::Kept => println!("{name} KEPT"),
            Stored::Dense(dtype) => println!("{name} {dtype}"),
            Stored::Blocks(encoding) => println!("{name} {encoding:?}"),
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let [path, name, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: recipe FILE NAME [importance]");
        return ExitCode::from(2);
    };
    match types(path, name, !rest.is_empty()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
