//! Lines of TorchScript: what is not needed is left out, the rest is printed.

use std::collections::HashSet;
use std::fmt::Write;

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    /// `a, b = value`.
    Set(Vec<String>, String),
    /// A call that changes the list `.0`.
    Change(String, String),
    If(String, Vec<Line>, Vec<Line>),
    While(String, Vec<Line>),
    /// `for .0 in range(.1)`.
    For(String, String, Vec<Line>),
}

/// Names of variables, and whatever else in the text looks like one.
fn idents(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|t| !t.is_empty())
}

fn need(live: &mut HashSet<String>, text: &str) {
    live.extend(idents(text).map(str::to_owned));
}

/// Takes out what nothing needs; `live` holds the names that are needed after the lines, and then those before.
pub(super) fn prune(lines: Vec<Line>, live: &mut HashSet<String>) -> Vec<Line> {
    let mut out = Vec::new();
    for line in lines.into_iter().rev() {
        out.extend(pruned(line, live));
    }
    out.reverse();
    out
}

fn pruned(line: Line, live: &mut HashSet<String>) -> Option<Line> {
    match line {
        Line::Set(names, value) => {
            if !names.iter().any(|n| live.contains(n)) {
                return None;
            }
            live.retain(|n| !names.contains(n));
            need(live, &value);
            Some(Line::Set(names, value))
        }
        Line::Change(list, call) => live.contains(&list).then(|| {
            need(live, &call);
            Line::Change(list, call)
        }),
        Line::If(cond, then, other) => {
            let mut second = live.clone();
            let (then, other) = (prune(then, live), prune(other, &mut second));
            if then.is_empty() && other.is_empty() {
                return None;
            }
            live.extend(second);
            need(live, &cond);
            Some(Line::If(cond, then, other))
        }
        Line::While(cond, body) => {
            let body = repeated(body, live, &cond)?;
            Some(Line::While(cond, body))
        }
        Line::For(target, count, body) => {
            let body = repeated(body, live, "")?;
            need(live, &count);
            Some(Line::For(target, count, body))
        }
    }
}

/// The body of a loop: what a run leaves, the next one may need. `None` where nothing of it is needed.
fn repeated(body: Vec<Line>, live: &mut HashSet<String>, cond: &str) -> Option<Vec<Line>> {
    if !sets(&body).iter().any(|n| live.contains(n)) {
        return None;
    }
    need(live, cond);
    loop {
        let mut around = live.clone();
        let kept = prune(body.clone(), &mut around);
        let before = live.len();
        live.extend(around);
        if live.len() == before {
            return Some(kept);
        }
    }
}

/// Every name that the lines give a value.
fn sets(lines: &[Line]) -> Vec<String> {
    let of = |line: &Line| match line {
        Line::Set(names, _) => names.clone(),
        Line::Change(name, _) => vec![name.clone()],
        Line::If(_, a, b) => [sets(a), sets(b)].concat(),
        Line::While(_, body) | Line::For(_, _, body) => sets(body),
    };
    lines.iter().flat_map(of).collect()
}

/// Prints lines, `depth` levels in.
pub(super) fn print(lines: &[Line], depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    let inner = depth.saturating_add(1);
    let block = |lines: &[Line], out: &mut String| match lines {
        [] => {
            let _ = writeln!(out, "{pad}  pass");
        }
        lines => print(lines, inner, out),
    };
    for line in lines {
        // Writing to a string cannot fail.
        let _ = match line {
            Line::Set(names, value) => writeln!(out, "{pad}{} = {value}", names.join(", ")),
            Line::Change(_, call) => writeln!(out, "{pad}{call}"),
            Line::If(cond, ..) => writeln!(out, "{pad}if {cond}:"),
            Line::While(cond, _) => writeln!(out, "{pad}while {cond}:"),
            Line::For(target, count, _) => writeln!(out, "{pad}for {target} in range({count}):"),
        };
        match line {
            Line::If(_, then, other) => {
                block(then, out);
                let _ = writeln!(out, "{pad}else:");
                block(other, out);
            }
            Line::While(_, body) | Line::For(_, _, body) => block(body, out),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Line {
        Line::Set(vec![name.into()], value.into())
    }

    #[test]
    fn what_nothing_needs_goes_and_what_the_next_run_needs_stays() {
        let body = vec![set("t", "torch.add(x, 1)"), set("dead", "torch.neg(t)"), set("x", "t"), set("i", "i + 1")];
        let lines = vec![
            set("i", "0"),
            set("unused", "torch.size(x, 0)"),
            Line::While("torch.lt(i, n)".into(), body),
            Line::If("bool(c)".into(), vec![set("y", "x"), set("z", "x")], vec![set("y", "a")]),
            Line::For("k".into(), "3".into(), vec![set("gone", "k")]),
        ];
        let mut live = HashSet::from(["y".to_owned()]);
        let mut text = String::new();
        print(&prune(lines, &mut live), 0, &mut text);
        let wanted = "i = 0\nwhile torch.lt(i, n):\n  t = torch.add(x, 1)\n  x = t\n  i = i + 1\nif bool(c):\n  y = x\n\
                      else:\n  y = a\n";
        assert_eq!(text, wanted);
        assert!(["x", "n", "c", "a"].iter().all(|n| live.contains(*n)) && !live.contains("y"));
    }
}
