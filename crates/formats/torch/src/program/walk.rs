//! The walk through the graph: each node by its row, what has none by its decomposition.

use super::code::{Line, print, prune};
use super::context::{Cx, Scope};
use super::modules::{Attributes, camel, classes};
use super::names::Names;
use super::number::code;
use super::signature;
use super::table::{How, Made, Said, row};
use modelsmith_format::{Error, Result, Tree};
use modelsmith_ir::{Model, Node, NodeId, RegionId, Type, ValueId};
use modelsmith_ops::infer::{Facts, infer};
use modelsmith_ops::opset::replace;
use modelsmith_rewrite::inline::inline_functions;
use modelsmith_tensor::WeightExpr;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How often nodes are decomposed and the walk begins again.
const ROUNDS: usize = 16;
/// Elements of a value that is written where it is used.
const SHORT: usize = 16;

/// What an archive is made of.
pub(super) struct Program {
    /// The file of code.
    pub(super) code: String,
    pub(super) tensors: Vec<(String, Arc<WeightExpr>)>,
    pub(super) object: Tree,
    pub(super) signature: String,
}

/// The program of a model of the hub.
///
/// # Errors
/// One, which lists every node that cannot be said.
pub(super) fn program(model: &Model) -> Result<Program> {
    let mut model = model.clone();
    inline_functions(&mut model).map_err(Error::unsupported)?;
    modelsmith_rewrite::sweep::sweep(&mut model);
    let mut why = Vec::new();
    for _ in 0..ROUNDS {
        let (facts, _) = infer(&mut model);
        let refused = match main(&model, &facts)? {
            Ok(program) => return Ok(program),
            Err(refused) => refused,
        };
        why = refused.iter().map(|(n, why)| format!("{}: {why}", model.node_label(*n))).collect();
        let mut decomposed = false;
        for (node, _) in refused {
            decomposed |= decompose(&mut model, node);
        }
        if !decomposed {
            break;
        }
    }
    let (shown, more) =
        (why.iter().take(40).map(|w| format!("\n  {w}")).collect::<String>(), why.len().saturating_sub(40));
    let more = if more == 0 { String::new() } else { format!("\n  and {more} more") };
    let what = format!("TorchScript cannot say {} nodes:{shown}{more}", why.len());
    let help = "cut them off or replace them; .onnx keeps the graph as it is, --to torch writes the weights alone";
    Err(Error::unsupported(what).help(help))
}

/// Puts what a node decomposes to in its place.
fn decompose(model: &mut Model, node: NodeId) -> bool {
    let Some(def) = model.nodes.get(node).and_then(Node::known).filter(|d| d.decompose.is_some()) else { return false };
    let region = model.regions.iter().find(|(_, r)| r.body.contains(&node)).map(|(id, _)| id);
    region.is_some_and(|region| replace(model, region, node, def).is_ok())
}

type Refused = Vec<(NodeId, String)>;

fn main(model: &Model, facts: &Facts) -> Result<std::result::Result<Program, Refused>> {
    let nothing = Node {
        op: modelsmith_ir::Op::Foreign { domain: String::new(), name: String::new(), version: 1 },
        inputs: Vec::new(),
        outputs: Vec::new(),
        attrs: modelsmith_ir::Attrs::new(),
        regions: Vec::new(),
        name: String::new(),
        origin: modelsmith_ir::Origin::default(),
    };
    let mut cx = Cx {
        model,
        facts,
        names: Names::new(),
        lines: Vec::new(),
        scope: Scope::default(),
        attributes: Attributes::default(),
        uses: uses(model, model.main),
        refused: Vec::new(),
        node: &nothing,
    };
    let class = camel(&model.graph().name);
    let class = if class.starts_with("Part") { "Model".to_owned() } else { class };
    let unsaid = |what: String| Error::unsupported(what).help("--to torch writes the weights alone");
    let mut params = Vec::new();
    for &p in &model.graph().params {
        let kind = kind(&cx.ty(p)).map_err(|e| unsaid(format!("the input {}: {e}", cx.label(p))))?;
        let name = cx.names.fresh(&cx.label(p));
        params.push((p, name.clone(), kind));
        cx.scope.texts.insert(p, name);
        cx.measure(p);
    }
    cx.region(model.main);
    let mut results = Vec::new();
    for &r in &model.graph().results {
        let kind = kind(&cx.ty(r)).map_err(|e| unsaid(format!("the output {}: {e}", cx.label(r))))?;
        let text = cx.value(r).map_err(|e| unsaid(format!("the output {}: {e}", cx.label(r))))?;
        results.push((text, kind));
    }
    if !cx.refused.is_empty() {
        return Ok(Err(cx.refused));
    }
    let forward = forward(&class, &params, &results, cx.lines);
    let made = classes(&cx.attributes, &class);
    let tensors = cx.attributes.entries.iter().map(|(at, w)| (at.join("."), w.clone())).collect();
    let code = format!("{}{forward}", made.text);
    let signature = signature::text(model, params.iter().map(|(p, ..)| *p));
    Ok(Ok(Program { code, tensors, object: made.object, signature }))
}

/// The method, as the end of its class.
fn forward(
    class: &str,
    params: &[(ValueId, String, String)],
    results: &[(String, String)],
    lines: Vec<Line>,
) -> String {
    let mut live = HashSet::new();
    let texts = results.iter().map(|(t, _)| t.clone()).collect::<Vec<_>>();
    for text in &texts {
        live.insert(text.clone());
    }
    let lines = prune(lines, &mut live);
    let kinds = results.iter().map(|(_, k)| k.as_str()).collect::<Vec<_>>();
    let (kind, value) = match (kinds.as_slice(), texts.as_slice()) {
        ([kind], [text]) => ((*kind).to_owned(), text.clone()),
        _ => (format!("Tuple[{}]", kinds.join(", ")), format!("({})", texts.join(", "))),
    };
    let mut out = format!("  def forward(self: __torch__.{class}");
    for (_, name, kind) in params {
        out.push_str(&format!(",\n    {name}: {kind}"));
    }
    out.push_str(&format!(") -> {kind}:\n"));
    print(&lines, 2, &mut out);
    out.push_str(&format!("    return {value}\n"));
    out
}

/// The type of an input or output as TorchScript calls it.
fn kind(ty: &Type) -> Said<String> {
    match ty {
        Type::Tensor(t) => match t.dtype {
            Some(d) if code(d).is_none() => Err(format!("PyTorch does not compute with {d}")),
            _ => Ok("Tensor".to_owned()),
        },
        Type::Sequence(inner) if matches!(inner.as_ref(), Type::Tensor(_)) => Ok("List[Tensor]".to_owned()),
        Type::Unknown => Ok("Tensor".to_owned()),
        other => Err(format!("{other} is no type of TorchScript")),
    }
}

/// How often a run reads each value, at most: of the branches of an If the one that reads it more often counts, and
/// what a loop reads from outside is read often.
fn uses(model: &Model, region: RegionId) -> HashMap<ValueId, usize> {
    let mut out: HashMap<ValueId, usize> = HashMap::new();
    let mut add = |v: ValueId, n: usize| {
        let count = out.entry(v).or_default();
        *count = count.saturating_add(n);
    };
    let Some(region) = model.regions.get(region) else { return out };
    region.results.iter().for_each(|&v| add(v, 1));
    for node in region.body.iter().filter_map(|&n| model.nodes.get(n)) {
        node.inputs.iter().flatten().for_each(|&v| add(v, 1));
        let mut most: HashMap<ValueId, usize> = HashMap::new();
        for &(_, inner) in &node.regions {
            let outside = model.captures(inner).into_iter().collect::<HashSet<_>>();
            for (v, n) in uses(model, inner) {
                let often = if node.is("If") || !outside.contains(&v) { n } else { n.saturating_add(1) };
                let slot = most.entry(v).or_default();
                *slot = often.max(*slot);
            }
        }
        most.into_iter().for_each(|(v, n)| add(v, n));
    }
    out
}

impl<'m> Cx<'m> {
    /// The nodes of a region, one after the other.
    pub(super) fn region(&mut self, region: RegionId) {
        let Some(region) = self.model.regions.get(region) else { return };
        for &n in &region.body {
            let Some(node) = self.model.nodes.get(n) else { continue };
            let around = std::mem::replace(&mut self.node, node);
            if !self.short()
                && let Err(why) = self.say(n)
            {
                self.refused.push((n, why));
                for &v in node.outputs.iter().flatten() {
                    self.scope.texts.insert(v, "None".to_owned());
                }
            }
            self.node = around;
        }
    }

    /// True where the results of the node are short enough to be written where they are used: constants, and what
    /// follows from sizes.
    fn short(&self) -> bool {
        let fits = |v: ValueId| {
            let constant = self.constant_of(v).is_some_and(|t| code(t.dtype()).is_some());
            let sizes = self.facts.value(v).is_some_and(|s| {
                let few = s.shape.len() < 2 && !s.dims.is_empty() && s.dims.len() <= SHORT;
                let numbers = self.ty(v).dtype().is_some_and(|d| d.is_int() && code(d).is_some());
                few && numbers && s.dims.iter().all(|d| self.follows(d))
            });
            constant || sizes
        };
        let random = self.node.known().is_none_or(|d| d.flags.random);
        let mut outputs = self.node.outputs.iter().flatten().peekable();
        self.node.regions.is_empty() && !random && outputs.peek().is_some() && outputs.all(|&v| fits(v))
    }

    fn say(&mut self, id: NodeId) -> Said<()> {
        let node = self.node;
        let Some(def) = node.known() else {
            let name = format!("{}.{}", self.model.op_domain(id), self.model.op_name(id));
            return Err(format!("the operator {} is not known", name.trim_start_matches('.')));
        };
        for &v in node.inputs.iter().chain(&node.outputs).flatten() {
            kind(&self.ty(v))?;
        }
        let row = if def.domain.is_empty() { row(def.name) } else { None };
        let made = match row.map(|r| &r.how) {
            None => return Err(format!("{def:?} has no counterpart")),
            Some(How::By(f)) => f(self)?,
            Some(How::Text(text)) => Made::from(self.filled(text)?),
        };
        match made {
            Made::Done => {}
            Made::Each(texts) => {
                for (v, text) in node.outputs.iter().zip(texts) {
                    if let Some(v) = *v {
                        self.bind(v, text);
                    }
                }
            }
            Made::Together(text) => {
                let labels =
                    node.outputs.iter().map(|v| v.map_or("_".to_owned(), |v| self.label(v))).collect::<Vec<_>>();
                let names = self.unpack(&labels.iter().map(String::as_str).collect::<Vec<_>>(), text);
                for (v, name) in node.outputs.iter().zip(names) {
                    if let Some(v) = *v {
                        self.bind(v, name);
                    }
                }
            }
        }
        Ok(())
    }

    /// `text` is the value `v` from here on: a variable of that name, unless it is a variable or an attribute already.
    pub(super) fn bind(&mut self, v: ValueId, text: String) {
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || text.starts_with("self.");
        let name = if plain { text } else { self.set(&self.label(v), text) };
        self.scope.texts.insert(v, name);
        self.measure(v);
    }

    /// The sizes of `v` are at hand.
    pub(super) fn measure(&mut self, v: ValueId) {
        let ty = self.ty(v);
        for (axis, d) in ty.shape().unwrap_or_default().iter().enumerate() {
            if d.known().is_none() && !matches!(d, modelsmith_ir::Dim::Unknown) {
                self.scope.dims.entry(d.clone()).or_insert((v, axis));
            }
        }
    }

    /// The text of a row with its places filled in.
    fn filled(&mut self, text: &str) -> Said<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((head, tail)) = rest.split_once('{') {
            let (place, after) = tail.split_once('}').ok_or("a row is wrong")?;
            out.push_str(head);
            let filled = match (place.parse::<usize>(), place.strip_suffix('#').map(str::parse::<usize>)) {
                (Ok(i), _) => self.tensor(i)?,
                (_, Some(Ok(i))) => self.operand(i)?,
                _ => match self.attr_int(place) {
                    Ok(n) => n.to_string(),
                    Err(_) => super::number::narrow(self.attr_float(place)?),
                },
            };
            out.push_str(&filled);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The lines of a body: `enter` before its nodes, `leave` behind them.
    pub(super) fn block(
        &mut self,
        region: RegionId,
        enter: impl FnOnce(&mut Self),
        leave: impl FnOnce(&mut Self) -> Said<()>,
    ) -> Said<Vec<Line>> {
        let lines = std::mem::take(&mut self.lines);
        let scope = self.scope.clone();
        enter(self);
        self.region(region);
        let done = leave(self);
        self.scope = scope;
        let made = std::mem::replace(&mut self.lines, lines);
        done.map(|()| made)
    }
}
