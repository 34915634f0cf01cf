//! Progress on standard error.

use crate::args::{Global, ProgressMode};
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often a plain line is printed while one step lasts.
const PULSE: Duration = Duration::from_secs(30);

/// Hears what a command is doing, where a program called it; an empty text when it is done.
pub type Hear = Arc<dyn Fn(&str) + Send + Sync>;

/// Shows the steps of a command.
pub struct Progress {
    mode: ProgressMode,
    hear: Option<Hear>,
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
        Progress { mode, hear: None, now }
    }

    /// Tells `hear` instead of showing.
    pub fn told_to(hear: Hear) -> Progress {
        let now = Step { text: String::new(), begun: Instant::now(), shown: Instant::now(), over: false };
        Progress { mode: ProgressMode::None, hear: Some(hear), now: Arc::new(Mutex::new(now)) }
    }

    /// A step begins.
    pub fn step(&self, text: &str) {
        if let Ok(mut s) = self.now.lock() {
            *s = Step { text: text.into(), begun: Instant::now(), shown: Instant::now(), over: false };
        }
        if let Some(hear) = &self.hear {
            return hear(text);
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
        if s.shown.elapsed() < Duration::from_millis(100) {
            return;
        }
        s.shown = Instant::now();
        if let Some(hear) = &self.hear {
            hear(&format!("{}: {text}", s.text));
        } else if self.mode == ProgressMode::Auto {
            eprint!("\r\x1b[2K{}: {text}", s.text);
        }
    }

    /// Nothing more comes.
    pub fn end(&self) {
        let first = self.now.lock().is_ok_and(|mut s| !std::mem::replace(&mut s.over, true));
        if let (Some(hear), true) = (&self.hear, first) {
            hear("");
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
