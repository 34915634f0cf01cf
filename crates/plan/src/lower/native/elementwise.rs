//! Element-wise operators as programs of one operator each; [`crate::fuse`] joins them.

use super::{Lowered, Site};
use crate::lower::Lowering;
use crate::recipe::{Eltwise, Recipe};
use modelsmith_ir::{Dim, ValueId};
use modelsmith_kop::{Activation, BinaryOp, Inst, Lane, UnaryOp};
use modelsmith_tensor::DType;

/// Integer tensors of at most this many elements stay on the host, where shapes are computed.
const SMALL: usize = 64;

/// A program being written: every instruction writes a register of its own.
pub(super) struct Program {
    pub inputs: Vec<Lane>,
    code: Vec<Inst>,
    next: u8,
}

impl Program {
    pub fn new() -> Program {
        Program { inputs: vec![], code: vec![], next: 0 }
    }

    pub fn put(&mut self, make: impl FnOnce(u8) -> Inst) -> u8 {
        let dst = self.next;
        self.next += 1;
        self.code.push(make(dst));
        dst
    }

    pub fn load(&mut self, lane: Lane) -> u8 {
        self.inputs.push(lane);
        let input = self.inputs.len() as u8 - 1;
        self.put(|dst| Inst::Load { dst, input })
    }

    pub fn float(&mut self, value: f32) -> u8 {
        self.put(|dst| Inst::ConstF32 { dst, value })
    }

    pub fn unary(&mut self, op: UnaryOp, lane: Lane, a: u8) -> u8 {
        self.put(|dst| Inst::Unary { op, lane, dst, a })
    }

    pub fn binary(&mut self, op: BinaryOp, lane: Lane, a: u8, b: u8) -> u8 {
        self.put(|dst| Inst::Binary { op, lane, dst, a, b })
    }

    pub fn cast(&mut self, from: Lane, to: Lane, a: u8) -> u8 {
        if from == to { a } else { self.put(|dst| Inst::Cast { from, to, dst, a }) }
    }

    /// An operand in the type in which it is computed with.
    pub fn widened(&mut self, lane: Lane) -> (u8, Lane) {
        let a = self.load(lane);
        (self.cast(lane, lane.wide(), a), lane.wide())
    }

    pub fn select(&mut self, lane: Lane, cond: u8, a: u8, b: u8) -> u8 {
        self.put(|dst| Inst::Select { lane, dst, cond, a, b })
    }

    pub fn act(&mut self, a: Activation, x: u8) -> u8 {
        self.unary(UnaryOp::Act(a), Lane::F32, x)
    }

    /// The program with `result` as its only output.
    pub fn finish(mut self, result: u8, lane: Lane) -> Recipe {
        self.code.push(Inst::Store { output: 0, a: result });
        Recipe::Eltwise(Eltwise { inputs: self.inputs, outputs: vec![lane], registers: self.next, code: self.code })
    }
}

impl Lowering<'_> {
    pub(super) fn elementwise(&mut self, site: &Site) -> Lowered {
        if !site.one_output() || site.inputs.is_empty() || site.inputs.len() > 12 || small_integers(site) {
            return Ok(None);
        }
        let rank = site.out_rank().unwrap_or(0);
        if site.facts.iter().flatten().any(|f| f.ty.shape().is_none_or(|s| s.len() > rank)) {
            return Ok(None);
        }
        let Some(out) = site.types[0].dtype().and_then(Lane::of) else { return Ok(None) };
        let mut p = Program::new();
        let mut operands = Vec::new();
        let Some((mut result, mut lane)) = self.body(site, &mut p, &mut operands) else { return Ok(None) };
        if out.is_narrow() && out.wide() == lane {
            (result, lane) = (p.cast(lane, out, result), out);
        }
        if lane != out {
            return Ok(None);
        }
        let inputs = operands.into_iter().map(|v| self.buffer(v)).collect::<crate::Result<Vec<_>>>()?;
        self.emit(site, p.finish(result, out), inputs)
    }

    /// Writes the operator's instructions; returns the register of the result and its type, which may be wider than asked.
    fn body(&mut self, site: &Site, p: &mut Program, operands: &mut Vec<ValueId>) -> Option<(u8, Lane)> {
        let mut load = |p: &mut Program, i: usize| -> Option<(u8, Lane)> {
            let lane = Lane::of(site.dtype(i)?)?;
            let v = site.input(i)?;
            if let Some(t) = site.fact(i).and_then(|f| f.constant.as_ref()).filter(|t| t.len() == 1)
                && lane.wide() == Lane::F32
            {
                return Some((p.float(*t.to_f64s().ok()?.first()? as f32), Lane::F32));
            }
            operands.push(v);
            Some(p.widened(lane))
        };
        if let Some(op) = binary(site.name, site) {
            let ((a, la), (b, lb)) = (load(p, 0)?, load(p, 1)?);
            let ok = la == lb && site.inputs.len() == 2 && allowed(op, la);
            let result = if op.is_comparison() { Lane::Bool } else { la };
            return ok.then(|| (p.binary(op, la, a, b), result));
        }
        if let Some(op) = unary(site) {
            let (a, l) = load(p, 0)?;
            let ok = match l {
                Lane::F32 => op != UnaryOp::Not,
                Lane::Bool => op == UnaryOp::Not,
                _ => matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sign),
            };
            return (ok && site.inputs.len() == 1).then(|| (p.unary(op, l, a), l));
        }
        match site.name {
            "Min" | "Max" | "Sum" | "Mean" => {
                let op = match site.name {
                    "Min" => BinaryOp::Min,
                    "Max" => BinaryOp::Max,
                    _ => BinaryOp::Add,
                };
                let (mut acc, lane) = load(p, 0)?;
                for i in 1..site.inputs.len() {
                    let (b, l) = load(p, i)?;
                    acc = (l == lane && lane != Lane::Bool).then(|| p.binary(op, lane, acc, b))?;
                }
                if site.name == "Mean" {
                    let n = (lane == Lane::F32).then(|| p.float(site.inputs.len() as f32))?;
                    acc = p.binary(BinaryOp::Div, Lane::F32, acc, n);
                }
                Some((acc, lane))
            }
            "Where" => {
                let ((c, lc), (a, la), (b, lb)) = (load(p, 0)?, load(p, 1)?, load(p, 2)?);
                (lc == Lane::Bool && la == lb).then(|| (p.select(la, c, a, b), la))
            }
            "Cast" | "CastLike" => {
                let (a, from) = load(p, 0)?;
                converted(p, a, from, Lane::of(site.dtype(0)?)?, Lane::of(site.types[0].dtype()?)?)
            }
            "Clip" => self.clip(site, p, &mut load),
            _ => {
                let (x, lane) = load(p, 0)?;
                (lane == Lane::F32).then(|| composed(site, p, x)).flatten()
            }
        }
    }

    fn clip(
        &self,
        site: &Site,
        p: &mut Program,
        load: &mut dyn FnMut(&mut Program, usize) -> Option<(u8, Lane)>,
    ) -> Option<(u8, Lane)> {
        let (x, lane) = load(p, 0)?;
        let bound = |i: usize| -> Option<Option<f32>> {
            match site.input(i) {
                None => Some(None),
                Some(v) => match self.tensor(v) {
                    Some(t) if t.len() == 1 && t.dtype().is_float() => Some(t.to_f64s().ok().map(|v| v[0] as f32)),
                    _ => None,
                },
            }
        };
        if let (Lane::F32, Some(min), Some(max)) = (lane, bound(1), bound(2)) {
            let (min, max) = (min.unwrap_or(f32::NEG_INFINITY), max.unwrap_or(f32::INFINITY));
            if min <= max {
                let clip = match (min, max) {
                    (0.0, f32::INFINITY) => Activation::Relu,
                    _ => Activation::Clip { min, max },
                };
                return Some((p.act(clip, x), lane));
            }
        }
        let mut acc = x;
        for (i, op) in [(1, BinaryOp::Max), (2, BinaryOp::Min)] {
            if site.input(i).is_some() {
                let (b, l) = load(p, i)?;
                acc = (l == lane && lane != Lane::Bool).then(|| p.binary(op, lane, acc, b))?;
            }
        }
        Some((acc, lane))
    }
}

/// A value of type `from` in the type `to`, as the operator Cast has it; it was loaded from elements of type `stored`.
fn converted(p: &mut Program, a: u8, from: Lane, stored: Lane, to: Lane) -> Option<(u8, Lane)> {
    let exact = matches!(stored, Lane::U8 | Lane::I8 | Lane::Bool);
    let through = match (from, to) {
        // The operator takes the low bits of the whole number; the instruction saturates.
        (Lane::F32, Lane::U8 | Lane::I8) => Lane::I64,
        (Lane::Bool, Lane::U8 | Lane::I8) => Lane::I32,
        // Numbers that a single does not hold are infinite in halves, but would be rounded twice on the way to bfloat16.
        (Lane::I32 | Lane::I64 | Lane::Bool, Lane::BF16) if !exact => return None,
        (Lane::I32 | Lane::I64 | Lane::Bool, Lane::F16 | Lane::BF16) => Lane::F32,
        _ => from,
    };
    let a = p.cast(from, through, a);
    Some((p.cast(through, to, a), to))
}

/// Functions of `x`, a single, that are written as several instructions.
fn composed(site: &Site, p: &mut Program, x: u8) -> Option<(u8, Lane)> {
    const F: Lane = Lane::F32;
    let number = |name: &str| site.attrs.float(name).ok();
    let y = match site.name {
        "Swish" => {
            let alpha = number("alpha")?;
            if alpha == 1.0 {
                return Some((p.act(Activation::Silu, x), F));
            }
            let k = p.float(alpha);
            let scaled = p.binary(BinaryOp::Mul, F, x, k);
            let s = p.act(Activation::Sigmoid, scaled);
            p.binary(BinaryOp::Mul, F, x, s)
        }
        "IsNaN" => {
            let same = p.binary(BinaryOp::Equal, F, x, x);
            return Some((p.unary(UnaryOp::Not, Lane::Bool, same), Lane::Bool));
        }
        "Selu" => {
            let (low, gamma) = (p.act(Activation::Elu { alpha: number("alpha")? }, x), p.float(number("gamma")?));
            p.binary(BinaryOp::Mul, F, low, gamma)
        }
        // Elu is its power of e only for operands that are not positive.
        "Celu" if number("alpha")? <= 0.0 => return None,
        "Celu" => {
            let (alpha, zero) = (p.float(number("alpha")?), p.float(0.0));
            let ratio = p.binary(BinaryOp::Div, F, x, alpha);
            let low = p.act(Activation::Elu { alpha: 1.0 }, ratio);
            let low = p.binary(BinaryOp::Mul, F, low, alpha);
            let above = p.binary(BinaryOp::Greater, F, x, zero);
            p.select(F, above, x, low)
        }
        "ThresholdedRelu" => {
            let (alpha, zero) = (p.float(number("alpha")?), p.float(0.0));
            let above = p.binary(BinaryOp::Greater, F, x, alpha);
            p.select(F, above, x, zero)
        }
        "Shrink" => {
            let (lambd, below) = (p.float(number("lambd")?), p.float(-number("lambd")?));
            let (bias, zero) = (p.float(number("bias")?), p.float(0.0));
            let (up, down) = (p.binary(BinaryOp::Add, F, x, bias), p.binary(BinaryOp::Sub, F, x, bias));
            let (low, high) = (p.binary(BinaryOp::Less, F, x, below), p.binary(BinaryOp::Greater, F, x, lambd));
            let inner = p.select(F, high, down, zero);
            p.select(F, low, up, inner)
        }
        "Softsign" => {
            let (size, one) = (p.unary(UnaryOp::Abs, F, x), p.float(1.0));
            let below = p.binary(BinaryOp::Add, F, size, one);
            p.binary(BinaryOp::Div, F, x, below)
        }
        _ => return None,
    };
    Some((y, F))
}

/// Small integer tensors are sizes, indices and the like; handing them to a kernel costs more than it saves.
fn small_integers(site: &Site) -> bool {
    let small = |shape: Option<&[Dim]>| {
        let sizes = shape.and_then(|s| s.iter().map(Dim::size).collect::<Option<Vec<_>>>());
        sizes.is_some_and(|s| s.iter().product::<usize>() <= SMALL)
    };
    let float = |d: Option<DType>| d.is_some_and(DType::is_float);
    let any_float = site.facts.iter().flatten().any(|f| float(f.ty.dtype())) || float(site.types[0].dtype());
    !any_float && small(site.out_shape())
}

fn allowed(op: BinaryOp, lane: Lane) -> bool {
    use BinaryOp::*;
    match op {
        And | Or | Xor => lane == Lane::Bool,
        Pow | PRelu => lane == Lane::F32,
        Equal => true,
        _ => lane != Lane::Bool,
    }
}

fn binary(name: &str, site: &Site) -> Option<BinaryOp> {
    Some(match name {
        "Add" => BinaryOp::Add,
        "Sub" => BinaryOp::Sub,
        "Mul" => BinaryOp::Mul,
        "Div" => BinaryOp::Div,
        "Pow" => BinaryOp::Pow,
        "PRelu" => BinaryOp::PRelu,
        // The kernel has the sign of the divisor for integers and `fmod` for floats.
        "Mod" if site.attrs.flag("fmod").ok()? == site.dtype(0).is_some_and(DType::is_float) => BinaryOp::Mod,
        "Equal" => BinaryOp::Equal,
        "Less" => BinaryOp::Less,
        "LessOrEqual" => BinaryOp::LessEqual,
        "Greater" => BinaryOp::Greater,
        "GreaterOrEqual" => BinaryOp::GreaterEqual,
        "And" => BinaryOp::And,
        "Or" => BinaryOp::Or,
        "Xor" => BinaryOp::Xor,
        _ => return None,
    })
}

fn unary(site: &Site) -> Option<UnaryOp> {
    let float = |name: &str| site.attrs.float(name).ok();
    Some(match site.name {
        "Relu" => UnaryOp::Act(Activation::Relu),
        "LeakyRelu" => UnaryOp::Act(Activation::LeakyRelu { alpha: float("alpha")? }),
        "Sigmoid" => UnaryOp::Act(Activation::Sigmoid),
        "HardSigmoid" => UnaryOp::Act(Activation::HardSigmoid { alpha: float("alpha")?, beta: float("beta")? }),
        "HardSwish" => UnaryOp::Act(Activation::HardSwish),
        "Tanh" => UnaryOp::Act(Activation::Tanh),
        "Gelu" => UnaryOp::Act(match site.attrs.string("approximate").ok()? {
            "tanh" => Activation::GeluTanh,
            "none" => Activation::Gelu,
            _ => return None,
        }),
        "Elu" => UnaryOp::Act(Activation::Elu { alpha: float("alpha")? }),
        "Softplus" => UnaryOp::Act(Activation::Softplus),
        "Mish" => UnaryOp::Act(Activation::Mish),
        "Neg" => UnaryOp::Neg,
        "Abs" => UnaryOp::Abs,
        "Sign" => UnaryOp::Sign,
        "Sqrt" => UnaryOp::Sqrt,
        "Reciprocal" => UnaryOp::Reciprocal,
        "Exp" => UnaryOp::Exp,
        "Log" => UnaryOp::Log,
        "Erf" => UnaryOp::Erf,
        "Sin" => UnaryOp::Sin,
        "Cos" => UnaryOp::Cos,
        "Atan" => UnaryOp::Atan,
        "Floor" => UnaryOp::Floor,
        "Ceil" => UnaryOp::Ceil,
        "Round" => UnaryOp::Round,
        "Not" => UnaryOp::Not,
        _ => return None,
    })
}
