//! An archive taken apart: its code, its object and its constants.

use super::ast::{Class, File, Function};
use super::parse::parse;
use crate::container;
use crate::program::signature::{self, Signature};
use crate::read::storage::{Pid, pid};
use crate::read::{Reader, Source};
use modelsmith_base::{DType, Diagnostic};
use modelsmith_format::{Error, Input, MetaValue, ReadOptions, Result, Tree};
use modelsmith_tensor::WeightExpr;
use modelsmith_wire::pickle::{self, Node, NodeId};
use modelsmith_wire::zip::Archive as Zip;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes of one file of code, and of all of them, that are read.
const CODE: u64 = 64 << 20;

/// What an archive holds.
pub(crate) struct Archive {
    name: String,
    /// Text of each file by its path below `code`, without ending: `__torch__/torch/nn/modules/conv`.
    code: HashMap<String, String>,
    parsed: RefCell<HashMap<String, Rc<File>>>,
    /// The debug file of each file, and for each of its lines where it comes from, once asked for.
    debug: HashMap<String, Vec<u8>>,
    sources: RefCell<HashMap<String, Rc<Vec<Option<String>>>>>,
    /// The object, its tensors by name.
    pub object: Tree,
    pub tensors: Vec<(String, Arc<WeightExpr>)>,
    /// The constants that code names by number.
    pub constants: Tree,
    pub constant_tensors: Vec<(String, Arc<WeightExpr>)>,
    pub findings: Vec<Diagnostic>,
    /// Version of the operators, as the archive numbers it.
    pub version: u32,
    /// Element type and shape of the tensors that the module was traced with; `None` for one that was not traced.
    pub examples: Option<Vec<Example>>,
    /// Names and types of inputs and outputs, in an archive that this program wrote.
    pub signature: Option<Signature>,
}

/// Element type and shape of an argument; `None` where it is no tensor.
pub(crate) type Example = Option<(DType, Vec<i64>)>;

impl Archive {
    /// Reads the archive in `input`.
    ///
    /// # Errors
    /// When the container or a pickle in it is damaged.
    pub(crate) fn open(input: &Input, options: &ReadOptions) -> Result<Archive> {
        let source = Source::of(input, options)?;
        let bytes = source.bytes();
        let fail = |e: modelsmith_wire::zip::Error| {
            Error::damaged(e.kind().to_string()).in_file(input.name()).at_offset(e.offset())
        };
        let zip = Zip::open(bytes).map_err(fail)?;
        let old = container::is_old_script(bytes);
        let root = match old {
            true => zip.entries().iter().find_map(|e| e.name.strip_suffix("model.json")).unwrap_or_default(),
            false => container::zip_root(&zip),
        };
        let (code, debug) = code(&zip, root, old).map_err(fail)?;
        let version = zip.find(&format!("{root}version")).or_else(|| zip.find(&format!("{root}.data/version")));
        let version = match version {
            Some(entry) => {
                let text = zip.content(entry, 64).map_err(fail)?;
                String::from_utf8_lossy(&text).trim().parse().unwrap_or(0)
            }
            None => 0,
        };
        let (object, tensors, constants, constant_tensors, findings) = match old {
            true => {
                let o = super::old::load(input, &zip, root)?;
                (o.object, o.tensors, o.constants, o.constant_tensors, Vec::new())
            }
            false => {
                let (object, tensors, findings) = tree(input, bytes, "data")?;
                let (constants, numbered) = match zip.find(&format!("{root}constants.pkl")) {
                    Some(_) => {
                        let (tree, tensors, _) = tree(input, bytes, "constants")?;
                        let named = |(name, w): (String, _)| (format!("CONSTANTS.c{name}"), w);
                        (tree, tensors.into_iter().map(named).collect())
                    }
                    None => (Tree::Tuple(Vec::new()), Vec::new()),
                };
                (object, tensors, constants, numbered, findings)
            }
        };
        let examples = match zip.find(&format!("{root}traced_inputs.pkl")) {
            Some(entry) => Some(examples(&zip.content(entry, CODE).map_err(fail)?)),
            None => None,
        };
        let signature = signed(&zip, root).map_err(fail)?;
        Ok(Archive {
            name: input.name().to_owned(),
            code,
            parsed: RefCell::default(),
            debug,
            sources: RefCell::default(),
            object,
            tensors,
            constants,
            constant_tensors,
            findings,
            version,
            examples,
            signature,
        })
    }

    /// Where line `line` of the file `code/PATH.py` comes from: the user's own file where the archive says it.
    pub(crate) fn place(&self, file: &str, line: u32) -> String {
        let path = file.strip_prefix("code/").and_then(|f| f.strip_suffix(".py")).unwrap_or(file);
        let known = self.sources.borrow().get(path).cloned();
        let sources = known.unwrap_or_else(|| {
            let found = match (self.debug.get(path), self.code.get(path)) {
                (Some(debug), Some(code)) => super::source::places(debug, code),
                _ => Vec::new(),
            };
            let found = Rc::new(found);
            self.sources.borrow_mut().insert(path.to_owned(), found.clone());
            found
        });
        let index = usize::try_from(line).unwrap_or(0).saturating_sub(1);
        match sources.get(index).and_then(Option::as_ref) {
            Some(place) => format!("{place} ({file}, line {line})"),
            None => format!("{file}, line {line}"),
        }
    }

    /// The file with the code of `path`, parsed; `None` when the archive has none.
    pub(crate) fn file(&self, path: &str) -> Result<Option<Rc<File>>> {
        if let Some(file) = self.parsed.borrow().get(path) {
            return Ok(Some(file.clone()));
        }
        let Some(text) = self.code.get(path) else { return Ok(None) };
        let name = format!("code/{path}.py");
        let file = parse(&name, text).map_err(|fault| {
            let what = format!("{name}, line {}: {}", fault.line, fault.what);
            Error::damaged(what).in_file(&self.name)
        })?;
        let file = Rc::new(file);
        self.parsed.borrow_mut().insert(path.to_owned(), file.clone());
        Ok(Some(file))
    }

    /// True where the object is of a class with a method `forward`.
    ///
    /// # Errors
    /// When the code of the class is damaged.
    pub(crate) fn runs(&self) -> Result<bool> {
        match &self.object {
            Tree::Object { class, .. } => Ok(self.method(class, "forward")?.is_some()),
            _ => Ok(false),
        }
    }

    /// Number of methods of the class of the submodule `path`; `None` where there is no such module.
    pub(crate) fn code_of(&self, path: &str) -> Option<usize> {
        Some(self.class(&self.class_of(path)?).ok()??.methods.len())
    }

    /// Where the last statement of `forward` of a class comes from, in brackets behind a space.
    pub(crate) fn last_place(&self, class: &str) -> Option<String> {
        let forward = self.method(class, "forward").ok()??;
        let places = forward.body.iter().rev().map(|s| self.place(&forward.file, s.line)).collect::<Vec<_>>();
        // The last of which the user's own line is known.
        let best = places.iter().find(|p| p.ends_with(')')).or(places.first())?;
        Some(format!(" ({best})"))
    }

    /// The class of the submodule `path`.
    pub(crate) fn class_of(&self, path: &str) -> Option<String> {
        let mut at = &self.object;
        for name in path.split('.') {
            let Tree::Object { state: Some(state), .. } = at else { return None };
            let Tree::Dict(pairs) = state.as_ref() else { return None };
            let named = |k: &Tree| matches!(k, Tree::Value(MetaValue::Text(n)) if n == name);
            at = &pairs.iter().find(|(k, _)| named(k))?.1;
        }
        let Tree::Object { class, .. } = at else { return None };
        Some(class.clone())
    }

    /// The class with the dotted name `name`.
    pub(crate) fn class(&self, name: &str) -> Result<Option<Class>> {
        let Some((module, class)) = name.rsplit_once('.') else { return Ok(None) };
        let file = self.file(&module.replace('.', "/"))?;
        Ok(file.and_then(|f| f.classes.iter().find(|c| c.name == class).cloned()))
    }

    /// The method `method` of a class, or `None`.
    pub(crate) fn method(&self, class: &str, method: &str) -> Result<Option<Rc<Function>>> {
        if let Some(path) = class.strip_prefix(super::old::FILE) {
            let file = self.file(path)?;
            return Ok(file.and_then(|f| f.functions.iter().find(|f| f.name == method).cloned()));
        }
        let Some((module, name)) = class.rsplit_once('.') else { return Ok(None) };
        let file = self.file(&module.replace('.', "/"))?;
        let class = file.as_ref().and_then(|f| f.classes.iter().find(|c| c.name == name));
        Ok(class.and_then(|c| c.methods.iter().find(|m| m.name == method).cloned()))
    }

    /// The function with the dotted name `name`.
    pub(crate) fn function(&self, name: &str) -> Result<Option<Rc<Function>>> {
        let Some((module, function)) = name.rsplit_once('.') else { return Ok(None) };
        let file = self.file(&module.replace('.', "/"))?;
        Ok(file.and_then(|f| f.functions.iter().find(|f| f.name == function).cloned()))
    }
}

/// The signature below `root`.
fn signed(zip: &Zip<'_>, root: &str) -> std::result::Result<Option<Signature>, modelsmith_wire::zip::Error> {
    match zip.find(&format!("{root}{}", signature::MEMBER)) {
        Some(entry) => Ok(signature::read(&zip.content(entry, CODE)?)),
        None => Ok(None),
    }
}

/// Texts and debug files by path.
type Code = (HashMap<String, String>, HashMap<String, Vec<u8>>);

/// The code of the archive below `root`.
fn code(zip: &Zip<'_>, root: &str, old: bool) -> std::result::Result<Code, modelsmith_wire::zip::Error> {
    let (mut code, mut debug, mut left) = (HashMap::new(), HashMap::new(), CODE);
    for entry in zip.entries() {
        let Some(path) = entry.name.strip_prefix(&format!("{root}code/")) else { continue };
        if let Some(path) = path.strip_suffix(".py") {
            let text = zip.content(entry, left)?;
            left = left.saturating_sub(modelsmith_base::wide(text.len()));
            code.insert(path.to_owned(), String::from_utf8_lossy(&text).into_owned());
        } else if let Some(path) = path.strip_suffix(".py.debug_pkl") {
            // Without it the lines of the code are named.
            let bytes = zip.content(entry, left).unwrap_or_default();
            left = left.saturating_sub(modelsmith_base::wide(bytes.len()));
            debug.insert(path.to_owned(), bytes.into_owned());
        }
    }
    if let Some(entry) = zip.find(&format!("{root}libs.py")).filter(|_| old) {
        let text = zip.content(entry, left)?;
        code.insert("__torch__".to_owned(), String::from_utf8_lossy(&text).into_owned());
    }
    Ok((code, debug))
}

/// What the module was traced with: `{"forward": [tensor, ...]}`. Their storages are empty, their shapes are there.
fn examples(bytes: &[u8]) -> Vec<Example> {
    let p = pickle::read(bytes, 0, &pickle::Limits::default());
    let bare = |id: NodeId| match p.call(id) {
        // The type that the serializer notes around lists and dictionaries.
        Some(call) => p.items(call.args).and_then(|a| a.first().copied()).unwrap_or(id),
        None => id,
    };
    let Some(Node::Dict(pairs)) = p.root.map(|root| p.node(bare(root))) else { return Vec::new() };
    let forward = pairs.iter().find(|(k, _)| p.text(*k).as_deref() == Some("forward"));
    let items = forward.and_then(|(_, v)| p.items(bare(*v))).unwrap_or_default();
    let example = |id: &NodeId| {
        let args = p.items(p.call(*id)?.args)?;
        let Node::Persistent(storage) = p.node(*args.first()?) else { return None };
        let Some(Pid::Storage(storage)) = pid(&p, *storage) else { return None };
        let sizes = p.items(*args.get(2)?)?.iter().map(|&n| p.int(n)).collect::<Option<Vec<_>>>()?;
        Some((storage.element?.0, sizes))
    };
    items.iter().map(example).collect()
}

type Read = (Tree, Vec<(String, Arc<WeightExpr>)>, Vec<Diagnostic>);

/// The pickle `member` of the archive with its storages.
fn tree(input: &Input, bytes: &[u8], member: &str) -> Result<Read> {
    let parts = container::open_member(input, bytes, member)?;
    let read = pickle::read(&parts.pickle, parts.at, &pickle::Limits::default());
    let place = format!("{}: {}", input.name(), parts.member);
    let mut reader = Reader::new(&read, &parts);
    let tree = reader.root(&place)?;
    let (tensors, findings) = reader.into_parts();
    Ok((tree, tensors, findings))
}
