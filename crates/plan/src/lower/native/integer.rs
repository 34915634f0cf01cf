//! Products and convolutions of 8-bit integers.

use super::image::{Attrs, window};
use super::{Lowered, Site};
use crate::backend::WeightDims;
use crate::lower::Lowering;
use crate::plan::BufferId;
use crate::recipe::{Recipe, Window};
use modelsmith_ir::Dim;

impl Lowering<'_> {
    pub(super) fn integer_matmul(&mut self, site: &Site) -> Lowered {
        let (Some(a), Some(b), Some(2..), Some(2..)) = (site.input(0), site.input(1), site.rank(0), site.rank(1))
        else {
            return Ok(None);
        };
        let (zeros, points) = self.zero_points(site)?;
        let mut packed = None;
        let mut right = self.buffer(b)?;
        let sizes = site.shape(1).and_then(|s| s.iter().map(Dim::size).collect::<Option<Vec<_>>>());
        let sizes = sizes.filter(|s| !s.contains(&0));
        if let (Some([k, n]), Some((_, weight))) = (sizes.as_deref(), self.weight_of(b)?) {
            let dims = WeightDims::Matrix { k: *k, n: *n, transposed: false };
            let recipe = Recipe::IntegerGemm { packed: Some([*k, *n]), zeros: [false; 2] };
            if let Some(found) = self.pack_for(site, &recipe, weight, dims) {
                (packed, right) = (Some([*k, *n]), found);
            }
        }
        let inputs = [vec![self.buffer(a)?, right], points].concat();
        self.emit(site, Recipe::IntegerGemm { packed, zeros }, inputs)
    }

    pub(super) fn integer_conv(&mut self, site: &Site) -> Lowered {
        let (Some(x), Some(w), Some(rank @ 3..=4)) = (site.input(0), site.input(1), site.rank(0)) else {
            return Ok(None);
        };
        let sizes = site.shape(1).and_then(|s| s.iter().map(Dim::size).collect::<Option<Vec<_>>>());
        let kernel = match sizes.as_deref() {
            Some([_, _, width]) if rank == 3 => [1, *width],
            Some([_, _, height, width]) if rank == 4 => [*height, *width],
            _ => return Ok(None),
        };
        let groups = site.attrs.int("group").ok().and_then(|g| usize::try_from(g).ok()).filter(|&g| g > 0);
        let (Some(Attrs { stride, dilation, pad }), Some(groups)) = (window(site, rank - 2), groups) else {
            return Ok(None);
        };
        let (zeros, points) = self.zero_points(site)?;
        let inputs = [vec![self.buffer(x)?, self.buffer(w)?], points].concat();
        self.emit(site, Recipe::IntegerConv { window: Window { kernel, stride, dilation, pad }, groups, zeros }, inputs)
    }

    /// Which of operands 2 and 3 there are, and their buffers.
    fn zero_points(&mut self, site: &Site) -> crate::Result<([bool; 2], Vec<BufferId>)> {
        let given = [2, 3].map(|i| site.input(i));
        let points = given.into_iter().flatten().map(|v| self.buffer(v)).collect::<crate::Result<_>>()?;
        Ok((given.map(|v| v.is_some()), points))
    }
}
