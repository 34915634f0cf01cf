//! Coefficients as samples, small components made as large as the picture, and their colours.

use super::{Component, Decoder, Picture};

/// Samples of a component, row by row.
struct Plane {
    width: usize,
    height: usize,
    samples: Vec<u8>,
}

/// The pixels of a decoded frame; `None` where a table is missing or sizes have no whole ratio.
pub fn picture(d: &Decoder) -> Option<Picture> {
    let (width, height) = d.size;
    let largest = d.components.iter().fold((1, 1), |m, c| (c.unit.0.max(m.0), c.unit.1.max(m.1)));
    let mut planes = Vec::new();
    for c in &d.components {
        let quants = d.quants.get(c.table)?.as_ref()?;
        planes.push(enlarged(samples(c, quants), (c.unit, largest))?);
    }
    let at = |p: usize, x: usize, y: usize| planes[p].samples[y * planes[p].width + x];
    let ids = d.components.iter().map(|c| c.id).collect::<Vec<_>>();
    // What a file means by three or four components is told by its markers, else by the names of the components.
    let chroma = match (planes.len(), d.jfif, d.adobe) {
        (3, true, _) => true,
        (3, false, Some(transform)) => transform != 0,
        (3, false, None) => ids != *b"RGB",
        (4, _, Some(transform)) => transform == 2,
        _ => false,
    };
    let mut rgb = Vec::with_capacity(3 * width * height);
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let pixel = match planes.len() {
            1 => [at(0, x, y); 3],
            n => {
                let three = [at(0, x, y), at(1, x, y), at(2, x, y)];
                let three = if chroma { colors(three) } else { three };
                match n {
                    3 => three,
                    _ => inked(three, at(3, x, y), d.adobe.is_some(), chroma),
                }
            }
        };
        rgb.extend(pixel);
    }
    Some(Picture { height, width, rgb })
}

/// Red, green and blue of brightness and two differences (ITU-R BT.601, JFIF), in 16 bits after the point.
fn colors([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let half = 1 << 15;
    let red = y + ((91881 * cr + half) >> 16);
    let green = y + ((-22554 * cb - 46802 * cr + half) >> 16);
    let blue = y + ((116130 * cb + half) >> 16);
    [red, green, blue].map(|v| v.clamp(0, 255) as u8)
}

/// Red, green and blue of three inks and black, which Adobe's files hold inverted.
fn inked(inks: [u8; 3], black: u8, inverted: bool, from_chroma: bool) -> [u8; 3] {
    // Of brightness and differences come red, green and blue, the opposites of the inks.
    let inks = if from_chroma { inks.map(|v| 255 - v) } else { inks };
    let turn = |v: u8| u32::from(if inverted { 255 - v } else { v });
    let light = 255 - turn(black);
    inks.map(|v| {
        let product = turn(v) * light + 128;
        (light - ((product + (product >> 8)) >> 8).min(light)) as u8
    })
}

/// The samples of a component, without those that fill its last blocks.
fn samples(c: &Component, quants: &[u16; 64]) -> Plane {
    let (width, height) = c.size;
    let mut samples = vec![0; width * height];
    for (i, block) in c.blocks.iter().enumerate() {
        let (x, y) = (8 * (i % c.stored.0), 8 * (i / c.stored.0));
        if x >= width || y >= height {
            continue;
        }
        let pixels = inverse(std::array::from_fn(|k| i32::from(block[k]) * i32::from(quants[k])));
        let across = (width - x).min(8);
        for (row, line) in pixels.chunks_exact(8).zip(samples.chunks_exact_mut(width).skip(y)) {
            line[x..x + across].copy_from_slice(&row[..across]);
        }
    }
    Plane { width, height, samples }
}

/// A number in 13 bits after the point.
const fn fixed(x: f64) -> i32 {
    (x * 8192.0 + 0.5) as i32
}

/// The inverse cosine transform after Loeffler, Ligtenberg and Moschytz, columns first, rounded as libjpeg's exact one.
fn inverse(coefficients: [i32; 64]) -> [u8; 64] {
    let mut middle = [0; 64];
    for x in 0..8 {
        let column = line(std::array::from_fn(|y| coefficients[8 * y + x]));
        (0..8).for_each(|y| middle[8 * y + x] = rounded(column[y], 11));
    }
    let mut out = [0; 64];
    for (to, from) in out.chunks_exact_mut(8).zip(middle.chunks_exact(8)) {
        let row = line(std::array::from_fn(|x| from[x]));
        to.iter_mut().zip(row).for_each(|(to, v)| *to = rounded(v, 18).saturating_add(128).clamp(0, 255) as u8);
    }
    out
}

fn rounded(x: i32, bits: u32) -> i32 {
    x.wrapping_add(1 << (bits - 1)) >> bits
}

/// Eight points, scaled by 2¹³ · √8.
fn line(x: [i32; 8]) -> [i32; 8] {
    let times = |x: i32, factor: f64| x.wrapping_mul(fixed(factor));
    let sum = |a: i32, b: i32| a.wrapping_add(b);
    let turned = times(sum(x[2], x[6]), 0.541196100);
    let (low, high) = (turned.wrapping_sub(times(x[6], 1.847759065)), sum(turned, times(x[2], 0.765366865)));
    let (plus, minus) = (sum(x[0], x[4]).wrapping_shl(13), x[0].wrapping_sub(x[4]).wrapping_shl(13));
    let even = [sum(plus, high), sum(minus, low), minus.wrapping_sub(low), plus.wrapping_sub(high)];
    let all = times(sum(sum(x[7], x[3]), sum(x[5], x[1])), 1.175875602);
    let (a, b) = (times(sum(x[7], x[1]), 0.899976223), times(sum(x[5], x[3]), 2.562915447));
    let c = all.wrapping_sub(times(sum(x[7], x[3]), 1.961570560));
    let d = all.wrapping_sub(times(sum(x[5], x[1]), 0.390180644));
    let odd = [
        sum(times(x[1], 1.501321110).wrapping_sub(a), d),
        sum(times(x[3], 3.072711026).wrapping_sub(b), c),
        sum(times(x[5], 2.053119869).wrapping_sub(b), d),
        sum(times(x[7], 0.298631336).wrapping_sub(a), c),
    ];
    std::array::from_fn(|i| match i {
        0..=3 => sum(even[i], odd[i]),
        _ => even[7 - i].wrapping_sub(odd[7 - i]),
    })
}

/// A plane as large as the picture. By a factor of two samples are interpolated, centres of new ones a quarter away from the old;
/// halves are rounded down and up in turns, as the operator's specification has it. Other factors repeat.
fn enlarged(plane: Plane, (unit, largest): ((usize, usize), (usize, usize))) -> Option<Plane> {
    if largest.0 % unit.0 != 0 || largest.1 % unit.1 != 0 {
        return None;
    }
    let smooth = plane.width > 2;
    Some(match (largest.0 / unit.0, largest.1 / unit.1) {
        (1, 1) => plane,
        (2, 1) if smooth => wider(&plane),
        (1, 2) => taller(&plane),
        (2, 2) if smooth => doubled(&plane),
        (h, v) => {
            let (width, height) = (h * plane.width, v * plane.height);
            let at = |i: usize| plane.samples[i / width / v * plane.width + i % width / h];
            Plane { width, height, samples: (0..width * height).map(at).collect() }
        }
    })
}

fn wider(p: &Plane) -> Plane {
    let mut samples = Vec::with_capacity(2 * p.samples.len());
    for row in p.samples.chunks_exact(p.width) {
        for (x, &v) in row.iter().enumerate() {
            let near =
                |x: Option<&u8>, half: u32| x.map_or(v, |&n| ((3 * u32::from(v) + u32::from(n) + half) >> 2) as u8);
            samples.push(near(x.checked_sub(1).map(|x| &row[x]), 1));
            samples.push(near(row.get(x + 1), 2));
        }
    }
    Plane { width: 2 * p.width, height: p.height, samples }
}

/// For each row of a plane twice as tall, that of the old row and of its neighbour, which at an edge is the row itself.
fn neighbours(height: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..2 * height).map(move |y| {
        let own = y / 2;
        (own, if y % 2 == 0 { own.saturating_sub(1) } else { (own + 1).min(height - 1) })
    })
}

fn taller(p: &Plane) -> Plane {
    let row = |y: usize| &p.samples[y * p.width..][..p.width];
    let mut samples = Vec::with_capacity(2 * p.samples.len());
    for (half, (own, other)) in [1, 2].into_iter().cycle().zip(neighbours(p.height)) {
        let pairs = row(own).iter().zip(row(other));
        samples.extend(pairs.map(|(&a, &b)| ((3 * u32::from(a) + u32::from(b) + half) >> 2) as u8));
    }
    Plane { width: p.width, height: 2 * p.height, samples }
}

fn doubled(p: &Plane) -> Plane {
    let row = |y: usize| &p.samples[y * p.width..][..p.width];
    let mut samples = Vec::with_capacity(4 * p.samples.len());
    for (own, other) in neighbours(p.height) {
        let sums = row(own).iter().zip(row(other)).map(|(&a, &b)| 3 * u32::from(a) + u32::from(b)).collect::<Vec<_>>();
        for (x, &v) in sums.iter().enumerate() {
            let near = |x: Option<&u32>, half: u32| ((3 * v + x.unwrap_or(&v) + half) >> 4) as u8;
            samples.push(near(x.checked_sub(1).map(|x| &sums[x]), 8));
            samples.push(near(sums.get(x + 1), 7));
        }
    }
    Plane { width: 2 * p.width, height: 2 * p.height, samples }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_the_cosine_sum() {
        let mut seed = 1u32;
        for _ in 0..50 {
            let coefficients: [i32; 64] = std::array::from_fn(|_| {
                seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                (seed >> 25) as i32 - 64
            });
            let scale = |k: usize| if k == 0 { 0.5f64.sqrt() } else { 1.0 };
            let wave =
                |k: usize, x: usize| scale(k) * ((2 * x + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos();
            for (i, &got) in inverse(coefficients).iter().enumerate() {
                let terms = (0..64).map(|k| f64::from(coefficients[k]) * wave(k % 8, i % 8) * wave(k / 8, i / 8));
                let want = (terms.sum::<f64>() / 4.0 + 128.0).clamp(0.0, 255.0);
                assert!((want - f64::from(got)).abs() < 1.0, "{want} {got}");
            }
        }
    }

    #[test]
    fn planes_grow_by_the_rule_of_the_specification() {
        let p = Plane { width: 3, height: 1, samples: vec![10, 20, 41] };
        assert_eq!(wider(&p).samples, [10, 13, 17, 25, 36, 41]);
        let tall = Plane { width: 1, height: 3, samples: vec![10, 20, 41] };
        assert_eq!(taller(&tall).samples, [10, 13, 17, 25, 36, 41]);
        assert_eq!(doubled(&p).samples[..6], [10, 12, 18, 25, 36, 41]);
    }
}
