//! One file per command, or per group of commands that only list something.

mod bench;
mod build;
mod check;
mod checkpoint;
mod compare;
mod convert;
mod deploy;
mod diff;
mod inspect;
mod lists;
mod optimize;
mod options;
mod run;
mod scan;
mod target;

use crate::args::{Cli, Command};
use crate::progress::Progress;
use crate::screen::Screen;
use modelsmith::Error;
use serde::Serialize;

/// What every command is given.
pub struct Context<'a> {
    pub screen: &'a Screen,
    pub progress: Progress,
    pub threads: usize,
    pub isa: String,
}

/// Runs the command; the number is its exit code.
pub fn run(cli: &Cli, screen: &Screen, progress: Progress) -> Result<u8, Error> {
    if cli.global.version {
        return lists::version(screen);
    }
    let isa = cli.global.isa.map_or(String::new(), |i| i.name().to_owned());
    let cx = Context { screen, progress, threads: cli.global.threads, isa };
    let Some(command) = &cli.command else {
        return Err(Error::usage("a command is wanted").help("modelsmith --help lists them"));
    };
    match command {
        Command::Inspect(a) => inspect::run(&cx, a),
        Command::Run(a) => run::run(&cx, a),
        Command::Compare(a) => compare::run(&cx, a),
        Command::Formats => lists::formats(screen),
        Command::Ops(a) => lists::ops(screen, a),
        Command::Doctor => lists::doctor(screen),
        Command::Completions(a) => lists::completions(a),
        Command::Check(a) => check::run(&cx, a),
        Command::Convert(a) => convert::run(&cx, a),
        Command::Optimize(a) => optimize::run(&cx, a),
        Command::Build(a) => build::run(&cx, a),
        Command::Bench(a) => bench::run(&cx, a),
        Command::Deploy(a) => deploy::run(&cx, a),
        Command::Passes => lists::passes(screen),
        Command::Kernels(a) => lists::kernels(&cx, a),
        Command::Diff(a) => diff::run(&cx, a),
        Command::Quantize(_) => not_built("quantize"),
        Command::Prune(_) => not_built("prune"),
        Command::Scan(a) => scan::run(&cx, a),
        Command::View(_) => not_built("view"),
        Command::Serve(_) => not_built("serve"),
        Command::Registry(_) => not_built("registry"),
    }
}

fn not_built(name: &str) -> Result<u8, Error> {
    Err(Error::unsupported(format!("the command `{name}` is not built yet"))
        .help("modelsmith --help lists those that are"))
}

/// An error as a JSON document.
#[derive(Serialize)]
pub struct Failure {
    kind: &'static str,
    exit_code: u8,
    message: String,
    place: String,
    findings: Vec<String>,
    help: Option<String>,
}

pub fn failure(e: &Error) -> Failure {
    Failure {
        kind: e.kind().name(),
        exit_code: e.kind().exit_code(),
        message: e.message().into(),
        place: e.place().to_string(),
        findings: e.findings().to_vec(),
        help: e.advice().map(str::to_owned),
    }
}
