//! Engines that were built before: looked up by what they depend on, and kept for the next time.

use crate::engine::{BuildRequest, BuiltEngine, Tell, Temporary, build_and_tell, compile, described};
use crate::write::Verify;
use crate::{Definitions, Error, Model, Result, files};
use modelsmith_engine::cache::{self, Cache, Content, Found, Hit, Key};
use modelsmith_engine::{BuildOptions, allowed_isa};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The place of one engine in a cache.
pub struct Slot {
    cache: Cache,
    key: Key,
    content: Content,
    source: PathBuf,
    definitions: Definitions,
    model: Option<Model>,
    /// An entry is there that does not serve, and why.
    damaged: Option<String>,
    begun: Instant,
}

impl Slot {
    /// The place of the engine that `request` makes of the model file `source`. A model that the cache has seen before is
    /// not read.
    ///
    /// # Errors
    /// When the folder cannot be made, or the model cannot be read or lies in no file; for an engine.
    pub fn new(dir: &Path, source: &Path, request: &BuildRequest) -> Result<Slot> {
        let begun = Instant::now();
        let threads = BuildOptions { threads: request.threads, ..BuildOptions::default() }.threads_or_all();
        let cache = Cache::open(dir, threads)?;
        let (content, model) = match cache.recall(source) {
            Some(content) => (content, None),
            None => {
                let model = Model::open(source)?.define(&request.definitions)?;
                if model.engine().is_some() {
                    return Err(Error::usage("this is an engine already").in_file(source));
                }
                (cache.hash(model.files()).map_err(|e| Error::from(e).in_file(source))?, Some(model))
            }
        };
        let key = Key::new(&[
            ("model", content.digest.clone()),
            ("cap", request.isa.clone()),
            ("instruction sets", allowed_isa(&request.isa)?.to_string()),
            ("threads", if request.strict { "any".into() } else { threads.to_string() }),
            ("strict", request.strict.to_string()),
            ("f32-fast", request.f32_fast.to_string()),
            ("sizes", format!("{:?} {:?}", request.sizes.shapes, request.sizes.dims)),
            ("tuning", tuning(request)?),
            ("operators", format!("{:?}", String::from_utf8_lossy(request.definitions.texts()))),
            ("processor", cache::processor()),
            ("program", cache::program(threads)?),
        ]);
        let definitions = request.definitions.clone();
        Ok(Slot { cache, key, content, source: source.into(), definitions, model, damaged: None, begun })
    }

    /// The model, read now unless it was read already.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn model(&mut self) -> Result<Model> {
        match &self.model {
            Some(m) => Ok(m.clone()),
            None => {
                let model = Model::open(&self.source)?.define(&self.definitions)?;
                Ok(self.model.insert(model).clone())
            }
        }
    }

    /// What is wrong with the entry that was found, where one was and does not serve.
    pub fn damaged(&self) -> Option<&str> {
        self.damaged.as_deref()
    }

    fn find(&mut self) -> Option<Box<Hit>> {
        match self.cache.find(&self.key) {
            Found::Hit(hit) => Some(hit),
            Found::Nothing => None,
            Found::Damaged(why) => {
                self.damaged = Some(why);
                None
            }
        }
    }

    /// Gives the engine that the cache holds the name `out`. `None` where it holds none, a damaged one, or, with
    /// `verified`, one that nobody verified.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn take(&mut self, out: &Path, request: &BuildRequest, verified: bool) -> Result<Option<BuiltEngine>> {
        files::check_clobber(out, request.no_clobber)?;
        let Some(hit) = self.find() else { return Ok(None) };
        let verdict = hit.report["verification"].as_str();
        if verified && verdict.is_none() {
            self.damaged = Some("the engine in the cache was not verified".into());
            return Ok(None);
        }
        let tmp = Temporary(files::temporary(out));
        let _ = std::fs::remove_file(&tmp.0);
        let io = |e: std::io::Error| Error::io(out, &e);
        cache::link_or_copy(&hit.path, &tmp.0).map_err(io)?;
        modelsmith_base::publish(&tmp.0, out).map_err(io)?;
        let bytes = std::fs::metadata(&hit.path).map_err(io)?.len();
        let text = match verdict {
            Some(v) => format!("found; when it was built: {v}"),
            None => "found; not verified".into(),
        };
        let build_s = self.begun.elapsed().as_secs_f64();
        Ok(Some(BuiltEngine {
            build_s,
            cache: Some(text),
            ..described(bytes, hit.engine.levels(), &hit.engine.report(0))
        }))
    }

    /// Keeps the engine in `file`, which was built of this slot's model, for the next time; says what came of it.
    pub fn keep(&self, file: &Path, built: &BuiltEngine) -> String {
        let report = json!({
            "source": self.source.display().to_string(),
            "build_s": built.build_s,
            "verification": built.verification.as_ref().map(|v| v.reason.clone()),
        });
        let before = self.damaged.as_ref().map(|why| format!("{why}; built anew. ")).unwrap_or_default();
        let now = match self.content.unchanged() {
            false => "not kept: a file of the model changed during the build".into(),
            true => match self.cache.put(&self.key, file, &report, self.damaged.is_some()) {
                Ok(()) => format!("kept as {}", self.key.name()),
                Err(e) => format!("not kept: {e}"),
            },
        };
        before + &now
    }

    /// The model as an engine: that of the cache, or one built now and kept there. No engine is verified on the way.
    ///
    /// # Errors
    /// When the model holds what is not supported, or no temporary file can be written into the cache.
    pub fn engine(&mut self, request: &BuildRequest) -> Result<(Model, String)> {
        let source = self.source.clone();
        if let Some(hit) = self.find() {
            let bytes = std::fs::metadata(&hit.path).map_or(0, |m| m.len());
            return Ok((Model::of_engine(hit.engine, &source, bytes)?, "found".into()));
        }
        let model = self.model()?;
        model.supported()?;
        let built = compile(&model, request, &|_| {})?.0;
        let tmp = Temporary(self.cache.file_to_fill());
        modelsmith_engine::save(&built.engine, &tmp.0)?;
        let bytes = std::fs::metadata(&tmp.0).map_or(0, |m| m.len());
        let said = self.keep(&tmp.0, &described(bytes, built.engine.levels(), &built.report));
        Ok((Model::of_engine(built.engine, &source, bytes)?, said))
    }
}

/// What decides on kernels besides the cost model: the measured times that are given, or the time to measure. An engine
/// that was measured for as long as is asked for serves, whatever was measured since.
fn tuning(request: &BuildRequest) -> Result<String> {
    Ok(match (&request.tune, &request.tuning_db) {
        (Some(d), _) => format!("for {} s", d.as_secs_f64()),
        (None, Some(path)) => Content::hash(std::slice::from_ref(path), 1)?.digest,
        (None, None) => "none".into(),
    })
}

/// Builds as [`crate::engine::build`] does, through the cache in `dir`; `seen` is shown the model where it is read.
///
/// # Errors
/// As there and as [`Slot::new`].
pub fn build(
    dir: &Path,
    source: &Path,
    out: &Path,
    request: &BuildRequest,
    verify: Option<&Verify>,
    seen: &dyn Fn(&Model),
    tell: Tell,
) -> Result<BuiltEngine> {
    let mut slot = Slot::new(dir, source, request)?;
    if let Some(found) = slot.take(out, request, verify.is_some())? {
        return Ok(found);
    }
    let model = slot.model()?;
    seen(&model);
    let mut built = build_and_tell(&model, out, request, verify, tell)?;
    if built.kept {
        built.cache = Some(slot.keep(out, &built));
    }
    Ok(built)
}
