//! Progress on standard error.

use crate::args::{Global, ProgressMode};
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often a plain line is printed while one step lasts.
const PULSE: Duration = Duration::from_secs(30);

/// Shows the steps of a command.
pub struct Progress {
    mode: ProgressMode,
    now: Arc<Mutex<Step>>,
}

struct Step {
    text: String,
    begun: Instant,
    shown: Instant,
    over: bool,
}

impl Progress {
    /// As the options say.
    pub fn new(global: &Global) -> Progress {
        let mode = match global.progress {
            ProgressMode::Auto if global.quiet => ProgressMode::None,
            ProgressMode::Auto if !std::io::stderr().is_terminal() => ProgressMode::None,
            mode => mode,
        };
        let now = Arc::new(Mutex::new(Step {
            text: String::new(),
            begun: Instant::now(),
            shown: Instant::now(),
            over: false,
        }));
        if mode == ProgressMode::Plain {
            let now = Arc::downgrade(&now);
            std::thread::spawn(move || {
                loop {
                    std::thread::sleep(PULSE);
                    let Some(now) = now.upgrade() else { return };
                    let Ok(step) = now.lock() else { return };
                    if step.over {
                        return;
                    }
                    eprintln!("still at: {} ({:.0} s)", step.text, step.begun.elapsed().as_secs_f64());
                }
            });
        }
        Progress { mode, now }
    }

    /// A step begins.
    pub fn step(&self, text: &str) {
        if let Ok(mut s) = self.now.lock() {
            *s = Step { text: text.into(), begun: Instant::now(), shown: Instant::now(), over: false };
        }
        match self.mode {
            ProgressMode::Auto => eprint!("\r\x1b[2K{text} .."),
            ProgressMode::Plain => eprintln!("{text}"),
            ProgressMode::Json => eprintln!("{}", serde_json::json!({ "progress": text })),
            ProgressMode::None => {}
        }
        // A terminal that has gone does not stop the work.
        let _ = std::io::stderr().flush();
    }

    /// How far the step is; shown where the last line can be written again.
    pub fn part(&self, text: &str) {
        let Ok(mut s) = self.now.lock() else { return };
        if self.mode == ProgressMode::Auto && s.shown.elapsed() >= Duration::from_millis(100) {
            s.shown = Instant::now();
            eprint!("\r\x1b[2K{}: {text}", s.text);
        }
    }

    /// Nothing more comes.
    pub fn end(&self) {
        if let Ok(mut s) = self.now.lock() {
            s.over = true;
        }
        if self.mode == ProgressMode::Auto {
            eprint!("\r\x1b[2K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
