use super::{Context, compare, options};
use crate::args::Deploy;
use crate::table::{bytes, ms, table};
use modelsmith::deploy::{DeployOptions, Limits, Precision, Report, StageReport, Status, deploy};
use modelsmith::run::Opts;
use modelsmith::{Error, Result, bench};

pub fn run(cx: &Context, a: &Deploy) -> Result<u8> {
    let latency_ms = a.max_latency.as_deref().map(bench::parse_duration).transpose()?.map(|d| d.as_secs_f64() * 1e3);
    let size = |t: &Option<String>| t.as_deref().map(parse_bytes).transpose();
    let options = DeployOptions {
        inputs: options::inputs(&a.inputs)?,
        agreement: options::agreement(&a.agreement)?,
        opts: Opts { threads: cx.threads, isa: cx.isa.clone(), ..Opts::default() },
        eval: a.eval.clone().zip(a.labels.clone()),
        max_drop: a.max_drop,
        limits: Limits { size: size(&a.max_size)?, memory: size(&a.max_memory)?, latency_ms },
        iterations: a.iters,
        definitions: options::definitions(&a.ops)?,
    };
    if a.calib.is_some() {
        cx.screen.note("--calib is used by 8-bit precisions, which are not built yet");
    }
    let report = deploy(&a.model, &a.output, &options, &|s| cx.progress.step(s))?;
    cx.progress.end();
    show(cx, a, &report);
    cx.screen.document("deploy", &report)?;
    Ok(u8::from(!report.ok))
}

/// Reads `50MiB`, `2GB` or `1000`.
fn parse_bytes(text: &str) -> Result<u64> {
    let bad = || Error::usage(format!("{text}: a size such as 512MiB, 2GB or 1000 is wanted"));
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let scale = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1048576.0,
        "g" | "gib" => 1073741824.0,
        _ => return Err(bad()),
    };
    let n = number.trim().parse::<f64>().ok().filter(|n| *n >= 0.0).ok_or_else(bad)?;
    Ok((n * scale) as u64)
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Passed => "passed",
        Status::Failed => "failed",
        Status::Inconclusive => "inconclusive",
        Status::NotAvailable => "not available",
        Status::Skipped => "skipped",
    }
}

fn show(cx: &Context, a: &Deploy, r: &Report) {
    let s = cx.screen;
    let row = |g: &StageReport| {
        vec![
            g.name.clone(),
            word(g.status).into(),
            format!("{:.2} s", g.seconds),
            g.detail.lines().next().unwrap_or_default().into(),
        ]
    };
    s.say(&table(&["stage", "result", "time", "what came of it"], &[2], &r.stages.iter().map(row).collect::<Vec<_>>()));
    if let Some(p) = r.precisions.iter().find(|p| p.verification.is_some()) {
        if let Some(v) = &p.verification {
            options::show_inputs(cx, &v.inputs, &v.assumed);
            compare::show_outputs(cx, &v.outputs);
        }
        show_precision(cx, p);
    }
    match &r.chosen {
        Some(name) => s.say(&format!("{}: {name}", s.verdict(true, "chosen"))),
        None => s.say(&s.verdict(false, "no engine passed")),
    }
    s.say(&format!("report: {}", a.output.join("report.html").display()));
}

fn show_precision(cx: &Context, p: &Precision) {
    let s = cx.screen;
    if let Some(x) = &p.accuracy {
        let (m, e) = (100.0 * x.model, 100.0 * x.engine);
        s.say(&format!("accuracy on {} labelled samples: model {m:.2} %, engine {e:.2} %", x.samples));
    }
    if let Some(b) = &p.bench {
        let l = &b.latency;
        s.say(&format!("latency: median {}, mean {}, {:.1} runs/s", ms(l.median()), ms(l.mean), l.throughput));
    }
    let kept = p.file.as_deref().unwrap_or("not kept");
    s.say(&format!("engine {}: {kept}, {}, {}", p.name, bytes(p.bytes), p.reason));
}
