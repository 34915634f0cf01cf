//! Images whose channels are summed at once: those of a pixel lie beside each other, so that a weight is that of all of them.

/// Channels from which on it pays to turn an image.
pub(super) const FEW: usize = 8;

/// An image of singles, pixel by pixel.
pub(super) struct Pixels {
    values: Vec<f32>,
    channels: usize,
}

impl Pixels {
    /// An image that is given channel by channel.
    pub fn of(image: &[f32], channels: usize) -> Pixels {
        let mut values = vec![0f32; image.len()];
        transposed(image, &mut values, [channels, image.len() / channels.max(1)], channels);
        Pixels { values, channels }
    }

    /// The weighted sums of the channels of the pixels that `taps` names.
    pub fn sum(&self, taps: &[(usize, f64)], sums: &mut [f64]) {
        let (fours, rest) = taps.as_chunks::<4>();
        // Four taps, those of a linear mode between pixels, are the usual number. All are added in their order.
        match fours.split_first() {
            Some((first, more)) => {
                self.add_four::<true>(first, sums);
                more.iter().for_each(|four| self.add_four::<false>(four, sums));
            }
            // The sum of no numbers is that of an iterator: zero with its sign.
            None => sums.fill(std::iter::empty::<f64>().sum()),
        }
        for &(at, weight) in rest {
            sums.iter_mut().zip(self.channels_of(at)).for_each(|(sum, &v)| *sum += f64::from(v) * weight);
        }
    }

    fn channels_of(&self, pixel: usize) -> &[f32] {
        &self.values[pixel * self.channels..(pixel + 1) * self.channels]
    }

    /// Adds four taps to `sums`, or begins with them where they are the first.
    #[inline(always)]
    fn add_four<const FIRST: bool>(&self, &[p, q, r, s]: &[(usize, f64); 4], sums: &mut [f64]) {
        let [a, b, c, d] = [p, q, r, s].map(|tap| self.channels_of(tap.0));
        for ((sum, (&a, &b)), (&c, &d)) in sums.iter_mut().zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
            let first = if FIRST { f64::from(a) * p.1 } else { *sum + f64::from(a) * p.1 };
            *sum = first + f64::from(b) * q.1 + f64::from(c) * r.1 + f64::from(d) * s.1;
        }
    }
}

/// Writes `rows` × `columns` elements that follow each other in rows as columns, whose rows lie `stride` apart in `to`.
pub(super) fn transposed<T: Copy>(from: &[T], to: &mut [T], [rows, columns]: [usize; 2], stride: usize) {
    const SIDE: usize = 16;
    for (r, c) in (0..rows).step_by(SIDE).flat_map(|r| (0..columns).step_by(SIDE).map(move |c| (r, c))) {
        for column in c..columns.min(c + SIDE) {
            let end = rows.min(r + SIDE);
            let to = &mut to[column * stride + r..column * stride + end];
            for (to, row) in to.iter_mut().zip(r..end) {
                *to = from[row * columns + column];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_single_channels() {
        let (c, plane) = (19, 35);
        let image = (0..c * plane).map(|i| (i * 37 % 101) as f32 - 50.0).collect::<Vec<_>>();
        let pixels = Pixels::of(&image, c);
        for n in [0, 1, 4, 5, 11] {
            let taps = (0..n).map(|i| (i * 13 % plane, 0.25 * i as f64 - 0.5)).collect::<Vec<_>>();
            let mut sums = vec![7.0; c];
            pixels.sum(&taps, &mut sums);
            for (ch, got) in sums.iter().enumerate() {
                let want = taps.iter().map(|&(i, w)| f64::from(image[ch * plane + i]) * w).sum::<f64>();
                assert_eq!(*got, want, "{n} {ch}");
            }
        }
    }
}
