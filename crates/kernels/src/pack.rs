//! The forms in which kernels take constant weights. Each has an exact inverse.
//!
//! A format depends on the shape of the weights and the kernel family only: all instruction sets and all tiles of a
//! family share one, so packed weights serve every machine and every number of rows.

use crate::def::KernelError;
use modelsmith_base::DType;

/// Columns in a panel of [`PackFormat::F32Panel16`].
pub const PANEL: usize = 16;

/// A way to store constant weights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PackFormat {
    /// For matrix products and dense or grouped convolutions: panels of 16 columns, each `[k][16]`; the last padded
    /// with zeros. Groups follow one another.
    F32Panel16,
    /// For depthwise convolutions: `[kh][kw][channels]`.
    F32TapsChannels,
    /// For integer products with u8 on the right: panels of 16 columns, each `[k / 4][16][4]`, padded with zeros.
    U8Quad16,
    /// The same of i8, each element moved up by 128.
    I8Quad16,
}

/// The logical weights, dense.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WeightShape {
    /// A matrix in the order `[k, n]`, or `[n, k]` where `transposed`.
    Matrix {
        /// Rows (inner dimension of the product).
        k: usize,
        /// Columns.
        n: usize,
        /// Stored as `[n, k]`.
        transposed: bool,
    },
    /// A convolution kernel `[oc, ic, kh, kw]`, with `ic` channels per group.
    Conv {
        /// Output channels of all groups.
        oc: usize,
        /// Input channels per group.
        ic: usize,
        /// Height.
        kh: usize,
        /// Width.
        kw: usize,
        /// Groups.
        groups: usize,
    },
    /// A transposed convolution's kernel `[c, oc, kh, kw]`, with `oc` output channels per group.
    ConvTransposed {
        /// Input channels of all groups.
        c: usize,
        /// Output channels per group.
        oc: usize,
        /// Height.
        kh: usize,
        /// Width.
        kw: usize,
        /// Groups.
        groups: usize,
    },
}

impl WeightShape {
    /// Number of elements; `None` on overflow.
    pub fn len(&self) -> Option<usize> {
        let product = |f: &[usize]| f.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        match *self {
            WeightShape::Matrix { k, n, .. } => product(&[k, n]),
            WeightShape::Conv { oc, ic, kh, kw, .. } => product(&[oc, ic, kh, kw]),
            WeightShape::ConvTransposed { c, oc, kh, kw, .. } => product(&[c, oc, kh, kw]),
        }
    }

    /// True where there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Groups, rows and columns of each group's matrix.
    fn matrices(&self) -> Option<(usize, usize, usize)> {
        match *self {
            WeightShape::Matrix { k, n, .. } => Some((1, k, n)),
            WeightShape::Conv { oc, ic, kh, kw, groups } => {
                let columns = oc.checked_div(groups).filter(|n| n * groups == oc)?;
                Some((groups, ic.checked_mul(kh)?.checked_mul(kw)?, columns))
            }
            WeightShape::ConvTransposed { c, oc, kh, kw, groups } => {
                let channels = c.checked_div(groups).filter(|n| n * groups == c)?;
                Some((groups, channels.checked_mul(kh)?.checked_mul(kw)?, oc))
            }
        }
    }

    /// Index in the logical weights of element (k, n) of group `g`.
    fn at(&self, g: usize, k: usize, n: usize) -> usize {
        match *self {
            WeightShape::Matrix { k: rows, n: cols, transposed } => {
                if transposed {
                    n * rows + k
                } else {
                    k * cols + n
                }
            }
            // Rows are ordered tap first, then channel, as pixels lie in a channels-last image.
            WeightShape::Conv { oc, ic, kh, kw, groups } => {
                let (tap, c) = (k / ic, k % ic);
                ((g * (oc / groups) + n) * ic + c) * kh * kw + tap
            }
            WeightShape::ConvTransposed { c: channels, oc, kh, kw, groups } => {
                let ic = channels / groups;
                let (tap, c) = (k / ic, k % ic);
                ((g * ic + c) * oc + n) * kh * kw + tap
            }
        }
    }
}

impl PackFormat {
    /// Every format.
    pub const ALL: [PackFormat; 4] =
        [PackFormat::F32Panel16, PackFormat::F32TapsChannels, PackFormat::U8Quad16, PackFormat::I8Quad16];

    /// The name stored in engine files.
    pub const fn name(self) -> &'static str {
        match self {
            PackFormat::F32Panel16 => "f32_panel16",
            PackFormat::F32TapsChannels => "f32_taps_channels",
            PackFormat::U8Quad16 => "u8_quad16",
            PackFormat::I8Quad16 => "i8_quad16",
        }
    }

    /// Type of the logical elements.
    pub const fn dtype(self) -> DType {
        match self {
            PackFormat::F32Panel16 | PackFormat::F32TapsChannels => DType::F32,
            PackFormat::U8Quad16 => DType::U8,
            PackFormat::I8Quad16 => DType::I8,
        }
    }

    /// Inverse of [`PackFormat::name`].
    pub fn parse(name: &str) -> Option<PackFormat> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    /// Number of elements in packed weights of this shape; `None` where the format cannot hold it or sizes overflow.
    pub fn packed_len(self, shape: &WeightShape) -> Option<usize> {
        shape.len()?;
        let (groups, k, n) = shape.matrices()?;
        match self {
            PackFormat::F32Panel16 => n.div_ceil(PANEL).checked_mul(PANEL)?.checked_mul(k.max(1))?.checked_mul(groups),
            PackFormat::F32TapsChannels => match *shape {
                WeightShape::Conv { oc, ic: 1, groups, .. } if oc == groups => shape.len(),
                _ => None,
            },
            PackFormat::U8Quad16 | PackFormat::I8Quad16 => match *shape {
                WeightShape::Matrix { k, n, .. } => n.div_ceil(PANEL).checked_mul(PANEL * QUAD)?.checked_mul(quads(k)),
                _ => None,
            },
        }
    }

    /// Packs the bytes of `logical` into those of `packed`, for formats of 8-bit integers. Padding becomes zero.
    ///
    /// # Errors
    /// [`KernelError::Buffer`] where a length is not exactly the shape's or the format is not one of bytes.
    pub fn pack_bytes(self, shape: &WeightShape, logical: &[u8], packed: &mut [u8]) -> Result<(), KernelError> {
        self.check(shape, logical.len(), packed.len())?;
        let flip = self.flip()?;
        packed.fill(0);
        self.each(shape, |from, to| packed[to] = logical[from] ^ flip);
        Ok(())
    }

    /// Inverse of [`PackFormat::pack_bytes`].
    ///
    /// # Errors
    /// As there.
    pub fn unpack_bytes(self, shape: &WeightShape, packed: &[u8], logical: &mut [u8]) -> Result<(), KernelError> {
        self.check(shape, logical.len(), packed.len())?;
        let flip = self.flip()?;
        self.each(shape, |to, from| logical[to] = packed[from] ^ flip);
        Ok(())
    }

    fn flip(self) -> Result<u8, KernelError> {
        match self {
            PackFormat::U8Quad16 => Ok(0),
            PackFormat::I8Quad16 => Ok(0x80),
            _ => Err(KernelError::Buffer { what: "weights", problem: format!("{} holds no bytes", self.name()) }),
        }
    }

    /// Packs `logical` into `packed`. Padding becomes zero.
    ///
    /// # Errors
    /// [`KernelError::Buffer`] where a length is not exactly the shape's.
    pub fn pack(self, shape: &WeightShape, logical: &[f32], packed: &mut [f32]) -> Result<(), KernelError> {
        self.check(shape, logical.len(), packed.len())?;
        self.check_f32()?;
        match (self, *shape) {
            (PackFormat::F32Panel16, WeightShape::Matrix { k, n, transposed: false }) if k > 0 => {
                pack_rows(logical, packed, k, n);
            }
            (PackFormat::F32Panel16, WeightShape::Matrix { k, n, transposed: true }) if k > 0 => {
                pack_columns(logical, packed, n, [k, 1]);
            }
            (PackFormat::F32Panel16, WeightShape::Conv { oc, ic, kh, kw, groups }) if ic * kh * kw > 0 && oc > 0 => {
                let (columns, k) = (oc / groups, ic * kh * kw);
                let to = packed.chunks_exact_mut(columns.div_ceil(PANEL) * PANEL * k);
                for (from, to) in logical.chunks_exact(columns * k).zip(to) {
                    pack_columns(from, to, columns, [ic, kh * kw]);
                }
            }
            _ => {
                packed.fill(0.0);
                self.each(shape, |from, to| packed[to] = logical[from]);
            }
        }
        Ok(())
    }

    /// Recovers the logical weights bit by bit.
    ///
    /// # Errors
    /// [`KernelError::Buffer`] where a length is not exactly the shape's.
    pub fn unpack(self, shape: &WeightShape, packed: &[f32], logical: &mut [f32]) -> Result<(), KernelError> {
        self.check(shape, logical.len(), packed.len())?;
        self.check_f32()?;
        self.each(shape, |to, from| logical[to] = packed[from]);
        Ok(())
    }

    fn check_f32(self) -> Result<(), KernelError> {
        match self.dtype() {
            DType::F32 => Ok(()),
            _ => Err(KernelError::Buffer { what: "weights", problem: format!("{} holds no f32", self.name()) }),
        }
    }

    fn check(self, shape: &WeightShape, logical: usize, packed: usize) -> Result<(), KernelError> {
        let fail = |what, problem| Err(KernelError::Buffer { what, problem });
        let Some(wanted) = self.packed_len(shape) else {
            return fail("weights", format!("{} cannot hold {shape:?}", self.name()));
        };
        if packed != wanted {
            return fail("packed weights", format!("{packed} elements, expected {wanted}"));
        }
        if Some(logical) != shape.len() {
            return fail("weights", format!("{logical} elements, expected {:?}", shape.len()));
        }
        Ok(())
    }

    /// Calls `visit(logical index, packed index)` for every element, in packed order.
    fn each(self, shape: &WeightShape, mut visit: impl FnMut(usize, usize)) {
        let Some((groups, k, n)) = shape.matrices() else { return };
        match self {
            PackFormat::F32Panel16 => {
                let group_len = n.div_ceil(PANEL) * PANEL * k.max(1);
                for g in 0..groups {
                    for panel in 0..n.div_ceil(PANEL) {
                        for row in 0..k {
                            for col in panel * PANEL..((panel + 1) * PANEL).min(n) {
                                let to = g * group_len + (panel * k + row) * PANEL + col % PANEL;
                                visit(shape.at(g, row, col), to);
                            }
                        }
                    }
                }
            }
            PackFormat::F32TapsChannels => {
                for tap in 0..k {
                    for g in 0..groups {
                        visit(g * k + tap, tap * groups + g);
                    }
                }
            }
            PackFormat::U8Quad16 | PackFormat::I8Quad16 => {
                let depth = k.div_ceil(QUAD);
                for col in 0..n {
                    for row in 0..k {
                        let quad = (col / PANEL * depth + row / QUAD) * PANEL + col % PANEL;
                        visit(shape.at(0, row, col), quad * QUAD + row % QUAD);
                    }
                }
            }
        }
    }
}

/// Elements of k that lie together in the formats of bytes.
const QUAD: usize = 4;

/// Groups of [`QUAD`] elements of k, at least one.
fn quads(k: usize) -> usize {
    k.max(1).div_ceil(QUAD)
}

/// Rows packed before the next panel: what they read stays in the second-level cache.
const ROWS: usize = 32;

/// Panels of a row-major matrix of `k` × `n`.
fn pack_rows(logical: &[f32], packed: &mut [f32], k: usize, n: usize) {
    for from in (0..k).step_by(ROWS) {
        let rows = from..(from + ROWS).min(k);
        for (panel, to) in packed.chunks_exact_mut(k * PANEL).enumerate() {
            let columns = panel * PANEL..((panel + 1) * PANEL).min(n);
            let lines = logical[rows.start * n..rows.end * n].chunks_exact(n);
            for (line, slot) in lines.zip(to[rows.start * PANEL..rows.end * PANEL].as_chunks_mut::<PANEL>().0) {
                let (used, rest) = slot.split_at_mut(columns.len());
                used.copy_from_slice(&line[columns.clone()]);
                rest.fill(0.0);
            }
        }
    }
}

/// Panels of `n` columns that lie one after the other, each as `[slow][fast]`; its row in a panel is `fast` first.
fn pack_columns(logical: &[f32], packed: &mut [f32], n: usize, [slow, fast]: [usize; 2]) {
    let k = slow * fast;
    for (panel, to) in packed.chunks_exact_mut(k * PANEL).enumerate() {
        let first = panel * PANEL;
        let count = (n - first).min(PANEL);
        // Columns behind the last repeat it and are zeroed below, so that the inner loop has one length.
        let columns: [&[f32]; PANEL] =
            std::array::from_fn(|i| &logical[(first + i.min(count - 1)) * k..(first + i.min(count - 1) + 1) * k]);
        let (rows, _) = to.as_chunks_mut::<PANEL>();
        for s in 0..slow {
            for f in 0..fast {
                let slot = &mut rows[f * slow + s];
                for (value, column) in slot.iter_mut().zip(&columns) {
                    *value = column[s * fast + f];
                }
            }
        }
        if count < PANEL {
            rows.iter_mut().for_each(|r| r[count..].fill(0.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpack_is_the_inverse_of_pack() {
        let shapes = [
            WeightShape::Matrix { k: 5, n: 37, transposed: false },
            WeightShape::Matrix { k: 16, n: 16, transposed: true },
            WeightShape::Matrix { k: 1, n: 1, transposed: false },
            WeightShape::Matrix { k: 0, n: 3, transposed: false },
            WeightShape::Conv { oc: 12, ic: 3, kh: 3, kw: 2, groups: 2 },
            WeightShape::Conv { oc: 7, ic: 1, kh: 3, kw: 3, groups: 7 },
            WeightShape::ConvTransposed { c: 6, oc: 5, kh: 2, kw: 3, groups: 3 },
        ];
        for shape in shapes {
            let logical: Vec<f32> = (0..shape.len().unwrap()).map(|i| f32::from_bits(0x7f80_0000 + i as u32)).collect();
            for format in PackFormat::ALL {
                let Some(len) = format.packed_len(&shape) else { continue };
                if format.dtype() != DType::F32 {
                    let logical: Vec<u8> = (0..shape.len().unwrap()).map(|i| (i * 37) as u8).collect();
                    let (mut packed, mut back) = (vec![1; len], vec![0; logical.len()]);
                    format.pack_bytes(&shape, &logical, &mut packed).unwrap();
                    format.unpack_bytes(&shape, &packed, &mut back).unwrap();
                    assert_eq!(logical, back, "{shape:?} {format:?}");
                    assert!(format.pack_bytes(&shape, &logical, &mut packed[..len - 1]).is_err());
                    assert!(format.pack(&shape, &vec![0.0; logical.len()], &mut vec![0.0; len]).is_err());
                    continue;
                }
                let mut packed = vec![1.0; len];
                format.pack(&shape, &logical, &mut packed).unwrap();
                let mut back = vec![0.0; logical.len()];
                format.unpack(&shape, &packed, &mut back).unwrap();
                assert!(logical.iter().zip(&back).all(|(a, b)| a.to_bits() == b.to_bits()), "{shape:?} {format:?}");
                assert!(format.pack(&shape, &logical, &mut packed[..len - 1]).is_err());
            }
            assert!(PackFormat::F32Panel16.packed_len(&shape).is_some());
        }
        assert_eq!(PackFormat::parse("f32_panel16"), Some(PackFormat::F32Panel16));
    }

    #[test]
    fn shapes_that_cannot_be_are_refused() {
        let bad = WeightShape::Conv { oc: 7, ic: 1, kh: 3, kw: 3, groups: 2 };
        assert_eq!(PackFormat::F32Panel16.packed_len(&bad), None);
        for none in [
            WeightShape::Conv { oc: 7, ic: 1, kh: 3, kw: 3, groups: 0 },
            WeightShape::ConvTransposed { c: 7, oc: 1, kh: 3, kw: 3, groups: 0 },
        ] {
            assert_eq!(PackFormat::F32Panel16.packed_len(&none), None);
        }
        let huge = WeightShape::Matrix { k: usize::MAX, n: 2, transposed: false };
        assert_eq!(PackFormat::F32Panel16.packed_len(&huge), None);
    }
}
