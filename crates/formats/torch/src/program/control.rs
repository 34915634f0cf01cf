//! If and Loop, and lists of tensors.

use super::code::Line;
use super::context::Cx;
use super::number::{code, list};
use super::table::{Made, Row, Said, by, text};
use modelsmith_ir::{Def, Dim, RegionId, ValueId};

pub(super) const ROWS: &[Row] = &[
    by("If", choice),
    by("Loop", repeat),
    by("Scan", scan),
    text("SequenceEmpty", "annotate(List[Tensor], [])"),
    by("SequenceConstruct", |cx| Ok(Made::from(list(&cx.all()?)))),
    by("SequenceInsert", insert),
    by("SequenceAt", |cx| Ok(Made::from(format!("{}[{}]", cx.tensor(0)?, cx.number(1)?)))),
    text("SequenceLength", "torch.tensor(torch.len({0}))"),
    by("ConcatFromSequence", joined),
    by("SplitToSequence", split),
];

impl Cx<'_> {
    fn body(&self, name: &str) -> Said<(RegionId, Vec<ValueId>, Vec<ValueId>)> {
        let id = self.node.region(name).ok_or_else(|| format!("the body {name} is missing"))?;
        let region = self.model.regions.get(id).ok_or("the body is missing")?;
        Ok((id, region.params.clone(), region.results.clone()))
    }

    /// A name for each result of the node.
    fn results(&mut self) -> Vec<String> {
        let outputs = self.node.outputs.clone();
        let label = |v: Option<ValueId>, cx: &Self| v.map_or("unused".to_owned(), |v| cx.label(v));
        outputs.into_iter().map(|v| self.names.fresh(&label(v, self))).collect()
    }

    /// `names` get the values `from`, all at once.
    fn hand_over(&mut self, names: &[String], from: &[ValueId]) -> Said<()> {
        let texts = from.iter().map(|&v| self.value(v)).collect::<Said<Vec<_>>>()?;
        let same = names.iter().zip(&texts).all(|(n, t)| n == t);
        if !names.is_empty() && !same {
            self.lines.push(Line::Set(names.to_vec(), texts.join(", ")));
        }
        Ok(())
    }

    fn bind_all(&mut self, names: &[String]) {
        for (v, name) in self.node.outputs.clone().into_iter().zip(names) {
            if let Some(v) = v {
                self.bind(v, name.clone());
            }
        }
    }

    /// True where nothing but the one operand that reads it can see a list change.
    fn sole(&self, v: ValueId) -> bool {
        if self.uses.get(&v) != Some(&1) {
            return false;
        }
        match self.model.values.get(v).map(|v| &v.def) {
            Some(Def::Node(n, _)) => !matches!(self.model.op_name(*n), "Identity" | "If" | "Loop" | "Scan"),
            Some(Def::Param(region, at)) => {
                let owner = self.model.nodes.iter().find(|(_, n)| n.regions.iter().any(|(_, r)| r == region));
                let initial = owner.filter(|(_, n)| n.is("Loop")).and_then(|(_, n)| n.input(*at));
                initial.is_some_and(|v| self.sole(v))
            }
            _ => false,
        }
    }
}

fn choice(cx: &mut Cx<'_>) -> Said<Made> {
    let cond = cx.tensor(0)?;
    let (then, _, first) = cx.body("then_branch")?;
    let (other, _, second) = cx.body("else_branch")?;
    let names = cx.results();
    let then = cx.block(then, |_| {}, |cx| cx.hand_over(&names, &first))?;
    let other = cx.block(other, |_| {}, |cx| cx.hand_over(&names, &second))?;
    cx.lines.push(Line::If(format!("bool({cond})"), then, other));
    cx.bind_all(&names);
    Ok(Made::Done)
}

/// A list that a loop fills with what becomes one tensor.
struct Scan {
    list: String,
    of: ValueId,
    /// Sizes of an element, where they are known outside of the loop: then a loop without a run gives a tensor too.
    sizes: Option<Vec<Dim>>,
}

fn repeat(cx: &mut Cx<'_>) -> Said<Made> {
    let (body, params, results) = cx.body("body")?;
    let carried = params.len().saturating_sub(2);
    let (&[counter, going, ..], [until, next @ ..]) = (params.as_slice(), results.as_slice()) else {
        return Err("the body takes no counter and no condition".to_owned());
    };
    let count = if cx.has(0) { Some(cx.number(0)?) } else { None };
    let plain = count.is_some() && starts(cx) && ever(cx, *until, going);
    let names = cx.results();
    let kept = names.iter().take(carried).cloned().collect::<Vec<_>>();
    let begin = if plain || !cx.has(1) { "True".to_owned() } else { format!("bool({})", cx.tensor(1)?) };
    begun(cx, &kept, 2)?;
    let scans = scans(cx, next.get(carried..).unwrap_or_default());
    let (i, go) = (cx.names.fresh("i"), cx.names.fresh("go"));
    let limited = |now: &str, go: String| match &count {
        Some(count) => format!("torch.__and__(torch.lt({now}, {count}), {go})"),
        None => go,
    };
    let enter = |cx: &mut Cx<'_>| {
        let label = cx.label(counter);
        let tensor = cx.set(&label, format!("torch.tensor({i})"));
        cx.scope.texts.insert(counter, tensor);
        cx.scope.numbers.insert(counter, i.clone());
        let label = cx.label(going);
        let now = cx.set(&label, "torch.tensor(True)".to_owned());
        cx.scope.texts.insert(going, now);
        for (&p, name) in params.iter().skip(2).zip(&kept) {
            cx.scope.texts.insert(p, name.clone());
            cx.measure(p);
        }
    };
    let leave = |cx: &mut Cx<'_>| {
        scans.iter().try_for_each(|s| s.append(cx))?;
        if plain {
            return cx.hand_over(&kept, next.get(..carried).unwrap_or_default());
        }
        let more = cx.value(*until)?;
        let after = cx.set("more", format!("bool({more})"));
        cx.hand_over(&kept, next.get(..carried).unwrap_or_default())?;
        cx.lines.push(Line::Set(vec![i.clone()], format!("torch.add({i}, 1)")));
        cx.lines.push(Line::Set(vec![go.clone()], limited(&i, after)));
        Ok(())
    };
    let lines = cx.block(body, enter, leave)?;
    scans.iter().try_for_each(|s| seed(cx, s))?;
    if plain {
        cx.lines.push(Line::For(i, count.unwrap_or_default(), lines));
    } else {
        cx.lines.push(Line::Set(vec![i.clone()], "0".to_owned()));
        cx.lines.push(Line::Set(vec![go.clone()], limited("0", begin)));
        cx.lines.push(Line::While(go, lines));
    }
    let all = scans.iter().map(Scan::joined).collect::<Vec<_>>();
    finish(cx, &names, &all);
    Ok(Made::Done)
}

/// What a loop carries begins as the operands from number `first` on.
fn begun(cx: &mut Cx<'_>, kept: &[String], first: usize) -> Said<()> {
    for (i, name) in kept.iter().enumerate() {
        let text = cx.tensor(i.saturating_add(first))?;
        cx.lines.push(Line::Set(vec![name.clone()], text));
    }
    Ok(())
}

/// The results of a loop: what it carried, and its lists as tensors.
fn finish(cx: &mut Cx<'_>, names: &[String], scans: &[String]) {
    let carried = names.len().saturating_sub(scans.len());
    for (name, text) in names.iter().skip(carried).zip(scans) {
        cx.lines.push(Line::Set(vec![name.clone()], text.clone()));
    }
    cx.bind_all(names);
}

impl Scan {
    /// The list as one tensor.
    fn joined(&self) -> String {
        format!("torch.{}({}, 0)", if self.sizes.is_some() { "cat" } else { "stack" }, self.list)
    }

    /// The call that adds an element to the list.
    fn append(&self, cx: &mut Cx<'_>) -> Said<()> {
        let x = cx.value(self.of)?;
        let x = if self.sizes.is_some() { format!("torch.unsqueeze({x}, 0)") } else { x };
        cx.lines.push(Line::Change(self.list.clone(), format!("torch.append({}, {x})", self.list)));
        Ok(())
    }
}

/// Number `i` of a list of attributes that may be absent or short.
fn nth(cx: &Cx<'_>, name: &str, i: usize) -> Said<i64> {
    Ok(cx.attr_ints(name)?.and_then(|v| v.get(i).copied()).unwrap_or(0))
}

/// A loop over the slices of tensors, which is a `for`.
fn scan(cx: &mut Cx<'_>) -> Said<Made> {
    let (body, params, results) = cx.body("body")?;
    let over = usize::try_from(cx.attr_int("num_scan_inputs")?).unwrap_or(0);
    let carried = params.len().saturating_sub(over);
    let names = cx.results();
    let kept = names.iter().take(carried).cloned().collect::<Vec<_>>();
    let mut slices = Vec::new();
    let mut count = None;
    for k in 0..over {
        let at = carried.saturating_add(k);
        let axis = cx.axis(nth(cx, "scan_input_axes", k)?, cx.rank(at)?)?;
        let size = cx.size(at, axis)?;
        slices.push((cx.tensor(at)?, axis, size.clone(), nth(cx, "scan_input_directions", k)? != 0));
        count = count.or(Some(size));
    }
    begun(cx, &kept, 0)?;
    let (next, outputs) = results.split_at_checked(carried).ok_or("the body gives too little")?;
    let scans = scans(cx, outputs);
    let i = cx.names.fresh("i");
    let enter = |cx: &mut Cx<'_>| {
        for (&p, name) in params.iter().zip(&kept) {
            cx.scope.texts.insert(p, name.clone());
            cx.measure(p);
        }
        for (&p, (x, axis, size, back)) in params.iter().skip(carried).zip(&slices) {
            let at = if *back { format!("{size} - 1 - {i}") } else { i.clone() };
            cx.bind(p, format!("torch.select({x}, {axis}, {at})"));
        }
    };
    let leave = |cx: &mut Cx<'_>| {
        scans.iter().try_for_each(|s| s.append(cx))?;
        cx.hand_over(&kept, next)
    };
    let lines = cx.block(body, enter, leave)?;
    scans.iter().try_for_each(|s| seed(cx, s))?;
    cx.lines.push(Line::For(i, count.ok_or("there is nothing to go over")?, lines));
    let mut all = Vec::new();
    for (k, scan) in scans.iter().enumerate() {
        let mut text = scan.joined();
        if nth(cx, "scan_output_directions", k)? != 0 {
            text = format!("torch.flip({text}, [0])");
        }
        let axis = nth(cx, "scan_output_axes", k)?;
        all.push(if axis == 0 { text } else { format!("torch.movedim({text}, 0, {axis})") });
    }
    finish(cx, &names, &all);
    Ok(Made::Done)
}

fn scans(cx: &mut Cx<'_>, of: &[ValueId]) -> Vec<Scan> {
    let one = |&of: &ValueId| {
        let sizes = cx.ty(of).shape().map(<[Dim]>::to_vec);
        let sizes = sizes.filter(|s| s.iter().all(|d| cx.follows(d)));
        let hint = format!("{}_all", cx.label(of));
        Scan { list: cx.names.fresh(&hint), of, sizes }
    };
    of.iter().map(one).collect()
}

/// The list before the first run.
fn seed(cx: &mut Cx<'_>, scan: &Scan) -> Said<()> {
    let first = match &scan.sizes {
        None => String::new(),
        Some(sizes) => {
            let all = [&[Dim::Known(0)], sizes.as_slice()].concat();
            let all = cx.dims(&all).ok_or("the sizes of a scan output are not at hand")?;
            let dtype =
                cx.ty(scan.of).dtype().and_then(code).ok_or("the element type of a scan output is not known")?;
            format!("torch.empty({all}, dtype={dtype})")
        }
    };
    cx.lines.push(Line::Set(vec![scan.list.clone()], format!("annotate(List[Tensor], [{first}])")));
    Ok(())
}

/// True where the loop begins whatever the inputs are.
fn starts(cx: &Cx<'_>) -> bool {
    !cx.has(1) || cx.known(1).is_some_and(|k| k == [1])
}

/// True where the condition `until` of a body is always true, or the one it began with.
fn ever(cx: &Cx<'_>, until: ValueId, going: ValueId) -> bool {
    let mut at = until;
    while let Some(node) = cx.model.producer(at).and_then(|n| cx.model.nodes.get(n)).filter(|n| n.is("Identity")) {
        match node.input(0) {
            Some(v) => at = v,
            None => break,
        }
    }
    let known = cx.facts.value(at).and_then(|s| s.known());
    let constant = || cx.constant_of(at).and_then(|t| t.to_i64s().ok());
    at == going || known.or_else(constant).is_some_and(|k| k == [1])
}

fn insert(cx: &mut Cx<'_>) -> Said<Made> {
    if cx.has(2) {
        return Err("a tensor put elsewhere than at the end of a list".to_owned());
    }
    let of = cx.operand_id(0)?;
    let (all, x) = (cx.tensor(0)?, cx.tensor(1)?);
    if cx.sole(of) {
        cx.lines.push(Line::Change(all.clone(), format!("torch.append({all}, {x})")));
        return Ok(Made::from(all));
    }
    Ok(Made::from(format!("torch.add({all}, [{x}])")))
}

fn joined(cx: &mut Cx<'_>) -> Said<Made> {
    let (all, axis) = (cx.tensor(0)?, cx.attr_int("axis")?);
    let join = if cx.attr_int("new_axis")? == 0 { "cat" } else { "stack" };
    Ok(Made::from(format!("torch.{join}({all}, {axis})")))
}

fn split(cx: &mut Cx<'_>) -> Said<Made> {
    let (x, axis) = (cx.tensor(0)?, cx.attr_int("axis")?);
    if !cx.has(1) {
        return Ok(Made::from(match cx.attr_int("keepdims")? {
            0 => format!("torch.unbind({x}, {axis})"),
            _ => format!("torch.split({x}, 1, {axis})"),
        }));
    }
    let sizes = if cx.rank(1)? == 0 { cx.number(1)? } else { cx.list(1)? };
    Ok(Made::from(format!("torch.split({x}, {sizes}, {axis})")))
}
