//! An archive taken apart: its programs, and its weights by name.
//!
//! | | newer | older (before 2.8) |
//! |---|---|---|
//! | program | `models/NAME.json` | `serialized_exported_program.json` |
//! | weights | `data/weights/NAME_weights_config.json` and a file for each | `serialized_state_dict.pt`, a checkpoint |
//! | constants | `data/constants/NAME_constants_config.json` and a file for each | `serialized_constants.pt`, a checkpoint |
//!
//! Releases 2.7 wrote the folders of the newer layout with the checkpoints of the older: `data/weights/NAME.pt`.

use super::schema::{self, Payload, Payloads, Program, SymInt, TensorMeta};
use crate::aten::schema::element;
use crate::container;
use modelsmith_base::{DType, wide};
use modelsmith_format::source::{Part, Swapped};
use modelsmith_format::{Artifact, Error, Input, ReadOptions, Result};
use modelsmith_tensor::{Read, Source, WeightExpr, view_end};
use modelsmith_wire::zip::{Archive as Zip, Entry, Error as ZipError, Method};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of JSON that are read of one file.
const JSON: u64 = 1 << 30;
/// The program of the older layout.
const OLD: &str = "serialized_exported_program.json";

/// What an archive holds of one program.
pub(super) struct Archive {
    /// Name of the program: `model`.
    pub name: String,
    /// Names of the others in the package.
    pub others: Vec<String>,
    pub program: Program,
    /// Parameters, buffers and constants by their names, in order.
    pub weights: Vec<(String, Arc<WeightExpr>)>,
    /// Names of what is stored as a pickle that is no tensor.
    pub objects: Vec<String>,
}

/// What `bytes` hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Programs.
    Programs,
    /// A library that is compiled for one machine, and no program.
    Library,
}

/// Path below the archive's folder: all entries of an archive lie in one.
fn below(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, rest)| rest)
}

/// The name of the program that `entry` is.
fn program_of(entry: &str) -> Option<&str> {
    if entry == OLD || below(entry) == OLD {
        return Some("model");
    }
    let inner = below(entry).strip_prefix("models/").or_else(|| entry.strip_prefix("models/"))?;
    inner.strip_suffix(".json").filter(|n| !n.contains('/'))
}

/// What the archive `bytes` is, if it is one of torch.export.
pub(super) fn kind(bytes: &[u8]) -> Option<Found> {
    if !bytes.starts_with(b"PK\x03\x04") {
        return None;
    }
    let zip = Zip::open(bytes).ok()?;
    let names = || zip.entries().iter().map(|e| e.name.as_str());
    let compiled = || names().any(|n| n.contains("data/aotinductor/")).then_some(Found::Library);
    if !names().any(|n| n == OLD || below(n) == OLD || below(n) == "archive_format") {
        return compiled();
    }
    if names().any(|n| program_of(n).is_some()) {
        return Some(Found::Programs);
    }
    compiled()
}

/// Opened files of one archive.
struct Files<'a> {
    input: &'a Input,
    options: &'a ReadOptions,
    zip: Zip<'a>,
    big_endian: bool,
}

impl Archive {
    /// Reads the first program of the archive in `input`, `model` before others.
    ///
    /// # Errors
    /// When the container, a JSON file or a checkpoint in it is damaged.
    pub(super) fn open(input: &Input, bytes: &[u8], options: &ReadOptions) -> Result<Archive> {
        let fail = |e: ZipError| Error::damaged(e.kind().to_string()).in_file(input.name()).at_offset(e.offset());
        let zip = Zip::open(bytes).map_err(fail)?;
        let mut names =
            zip.entries().iter().filter_map(|e| Some((program_of(&e.name)?, e.clone()))).collect::<Vec<_>>();
        names.sort_by_key(|(n, _)| (*n != "model", n.to_string()));
        names.dedup_by(|a, b| a.0 == b.0);
        let names = names.into_iter().map(|(n, e)| (n.to_owned(), e)).collect::<Vec<_>>();
        let Some(((name, entry), others)) = names.split_first() else {
            return Err(Error::damaged("the archive holds no program (models/*.json)").in_file(input.name()));
        };
        let mut files = Files { input, options, zip, big_endian: false };
        if let Some(order) = files.find("byteorder") {
            files.big_endian = files.content(order)?.starts_with(b"big");
        }
        let program = schema::program(&entry.name, &files.content(entry)?)?;
        let mut out = Archive {
            name: name.clone(),
            others: others.iter().map(|(n, _)| n.clone()).collect(),
            program,
            weights: Vec::new(),
            objects: Vec::new(),
        };
        if program_of(&entry.name).is_some() && below(&entry.name) == OLD || entry.name == OLD {
            for member in ["serialized_state_dict", "serialized_constants"] {
                // Up to 2.3 the checkpoints were called `.json`, after the program.
                let found = files.find(&format!("{member}.pt")).or_else(|| files.find(&format!("{member}.json")));
                if let Some(entry) = found {
                    files.checkpoint(&entry.clone(), &mut out)?;
                }
            }
        } else {
            for folder in ["weights", "constants"] {
                files.folder(folder, name, &mut out)?;
            }
        }
        Ok(out)
    }
}

impl Files<'_> {
    fn fail(&self, e: &ZipError) -> Error {
        Error::damaged(e.kind().to_string()).in_file(self.input.name()).at_offset(e.offset())
    }

    /// The entry `path` below the folder of the archive.
    fn find(&self, path: &str) -> Option<&Entry> {
        self.zip.entries().iter().rev().find(|e| below(&e.name) == path || e.name == path)
    }

    fn content(&self, entry: &Entry) -> Result<Vec<u8>> {
        self.zip.content(entry, JSON).map(|c| c.into_owned()).map_err(|e| self.fail(&e))
    }

    /// The entry as an input of its own.
    fn inner(&self, entry: &Entry) -> Result<Input> {
        let name = format!("{}: {}", self.input.name(), entry.name);
        if entry.method != Method::Stored {
            return Ok(Input::from_bytes(&name, self.content(entry)?));
        }
        let range = self.zip.range(entry).map_err(|e| self.fail(&e))?;
        let part = Part::new(self.input.source(), name, range.start, range.end.saturating_sub(range.start));
        Ok(Input::new(Arc::new(part), None))
    }

    /// Adds the tensors of a checkpoint that is an entry.
    fn checkpoint(&self, entry: &Entry, out: &mut Archive) -> Result<()> {
        // Nothing to save was written as nothing.
        if entry.size == 0 {
            return Ok(());
        }
        let read = crate::read(&self.inner(entry)?, self.options)?;
        if let Artifact::Checkpoint(checkpoint) = read.artifact {
            out.weights.extend(checkpoint.tensors);
        }
        Ok(())
    }

    /// Adds what `data/FOLDER` holds for the program `name`.
    fn folder(&self, folder: &str, name: &str, out: &mut Archive) -> Result<()> {
        if let Some(entry) = self.find(&format!("data/{folder}/{name}.pt")) {
            return self.checkpoint(entry, out);
        }
        let Some(entry) = self.find(&format!("data/{folder}/{name}_{folder}_config.json")) else { return Ok(()) };
        let payloads: Payloads = schema::parse(&entry.name, &self.content(entry)?)?;
        let mut names = payloads.config.iter().collect::<Vec<_>>();
        names.sort_by(|a, b| a.0.cmp(b.0));
        let mut storages = HashMap::new();
        let mut views = HashMap::new();
        for (name, payload) in names {
            let path = format!("data/{folder}/{}", payload.path_name);
            let missing = || Error::damaged(format!("{path}, the data of {name}, is not in the archive"));
            let found = self.find(&path).ok_or_else(|| missing().in_file(self.input.name()))?;
            match &payload.tensor_meta {
                Some(meta) if !payload.use_pickle => {
                    let weight = self.tensor(found, payload, meta, &mut storages, &mut views);
                    out.weights.push((name.clone(), weight.map_err(|e| e.in_file(self.input.name()).in_tensor(name))?));
                }
                Some(_) => {
                    let before = out.weights.len();
                    self.checkpoint(found, out)?;
                    if let Some((n, _)) = out.weights.get_mut(before) {
                        n.clone_from(name);
                    }
                }
                None => out.objects.push(name.clone()),
            }
        }
        Ok(())
    }

    /// A tensor whose elements are the bytes of an entry.
    fn tensor(
        &self,
        entry: &Entry,
        payload: &Payload,
        meta: &TensorMeta,
        storages: &mut HashMap<(String, DType), Arc<WeightExpr>>,
        views: &mut HashMap<(String, DType, usize, Vec<usize>, Vec<usize>), Arc<WeightExpr>>,
    ) -> Result<Arc<WeightExpr>> {
        let dtype = scalar(meta.dtype)
            .ok_or_else(|| Error::unsupported(format!("the element type with number {}", meta.dtype)))?;
        let (shape, strides) = (sizes(&meta.sizes), sizes(&meta.strides));
        let offset = meta.storage_offset.as_ref().map_or(Some(0), size);
        let (Some(shape), Some(strides), Some(offset)) = (shape, strides, offset) else {
            return Err(Error::damaged("a weight whose sizes are no numbers"));
        };
        let width = dtype.bits() / 8;
        if width == 0 {
            return Err(Error::unsupported(format!("a weight of {dtype}")));
        }
        let key = (payload.path_name.clone(), dtype, offset, shape.clone(), strides.clone());
        if let Some(found) = views.get(&key) {
            return Ok(found.clone());
        }
        let data = container::zip_stored(self.input, &self.zip, entry).map_err(|e| self.fail(&e))?;
        let count = usize::try_from(data.len).unwrap_or(0) / width;
        if view_end(offset, &shape, &strides).is_none_or(|end| end > count) {
            let what = format!(
                "shape {shape:?} with strides {strides:?} from element {offset} lies outside {} of {count} elements",
                entry.name
            );
            return Err(Error::damaged(what));
        }
        let swap = self.big_endian && width > 1;
        let (source, start): (Arc<dyn Source>, u64) = match swap {
            true => (Arc::new(Swapped::new(&data.source, data.offset, data.len, width, &[(0, width)])), 0),
            false => (data.source, data.offset),
        };
        let whole = offset == 0 && contiguous(&shape, &strides) && shape.iter().product::<usize>() == count;
        let made = match whole {
            true => {
                let len = wide(count.saturating_mul(width));
                Arc::new(WeightExpr::Read(Read { source, offset: start, len, dtype, shape }))
            }
            false => {
                let len = wide(count.saturating_mul(width));
                let storage = storages.entry((payload.path_name.clone(), dtype)).or_insert_with(|| {
                    Arc::new(WeightExpr::Read(Read { source, offset: start, len, dtype, shape: vec![count] }))
                });
                Arc::new(WeightExpr::View { of: storage.clone(), offset, shape, strides })
            }
        };
        views.insert(key, made.clone());
        Ok(made)
    }
}

fn contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = 1usize;
    shape.iter().zip(strides).rev().all(|(&n, &s)| {
        let fits = n == 1 || s == step;
        step = step.saturating_mul(n);
        fits
    })
}

fn size(d: &SymInt) -> Option<usize> {
    match d {
        SymInt::Int(n) => usize::try_from(*n).ok(),
        SymInt::Expr(_) => None,
    }
}

fn sizes(dims: &[SymInt]) -> Option<Vec<usize>> {
    dims.iter().map(size).collect()
}

/// The number in `c10::ScalarType` of a number of the schema's `ScalarType`.
pub(super) fn c10(code: i64) -> Option<i64> {
    Some(match code {
        1..=12 => code.saturating_sub(1),
        13 => 15,
        28 => 27,
        29 => 24,
        30 => 23,
        31 => 26,
        32 => 25,
        33 => 44,
        34 => 28,
        35 => 29,
        _ => return None,
    })
}

/// The element type with the schema's number `code`.
pub(super) fn scalar(code: i64) -> Option<DType> {
    element(c10(code)?).ok()
}
