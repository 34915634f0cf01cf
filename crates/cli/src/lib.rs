//! The `modelsmith` program as a library: a thin shell over `modelsmith`. Only this crate knows the terminal.
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
pub use progress::Hear;
use progress::Progress;
use screen::{Screen, Taken};
use std::ffi::OsString;

use std::sync::{Arc, Mutex};

/// Room for graphs that nest deeply.
const STACK: usize = 256 << 20;

/// Runs the program with these arguments, its own name first; the number is its exit code.
pub fn command(args: Vec<OsString>) -> u8 {
    let args = match config::with_config(args) {
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
            return if usage { 2 } else { 0 };
        }
    };
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let screen = Screen::new(&cli.global, no_color);
    let progress = Progress::new(&cli.global);
    match guarded(cli, screen, progress) {
        Ok(code) => code,
        Err((e, screen)) => fail(&e, Some(&screen)),
    }
}

/// What a command left that a program called.
pub struct Called {
    /// Exit code: 0 where it is done and what was checked holds, 1 where the check says no.
    pub code: u8,
    /// The document that `--json` writes; null where the command has none.
    pub document: serde_json::Value,
    /// Remarks.
    pub notes: Vec<String>,
}

/// Runs a command for a program: nothing is printed, `hear` is told the steps. `args` are those of the command line without
/// the program's name.
///
/// # Errors
/// Those of the command; [`Kind::Usage`] where an option is wrong.
pub fn call(args: Vec<OsString>, hear: Hear) -> Result<Called, Error> {
    let args = std::iter::once(OsString::from("modelsmith")).chain(args);
    let cli = Cli::try_parse_from(args).map_err(|e| match not_built(&e) {
        Some(option) => Error::unsupported(format!("the option {option} is not built yet")),
        None => Error::usage(e.to_string().trim_start_matches("error: ").trim_end().to_owned()),
    })?;
    let taken = Arc::new(Taken::default());
    let code = guarded(cli, Screen::taken_by(taken.clone()), Progress::told_to(hear)).map_err(|(e, _)| e)?;
    let document = taken.document.lock().unwrap_or_else(|e| e.into_inner()).take().unwrap_or_default();
    let notes = std::mem::take(&mut *taken.notes.lock().unwrap_or_else(|e| e.into_inner()));
    Ok(Called { code, document, notes })
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

fn fail(e: &Error, screen: Option<&Screen>) -> u8 {
    if let Some(s) = screen {
        // The error itself is shown below; a document that cannot be written must not hide it.
        let _ = s.document("error", &commands::failure(e));
    }
    screen::error(&format!("error: {e}"));
    e.kind().exit_code()
}

/// Runs the command on a large stack; a panic becomes an error that says where it happened.
fn guarded(cli: Cli, screen: Screen, progress: Progress) -> Result<u8, (Error, Screen)> {
    let seen = Arc::new(Mutex::new(String::new()));
    let slot = seen.clone();
    let before = std::panic::take_hook();
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
    let done = thread.spawn(move || commands::run(&cli, &shared, progress)).map(std::thread::JoinHandle::join);
    std::panic::set_hook(before);
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
