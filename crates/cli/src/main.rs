//! The `modelsmith` program: a thin shell over the library. Only this crate knows the terminal.
#![forbid(unsafe_code)]
#![allow(missing_docs)]

mod args;
mod commands;
mod config;
mod progress;
mod screen;
mod table;

use args::Cli;
use clap::Parser;
use modelsmith::{Error, Kind};
use screen::Screen;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// Room for graphs that nest deeply.
const STACK: usize = 256 << 20;

fn main() -> ExitCode {
    let args = match config::with_config(std::env::args_os().collect()) {
        Ok(args) => args,
        Err(e) => return fail(&e, None),
    };
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            if let Some(option) = not_built(&e) {
                let e = Error::unsupported(format!("the option {option} is not built yet"))
                    .help("modelsmith COMMAND --help lists those that are");
                return fail(&e, None);
            }
            let usage = e.use_stderr();
            // Help that nobody reads any more is no fault.
            let _ = e.print();
            return ExitCode::from(if usage { 2 } else { 0 });
        }
    };
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let screen = Screen::new(&cli.global, no_color);
    match guarded(cli, screen) {
        Ok(code) => ExitCode::from(code),
        Err((e, screen)) => fail(&e, Some(&screen)),
    }
}

/// Options of the contract that this version does not have.
const NOT_BUILT: [&str; 22] = [
    "--graph",
    "--weights",
    "--key",
    "--map",
    "--include",
    "--exclude",
    "--cast",
    "--type",
    "--shard-size",
    "--budget",
    "--strict",
    "--calib",
    "--min-shapes",
    "--opt-shapes",
    "--max-shapes",
    "--layer-precision",
    "--workspace",
    "--preset",
    "--mode",
    "--method",
    "--format",
    "--amount",
];

/// The unknown option of a call, when it is one of the contract.
fn not_built(e: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let found = match e.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(s)) if e.kind() == ErrorKind::UnknownArgument => s.clone(),
        _ => return None,
    };
    let name = found.split('=').next().unwrap_or_default().to_owned();
    NOT_BUILT.contains(&name.as_str()).then_some(name)
}

fn fail(e: &Error, screen: Option<&Screen>) -> ExitCode {
    if let Some(s) = screen {
        // The error itself is shown below; a document that cannot be written must not hide it.
        let _ = s.document("error", &commands::failure(e));
    }
    screen::error(&format!("error: {e}"));
    ExitCode::from(e.kind().exit_code())
}

/// Runs the command on a large stack; a panic becomes an error that says where it happened.
fn guarded(cli: Cli, screen: Screen) -> Result<u8, (Error, Screen)> {
    let seen = Arc::new(Mutex::new(String::new()));
    let slot = seen.clone();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| info.payload().downcast_ref::<String>().cloned()).unwrap_or_default();
        let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        if let Ok(mut s) = slot.lock() {
            *s = format!("{text}{place}");
        }
    }));
    let screen = Arc::new(screen);
    let shared = screen.clone();
    let thread = std::thread::Builder::new().name("command".into()).stack_size(STACK);
    let done = thread.spawn(move || commands::run(&cli, &shared)).map(std::thread::JoinHandle::join);
    let give_back = |e: Error| (e, Arc::try_unwrap(screen).unwrap_or_else(|shared| shared.copy()));
    match done {
        Ok(Ok(Ok(code))) => Ok(code),
        Ok(Ok(Err(e))) => Err(give_back(e)),
        Ok(Err(_)) => {
            let what = seen.lock().map(|s| s.clone()).unwrap_or_default();
            Err(give_back(
                Error::new(Kind::Fault, format!("this program has a fault: {what}"))
                    .help("the file may be sound; please report it with the command that was run"),
            ))
        }
        Err(e) => Err(give_back(Error::new(Kind::Io, format!("no thread could be started: {e}")))),
    }
}
