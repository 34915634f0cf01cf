//! The operator Attention as one step. What lies around it is taken into its strides when steps are joined.

use super::{Lowered, Site};
use crate::lower::Lowering;
use crate::recipe::{Attention, Axis, Heads, Recipe};
use modelsmith_ir::Dim;
use modelsmith_tensor::DType;

/// Heads of an operand: given by its shape, or by an attribute where heads and columns share the last axis.
fn heads(site: &Site, i: usize, count: Option<i64>) -> Option<Heads> {
    match site.shape(i)? {
        [_, _, _, _] => {
            let axes = vec![Axis::Batch, Axis::Head, Axis::Row, Axis::Column];
            Some(Heads { dims: site.shape(i)?.to_vec(), axes })
        }
        [b, rows, hidden] => {
            let (count, hidden) = (usize::try_from(count?).ok()?, hidden.size()?);
            (count > 0 && hidden.is_multiple_of(count)).then(|| Heads {
                dims: vec![b.clone(), rows.clone(), Dim::from(count), Dim::from(hidden / count)],
                axes: vec![Axis::Batch, Axis::Row, Axis::Head, Axis::Column],
            })
        }
        _ => None,
    }
}

fn recipe(site: &Site) -> Option<Attention> {
    let a = &site.attrs;
    let int = |name: &str, usual: i64| a.opt_int(name).ok().map(|v| v.unwrap_or(usual) == usual).unwrap_or(false);
    let ordinary = int("left_window_size", -1)
        && int("right_window_size", -1)
        && int("softmax_precision", 1)
        && a.float("softcap").ok()? == 0.0
        && (4..=6).all(|i| site.input(i).is_none())
        && (0..3).all(|i| site.dtype(i) == Some(DType::F32))
        && site.one_output();
    if !ordinary {
        return None;
    }
    let (own, shared) = (a.opt_int("q_num_heads").ok()?, a.opt_int("kv_num_heads").ok()?);
    let (q, k, v) = (heads(site, 0, own)?, heads(site, 1, shared)?, heads(site, 2, shared)?);
    let find = |h: &Heads, axis: Axis| h.axes.iter().position(|a| *a == axis).map(|i| h.dims[i].clone());
    let (size, values, count) = (find(&q, Axis::Column)?, find(&v, Axis::Column)?, find(&q, Axis::Head)?);
    let (kv, keys, rows) = (find(&k, Axis::Head)?, find(&k, Axis::Row)?, find(&q, Axis::Row)?);
    let groups = count == kv || matches!((count.size(), kv.size()), (Some(n), Some(m)) if m > 0 && n % m == 0);
    let same = q.dims[0] == k.dims[0] && k.dims[0] == v.dims[0] && find(&k, Axis::Column)? == size;
    if !groups || !same || find(&v, Axis::Head)? != kv || find(&v, Axis::Row)? != keys {
        return None;
    }
    if let Some(mask) = site.shape(3) {
        let scores = [q.dims[0].clone(), count.clone(), rows, keys.clone()];
        let lead = scores.len().checked_sub(mask.len())?;
        let fits = mask.iter().zip(&scores[lead..]).all(|(m, s)| m == s || *m == Dim::Known(1));
        if !fits || mask.last() != Some(&keys) || !matches!(site.dtype(3)?, DType::F32 | DType::Bool) {
            return None;
        }
    }
    let scale = match a.opt_float("scale").ok()? {
        Some(x) => x,
        None => 1.0 / (size.size()? as f32).sqrt(),
    };
    let mut y = q.clone();
    if let Some(last) = y.dims.last_mut() {
        *last = values;
    }
    Some(Attention { scale, causal: a.flag("is_causal").ok()?, blind_zero: true, q, k, v, y })
}

impl Lowering<'_> {
    pub(super) fn attention(&mut self, site: &Site) -> Lowered {
        let Some(recipe) = recipe(site) else { return Ok(None) };
        let mut inputs = Vec::new();
        for v in (0..4).filter_map(|i| site.input(i)) {
            inputs.push(self.buffer(v)?);
        }
        self.emit(site, Recipe::Attention(recipe), inputs)
    }
}
