//! JPEG (ITU-T T.81) as the operator wants it: baseline and progressive, Huffman codes, 8 bits a sample.
//!
//! The specification of ImageDecoder names the way chroma is made as large as luma, by which decoders differ: that of
//! libjpeg-turbo. Here the inverse cosine transform and the change of colours are in whole numbers as there, too, so that pixels
//! are the same. Arithmetic codes, lossless and 12-bit frames are not read: the last two are optional.

mod entropy;
mod pixels;

use super::Picture;
use entropy::{Codes, Scan};

/// What a frame says of one colour.
#[derive(Clone, Debug)]
struct Component {
    id: u8,
    /// Blocks in a unit of the frame, across and down.
    unit: (usize, usize),
    table: usize,
    /// Samples across and down.
    size: (usize, usize),
    /// Blocks that are stored, across and down: whole units of the frame.
    stored: (usize, usize),
    blocks: Vec<[i16; 64]>,
}

/// The frame of a picture and the tables that hold when its scans come.
#[derive(Default)]
struct Decoder {
    quants: [Option<[u16; 64]>; 4],
    dc: [Option<Codes>; 4],
    ac: [Option<Codes>; 4],
    restart: usize,
    jfif: bool,
    /// The transform that Adobe's marker names.
    adobe: Option<u8>,
    progressive: bool,
    size: (usize, usize),
    components: Vec<Component>,
}

/// Where the coefficient of each place in a stream lies in a block.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// The picture of a JPEG stream of at most `pixels` pixels; `None` where it is damaged, cut short or of a kind that is not read.
pub fn decode(stream: &[u8], pixels: u64) -> Option<Picture> {
    let mut decoder = Decoder::default();
    let mut rest = stream.strip_prefix(b"\xff\xd8")?;
    let mut scans = 0;
    loop {
        // Bytes before a marker are filling; it may be longer than needed.
        let start = rest.windows(2).position(|w| w[0] == 0xff && !matches!(w[1], 0 | 0xff))?;
        let marker = rest[start + 1];
        rest = &rest[start + 2..];
        if marker == 0xd9 {
            break;
        }
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        let len = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        let body = rest.get(2..len)?;
        rest = &rest[len..];
        if marker == 0xda {
            rest = decoder.scan(body, rest)?;
            scans += 1;
            // The end may be missing where everything is there.
            if !rest.contains(&0xff) {
                break;
            }
        } else {
            decoder.segment(marker, body, pixels)?;
        }
    }
    if scans == 0 { None } else { pixels::picture(&decoder) }
}

impl Decoder {
    fn segment(&mut self, marker: u8, body: &[u8], pixels: u64) -> Option<()> {
        match marker {
            0xc0..=0xc2 => self.frame(marker == 0xc2, body, pixels),
            0xc4 => self.codes(body),
            // Other frames: lossless, hierarchical, arithmetic codes.
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcf => None,
            0xdb => self.quantizers(body),
            0xdd => {
                self.restart = usize::from(u16::from_be_bytes(*body.first_chunk()?));
                Some(())
            }
            0xe0 => {
                self.jfif |= body.starts_with(b"JFIF\0");
                Some(())
            }
            0xee => {
                if body.starts_with(b"Adobe") {
                    self.adobe = body.get(11).copied();
                }
                Some(())
            }
            _ => Some(()),
        }
    }

    fn quantizers(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = body.split_first() {
            let wide = head >> 4 != 0;
            let len = if wide { 128 } else { 64 };
            let mut table = [0; 64];
            for (i, &at) in ZIGZAG.iter().enumerate() {
                table[usize::from(at)] = match wide {
                    true => u16::from_be_bytes([*rest.get(2 * i)?, *rest.get(2 * i + 1)?]),
                    false => u16::from(*rest.get(i)?),
                };
            }
            *self.quants.get_mut(usize::from(head & 15))? = Some(table);
            body = rest.get(len..)?;
        }
        Some(())
    }

    fn codes(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = body.split_first() {
            let lengths = rest.first_chunk::<16>()?;
            let count = lengths.iter().map(|&n| usize::from(n)).sum::<usize>();
            let codes = Codes::new(lengths, rest.get(16..16 + count)?)?;
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *tables.get_mut(usize::from(head & 15))? = Some(codes);
            body = rest.get(16 + count..)?;
        }
        Some(())
    }

    fn frame(&mut self, progressive: bool, body: &[u8], pixels: u64) -> Option<()> {
        let &[bits, h0, h1, w0, w1, count] = body.first_chunk::<6>()?;
        let (width, height) = (u16::from_be_bytes([w0, w1]), u16::from_be_bytes([h0, h1]));
        let fits = width > 0 && height > 0 && u64::from(width) * u64::from(height) <= pixels;
        if !self.components.is_empty() || bits != 8 || !fits || !matches!(count, 1 | 3 | 4) {
            return None;
        }
        (self.progressive, self.size) = (progressive, (usize::from(width), usize::from(height)));
        let described = body.get(6..6 + 3 * usize::from(count))?.as_chunks::<3>().0;
        let units = described.iter().map(|c| (usize::from(c[1] >> 4), usize::from(c[1] & 15))).collect::<Vec<_>>();
        if units.iter().any(|u| !(1..=4).contains(&u.0) || !(1..=4).contains(&u.1)) {
            return None;
        }
        let (across, down) = (units.iter().map(|u| u.0).max()?, units.iter().map(|u| u.1).max()?);
        let frames = (self.size.0.div_ceil(8 * across), self.size.1.div_ceil(8 * down));
        for (&[id, _, table], &unit) in described.iter().zip(&units) {
            let size = ((self.size.0 * unit.0).div_ceil(across), (self.size.1 * unit.1).div_ceil(down));
            let stored = (frames.0 * unit.0, frames.1 * unit.1);
            let blocks = vec![[0; 64]; stored.0 * stored.1];
            self.components.push(Component { id, unit, table: usize::from(table), size, stored, blocks });
        }
        Some(())
    }

    /// Reads a scan; what follows its bits.
    fn scan<'s>(&mut self, head: &[u8], bits: &'s [u8]) -> Option<&'s [u8]> {
        let count = usize::from(*head.first()?);
        let mut parts = Vec::new();
        for &[id, tables] in head.get(1..1 + 2 * count)?.as_chunks::<2>().0 {
            let c = self.components.iter().position(|c| c.id == id)?;
            parts.push((c, usize::from(tables >> 4), usize::from(tables & 15)));
        }
        let &[from, to, steps] = head.get(1 + 2 * count..)?.first_chunk()?;
        let scan = match self.progressive {
            true => Scan { band: (from.into(), to.into()), high: steps >> 4, low: steps & 15, progressive: true },
            false => Scan { band: (0, 63), high: 0, low: 0, progressive: false },
        };
        let fits = scan.band.0 <= scan.band.1 && scan.band.1 < 64 && scan.low < 14;
        let one_kind = !self.progressive || (scan.band.0 == 0) == (scan.band.1 == 0);
        if parts.is_empty() || parts.len() > 4 || !fits || !one_kind || (scan.band.0 > 0 && parts.len() > 1) {
            return None;
        }
        entropy::read(self, &scan, &parts, bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_streams_are_pictures_or_none_and_never_a_panic() {
        for stream in [&include_bytes!("small.jpg")[..], include_bytes!("progressive.jpg")] {
            assert!(decode(stream, 4096).is_some());
            assert_eq!(decode(stream, 10), None, "too large");
            for at in 0..stream.len() {
                let _ = decode(&stream[..at], 4096);
                for bit in [0x01, 0x10, 0x80, 0xff] {
                    let mut bad = stream.to_vec();
                    bad[at] ^= bit;
                    if let Some(p) = decode(&bad, 4096) {
                        assert_eq!(p.rgb.len(), 3 * p.height * p.width);
                    }
                }
            }
        }
    }
}
