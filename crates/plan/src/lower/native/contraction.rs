//! Matrix products.

use super::{Lowered, Site};
use crate::backend::WeightDims;
use crate::lower::Lowering;
use crate::plan::BufferId;
use crate::recipe::{Gemm, Post, Recipe};
use modelsmith_ir::{Dim, ValueId};
use modelsmith_tensor::Tensor;

impl Lowering<'_> {
    pub(super) fn matmul(&mut self, site: &Site) -> Lowered {
        let (Some(ra), Some(rb), true) = (site.rank(0), site.rank(1), site.all_f32()) else { return Ok(None) };
        if ra < 2 || rb < 2 {
            return Ok(None);
        }
        let g = Gemm { a_perm: vec![], b_perm: vec![], c_perm: vec![], packed: None, bias: false, post: vec![] };
        self.product(site, g, false)
    }

    /// The product of inputs 0 and 1, B packed where it is a constant matrix.
    fn product(&mut self, site: &Site, mut g: Gemm, b_transposed: bool) -> Lowered {
        let (Some(a), Some(b)) = (site.input(0), site.input(1)) else { return Ok(None) };
        let a = self.buffer(a)?;
        let mut inputs = vec![a, self.buffer(b)?];
        if let Some(packed) = self.packed_matrix(site, b, b_transposed, &mut g)? {
            inputs[1] = packed;
        } else if b_transposed {
            g.b_perm = vec![1, 0];
        }
        if site.name == "Gemm" {
            let Some(()) = self.gemm_tail(site, &mut g, &mut inputs)? else { return Ok(None) };
        }
        self.emit(site, Recipe::Gemm(g), inputs)
    }

    fn packed_matrix(
        &mut self,
        site: &Site,
        b: ValueId,
        transposed: bool,
        g: &mut Gemm,
    ) -> crate::Result<Option<BufferId>> {
        let sizes = site.shape(1).and_then(|s| s.iter().map(Dim::size).collect::<Option<Vec<_>>>());
        let (Some([rows, cols]), Some((_, weight))) = (sizes.as_deref(), self.weight_of(b)?) else { return Ok(None) };
        if *rows == 0 || *cols == 0 {
            return Ok(None);
        }
        let (k, n) = if transposed { (*cols, *rows) } else { (*rows, *cols) };
        let packed = Gemm { packed: Some([k, n]), ..g.clone() };
        let dims = WeightDims::Matrix { k, n, transposed };
        let found = self.pack_for(site, &Recipe::Gemm(packed.clone()), weight, dims);
        if found.is_some() {
            *g = packed;
        }
        Ok(found)
    }

    pub(super) fn gemm(&mut self, site: &Site) -> Lowered {
        let flag = |name: &str| site.attrs.flag(name).unwrap_or(false);
        if !site.all_f32() || site.rank(0) != Some(2) || site.rank(1) != Some(2) {
            return Ok(None);
        }
        let a_perm = if flag("transA") { vec![1, 0] } else { vec![] };
        let g = Gemm { a_perm, b_perm: vec![], c_perm: vec![], packed: None, bias: false, post: vec![] };
        self.product(site, g, flag("transB"))
    }

    /// `alpha * sum + beta * C`.
    fn gemm_tail(&mut self, site: &Site, g: &mut Gemm, inputs: &mut Vec<BufferId>) -> Lowered {
        let float = |name: &str| site.attrs.float(name).unwrap_or(1.0);
        let (alpha, beta) = (float("alpha"), float("beta"));
        if alpha != 1.0 {
            g.post.push(Post::MulScalar(alpha));
        }
        let Some(c) = site.input(2).filter(|_| beta != 0.0) else { return Ok(Some(())) };
        let (Some(shape), Some(out)) = (site.shape(2), site.out_shape()) else { return Ok(None) };
        let one = |d: &Dim| *d == Dim::Known(1);
        let scalar = shape.iter().all(one);
        let vector = !scalar && shape.last() == out.last() && shape[..shape.len() - 1].iter().all(one);
        let full = shape == out;
        let scaled = match (beta == 1.0, self.tensor(c)) {
            (true, _) => None,
            (false, Some(t)) => scale(&t, beta),
            (false, None) => return Ok(None),
        };
        if scalar {
            let value = scaled.or_else(|| self.tensor(c)).and_then(|t| t.to_f64s().ok()?.first().copied());
            let Some(value) = value else { return Ok(None) };
            g.post.push(Post::AddScalar(value as f32));
            return Ok(Some(()));
        }
        if !vector && !full {
            return Ok(None);
        }
        let id = match scaled {
            Some(t) => self.literal(t),
            None => self.buffer(c)?,
        };
        inputs.push(id);
        match vector && alpha == 1.0 {
            true => g.bias = true,
            false => g.post.push(Post::Add),
        }
        Ok(Some(()))
    }
}

fn scale(t: &Tensor, by: f32) -> Option<Tensor> {
    let values = t.to_f64s().ok()?.into_iter().map(|x| x * f64::from(by)).collect::<Vec<_>>();
    Tensor::from_f64s(t.dtype(), t.shape(), &values).ok()
}
