use super::Context;
use crate::args::{FailOn, Scan};
use modelsmith::scan::{self, Report, Severity};
use modelsmith::{Error, Result};
use serde::Serialize;

#[derive(Serialize)]
struct Reports<'a> {
    passed: bool,
    extracted: Option<String>,
    files: &'a [Report],
}

pub fn run(cx: &Context, a: &Scan) -> Result<u8> {
    if a.extract_safe.is_some() && a.paths.len() != 1 {
        return Err(Error::usage("--extract-safe takes the tensors of one file"));
    }
    cx.progress.step("scanning");
    let mut reports = Vec::new();
    for path in &a.paths {
        reports.extend(scan::scan(path)?);
    }
    cx.progress.end();
    let limit = match a.fail_on {
        FailOn::High => Severity::High,
        FailOn::Medium => Severity::Medium,
        FailOn::Low => Severity::Low,
    };
    let passed = scan::passes(&reports, limit);
    if a.sarif {
        cx.screen.say(&format!("{:#}", scan::sarif(&reports)));
    } else {
        reports.iter().for_each(|r| show(cx, r, limit));
    }
    let extracted = match (&a.extract_safe, a.paths.first()) {
        (Some(to), Some(from)) => {
            let written = scan::extract(from, to)?;
            cx.screen.note(&format!("{} bytes of tensors are in {}", written.payload, to.display()));
            Some(to.display().to_string())
        }
        _ => None,
    };
    cx.screen.document("scan", &Reports { passed, extracted, files: &reports })?;
    Ok(u8::from(!passed))
}

fn show(cx: &Context, r: &Report, limit: Severity) {
    let s = cx.screen;
    let passes = scan::passes(std::slice::from_ref(r), limit);
    let word = match (passes, r.understood) {
        (true, _) => "passes",
        (false, false) => "not understood",
        (false, true) => "refused",
    };
    s.say(&format!("{}: {} ({})", r.file, s.verdict(passes, word), r.content));
    r.findings.iter().for_each(|f| s.say(&format!("  {f}")));
}
