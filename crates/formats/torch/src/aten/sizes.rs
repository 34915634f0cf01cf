//! Dimensions of inputs that follow from their use: the channels of a convolution, the width of a product.

use super::context::Context;
use super::error::{Outcome, Stop};
use modelsmith_ir::{Attr, Attrs, Dim, ValueId};

impl Context {
    /// Checks that the free dimensions of inputs are those that the operator `name` wants.
    ///
    /// # Errors
    /// [`Stop::Size`] with what one of them has to be.
    pub(super) fn alike(&self, name: &str, inputs: &[Option<ValueId>], attrs: &Attrs) -> Outcome<()> {
        if self.free.is_empty() {
            return Ok(());
        }
        let shape = |i: usize| {
            let v = inputs.get(i).copied().flatten()?;
            self.ty(v).shape().map(<[Dim]>::to_vec)
        };
        let flag = |name: &str| matches!(attrs.get(name), Some(Attr::Int(n)) if *n != 0);
        match (name, shape(0), shape(1)) {
            ("Conv", Some(x), Some(w)) => {
                let groups = match attrs.get("group") {
                    Some(Attr::Int(n)) => *n,
                    _ => 1,
                };
                let wanted = w.get(1).cloned().unwrap_or(Dim::Unknown) * Dim::Known(groups);
                self.demand(x.get(1), Some(&wanted))
            }
            ("ConvTranspose", Some(x), Some(w)) => self.demand(x.get(1), w.first()),
            ("BatchNormalization" | "InstanceNormalization", Some(x), Some(w)) => self.demand(x.get(1), w.first()),
            ("MatMul" | "Gemm", Some(x), Some(w)) => {
                let inner = |s: &[Dim], back: usize| s.len().checked_sub(back).and_then(|i| s.get(i)).cloned();
                let left = inner(&x, if flag("transA") { 2 } else { 1 });
                let right = match (w.len(), flag("transB")) {
                    (1, _) => w.first().cloned(),
                    (_, true) => inner(&w, 1),
                    (_, false) => inner(&w, 2),
                };
                self.demand(left.as_ref(), right.as_ref())
            }
            ("LayerNormalization", Some(x), Some(w)) => {
                x.iter().rev().zip(w.iter().rev()).try_for_each(|(a, b)| self.demand(Some(a), Some(b)))
            }
            ("LSTM" | "GRU" | "RNN", Some(x), Some(w)) => self.demand(x.get(2), w.get(2)),
            ("Concat", Some(_), _) => self.joined(inputs, attrs),
            (
                "Add" | "Sub" | "Mul" | "Div" | "Equal" | "Less" | "Greater" | "And" | "Or" | "Max" | "Min",
                Some(x),
                Some(y),
            ) => self.broadcast(&x, &y),
            ("Where", Some(x), Some(y)) => {
                self.broadcast(&x, &y)?;
                shape(2).map_or(Ok(()), |z| {
                    self.broadcast(&x, &z)?;
                    self.broadcast(&y, &z)
                })
            }
            _ => Ok(()),
        }
    }

    fn broadcast(&self, x: &[Dim], y: &[Dim]) -> Outcome<()> {
        x.iter().rev().zip(y.iter().rev()).try_for_each(|(a, b)| self.demand(Some(a), Some(b)))
    }

    /// All dimensions of parts that are joined are alike but the one along which they are.
    fn joined(&self, inputs: &[Option<ValueId>], attrs: &Attrs) -> Outcome<()> {
        let Some(Attr::Int(axis)) = attrs.get("axis") else { return Ok(()) };
        let shapes = inputs.iter().flatten().filter_map(|&v| self.ty(v).shape()).collect::<Vec<_>>();
        let Some((first, rest)) = shapes.split_first() else { return Ok(()) };
        let Ok(axis) = super::context::axis_at(*axis, first.len()) else { return Ok(()) };
        for other in rest {
            for (i, (a, b)) in first.iter().zip(other.iter()).enumerate() {
                if i != axis {
                    self.demand(Some(a), Some(b))?;
                }
            }
        }
        Ok(())
    }

    /// Two dimensions that are the same, or of which one is 1.
    fn demand(&self, a: Option<&Dim>, b: Option<&Dim>) -> Outcome<()> {
        let (Some(a), Some(b)) = (a, b) else { return Ok(()) };
        if a == b || a.known() == Some(1) || b.known() == Some(1) {
            return Ok(());
        }
        let free = |d: &Dim| d.as_symbol().and_then(|s| self.free.get(s)).cloned();
        match (free(a), free(b)) {
            (Some(a), Some(b)) if a < b => Err(Stop::Size(b, Dim::symbol(&a))),
            (Some(a), Some(b)) => Err(Stop::Size(a, Dim::symbol(&b))),
            (Some(s), None) if b.known().is_some() => Err(Stop::Size(s, b.clone())),
            (None, Some(s)) if a.known().is_some() => Err(Stop::Size(s, a.clone())),
            _ => Ok(()),
        }
    }
}
