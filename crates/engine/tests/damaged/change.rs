//! Changes to an engine file that know its structure: tables, payloads, and every field of a plan.

use super::container::{Container, Lies};
use super::recipe;
use modelsmith_ir::{Attr, Dim, Samples, TensorType, Type};
use modelsmith_kop::Layout;
use modelsmith_plan::{Block, Buffer, Form, Home, Plan, Step, StepOp, Weight, bytes};
use modelsmith_tensor::DType;

/// Changes one to three things.
pub fn change(c: &mut Container, s: &mut Samples) -> Lies {
    let mut lies = Lies::default();
    for _ in 0..1 + s.below(3) {
        match s.below(20) {
            0 => lie(c, s, &mut lies),
            1 => sections(c, s),
            2 | 3 => payload(c, s),
            4..=6 => raw(c, s),
            _ => plan(c, s),
        }
    }
    lies
}

/// A number at the edge of something, or beside `old`.
pub fn edge(old: i64, s: &mut Samples) -> i64 {
    const EDGES: [i64; 22] = [
        0,
        1,
        -1,
        2,
        3,
        7,
        8,
        16,
        17,
        63,
        64,
        65,
        255,
        256,
        65_536,
        1 << 20,
        i32::MAX as i64,
        1 << 31,
        1 << 32,
        1 << 40,
        i64::MAX,
        i64::MIN,
    ];
    match s.below(28) {
        22 | 23 => old.wrapping_add(1),
        24 | 25 => old.wrapping_sub(1),
        26 => old.wrapping_mul(2),
        27 => old.wrapping_neg(),
        i => EDGES[i as usize],
    }
}

/// As [`edge`], for a size or an index.
pub fn size(n: &mut usize, s: &mut Samples) {
    *n = edge(*n as i64, s) as usize;
}

/// Index of an element; `None` of nothing.
pub fn pick(len: usize, s: &mut Samples) -> Option<usize> {
    (len > 0).then(|| s.below(len as u64) as usize)
}

/// Changes, drops, doubles, adds or swaps elements of a list.
pub fn list<T: Clone>(v: &mut Vec<T>, s: &mut Samples, alter: impl FnOnce(&mut T, &mut Samples)) {
    let (Some(i), Some(j)) = (pick(v.len(), s), pick(v.len(), s)) else { return };
    match s.below(8) {
        0 => drop(v.remove(i)),
        1 => v.insert(j, v[i].clone()),
        2 => v.swap(i, j),
        3 => v.truncate(i),
        _ => alter(&mut v[i], s),
    }
}

fn lie(c: &Container, s: &mut Samples, lies: &mut Lies) {
    let part = pick(c.sections.len() + c.blobs.len(), s).unwrap_or(0);
    let n = edge(s.below(4096) as i64, s) as u64;
    match s.below(7) {
        0 => lies.range = Some((part, Some(n), None)),
        1 => lies.range = Some((part, None, Some(n))),
        2 => lies.range = Some((part, Some(n / 64 * 64), Some(s.below(512)))),
        3 => lies.sections = Some(n),
        4 => lies.blobs = Some(n),
        5 if s.below(2) == 0 => lies.notes = Some(n),
        _ if s.below(2) == 0 => lies.meta = Some(n),
        _ => lies.version = Some(n as u32),
    }
}

fn sections(c: &mut Container, s: &mut Samples) {
    match s.below(4) {
        0 => list(&mut c.sections, s, |x, s| x.bytes.truncate(s.below(x.bytes.len() as u64 + 1) as usize)),
        1 => list(&mut c.blobs, s, |x, s| x.bytes.truncate(s.below(x.bytes.len() as u64 + 1) as usize)),
        2 => list(&mut c.blobs, s, |x, _| x.strings ^= 1),
        _ => {
            c.notes.push([b"key".to_vec(), b"value".to_vec()]);
            let (Some(i), Some(j)) = (pick(c.sections.len(), s), pick(c.sections.len(), s)) else { return };
            c.sections[i].bytes = c.sections[j].bytes.clone();
        }
    }
}

/// Numbers inside a weight: indices, shapes, strings, values that are no numbers.
fn payload(c: &mut Container, s: &mut Samples) {
    let Some(b) = pick(c.blobs.len(), s) else { return };
    let bytes = &mut c.blobs[b].bytes;
    let Some(at) = pick(bytes.len() / 4, s) else { return };
    let n = edge(3, s).to_le_bytes();
    let wide = if s.below(2) == 0 { 8 } else { 4 };
    let at = at * 4;
    let end = (at + wide).min(bytes.len());
    bytes[at..end].copy_from_slice(&n[..end - at]);
}

/// Bytes of a plan, without regard to what they mean.
fn raw(c: &mut Container, s: &mut Samples) {
    let Some(i) = pick(c.sections.len(), s) else { return };
    let bytes = &mut c.sections[i].bytes;
    let Some(at) = pick(bytes.len().saturating_sub(8), s) else { return };
    match s.below(5) {
        0 => bytes[at] ^= 1 << s.below(8),
        1 => bytes[at] = [0, 1, 2, 3, 127, 255][s.below(6) as usize],
        2 => {
            let n = edge(0, s).to_le_bytes();
            bytes[at..at + 8].copy_from_slice(&n);
        }
        3 => {
            let n = edge(0, s).to_le_bytes();
            bytes[at..at + 4].copy_from_slice(&n[..4]);
        }
        _ => {
            let from = pick(bytes.len() - 8, s).unwrap_or(0);
            bytes.copy_within(from..from + 8, at);
        }
    }
}

/// A field of a plan.
fn plan(c: &mut Container, s: &mut Samples) {
    let Some(i) = pick(c.sections.len(), s) else { return };
    // What an earlier change made unreadable stays as it is.
    let Ok(mut p) = bytes::read(&c.sections[i].bytes, 0, c.blobs.len().max(1 << 20)) else { return };
    match s.below(12) {
        0 => list(&mut p.weights, s, weight),
        1 if s.below(4) == 0 => list(&mut p.blocks, s, |_, _| {}),
        1 => p.level = ["portable", "avx2", "avx512", "amx", "neon", ""][s.below(6) as usize].into(),
        _ => {
            if let Some(b) = pick(p.blocks.len(), s) {
                block(&mut p, b, s);
            }
        }
    }
    c.sections[i].bytes = bytes::write(&p);
}

fn weight(w: &mut Weight, s: &mut Samples) {
    match s.below(4) {
        0 => list(&mut w.shape, s, size),
        1 => w.dtype = dtype(s),
        2 => w.blob = s.below(w.blob as u64 + 3) as usize,
        _ => match &mut w.form {
            Form::Packed { shape, .. } if s.below(4) > 0 => list(shape, s, size),
            form => *form = Form::Raw,
        },
    }
}

fn dtype(s: &mut Samples) -> DType {
    const USUAL: [DType; 6] = [DType::F32, DType::I64, DType::Bool, DType::String, DType::F64, DType::U8];
    match s.below(2) {
        0 => USUAL[s.below(6) as usize],
        _ => DType::ALL[s.below(DType::ALL.len() as u64) as usize],
    }
}

fn block(p: &mut Plan, at: usize, s: &mut Samples) {
    let (blocks, weights) = (p.blocks.len(), p.weights.len());
    let b = &mut p.blocks[at];
    let count = b.buffers.len();
    match s.below(16) {
        0 => list(&mut b.inputs, s, |id, s| *id = s.below(count as u64 + 1) as usize),
        1 => list(&mut b.outputs, s, |id, s| *id = s.below(count as u64 + 1) as usize),
        2 => list(&mut b.steps, s, |_, _| {}),
        3..=7 => {
            if let Some(i) = pick(count, s) {
                buffer(&mut b.buffers[i], count, weights, s);
            }
        }
        _ => {
            if let Some(i) = pick(b.steps.len(), s) {
                let names = kernels(b);
                step(&mut b.steps[i], count, blocks, &names, s);
            }
        }
    }
}

/// Names of kernels that the steps of a block use.
fn kernels(b: &Block) -> Vec<String> {
    b.steps.iter().flat_map(|s| s.kernels.iter().cloned()).collect()
}

fn buffer(b: &mut Buffer, buffers: usize, weights: usize, s: &mut Samples) {
    match s.below(8) {
        0 => {
            b.home = match s.below(5) {
                0 => Home::Input,
                1 => Home::Weight(s.below(weights as u64 + 1) as usize),
                2 => Home::Arena,
                3 => Home::Host,
                _ => Home::View(s.below(buffers as u64 + 1) as usize),
            }
        }
        1 => b.layout = if b.layout == Layout::Plain { Layout::ChannelsLast } else { Layout::Plain },
        2 => b.ty = odd_type(b.ty.clone(), s),
        _ => {
            if let Type::Tensor(TensorType { shape: Some(shape), .. }) = &mut b.ty {
                list(shape, s, dim);
            }
        }
    }
}

fn odd_type(old: Type, s: &mut Samples) -> Type {
    match (s.below(6), old) {
        (0, _) => Type::Unknown,
        (1, old) => Type::Sequence(Box::new(old)),
        (2, old) => Type::Optional(Box::new(old)),
        (3, Type::Tensor(t)) => Type::Tensor(TensorType { shape: None, ..t }),
        (4, Type::Tensor(t)) => Type::Tensor(TensorType { dtype: None, ..t }),
        (_, Type::Tensor(t)) => Type::Tensor(TensorType { dtype: Some(dtype(s)), ..t }),
        (_, old) => old,
    }
}

/// A dimension at an edge, or an expression.
pub fn dim(d: &mut Dim, s: &mut Samples) {
    let n = Dim::symbol("n");
    *d = match s.below(8) {
        0 => Dim::Unknown,
        1 => n,
        2 => Dim::symbol("never"),
        3 => n * Dim::Known(edge(2, s)),
        4 => d.floor_div(&(n - Dim::Known(2))),
        5 => d.clone() - Dim::Known(s.below(9) as i64),
        _ => Dim::Known(edge(d.known().unwrap_or(4), s)),
    };
}

fn step(step: &mut Step, buffers: usize, blocks: usize, names: &[String], s: &mut Samples) {
    let operand = |id: &mut Option<usize>, s: &mut Samples| {
        *id = match s.below(6) {
            0 => None,
            _ => Some(s.below(buffers as u64 + 1) as usize),
        };
    };
    match s.below(10) {
        0 | 1 => list(&mut step.inputs, s, operand),
        2 => list(&mut step.outputs, s, operand),
        3 => match pick(names.len(), s) {
            Some(i) => step.kernels = vec![names[i].clone()],
            None => step.kernels.clear(),
        },
        _ => match &mut step.op {
            StepOp::Native(r) => recipe::change(r, s),
            StepOp::Call { block } => *block = s.below(blocks as u64 + 1) as usize,
            StepOp::Sizes { dims } => list(dims, s, dim),
            StepOp::Eval(e) => match s.below(6) {
                0 => e.name = operator(s),
                1 => list(&mut e.bodies, s, |b, s| match s.below(2) {
                    0 => b.block = s.below(blocks as u64 + 1) as usize,
                    _ => list(&mut b.captures, s, |id, s| *id = s.below(buffers as u64 + 1) as usize),
                }),
                _ => {
                    let all = e.attrs.iter().map(|(n, _)| n.to_owned()).collect::<Vec<_>>();
                    let Some(i) = pick(all.len(), s) else { return };
                    let mut value = e.attrs.get(&all[i]).cloned().unwrap();
                    attr(&mut value, s);
                    e.attrs.set(&all[i], value);
                }
            },
        },
    }
}

fn operator(s: &mut Samples) -> String {
    let all = modelsmith_ops::all().iter().map(|d| d.name).collect::<Vec<_>>();
    all[s.below(all.len() as u64) as usize].into()
}

fn attr(a: &mut Attr, s: &mut Samples) {
    match a {
        Attr::Int(x) => *x = edge(*x, s),
        Attr::Float(x) => *x = [0.0, -1.0, f32::NAN, f32::INFINITY, f32::MIN_POSITIVE, 1e30][s.below(6) as usize],
        Attr::Ints(x) => list(x, s, |x, s| *x = edge(*x, s)),
        Attr::Floats(x) => list(x, s, |x, s| *x = edge(1, s) as f32),
        Attr::String(x) => *x = ["", "linear", "constant", "reverse", "forward"][s.below(5) as usize].into(),
        other => *other = Attr::Int(edge(1, s)),
    }
}
