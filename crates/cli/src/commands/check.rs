use super::Context;
use crate::args::Check;
use modelsmith::check::{Checked, check};
use modelsmith::{Error, Model, Result};

pub fn run(cx: &Context, a: &Check) -> Result<u8> {
    if let Some(target) = &a.target {
        return Err(Error::unsupported(format!("--target {target}: profiles of other runtimes are not built yet"))
            .help("leave it out to check that the model is valid and runs here"));
    }
    let model = Model::open(&a.model)?;
    let found: Checked = check(&model);
    for f in &found.findings {
        let place = if f.place.is_empty() { String::new() } else { format!(" ({})", f.place) };
        cx.screen.say(&format!("{}[{}]: {}{place}", f.severity, f.code, f.message));
    }
    cx.screen.say(&cx.screen.verdict(found.valid, if found.valid { "valid" } else { "not valid" }));
    cx.screen.document("check", &found)?;
    if found.valid {
        model.supported()?;
    }
    Ok(u8::from(!found.valid))
}
