//! Chores of the repository: generated module lists, tidiness checks, conformance, benchmarks.

mod bench;
mod conformance;
mod r#gen;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

/// The repository's root.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

const HELP: &str = "usage: cargo xtask COMMAND
  gen [--check]   write the module lists and the operator table, or fail if they are not as written
  tidy            import layers, sizes of files and functions, names, leftovers
  conformance BINARY CASES_DIR [--update] [reference|cpu|cpu-avx2|cpu-portable]...
                  the ONNX project's cases against the lists of expected failures
  bench roof | layers [THREADS] [FILTER] | peers ZOO [cold] [OPTIONS]
                  the limits of this machine; kernels on known layers; the program beside its peers";

fn main() -> ExitCode {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let words = args.iter().map(String::as_str).collect::<Vec<_>>();
    let outcome = match words.as_slice() {
        ["gen"] => r#gen::write(&root()),
        ["gen", "--check"] => r#gen::check(&root()),
        ["bench", rest @ ..] => bench::run(&root(), rest),
        ["conformance", rest @ ..] => conformance::run(&root(), rest),
        ["tidy"] => tidy::findings(&root()).and_then(|found| match found.is_empty() {
            true => Ok(()),
            false => Err(found.join("\n")),
        }),
        _ => Err(HELP.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
