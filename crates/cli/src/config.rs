//! `--config FILE.toml`: options by name at the top, or in a table named as the command. What the command line says
//! itself wins, because it comes later.

use modelsmith::{Error, Kind};
use std::ffi::OsString;
use std::path::PathBuf;

/// The arguments with those of the configuration file put behind the command.
pub fn with_config(args: Vec<OsString>) -> Result<Vec<OsString>, Error> {
    let Some(path) = config_path(&args) else { return Ok(args) };
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, &e))?;
    let table =
        text.parse::<toml::Table>().map_err(|e| Error::new(Kind::Usage, e.message().to_owned()).in_file(&path))?;
    let at = args.iter().skip(1).position(|a| !a.to_string_lossy().starts_with('-')).map(|i| i + 1);
    let Some(at) = at else { return Ok(args) };
    let command = args[at].to_string_lossy().into_owned();
    let mut extra = Vec::new();
    for (key, value) in &table {
        match value {
            toml::Value::Table(own) if *key == command => {
                own.iter().for_each(|(k, v)| option(k, v, &args, &mut extra));
            }
            toml::Value::Table(_) => {}
            value => option(key, value, &args, &mut extra),
        }
    }
    let mut out = args;
    out.splice(at + 1..at + 1, extra);
    Ok(out)
}

fn config_path(args: &[OsString]) -> Option<PathBuf> {
    let at = args.iter().position(|a| a == "--config" || a.to_string_lossy().starts_with("--config="))?;
    match args[at].to_string_lossy().split_once('=') {
        Some((_, path)) => Some(path.into()),
        None => args.get(at + 1).map(PathBuf::from),
    }
}

/// An option that the command line does not give itself.
fn option(key: &str, value: &toml::Value, args: &[OsString], out: &mut Vec<OsString>) {
    let flag = format!("--{}", key.replace('_', "-"));
    let given = |a: &OsString| *a == *flag || a.to_string_lossy().starts_with(&format!("{flag}="));
    if args.iter().any(given) {
        return;
    }
    match value {
        toml::Value::Boolean(true) => out.push(flag.into()),
        toml::Value::Boolean(false) => {}
        toml::Value::Array(list) => {
            for v in list {
                out.push(format!("{flag}={}", plain(v)).into());
            }
        }
        v => out.push(format!("{flag}={}", plain(v)).into()),
    }
}

fn plain(v: &toml::Value) -> String {
    match v {
        toml::Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}
