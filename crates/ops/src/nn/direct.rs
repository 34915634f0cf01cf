//! Convolution with few filters to a group (depthwise above all): gathering columns would cost more than multiplying
//! them, so tiles of neighbouring windows are summed straight from the rows of the padded image.

/// Filters of a group from which on [`super::convolution`] packs columns instead.
pub const FEW: usize = 8;
/// Windows of the widest tile: a tile may read this far past the last window of the image.
pub const SLACK: usize = 16;

/// Sums every window of one group of filters.
///
/// `weights` is `[filters, taps]`; window `j` of the run that begins at `starts[r]` reads tap `t` from
/// `image[starts[r] + j + taps[t]]`, for `j < len`. `out` is `[filters, starts, len]` and is overwritten.
///
/// # Panics
/// When a window, or a tile of [`SLACK`] windows, leaves the image.
pub fn convolve(image: &[f64], weights: &[f64], taps: &[usize], starts: &[usize], len: usize, out: &mut [f64]) {
    let windows = starts.len() * len;
    for (pair, to) in weights.chunks(2 * taps.len()).zip(out.chunks_mut(2 * windows)) {
        for (r, &start) in starts.iter().enumerate() {
            let image = &image[start..];
            if pair.len() == taps.len() {
                row(image, pair, taps, &mut to[r * len..][..len]);
            } else {
                let (first, second) = to.split_at_mut(windows);
                let to = [&mut first[r * len..][..len], &mut second[r * len..][..len]];
                rows(image, pair.split_at(taps.len()), taps, to);
            }
        }
    }
}

fn row(image: &[f64], weights: &[f64], taps: &[usize], out: &mut [f64]) {
    for (i, to) in out.chunks_mut(SLACK).enumerate() {
        let image = &image[i * SLACK..];
        match to.len() {
            0..=4 => one::<4>(image, weights, taps, to),
            5..=8 => one::<8>(image, weights, taps, to),
            9..=12 => one::<12>(image, weights, taps, to),
            _ => one::<16>(image, weights, taps, to),
        }
    }
}

fn rows(image: &[f64], weights: (&[f64], &[f64]), taps: &[usize], [first, second]: [&mut [f64]; 2]) {
    for (i, (first, second)) in first.chunks_mut(8).zip(second.chunks_mut(8)).enumerate() {
        let image = &image[i * 8..];
        match first.len() {
            0..=4 => two::<4>(image, weights, taps, [first, second]),
            _ => two::<8>(image, weights, taps, [first, second]),
        }
    }
}

/// `N` windows of one filter, those that fit kept.
fn one<const N: usize>(image: &[f64], weights: &[f64], taps: &[usize], out: &mut [f64]) {
    if let Ok(out) = <&mut [f64; N]>::try_from(&mut *out) {
        return tile(image, weights, taps, out);
    }
    let mut whole = [0.0; N];
    tile(image, weights, taps, &mut whole);
    out.iter_mut().zip(whole).for_each(|(to, x)| *to = x);
}

/// `N` windows of two filters, those that fit kept.
fn two<const N: usize>(image: &[f64], weights: (&[f64], &[f64]), taps: &[usize], [first, second]: [&mut [f64]; 2]) {
    if let (Ok(p), Ok(q)) = (<&mut [f64; N]>::try_from(&mut *first), <&mut [f64; N]>::try_from(&mut *second)) {
        return pair_of_tiles(image, weights, taps, p, q);
    }
    let (mut p, mut q) = ([0.0; N], [0.0; N]);
    pair_of_tiles(image, weights, taps, &mut p, &mut q);
    first.iter_mut().zip(p).for_each(|(to, x)| *to = x);
    second.iter_mut().zip(q).for_each(|(to, x)| *to = x);
}

fn tile<const N: usize>(image: &[f64], weights: &[f64], taps: &[usize], out: &mut [f64; N]) {
    let mut acc = [0.0; N];
    for (&tap, &w) in taps.iter().zip(weights) {
        let x = &image[tap..tap + N];
        for j in 0..N {
            acc[j] += w * x[j];
        }
    }
    *out = acc;
}

fn pair_of_tiles<const N: usize>(
    image: &[f64],
    weights: (&[f64], &[f64]),
    taps: &[usize],
    first: &mut [f64; N],
    second: &mut [f64; N],
) {
    let (mut p, mut q) = ([0.0; N], [0.0; N]);
    for ((&tap, &v), &w) in taps.iter().zip(weights.0).zip(weights.1) {
        let x = &image[tap..tap + N];
        for j in 0..N {
            p[j] += v * x[j];
            q[j] += w * x[j];
        }
    }
    (*first, *second) = (p, q);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_plain_loop() {
        let image = (0..200).map(|i| f64::from(i * 7 % 11) - 5.0).collect::<Vec<_>>();
        let (taps, starts) = ([0usize, 1, 9, 30], [0usize, 40, 90]);
        for (filters, len) in [(1, 1), (1, 7), (1, 16), (1, 35), (2, 3), (3, 8), (5, 21)] {
            let weights = (0..filters * taps.len()).map(|i| i as f64 - 3.0).collect::<Vec<_>>();
            let mut out = vec![0.5; filters * starts.len() * len];
            convolve(&image, &weights, &taps, &starts, len, &mut out);
            for (i, &got) in out.iter().enumerate() {
                let (f, run, j) = (i / len / starts.len(), i / len % starts.len(), i % len);
                let at = |t: usize| weights[f * taps.len() + t] * image[starts[run] + j + taps[t]];
                assert_eq!(got, (0..taps.len()).map(at).sum::<f64>(), "{filters} filters, {len} windows, {i}");
            }
        }
    }
}
