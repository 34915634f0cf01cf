//! Measurements: the limits of the machine, the kernels on known layers, the program beside its peers.

use std::path::Path;
use std::process::Command;

/// `roof`, `layers [THREADS] [FILTER]`, or `peers ZOO [ARGUMENTS of bench_peers.py]`.
pub fn run(root: &Path, args: &[&str]) -> Result<(), String> {
    match args {
        ["roof"] => cargo(root, &["run", "--release", "--quiet", "--package", "modelsmith-cli", "--", "doctor"], &[]),
        ["layers", rest @ ..] => {
            let example = [
                "run",
                "--release",
                "--quiet",
                "--package",
                "modelsmith-kernels",
                "--example",
                "roof_and_layers",
                "--",
            ];
            cargo(root, &example, rest)
        }
        ["peers", zoo, rest @ ..] => peers(root, zoo, rest),
        _ => Err("usage: cargo xtask bench roof | layers [THREADS] [FILTER] | peers ZOO [OPTIONS]".into()),
    }
}

fn cargo(root: &Path, args: &[&str], rest: &[&str]) -> Result<(), String> {
    finish(Command::new("cargo").args(args).args(rest).current_dir(root))
}

/// The script lies beside the repository, with the environment that `setup.sh base peers` makes.
fn peers(root: &Path, zoo: &str, rest: &[&str]) -> Result<(), String> {
    cargo(root, &["build", "--release", "--package", "modelsmith-cli"], &[])?;
    let tools = root.join("../shared/tools");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let made = Command::new("bash").arg(tools.join("setup.sh")).args(["base", "peers"]).output();
    let made = made.map_err(|e| format!("{}: {e}", tools.join("setup.sh").display()))?;
    let python = String::from_utf8_lossy(&made.stdout).lines().last().unwrap_or("python3").to_owned();
    let mut command = Command::new(python);
    command.arg(tools.join("bench_peers.py"));
    let mut rest = rest;
    if let ["cold", more @ ..] = rest {
        command.arg("cold");
        rest = more;
    }
    finish(command.arg(zoo).arg("--binary").arg(target.join("release/modelsmith")).args(rest))
}

fn finish(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{command:?}: {e}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {status}")),
    }
}
