use super::attrs::{print_attr, print_weight, separated};
use super::literal::{print_hex, print_literal};
use super::{plain_ident, plain_value_name};
use crate::{Attrs, Def, Model, Node, Op, OpDef, OpSetImport, Origin, RegionId, Stage, Type, ValueId};
use modelsmith_tensor::WeightExpr;
use std::collections::HashMap;
use std::fmt::Write;

/// Initializers without name, used once, of up to this many elements stand where they are used.
const INLINE: usize = 16;

/// The model as text, with large weights left out: for people.
pub fn print(model: &Model) -> String {
    Printer::new(model, false).model()
}

/// The model as text, with all weights: reads back as the same model.
pub fn print_full(model: &Model) -> String {
    Printer::new(model, true).model()
}

/// An operator with attributes, `Transpose() {perm = [1, 0]}`, as in [`WeightExpr::Eval`].
pub fn print_op(def: &OpDef, attrs: &Attrs) -> String {
    let mut out = String::new();
    op_name(&mut out, def.domain, def.name);
    out.push_str("()");
    if !attrs.is_empty() {
        out.push_str(" {");
        print_attrs(&mut out, attrs, true);
        out.push('}');
    }
    out
}

pub(super) fn ident(out: &mut String, name: &str) {
    match plain_ident(name) {
        true => out.push_str(name),
        false => _ = write!(out, "{name:?}"),
    }
}

/// `Conv`, `com.vendor.Odd` or `"odd domain"."Name"`.
fn op_name(out: &mut String, domain: &str, name: &str) {
    if domain.split('.').all(plain_ident) {
        out.push_str(domain);
        out.push('.');
    } else if !domain.is_empty() {
        _ = write!(out, "{domain:?}.");
    }
    ident(out, name);
}

fn print_attrs(out: &mut String, attrs: &Attrs, full: bool) {
    for (i, (name, value)) in attrs.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        ident(out, name);
        out.push_str(" = ");
        print_attr(out, name, value, full);
    }
}

struct Printer<'m> {
    model: &'m Model,
    full: bool,
    out: String,
    /// Number after `@` of the values that need one.
    numbers: HashMap<ValueId, usize>,
    uses: HashMap<ValueId, usize>,
    depth: usize,
}

impl<'m> Printer<'m> {
    fn new(model: &'m Model, full: bool) -> Printer<'m> {
        let mut uses = HashMap::new();
        for (_, node) in model.nodes.iter() {
            for v in node.inputs.iter().flatten() {
                *uses.entry(*v).or_insert(0) += 1;
            }
        }
        // Results and exposed initializers are never inline.
        for (_, r) in model.regions.iter() {
            for v in r.results.iter().chain(&r.exposed) {
                *uses.entry(*v).or_insert(0) += 2;
            }
        }
        Printer { model, full, out: String::new(), numbers: HashMap::new(), uses, depth: 0 }
    }

    fn model(mut self) -> String {
        match &self.model.stage {
            Stage::Hub => {}
            Stage::Foreign => self.out.push_str("stage foreign\n"),
            Stage::Legal(name) => _ = writeln!(self.out, "stage legal({name:?})"),
        }
        self.meta();
        for (id, f) in self.model.functions.iter() {
            self.function(id, f);
        }
        self.number(self.model.main);
        self.region(self.model.main);
        self.out.push('\n');
        self.out
    }

    fn meta(&mut self) {
        let m = &self.model.meta;
        let mut parts = Vec::new();
        let strings = [("format", &m.format), ("producer", &m.producer), ("producer_version", &m.producer_version)];
        parts.extend(strings.iter().filter(|(_, s)| !s.is_empty()).map(|(k, s)| format!("{k} = {s:?}")));
        let more = [("domain", &m.domain), ("doc", &m.doc)];
        parts.extend(more.iter().filter(|(_, s)| !s.is_empty()).map(|(k, s)| format!("{k} = {s:?}")));
        let numbers = [("ir_version", m.ir_version), ("model_version", m.model_version)];
        parts.extend(numbers.iter().filter(|(_, n)| *n != 0).map(|(k, n)| format!("{k} = {n}")));
        parts.extend(m.opsets.iter().map(|o| format!("opset {:?} = {}", o.domain, o.version)));
        parts.extend(m.props.iter().map(|(k, v)| format!("prop {k:?} = {v:?}")));
        parts.extend(m.extra.iter().map(|(k, v)| {
            let mut s = format!("extra {k:?} = ");
            print_hex(&mut s, v);
            s
        }));
        if !parts.is_empty() {
            _ = writeln!(self.out, "meta {{{}}}", parts.join(", "));
        }
    }

    fn function(&mut self, id: crate::FunctionId, f: &crate::Function) {
        self.out.push_str("function ");
        self.function_name(id);
        if !f.attrs.is_empty() || !f.defaults.is_empty() {
            self.out.push_str(" {");
            let mut first = true;
            for name in &f.attrs {
                self.out.push_str(if std::mem::take(&mut first) { "" } else { ", " });
                ident(&mut self.out, name);
            }
            if !first && !f.defaults.is_empty() {
                self.out.push_str(", ");
            }
            print_attrs(&mut self.out, &f.defaults, self.full);
            self.out.push('}');
        }
        for OpSetImport { domain, version } in &f.opsets {
            _ = write!(self.out, " opset {domain:?} = {version}");
        }
        self.origin(&f.origin);
        self.out.push(' ');
        self.number(f.region);
        self.region(f.region);
        self.out.push_str("\n\n");
    }

    fn function_name(&mut self, id: crate::FunctionId) {
        let Some(f) = self.model.functions.get(id) else { return self.out.push_str("\"\".\"\"") };
        op_name(&mut self.out, &f.domain, &f.name);
        if !f.overload.is_empty() {
            _ = write!(self.out, ":{:?}", f.overload);
        }
    }

    /// Gives numbers to values without name, and to those whose name is taken, of a region and those inside.
    fn number(&mut self, root: RegionId) {
        let mut taken = std::collections::HashSet::new();
        let mut unnamed = 0;
        for r in self.model.regions_in(root) {
            let Some(region) = self.model.regions.get(r) else { continue };
            let outputs = region.body.iter().filter_map(|n| self.model.nodes.get(*n)).flat_map(|n| &n.outputs);
            let values = region.params.iter().chain(&region.weights).copied();
            for v in values.chain(outputs.flatten().copied()) {
                let Some(value) = self.model.values.get(v) else { continue };
                if value.name.is_empty() {
                    self.numbers.insert(v, unnamed);
                    unnamed += 1;
                } else if !taken.insert(value.name.as_str()) {
                    self.numbers.insert(v, v.index());
                }
            }
        }
    }

    fn value(&mut self, id: ValueId) {
        let name = self.model.values.get(id).map_or("", |v| v.name.as_str());
        match plain_value_name(name) {
            true => _ = write!(self.out, "%{name}"),
            false if name.is_empty() => self.out.push('%'),
            false => _ = write!(self.out, "%{name:?}"),
        }
        match self.numbers.get(&id) {
            Some(n) => _ = write!(self.out, "@{n}"),
            None if name.is_empty() => _ = write!(self.out, "@{}", id.index()),
            None => {}
        }
    }

    fn defined(&mut self, id: ValueId) {
        self.value(id);
        let Some(v) = self.model.values.get(id) else { return };
        if v.ty != Type::Unknown {
            _ = write!(self.out, ": {}", v.ty);
        }
        self.origin(&v.origin);
    }

    fn origin(&mut self, o: &Origin) {
        if *o == Origin::default() {
            return;
        }
        let mut parts = Vec::new();
        if !o.doc.is_empty() {
            parts.push(format!("doc = {:?}", o.doc));
        }
        parts.extend(o.props.iter().map(|(k, v)| format!("prop {k:?} = {v:?}")));
        parts.extend(o.sources.iter().map(|s| format!("source {s:?}")));
        if !o.extra.is_empty() {
            let mut s = "extra = ".to_owned();
            print_hex(&mut s, &o.extra);
            parts.push(s);
        }
        _ = write!(self.out, " @{{{}}}", parts.join(", "));
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.out.push_str(&"  ".repeat(self.depth));
    }

    fn region(&mut self, id: RegionId) {
        let Some(region) = self.model.regions.get(id) else { return self.out.push_str("graph() { return }") };
        self.out.push_str("graph");
        if !region.name.is_empty() {
            self.out.push(' ');
            ident(&mut self.out, &region.name);
        }
        self.out.push('(');
        for (i, &p) in region.params.iter().enumerate() {
            self.out.push_str(if i > 0 { ", " } else { "" });
            self.defined(p);
        }
        self.out.push(')');
        self.origin(&region.origin);
        self.out.push_str(" {");
        self.depth += 1;
        for &w in &region.weights {
            self.weight(id, w);
        }
        if !region.exposed.is_empty() {
            self.line();
            self.out.push_str("expose ");
            self.values(&region.exposed);
        }
        for &n in &region.body {
            if let Some(node) = self.model.nodes.get(n) {
                self.line();
                self.node(id, node);
            }
        }
        self.line();
        self.out.push_str("return ");
        self.values(&region.results);
        if region.results.is_empty() {
            self.out.pop();
        }
        self.depth -= 1;
        self.line();
        self.out.push('}');
    }

    fn values(&mut self, list: &[ValueId]) {
        for (i, &v) in list.iter().enumerate() {
            self.out.push_str(if i > 0 { ", " } else { "" });
            self.value(v);
        }
    }

    /// The literal that stands in for the operand `id` of a node in `region`.
    fn inline(&self, region: RegionId, id: ValueId) -> Option<&'m WeightExpr> {
        let v = self.model.values.get(id)?;
        match &v.def {
            Def::Weight(r, w)
                if *r == region
                    && v.name.is_empty()
                    && self.uses.get(&id) == Some(&1)
                    && matches!(&**w, WeightExpr::Literal(t) if t.len() <= INLINE)
                    && v.origin == Origin::default()
                    && v.ty == Type::fixed(w.dtype(), &w.shape()) =>
            {
                Some(w)
            }
            _ => None,
        }
    }

    fn weight(&mut self, region: RegionId, id: ValueId) {
        let Some(v) = self.model.values.get(id) else { return };
        let Def::Weight(_, w) = &v.def else { return };
        if self.inline(region, id).is_some() {
            return;
        }
        self.line();
        self.out.push_str("weight ");
        if v.ty == Type::fixed(w.dtype(), &w.shape()) {
            self.value(id);
            self.origin(&v.origin);
        } else {
            self.defined(id);
        }
        self.out.push_str(" = ");
        print_weight(&mut self.out, w, self.full);
    }

    fn node(&mut self, region: RegionId, node: &Node) {
        for (i, o) in node.outputs.iter().enumerate() {
            self.out.push_str(if i > 0 { ", " } else { "" });
            match o {
                Some(v) => self.defined(*v),
                None => self.out.push('_'),
            }
        }
        self.out.push_str(if node.outputs.is_empty() { "" } else { " = " });
        match &node.op {
            Op::Known(def) => op_name(&mut self.out, def.domain, def.name),
            Op::Foreign { domain, name, version } => {
                op_name(&mut self.out, domain, name);
                _ = write!(self.out, "@{version}");
            }
            Op::Call(f) => {
                self.out.push_str("call ");
                self.function_name(*f);
            }
        }
        self.out.push('(');
        for (i, v) in node.inputs.iter().enumerate() {
            self.out.push_str(if i > 0 { ", " } else { "" });
            match v {
                None => self.out.push('_'),
                Some(v) => match self.inline(region, *v) {
                    Some(WeightExpr::Literal(t)) => print_literal(&mut self.out, t),
                    _ => self.value(*v),
                },
            }
        }
        self.out.push(')');
        self.braces(node);
        if !node.name.is_empty() {
            self.out.push_str(" as ");
            ident(&mut self.out, &node.name);
        }
        self.origin(&node.origin);
    }

    /// Attributes and bodies of a node.
    fn braces(&mut self, node: &Node) {
        if node.attrs.is_empty() && node.regions.is_empty() {
            return;
        }
        self.out.push_str(" {");
        print_attrs(&mut self.out, &node.attrs, self.full);
        let mut comma = !node.attrs.is_empty();
        let regions = node.regions.clone();
        separated(&mut String::new(), &regions, |_, (name, region)| {
            self.out.push_str(if std::mem::replace(&mut comma, true) { ", " } else { "" });
            ident(&mut self.out, name);
            self.out.push_str(" = ");
            self.region(*region);
        });
        self.out.push('}');
    }
}
