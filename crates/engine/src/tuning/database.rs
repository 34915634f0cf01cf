//! Measured times of kernels, kept as lines of JSON.
//!
//! ```text
//! {"modelsmith tuning database":2}
//! {"problem":"..","isa":"..","threads":2,"processor":"..","program":"0.1.0","kernels":{"f32_gemm_8x48__avx512":[MIN,MEDIAN],..}}
//! ```
//! Times are nanoseconds. What another version of the program measured stays in the file and is not used. Lines are sorted, so that equal contents are equal files. A line that is taken out is measured
//! again.

use crate::error::{Error, Result};
use modelsmith_backend_cpu::Timing;
use modelsmith_base::{publish, staged};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const HEAD: &str = "modelsmith tuning database";
const SCHEMA: u64 = 2;

/// What a measurement is of: the problem in its canonical text, and the circumstances.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Measured {
    /// The problem, all sizes and following steps spelled.
    pub problem: String,
    /// The instruction sets in use.
    pub isa: String,
    /// Threads that ran.
    pub threads: usize,
    /// The processor.
    pub processor: String,
    /// Version of the program whose kernels were measured.
    pub program: String,
}

/// Measured times by problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    records: BTreeMap<Measured, BTreeMap<String, Timing>>,
}

impl Database {
    /// Reads a database.
    ///
    /// # Errors
    /// When the file cannot be read; names the line that is none of a database.
    pub fn read(path: &Path) -> Result<Database> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: file.clone(), source })?;
        Database::parse(&text, &file)
    }

    fn parse(text: &str, file: &str) -> Result<Database> {
        let mut out = Database::default();
        let mut offset = 0;
        for (i, line) in text.split_inclusive('\n').enumerate() {
            let at = |message: &str| Error::File {
                file: file.into(),
                offset,
                message: format!("line {}: {message}", i + 1),
            };
            let value = || serde_json::from_str::<Value>(line).unwrap_or_default();
            match i {
                0 if value()[HEAD].as_u64() == Some(SCHEMA) => {}
                0 => return Err(at("this is no tuning database of this version; delete it to measure anew")),
                _ if line.trim().is_empty() => {}
                _ => {
                    let (key, kernels) = record(&value())
                        .ok_or_else(|| at("a measurement is wanted; delete the line to measure it anew"))?;
                    out.add(key, kernels);
                }
            }
            offset += line.len() as u64;
        }
        match text.is_empty() {
            true => Err(Error::File { file: file.into(), offset: 0, message: "the file is empty".into() }),
            false => Ok(out),
        }
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut out = format!("{}\n", json!({ HEAD: SCHEMA }));
        for (key, kernels) in &self.records {
            let kernels = kernels.iter().map(|(k, t)| (k.clone(), json!([t.min, t.median])));
            let line = json!({
                "problem": key.problem,
                "isa": key.isa,
                "threads": key.threads,
                "processor": key.processor,
                "program": key.program,
                "kernels": kernels.collect::<serde_json::Map<_, _>>(),
            });
            out.push_str(&format!("{line}\n"));
        }
        out
    }

    /// Writes the database, complete or not at all, together with what another process has added to the file meanwhile.
    ///
    /// # Errors
    /// When the file is no database, or cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut all = if path.exists() { Database::read(path)? } else { Database::default() };
        self.records.iter().for_each(|(k, v)| all.add(k.clone(), v.clone()));
        let staged = staged(path);
        let name = staged.file_name().unwrap_or_default().to_string_lossy();
        let tmp = staged.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let done = std::fs::write(&tmp, all.text()).and_then(|()| publish(&tmp, path));
        done.map_err(|source| {
            let _ = std::fs::remove_file(&tmp);
            Error::Io { path: path.display().to_string(), source }
        })
    }

    /// Adds figures; those of a kernel that is there already are replaced.
    pub fn add(&mut self, key: Measured, kernels: BTreeMap<String, Timing>) {
        self.records.entry(key).or_default().extend(kernels);
    }

    /// The figures of a problem.
    pub fn get(&self, key: &Measured) -> Option<&BTreeMap<String, Timing>> {
        self.records.get(key)
    }

    /// Number of problems.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

fn record(v: &Value) -> Option<(Measured, BTreeMap<String, Timing>)> {
    let text = |k: &str| v[k].as_str().map(str::to_owned);
    let key = Measured {
        problem: text("problem")?,
        isa: text("isa")?,
        threads: usize::try_from(v["threads"].as_u64()?).ok()?,
        processor: text("processor")?,
        program: text("program")?,
    };
    let timing = |t: &Value| {
        let (min, median) = (t.get(0)?.as_u64()?, t.get(1)?.as_u64()?);
        (min > 0 && min <= median).then_some(Timing { min, median })
    };
    let kernels = v["kernels"].as_object()?;
    let kernels = kernels.iter().map(|(k, t)| Some((k.clone(), timing(t)?))).collect::<Option<_>>()?;
    Some((key, kernels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(problem: &str, min: u64) -> (Measured, BTreeMap<String, Timing>) {
        let (isa, processor, program) = ("avx2".into(), "p".into(), "1.0".into());
        let key = Measured { problem: problem.into(), isa, threads: 2, processor, program };
        (key, BTreeMap::from([("k".to_owned(), Timing { min, median: min + 1 })]))
    }

    #[test]
    fn text_and_back() {
        let mut db = Database::default();
        for (k, v) in [sample("b", 5), sample("a", 7)] {
            db.add(k, v);
        }
        let text = db.text();
        assert!(text.starts_with("{\"modelsmith tuning database\":2}\n{\"problem\":\"a\""), "{text}");
        assert_eq!(Database::parse(&text, "f").unwrap(), db);
        assert_eq!(Database::parse(&text, "f").unwrap().text(), text);
    }

    #[test]
    fn what_is_no_database_names_its_line() {
        let e = |t: &str| Database::parse(t, "f").unwrap_err().to_string();
        assert_eq!(e(""), "f: at byte offset 0: the file is empty");
        assert_eq!(
            e("nonsense\n"),
            "f: at byte offset 0: line 1: this is no tuning database of this version; delete it to measure anew"
        );
        let head = Database::default().text();
        let wanted = "a measurement is wanted; delete the line to measure it anew";
        let whole = |kernels: &str, program: &str| {
            format!(
                "{{\"problem\":\"x\",\"isa\":\"\",\"threads\":1,\"processor\":\"\"{program},\"kernels\":{kernels}}}"
            )
        };
        let (good, version) = ("{\"k\":[4,5]}", ",\"program\":\"1\"");
        assert!(Database::parse(&format!("{head}{}\n", whole(good, version)), "f").is_ok());
        for bad in ["{}", "[1]", &whole("{\"k\":[5,4]}", version), &whole(good, "")] {
            assert_eq!(e(&format!("{head}{bad}\n")), format!("f: at byte offset {}: line 2: {wanted}", head.len()));
        }
    }

    #[test]
    fn another_version_of_the_program_measured_something_else() {
        let (key, kernels) = sample("a", 7);
        let other = Measured { program: "2.0".into(), ..key.clone() };
        let mut db = Database::default();
        db.add(key.clone(), kernels);
        assert!(db.get(&other).is_none() && db.get(&key).is_some());
        db.add(other, sample("a", 9).1);
        assert_eq!(Database::parse(&db.text(), "f").unwrap().len(), 2);
    }

    #[test]
    fn two_writers_keep_what_both_found() {
        let path = std::env::temp_dir().join(format!("modelsmith-tuning-{}.jsonl", std::process::id()));
        let _ = std::fs::remove_file(&path);
        for (k, v) in [sample("a", 7), sample("b", 5)] {
            let mut db = Database::default();
            db.add(k, v);
            db.save(&path).unwrap();
        }
        assert_eq!(Database::read(&path).unwrap().len(), 2);
        std::fs::remove_file(path).unwrap();
    }
}
