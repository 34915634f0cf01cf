//! The `modelsmith` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(modelsmith_cli::command(std::env::args_os().collect()))
}
