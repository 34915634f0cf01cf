use super::{Context, options};
use crate::args::Bench;
use crate::table::{bytes, fields, ms, table};
use modelsmith::agreement::Agreement;
use modelsmith::bench::{self, Amount, Layer, Measure, Measured, Profile, Subject, Turns};
use modelsmith::judge::{Backend, Judge};
use modelsmith::run::{self, Opts};
use modelsmith::{Error, Kind, Model, Result, test_data};
use serde::Serialize;
use std::io::{BufRead, Write};
use std::time::Instant;

/// Runs that a profile averages.
const PROFILE_RUNS: usize = 20;

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    measured: &'a Measured,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: &'a Option<Profile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turns: &'a Option<Turns>,
}

pub fn run(cx: &Context, a: &Bench) -> Result<u8> {
    if a.streams != 1 {
        return Err(Error::unsupported("--streams: only one stream is built yet"));
    }
    let backend = Backend::parse(&a.backend)?;
    let judge = Judge::Backend(backend);
    let opts = Opts { threads: cx.threads, isa: cx.isa.clone(), ..Opts::default() };
    if a.interactive {
        return interactive(cx, a, backend, &opts);
    }
    let measure = match (&a.duration, a.iters) {
        (Some(d), _) => Measure::For(bench::parse_duration(d)?),
        (None, n) => Measure::Iterations(n.unwrap_or(100).max(1)),
    };
    let amount = Amount { warmup: a.warmup, measure };
    let mut inputs = options::inputs(&a.inputs)?;
    if inputs.from.is_none() {
        inputs.from.clone_from(&a.test_data);
    }
    cx.progress.step("loading");
    let model = options::model(cx, &a.model, a.cache.as_deref(), backend, &a.inputs.sizes, &a.ops)?;
    let mut subject = Subject::load(&model, &judge, &opts, &inputs)?;
    cx.progress.step("measuring");
    let turns = match &a.baseline {
        Some(path) => {
            let mut baseline = Subject::load(&options::defined(Model::open(path)?, &a.ops)?, &judge, &opts, &inputs)?;
            Some(bench::in_turns(&mut subject, &mut baseline, amount)?)
        }
        None => None,
    };
    let measured = match &turns {
        Some(t) => t.subject.clone(),
        None => subject.measure(amount)?,
    };
    let profile = if a.profile { bench::profile(&mut subject, PROFILE_RUNS, &cx.isa)? } else { None };
    cx.progress.end();
    show(cx, &measured);
    if let Some(p) = &profile {
        show_profile(cx, p);
    }
    if let Some(t) = &turns {
        show_turns(cx, t);
    }
    cx.screen.document("bench", &Report { measured: &measured, profile: &profile, turns: &turns })?;
    Ok(0)
}

fn show(cx: &Context, m: &Measured) {
    let l = &m.latency;
    let some = |p: Option<f64>| p.map_or_else(|| "too few samples".to_owned(), ms);
    let level = m.level.as_deref().map(|l| format!(", {l} kernels")).unwrap_or_default();
    let threads = if m.threads > 0 { format!(", {} thread(s)", m.threads) } else { String::new() };
    let mut rows = vec![
        ("model", m.model.clone()),
        ("runner", format!("{}{level}{threads}", m.runner)),
        ("load", format!("{}, first run {}", ms(m.load_ms), ms(m.first_ms))),
        ("latency", format!("mean {}, std {}, min {}, max {}", ms(l.mean), ms(l.std), ms(l.min), ms(l.max))),
        ("percentiles", format!("p50 {}, p95 {}, p99 {}", some(l.p50), some(l.p95), some(l.p99))),
        ("throughput", format!("{:.1} runs/s over {} runs", l.throughput, l.count)),
        ("peak memory", format!("{} of the process", bytes(m.peak_memory))),
    ];
    if let Some(p) = &m.memory {
        let live = bytes(p.largest_live);
        rows.push((
            "activations",
            format!(
                "{} planned, {live} alive at most, {} scratch, {} results",
                bytes(p.planned_peak),
                bytes(p.scratch),
                bytes(p.results)
            ),
        ));
    }
    let cores = m.machine.usable_cores;
    rows.push(("machine", format!("{}, {cores} cores, load {:.2}", m.machine.processor, m.machine.load)));
    cx.screen.say(&fields(&rows));
    if let Some(note) = &m.level_note {
        cx.screen.note(&format!("note: {note}"));
    }
    m.remarks.iter().for_each(|r| cx.screen.note(&format!("note: {r}")));
}

fn show_profile(cx: &Context, p: &Profile) {
    let percent = |x: f64| format!("{:.1} %", 100.0 * x);
    let row = |l: &Layer| {
        let kernel = if l.reference { format!("{} *", l.kernel) } else { l.kernel.clone() };
        let roof = if l.reference { String::new() } else { format!("{} {}", percent(l.of_roof), l.bound) };
        vec![
            l.label.clone(),
            kernel,
            ms(l.ms),
            percent(l.share),
            if l.reference { String::new() } else { format!("{:.1}", l.gflops) },
            roof,
        ]
    };
    let rows = p.layers.iter().map(row).collect::<Vec<_>>();
    cx.screen.say(&table(&["step", "kernel", "time", "share", "GFLOP/s", "of roof"], &[2, 3, 4, 5], &rows));
    let tiles = p.roof_tiles.map(|t| format!(", {t:.0} GFLOP/s of bf16 on tiles")).unwrap_or_default();
    cx.screen.say(&format!(
        "{} in steps, {} of a run without a profile, which took {}; roof {:.0} GFLOP/s{tiles} and {:.1} GB/s; \
         * marks steps that run the reference\n",
        ms(p.total_ms),
        percent(p.covered),
        ms(p.run_ms),
        p.roof_gflops,
        p.roof_gbs
    ));
}

fn show_turns(cx: &Context, t: &Turns) {
    let (a, b) = (t.subject.latency.median(), t.baseline.latency.median());
    cx.screen.say(&format!("baseline {}: median {} against {}", t.baseline.model, ms(b), ms(a)));
    cx.screen.say(&format!(
        "ratio {:.3} (95 % interval {:.3} to {:.3}): {}",
        t.ratio,
        t.interval.0,
        t.interval.1,
        match t.interval {
            (lo, _) if lo > 1.0 => "faster than the baseline",
            (_, hi) if hi < 1.0 => "slower than the baseline",
            _ => "no difference shown",
        }
    ));
}

/// Says that it is ready, then answers each line `run K` with K latencies, until the input ends.
fn interactive(cx: &Context, a: &Bench, backend: Backend, opts: &Opts) -> Result<u8> {
    let dir = a.test_data.as_ref().ok_or_else(|| Error::usage("--interactive wants --test-data DIR"))?;
    let begun = Instant::now();
    let model = options::model(cx, &a.model, a.cache.as_deref(), backend, &a.inputs.sizes, &a.ops)?;
    let mut side = Judge::Backend(backend).load(&model, opts)?;
    let load_s = begun.elapsed().as_secs_f64();
    let data = test_data::TestData::read(dir, &model)?;
    let begun = Instant::now();
    let got = side.run(&data.inputs)?;
    let first_ms = begun.elapsed().as_secs_f64() * 1e3;
    let checks = run::check(&model.output_names(), &got, &data.outputs, &Agreement::default());
    let maxerr = run::relative_error(&checks);
    answer(&serde_json::json!({ "ready": true, "load_s": load_s, "first_ms": first_ms, "maxerr": maxerr }))?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| Error::io("standard input", &e))?;
        let count = line.strip_prefix("run ").and_then(|n| n.trim().parse::<usize>().ok());
        let count = count.ok_or_else(|| Error::usage(format!("{line:?}: `run K` is wanted")))?;
        let mut times = Vec::with_capacity(count.min(1 << 20));
        for _ in 0..count {
            let begun = Instant::now();
            let outputs = side.run(&data.inputs)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            drop(outputs);
        }
        answer(&serde_json::json!(times))?;
    }
    Ok(0)
}

fn answer(value: &serde_json::Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{value}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => done.map_err(|e| Error::new(Kind::Io, format!("standard output: {e}"))),
    }
}
