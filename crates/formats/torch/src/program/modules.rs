//! The tree of modules that holds the weights, its classes and its pickle.

use super::names::{ident, is_keyword, path};
use modelsmith_format::{MetaValue, Tree};
use modelsmith_tensor::WeightExpr;
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

/// What no attribute may be called, as every module has it.
const TAKEN: [&str; 2] = ["forward", "training"];

/// Weights by the path of their attribute.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) entries: Vec<(Vec<String>, Arc<WeightExpr>)>,
    modules: HashSet<Vec<String>>,
    leaves: HashSet<Vec<String>>,
}

impl Attributes {
    /// Adds an attribute for the weight that is called `name`; the expression that reads it.
    pub(super) fn add(&mut self, name: &str, weight: &Arc<WeightExpr>) -> String {
        let mut at = path(name);
        for part in &mut at {
            if TAKEN.contains(&part.as_str()) || is_keyword(part) {
                part.push('_');
            }
        }
        if !self.free(&at) {
            let flat = at.join("_");
            let tries = (1usize..).map(|n| vec![format!("{}_{n}", ident(&flat))]);
            at = tries.into_iter().find(|p| self.free(p)).unwrap_or(at);
        }
        for end in 1..at.len() {
            self.modules.insert(at.iter().take(end).cloned().collect());
        }
        self.leaves.insert(at.clone());
        let read = at.iter().fold("self".to_owned(), |of, part| match part.starts_with(|c: char| c.is_ascii_digit()) {
            true => format!("getattr({of}, \"{part}\")"),
            false => format!("{of}.{part}"),
        });
        self.entries.push((at, weight.clone()));
        read
    }

    fn free(&self, at: &[String]) -> bool {
        let inside = (1..at.len()).any(|end| self.leaves.contains(at.get(..end).unwrap_or_default()));
        !inside && !self.leaves.contains(at) && !self.modules.contains(at)
    }
}

/// A module: weights by number, and modules in it.
#[derive(Default)]
struct Module {
    weights: Vec<(String, usize)>,
    inner: Vec<(String, Module)>,
}

impl Module {
    fn put(&mut self, at: &[String], weight: usize) {
        match at {
            [name] => self.weights.push((name.clone(), weight)),
            [name, rest @ ..] => {
                let found = self.inner.iter().position(|(n, _)| n == name);
                let found = found.unwrap_or_else(|| {
                    self.inner.push((name.clone(), Module::default()));
                    self.inner.len().saturating_sub(1)
                });
                if let Some((_, module)) = self.inner.get_mut(found) {
                    module.put(rest, weight);
                }
            }
            [] => {}
        }
    }
}

/// The classes of the tree, that of the root last and without its methods, and the object.
pub(super) struct Classes {
    pub(super) text: String,
    pub(super) object: Tree,
    /// Form of a class, and its name.
    known: Vec<(String, String)>,
}

/// Makes the classes for `attributes`; the root is called `root`.
pub(super) fn classes(attributes: &Attributes, root: &str) -> Classes {
    let mut tree = Module::default();
    for (i, (at, _)) in attributes.entries.iter().enumerate() {
        tree.put(at, i);
    }
    let mut out = Classes { text: String::new(), object: Tree::Tuple(Vec::new()), known: Vec::new() };
    let (_, object) = out.class(&tree, root, attributes);
    out.object = object;
    out
}

impl Classes {
    /// The class of a module, shared by those of the same form, and the module as an object.
    fn class(&mut self, module: &Module, hint: &str, all: &Attributes) -> (String, Tree) {
        let key = |name: &str| Tree::Value(MetaValue::Text(name.to_owned()));
        let (mut fields, mut state) = (String::new(), Vec::new());
        let (mut parameters, mut buffers) = (String::new(), String::new());
        for (name, weight) in &module.weights {
            let float = all.entries.get(*weight).is_some_and(|(_, w)| w.dtype().is_float());
            // Writing to a string cannot fail.
            let _ = write!(if float { &mut parameters } else { &mut buffers }, "\"{name}\", ");
            let _ = writeln!(fields, "  {name} : Tensor");
            state.push((key(name), Tree::Tensor(*weight)));
        }
        fields.push_str("  training : bool\n");
        state.push((key("training"), Tree::Value(MetaValue::Bool(false))));
        for (name, inner) in &module.inner {
            let number = name.starts_with(|c: char| c.is_ascii_digit());
            let (class, object) = match number {
                true => self.class(inner, &format!("{hint}_{name}"), all),
                false => self.class(inner, name, all),
            };
            let _ = match number {
                true => writeln!(fields, "  __annotations__[\"{name}\"] = __torch__.{class}"),
                false => writeln!(fields, "  {name} : __torch__.{class}"),
            };
            state.push((key(name), object));
        }
        let body = format!("  __parameters__ = [{parameters}]\n  __buffers__ = [{buffers}]\n{fields}");
        let found = self.known.iter().find(|(form, _)| *form == body).map(|(_, name)| name.clone());
        let name = found.unwrap_or_else(|| {
            let name = self.fresh(hint);
            let _ = write!(self.text, "class {name}(Module):\n{body}");
            self.known.push((body, name.clone()));
            name
        });
        let object = Tree::Object {
            class: format!("__torch__.{name}"),
            args: Vec::new(),
            state: Some(Box::new(Tree::Dict(state))),
        };
        (name, object)
    }

    /// A name of a class like `hint`: `layer1` gives `Layer1`.
    fn fresh(&self, hint: &str) -> String {
        let base = camel(hint);
        let free = |n: &String| !self.known.iter().any(|(_, k)| k == n);
        let numbered = (1usize..=self.known.len()).map(|n| format!("{base}_{n}"));
        std::iter::once(base.clone()).chain(numbered).find(free).unwrap_or(base)
    }
}

/// The name of a class: `conv_bn` gives `ConvBn`, what Python or TorchScript calls so itself gets a word more.
pub(super) fn camel(name: &str) -> String {
    let upper = |p: &str| {
        let mut chars = p.chars();
        chars.next().map(|c| c.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
    };
    let text = ident(name).split('_').map(upper).collect::<String>();
    let own =
        ["Module", "Tensor", "List", "Dict", "Tuple", "Optional", "None", "True", "False", "Final", "Any", "Future"];
    match text.starts_with(|c: char| c.is_ascii_uppercase()) && !own.contains(&text.as_str()) && text != "Enum" {
        true => text,
        false => format!("Part{text}"),
    }
}
