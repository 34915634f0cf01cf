//! The bits of scans as coefficients of blocks.

use super::{Decoder, ZIGZAG};

/// A table of Huffman codes: values in the order of their codes, and where the codes of each length begin.
pub struct Codes {
    values: Vec<u8>,
    /// By length: the first code, the number of codes, and the place of the first value.
    lengths: [(u32, u32, usize); 17],
}

impl Codes {
    /// A table of as many codes of each length, from 1 bit on, as `counts` says; `None` where there are no such codes.
    pub fn new(counts: &[u8; 16], values: &[u8]) -> Option<Codes> {
        let (mut code, mut at) = (0u32, 0);
        let mut lengths = [(0, 0, 0); 17];
        for (len, &n) in (1..).zip(counts) {
            lengths[len] = (code, u32::from(n), at);
            code += u32::from(n);
            at += usize::from(n);
            if code > 1 << len {
                return None;
            }
            code <<= 1;
        }
        Some(Codes { values: values.to_vec(), lengths })
    }
}

/// What a scan adds to the coefficients.
pub struct Scan {
    /// First and last coefficient, in the order of the stream.
    pub band: (usize, usize),
    /// Bits that earlier scans left out, 0 in the first scan of a band.
    pub high: u8,
    /// Bits that this one leaves out.
    pub low: u8,
    /// Whether the frame is progressive.
    pub progressive: bool,
}

/// Bits of a scan, up to a marker.
struct Bits<'s> {
    rest: &'s [u8],
    held: u32,
    count: u32,
}

impl<'s> Bits<'s> {
    fn bit(&mut self) -> Option<u32> {
        if self.count == 0 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            if byte == 0xff {
                // A zero behind says that this is no marker.
                self.rest = rest.strip_prefix(b"\0")?;
            }
            (self.held, self.count) = (byte.into(), 8);
        }
        self.count -= 1;
        Some(self.held >> self.count & 1)
    }

    fn number(&mut self, bits: u8) -> Option<i32> {
        (0..bits).try_fold(0, |n, _| Some(n << 1 | self.bit()? as i32))
    }

    /// A number of so many bits, of which those without the highest stand for negative ones.
    fn signed(&mut self, bits: u8) -> Option<i32> {
        let n = self.number(bits)?;
        Some(if bits > 0 && n < 1 << (bits - 1) { n - (1 << bits) + 1 } else { n })
    }

    fn value(&mut self, codes: &Codes) -> Option<u8> {
        let mut code = 0;
        for &(first, count, at) in &codes.lengths[1..] {
            code = code << 1 | self.bit()?;
            if let Some(n) = code.checked_sub(first).filter(|n| *n < count) {
                return codes.values.get(at + n as usize).copied();
            }
        }
        None
    }

    /// Leaves the bits of a byte and the marker behind it.
    fn restart(&mut self) -> Option<()> {
        self.count = 0;
        // A marker may have more than one of its first bytes.
        while let Some(rest) = self.rest.strip_prefix(b"\xff").filter(|r| r.starts_with(b"\xff")) {
            self.rest = rest;
        }
        let &[ff, marker] = self.rest.first_chunk::<2>()?;
        self.rest = &self.rest[2..];
        (ff == 0xff && (0xd0..=0xd7).contains(&marker)).then_some(())
    }
}

/// What one block of a scan leaves to the next.
#[derive(Default)]
struct Memory {
    /// The last constant part of each component.
    dc: [i32; 4],
    /// Blocks that have no more coefficients in this band.
    ended: u32,
}

/// Reads a scan of `parts` (component, tables of constant and of other parts); what follows its bits.
pub fn read<'s>(d: &mut Decoder, scan: &Scan, parts: &[(usize, usize, usize)], bits: &'s [u8]) -> Option<&'s [u8]> {
    let mut bits = Bits { rest: bits, held: 0, count: 0 };
    let mut memory = Memory::default();
    let alone = parts.len() == 1;
    let first = &d.components[parts[0].0];
    // A component alone has no blocks beyond its own samples; several have whole units.
    let (across, down) = match alone {
        true => (first.size.0.div_ceil(8), first.size.1.div_ceil(8)),
        false => (first.stored.0 / first.unit.0, first.stored.1 / first.unit.1),
    };
    for unit in 0..across * down {
        if d.restart > 0 && unit > 0 && unit % d.restart == 0 {
            bits.restart()?;
            memory = Memory::default();
        }
        let (x, y) = (unit % across, unit / across);
        for &(c, dc, ac) in parts {
            let component = &mut d.components[c];
            let (wide, high) = if alone { (1, 1) } else { component.unit };
            for (v, h) in (0..high).flat_map(|v| (0..wide).map(move |h| (v, h))) {
                let at = (y * high + v) * component.stored.0 + x * wide + h;
                let block = component.blocks.get_mut(at)?;
                let tables = (d.dc.get(dc)?.as_ref(), d.ac.get(ac)?.as_ref());
                add(&mut bits, scan, tables, (&mut memory, c), block)?;
            }
        }
    }
    Some(bits.rest)
}

/// Adds to a block what the scan has for it.
fn add(
    bits: &mut Bits,
    scan: &Scan,
    (dc, ac): (Option<&Codes>, Option<&Codes>),
    (memory, component): (&mut Memory, usize),
    block: &mut [i16; 64],
) -> Option<()> {
    let (mut from, to) = scan.band;
    if from == 0 {
        if scan.high == 0 {
            let len = bits.value(dc?)?;
            let last = &mut memory.dc[component];
            *last = last.wrapping_add(bits.signed(len.min(16))?);
            block[0] = (*last << scan.low) as i16;
        } else if bits.bit()? == 1 {
            block[0] |= 1 << scan.low;
        }
        from = 1;
    }
    if from > to {
        return Some(());
    }
    match scan.high {
        0 => first(bits, scan, (from, to), ac?, memory, block),
        _ => refine(bits, scan, (from, to), ac?, memory, block),
    }
}

/// The coefficients of a band for the first time.
fn first(
    bits: &mut Bits,
    scan: &Scan,
    (from, to): (usize, usize),
    codes: &Codes,
    memory: &mut Memory,
    block: &mut [i16; 64],
) -> Option<()> {
    if memory.ended > 0 {
        memory.ended -= 1;
        return Some(());
    }
    let mut k = from;
    while k <= to {
        let value = bits.value(codes)?;
        let (run, len) = (usize::from(value >> 4), value & 15);
        match (run, len) {
            (15, 0) => k += 16,
            (run, 0) => {
                if scan.progressive {
                    memory.ended = (1 << run) - 1 + bits.number(run as u8)? as u32;
                }
                return Some(());
            }
            (run, len) => {
                k += run;
                let value = bits.signed(len)? << scan.low;
                *block.get_mut(usize::from(*ZIGZAG.get(k)?))? = value as i16;
                k += 1;
            }
        }
    }
    Some(())
}

/// One more bit of the coefficients of a band.
fn refine(
    bits: &mut Bits,
    scan: &Scan,
    (from, to): (usize, usize),
    codes: &Codes,
    memory: &mut Memory,
    block: &mut [i16; 64],
) -> Option<()> {
    let step = 1i16 << scan.low;
    let mut k = from;
    while memory.ended == 0 && k <= to {
        let value = bits.value(codes)?;
        let (mut run, len) = (value >> 4, value & 15);
        let mut new = 0;
        if len > 0 {
            new = if bits.bit()? == 1 { step } else { -step };
        } else if run < 15 {
            memory.ended = (1 << run) + bits.number(run)? as u32;
            break;
        }
        // `run` coefficients that are still zero are passed by; those that are not get their bit.
        while k <= to {
            let place = &mut block[usize::from(ZIGZAG[k])];
            k += 1;
            if *place != 0 {
                correct(bits, place, step)?;
            } else if run == 0 {
                *place = new;
                break;
            } else {
                run -= 1;
            }
        }
    }
    if memory.ended > 0 {
        for &at in &ZIGZAG[k..=to] {
            let place = &mut block[usize::from(at)];
            if *place != 0 {
                correct(bits, place, step)?;
            }
        }
        memory.ended -= 1;
    }
    Some(())
}

fn correct(bits: &mut Bits, place: &mut i16, step: i16) -> Option<()> {
    if bits.bit()? == 1 && *place & step == 0 {
        *place = place.wrapping_add(if *place >= 0 { step } else { -step });
    }
    Some(())
}
