//! Folders as Hugging Face lays them out: a configuration and a tokenizer beside the weights.

use super::Edit;
use modelsmith_arch::{FAMILIES, Family, Files, Float, Json};
use modelsmith_base::{DType, Diagnostic, Severity};
use modelsmith_format::{Checkpoint, Error, Input, Result};
use std::path::{Component, Path, PathBuf};

/// Bytes that a file beside the weights may have.
const LARGEST: u64 = 512 << 20;

/// A folder with a `config.json`.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    name: String,
    config: Json,
}

impl Folder {
    /// The folder at `path`; `None` where it has no `config.json`.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn open(path: &Path) -> Result<Option<Folder>> {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = real.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let mut folder = Folder { path: path.to_owned(), name, config: Json::Null };
        match modelsmith_arch::json(&folder, "config.json")? {
            None => Ok(None),
            Some(config) => {
                folder.config = config;
                Ok(Some(folder))
            }
        }
    }

    /// The family of the model.
    pub fn family(&self) -> Option<&'static Family> {
        modelsmith_arch::of_config(&self.config)
    }

    /// What the configuration calls the model: a class, or a type.
    pub fn class(&self) -> Option<&str> {
        let kind = || self.config.get("model_type").and_then(Json::as_str);
        modelsmith_arch::class_of(&self.config).or_else(kind)
    }

    /// The tensors of the folder, edited, as a GGUF file has them. Those of a model that is not known keep their names.
    ///
    /// # Errors
    /// When a tensor has no place in the family, or the tokenizer cannot be read.
    pub fn to_gguf(&self, edited: Checkpoint, edit: &Edit) -> Result<(Checkpoint, Vec<Diagnostic>)> {
        let Some(family) = self.family() else {
            let (out, mut found) = edit.encode(edited, true)?;
            found.insert(0, self.unknown());
            return Ok((out, found));
        };
        let dense = edit.recipe.and_then(|r| match r.name {
            "F32" => Some(DType::F32),
            "F16" => Some(DType::F16),
            "BF16" => Some(DType::BF16),
            _ => None,
        });
        let float = dense.map_or(Float::Kept, Float::To);
        let (made, mut found) = modelsmith_arch::to_gguf(family, self, &self.config, &edited, float)?;
        if dense.is_some() {
            return Ok((made, found));
        }
        let (made, more) = edit.encode(made, true)?;
        found.extend(more);
        Ok((made, found))
    }

    fn unknown(&self) -> Diagnostic {
        let known = FAMILIES.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
        let class = self.class().unwrap_or("without a name");
        let message = format!(
            "the architecture {class} is not known: tensors keep their names, and llama.cpp will not load the file; \
             known are {known}"
        );
        Diagnostic::new(Severity::Warning, "arch.unknown", message)
    }
}

impl Files for Folder {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let relative = Path::new(name);
        if !relative.components().all(|c| matches!(c, Component::Normal(_))) {
            return Err(Error::damaged(format!("the name `{name}` leaves the folder, which is refused")));
        }
        let path = self.path.join(relative);
        if !path.is_file() {
            return Ok(None);
        }
        let input = Input::open(&path)?;
        let len = input.source().len();
        if len > LARGEST {
            let message = format!("{len} bytes, at most {LARGEST} are read of such a file");
            return Err(Error::unsupported(message).in_file(input.name()));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        input.source().read_at(0, &mut bytes)?;
        Ok(Some(bytes))
    }
}
