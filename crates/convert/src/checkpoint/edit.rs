//! What is changed on the way from one checkpoint to another: which tensors, under which names, of which type.

use super::pattern::Glob;
use modelsmith_base::{DType, Diagnostic, Severity};
use modelsmith_format::{Checkpoint, Error, Result, Tree};
use modelsmith_format_weights::recipe::{Importance, Override, Recipe, Stored};
use modelsmith_tensor::WeightExpr;
use regex_lite::Regex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Changes, applied in the order of the fields.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// Keep the part of a nested checkpoint under this path, `model` or `state.model`, without the path.
    pub key: Option<String>,
    /// Keep tensors that match one of these; all where there is none.
    pub include: Vec<Glob>,
    /// Leave out tensors that match one of these.
    pub exclude: Vec<Glob>,
    /// Rename: the first match of the expression is replaced; `$1` stands for its first group.
    pub rename: Vec<(Regex, String)>,
    /// Type of floating-point tensors.
    pub cast: Option<DType>,
    /// How the tensors of a GGUF file are stored.
    pub recipe: Option<&'static Recipe>,
    /// Types of tensors whose names match, which go before those of the recipe.
    pub types: Vec<(Regex, Stored)>,
    /// Weights of columns by tensor name, for the recipe.
    pub importance: Importance,
}

impl Edit {
    /// A checkpoint with the changes made.
    ///
    /// # Errors
    /// When nothing is left, two tensors get one name, or the key leads nowhere.
    pub fn apply(&self, from: &Checkpoint) -> Result<(Checkpoint, Vec<Diagnostic>)> {
        let mut findings = Vec::new();
        let mut out = match &self.key {
            Some(key) => part(from, key)?,
            None => {
                findings.extend(parts_note(from));
                from.clone()
            }
        };
        if !self.include.is_empty() || !self.exclude.is_empty() {
            let before = out.tensors.len();
            let kept = |name: &str| {
                (self.include.is_empty() || self.include.iter().any(|g| g.matches(name)))
                    && !self.exclude.iter().any(|g| g.matches(name))
            };
            out.tensors.retain(|(name, _)| kept(name));
            if out.tensors.is_empty() && before > 0 {
                return Err(Error::unsupported(format!(
                    "none of the {before} tensors is left by --include and --exclude"
                )));
            }
            out.tree = None;
        }
        if !self.rename.is_empty() {
            for (name, _) in &mut out.tensors {
                for (from, to) in &self.rename {
                    *name = from.replace(name, to.as_str()).into_owned();
                }
            }
            out.tree = None;
        }
        unique(&out)?;
        self.retype(&mut out);
        Ok((out, findings))
    }

    /// Casts; a weight that several names share stays shared.
    fn retype(&self, out: &mut Checkpoint) {
        let Some(to) = self.cast else { return };
        let mut made: HashMap<*const WeightExpr, Arc<WeightExpr>> = HashMap::new();
        for (_, weight) in &mut out.tensors {
            let old = weight.clone();
            if old.dtype().is_float() && (old.dtype() != to || is_blocks(&old)) {
                // What is made holds what it is made of, so no address is given twice.
                let cast = || Arc::new(WeightExpr::Cast(old.clone(), to));
                *weight = made.entry(Arc::as_ptr(&old)).or_insert_with(cast).clone();
            }
        }
    }

    /// The types of a GGUF file, for the tensors of `edited`.
    ///
    /// # Errors
    /// When a type does not fit, or the importance matrix does not belong to the model.
    pub fn encode(&self, edited: Checkpoint, to_blocks: bool) -> Result<(Checkpoint, Vec<Diagnostic>)> {
        let Some(recipe) = self.recipe else {
            let idle = !self.types.is_empty() || !self.importance.is_empty();
            return match idle {
                true => Err(Error::unsupported("--tensor-type and --imatrix say more of --type, which is not given")),
                false => Ok((edited, Vec::new())),
            };
        };
        if !to_blocks {
            let message = format!("--type {}: only GGUF files have such types", recipe.name);
            return Err(Error::unsupported(message).help("write to a .gguf file, or give an element type with --cast"));
        }
        let matches = self.types.iter().map(|(pattern, _)| |name: &str| pattern.is_match(name)).collect::<Vec<_>>();
        let overrides = matches.iter().zip(&self.types);
        let overrides = overrides.map(|(matches, (_, to))| Override { matches, to: *to }).collect::<Vec<_>>();
        modelsmith_format_weights::recipe::apply(recipe, &edited, &overrides, &self.importance)
    }
}

fn is_blocks(w: &WeightExpr) -> bool {
    matches!(w, WeightExpr::Blocks(_))
}

/// Says what the parts of a training checkpoint are, where the first component of the names tells several apart and the
/// file nests.
fn parts_note(c: &Checkpoint) -> Option<Diagnostic> {
    let Some(Tree::Dict(entries)) = &c.tree else { return None };
    let count = |t: &Tree| {
        let mut n = 0;
        each_tensor(t, &mut |_| n += 1);
        n
    };
    let nested = |t: &Tree| matches!(t, Tree::Dict(_) | Tree::List(_) | Tree::Object { .. });
    let parts = entries.iter().filter(|(_, t)| nested(t)).map(|(k, t)| (key_text(k), count(t))).filter(|p| p.1 > 0);
    let parts = parts.collect::<Vec<_>>();
    let weights = |p: &&(String, usize)| ["model", "state_dict", "net", "module"].iter().any(|w| p.0.contains(w));
    let wanted = parts.iter().find(weights).or_else(|| parts.first())?;
    if entries.len() < 2 {
        return None;
    }
    let list = parts.iter().map(|(k, n)| format!("{k} ({n} tensors)")).collect::<Vec<_>>().join(", ");
    let message = format!("all parts are kept: {list}; --key {} takes one", wanted.0);
    Some(Diagnostic::new(Severity::Note, "convert.parts", message))
}

fn key_text(key: &Tree) -> String {
    match key {
        Tree::Value(v) => v.text(),
        _ => "?".into(),
    }
}

fn each_tensor(tree: &Tree, f: &mut dyn FnMut(usize)) {
    let mut stack = vec![tree];
    while let Some(t) = stack.pop() {
        match t {
            Tree::Tensor(i) => f(*i),
            Tree::Value(_) => {}
            Tree::List(items) | Tree::Tuple(items) => stack.extend(items.iter().rev()),
            Tree::Dict(entries) => stack.extend(entries.iter().rev().map(|(_, v)| v)),
            Tree::Object { args, state, .. } => {
                stack.extend(state.as_deref());
                stack.extend(args.iter().rev());
            }
        }
    }
}

/// The part of `from` under `key`.
fn part(from: &Checkpoint, key: &str) -> Result<Checkpoint> {
    let prefix = format!("{key}.");
    let below = |name: &str| name.strip_prefix(&prefix).map(str::to_owned);
    let mut place = HashMap::new();
    let mut out = Checkpoint::default();
    for (i, (name, weight)) in from.tensors.iter().enumerate() {
        if let Some(rest) = below(name) {
            place.insert(i, out.tensors.len());
            out.tensors.push((rest, weight.clone()));
        }
    }
    if out.tensors.is_empty() {
        let mut heads = from.tensors.iter().filter_map(|(n, _)| n.split('.').next()).collect::<Vec<_>>();
        heads.dedup();
        let heads = heads.into_iter().take(12).collect::<Vec<_>>().join(", ");
        return Err(
            Error::unsupported(format!("--key {key}: no tensor is under it")).help(format!("there are: {heads}"))
        );
    }
    out.meta = from.meta.iter().filter_map(|(k, v)| Some((below(k)?, v.clone()))).collect();
    out.tree = from.tree.as_ref().and_then(|t| subtree(t, key)).and_then(|t| renumbered(t, &place));
    Ok(out)
}

fn subtree<'t>(tree: &'t Tree, path: &str) -> Option<&'t Tree> {
    let Tree::Dict(entries) = tree else { return None };
    entries.iter().find_map(|(k, v)| {
        let rest = path.strip_prefix(&key_text(k))?;
        if rest.is_empty() { Some(v) } else { subtree(v, rest.strip_prefix('.')?) }
    })
}

fn renumbered(tree: &Tree, place: &HashMap<usize, usize>) -> Option<Tree> {
    let all = |items: &[Tree]| items.iter().map(|t| renumbered(t, place)).collect::<Option<Vec<_>>>();
    Some(match tree {
        Tree::Tensor(i) => Tree::Tensor(*place.get(i)?),
        Tree::Value(v) => Tree::Value(v.clone()),
        Tree::List(items) => Tree::List(all(items)?),
        Tree::Tuple(items) => Tree::Tuple(all(items)?),
        Tree::Dict(entries) => {
            let entry = |(k, v): &(Tree, Tree)| Some((renumbered(k, place)?, renumbered(v, place)?));
            Tree::Dict(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        Tree::Object { class, args, state } => {
            let state = match state {
                Some(s) => Some(Box::new(renumbered(s, place)?)),
                None => None,
            };
            Tree::Object { class: class.clone(), args: all(args)?, state }
        }
    })
}

fn unique(c: &Checkpoint) -> Result<()> {
    let mut seen = HashSet::new();
    match c.tensors.iter().find(|(name, _)| !seen.insert(name.as_str())) {
        None => Ok(()),
        Some((name, _)) => Err(Error::unsupported(format!("two tensors would be called {name}"))
            .in_tensor(name)
            .help("change --map, or leave one out with --exclude")),
    }
}

/// Several checkpoints in one, in order.
///
/// # Errors
/// When two of them have a tensor of one name.
pub fn merge(parts: Vec<Checkpoint>) -> Result<Checkpoint> {
    let mut parts = parts.into_iter();
    let mut out = parts.next().unwrap_or_default();
    for part in parts {
        out.tensors.extend(part.tensors);
        let new = part.meta.into_iter().filter(|(k, _)| out.meta.iter().all(|(known, _)| known != k));
        let new = new.collect::<Vec<_>>();
        out.meta.extend(new);
        out.tree = None;
    }
    unique(&out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_format::MetaValue;
    use modelsmith_tensor::Tensor;

    fn checkpoint(names: &[&str]) -> Checkpoint {
        let weight = |shape: &[usize]| {
            Arc::new(WeightExpr::Literal(Tensor::zeros(DType::F32, shape).unwrap_or_else(|e| panic!("{e}"))))
        };
        Checkpoint {
            tensors: names.iter().map(|n| ((*n).to_owned(), weight(&[2, 64]))).collect(),
            meta: vec![("model.step".into(), MetaValue::from("7")), ("epoch".into(), MetaValue::from("3"))],
            tree: None,
        }
    }

    fn names(c: &Checkpoint) -> Vec<&str> {
        c.tensors.iter().map(|(n, _)| n.as_str()).collect()
    }

    #[test]
    fn subsets_and_names() {
        let c = checkpoint(&["model.a.weight", "model.a.bias", "model.b.weight", "optimizer.m"]);
        let edit = Edit {
            key: Some("model".into()),
            exclude: vec![Glob::new("*.bias")],
            rename: vec![(Regex::new(r"^(\w)\.").unwrap(), "layer_$1.".into())],
            ..Edit::default()
        };
        let (out, _) = edit.apply(&c).unwrap();
        assert_eq!(names(&out), ["layer_a.weight", "layer_b.weight"]);
        assert_eq!(out.meta, [("step".to_owned(), MetaValue::from("7"))]);
        let clash = Edit { rename: vec![(Regex::new("a|b").unwrap(), "x".into())], ..Edit::default() };
        let error = clash.apply(&checkpoint(&["a.w", "b.w"])).unwrap_err().to_string();
        assert_eq!(error, "tensor x.w: two tensors would be called x.w; change --map, or leave one out with --exclude");
        let lost = Edit { key: Some("net".into()), ..Edit::default() }.apply(&c).unwrap_err().to_string();
        assert_eq!(lost, "--key net: no tensor is under it; there are: model, optimizer");
        assert!(merge(vec![checkpoint(&["a"]), checkpoint(&["b"])]).is_ok_and(|c| names(&c) == ["a", "b"]));
        assert!(merge(vec![checkpoint(&["a"]), checkpoint(&["a"])]).is_err());
    }

    #[test]
    fn nested_checkpoints_say_their_parts() {
        let mut c = checkpoint(&["model.w", "optimizer.m", "optimizer.v"]);
        let text = |t: &str| Tree::Value(MetaValue::from(t));
        let dict =
            |items: &[(&str, usize)]| Tree::Dict(items.iter().map(|(k, i)| (text(k), Tree::Tensor(*i))).collect());
        c.tree = Some(Tree::Dict(vec![
            (text("model"), dict(&[("w", 0)])),
            (text("optimizer"), dict(&[("m", 1), ("v", 2)])),
        ]));
        let (same, found) = Edit::default().apply(&c).unwrap();
        assert_eq!(same.tree, c.tree);
        let wanted = "all parts are kept: model (1 tensors), optimizer (2 tensors); --key model takes one";
        assert_eq!(found[0].message, wanted);
        let (part, _) = Edit { key: Some("optimizer".into()), ..Edit::default() }.apply(&c).unwrap();
        assert_eq!((names(&part), &part.tree), (vec!["m", "v"], &Some(dict(&[("m", 0), ("v", 1)]))));
    }

    #[test]
    fn types_change_and_ties_stay() {
        let mut c = checkpoint(&["a", "b"]);
        c.tensors[1].1 = c.tensors[0].1.clone();
        let edit = Edit { cast: Some(DType::F16), ..Edit::default() };
        let (out, _) = edit.apply(&c).unwrap();
        assert_eq!(out.tensors[0].1.dtype(), DType::F16);
        assert!(Arc::ptr_eq(&out.tensors[0].1, &out.tensors[1].1));
        let recipe = modelsmith_format_weights::recipe::recipe("Q8_0");
        let edit = Edit { recipe, ..Edit::default() };
        let (made, _) = edit.encode(checkpoint(&["blk.0.attn_q.weight"]), true).unwrap();
        assert!(matches!(&*made.tensors[0].1, WeightExpr::Encode { .. }));
        let error = edit.encode(checkpoint(&["a.weight"]), false).err().unwrap().to_string();
        assert!(error.starts_with("--type Q8_0: only GGUF files have such types; write to a .gguf file"), "{error}");
        let types = vec![(Regex::new("a").unwrap(), Stored::Kept)];
        assert!(Edit { types, ..Edit::default() }.encode(checkpoint(&["a"]), true).is_err());
    }
}
