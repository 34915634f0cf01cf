//! The head of a file: counts, metadata, table of tensors.

use super::types::{ARRAY, BOOL, TEXT, meta_dtype};
use super::{ALIGNMENT, DEFAULT_ALIGNMENT, MAGIC};
use crate::range::wide;
use modelsmith_base::{Cursor, DType, OutOfBytes};
use modelsmith_format::{Error, MetaKind, MetaValue, Result};
use std::collections::HashSet;

/// Arrays in arrays.
const DEPTH: usize = 8;
/// Values in all arrays of metadata together; the largest vocabularies have a few millions.
const VALUES: u64 = 1 << 25;

/// What the head says.
pub(super) struct Head {
    pub big: bool,
    pub meta: Vec<(String, MetaValue)>,
    pub tensors: Vec<Info>,
    /// Offset of the payload in the file.
    pub start: u64,
    /// Tensors begin at multiples of it.
    pub alignment: u64,
}

/// A row of the table of tensors.
pub(super) struct Info {
    pub name: String,
    /// Outermost first, the other way round than in the file.
    pub shape: Vec<u64>,
    pub kind: u32,
    /// From the start of the payload.
    pub offset: u64,
    /// Where the row is in the file.
    pub at: u64,
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    big: bool,
    /// Version 1 counts in 32 bits.
    narrow: bool,
    values: u64,
}

fn cut(e: OutOfBytes) -> Error {
    let message = format!("{} bytes are wanted, {} are left", e.wanted, e.left);
    Error::damaged(message).at_offset(e.offset).help("the file is cut off or damaged; get it again")
}

/// Reads the head in `bytes`, which begin the file.
pub(super) fn parse(bytes: &[u8]) -> Result<Head> {
    let mut r = Reader { cursor: Cursor::new(bytes, 0), big: false, narrow: false, values: 0 };
    if r.cursor.take(4).map_err(cut)? != MAGIC {
        return Err(Error::damaged("the file does not start with `GGUF`").at_offset(0));
    }
    let version = r.cursor.u32().map_err(cut)?;
    r.big = version & 0xffff == 0;
    let version = if r.big { version.swap_bytes() } else { version };
    if !(1..=3).contains(&version) {
        return Err(Error::unsupported(format!("version {version}; versions 1 to 3 are read")).at_offset(4));
    }
    r.narrow = version == 1;
    let (tensors, pairs) = (r.count(16)?, r.count(8)?);
    let mut head = Head { big: r.big, meta: Vec::new(), tensors: Vec::new(), start: 0, alignment: DEFAULT_ALIGNMENT };
    let mut seen = HashSet::new();
    for _ in 0..pairs {
        let at = r.cursor.offset();
        let (key, kind) = (r.name()?, r.u32()?);
        let value = r.value(kind, 0).map_err(|e| e.at_offset(at))?;
        if !seen.insert(key.clone()) {
            return Err(Error::damaged(format!("the key `{key}` occurs twice")).at_offset(at));
        }
        if key == ALIGNMENT {
            head.alignment = alignment(&value).map_err(|e| e.at_offset(at))?;
        }
        head.meta.push((key, value));
    }
    seen.clear();
    for _ in 0..tensors {
        let info = r.info()?;
        if !seen.insert(info.name.clone()) {
            return Err(Error::damaged("two tensors have this name").in_tensor(&info.name).at_offset(info.at));
        }
        head.tensors.push(info);
    }
    head.start = r.cursor.offset().next_multiple_of(head.alignment);
    Ok(head)
}

fn alignment(value: &MetaValue) -> Result<u64> {
    let found = match value {
        MetaValue::Int { value, .. } => u64::try_from(*value).ok().filter(|n| n.is_power_of_two() && *n <= 1 << 30),
        _ => None,
    };
    found.ok_or_else(|| Error::damaged(format!("{ALIGNMENT} is {}, a power of two is wanted", value.text())))
}

impl Reader<'_> {
    fn u32(&mut self) -> Result<u32> {
        let n = self.cursor.u32().map_err(cut)?;
        Ok(if self.big { n.swap_bytes() } else { n })
    }

    fn u64(&mut self) -> Result<u64> {
        let n = self.cursor.u64().map_err(cut)?;
        Ok(if self.big { n.swap_bytes() } else { n })
    }

    /// A length or dimension.
    fn length(&mut self) -> Result<u64> {
        if self.narrow { self.u32().map(u64::from) } else { self.u64() }
    }

    /// A number of things of at least `each` bytes, which must fit what is left.
    fn count(&mut self, each: u64) -> Result<u64> {
        let at = self.cursor.offset();
        let (n, left) = (self.length()?, wide(self.cursor.left()));
        if n.checked_mul(each).is_none_or(|bytes| bytes > left) {
            let message = format!("{n} entries of at least {each} bytes are announced, {left} bytes are left");
            return Err(Error::damaged(message).at_offset(at).help("the file is cut off or damaged; get it again"));
        }
        Ok(n)
    }

    fn text(&mut self) -> Result<&[u8]> {
        let n = self.count(1)?;
        self.cursor.take(usize::try_from(n).unwrap_or(usize::MAX)).map_err(cut)
    }

    fn name(&mut self) -> Result<String> {
        self.text().map(|t| String::from_utf8_lossy(t).into_owned())
    }

    fn string(&mut self) -> Result<MetaValue> {
        let found = self.text()?;
        Ok(match std::str::from_utf8(found) {
            Ok(text) => MetaValue::Text(text.to_owned()),
            Err(_) => MetaValue::Bytes(found.to_vec()),
        })
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<MetaValue> {
        match (kind, meta_dtype(kind)) {
            (_, Some(dtype)) => self.number(dtype),
            (BOOL, _) => Ok(MetaValue::Bool(self.cursor.u8().map_err(cut)? != 0)),
            (TEXT, _) => self.string(),
            (ARRAY, _) if depth < DEPTH => self.array(depth),
            (ARRAY, _) => Err(Error::unsupported(format!("arrays more than {DEPTH} deep"))),
            _ => Err(Error::damaged(format!("metadata of the unknown type {kind}"))),
        }
    }

    fn number(&mut self, dtype: DType) -> Result<MetaValue> {
        let bytes = self.cursor.take(dtype.bits() / 8).map_err(cut)?;
        let raw = match self.big {
            true => bytes.iter().fold(0u64, |n, &b| n << 8 | u64::from(b)),
            false => bytes.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b)),
        };
        Ok(match dtype {
            DType::F32 => {
                let bits = u32::try_from(raw).unwrap_or(0);
                MetaValue::Float { dtype, value: f64::from(f32::from_bits(bits)) }
            }
            DType::F64 => MetaValue::Float { dtype, value: f64::from_bits(raw) },
            _ => {
                let (low, high) = dtype.int_range().unwrap_or((0, 0));
                let value = i128::from(raw);
                let span = high.saturating_sub(low).saturating_add(1);
                MetaValue::Int { dtype, value: if value > high { value.saturating_sub(span) } else { value } }
            }
        })
    }

    fn array(&mut self, depth: usize) -> Result<MetaValue> {
        let kind = self.u32()?;
        let (of, each) = match (kind, meta_dtype(kind)) {
            (_, Some(dtype)) => (MetaKind::Number(dtype), wide(dtype.bits() / 8)),
            (BOOL, _) => (MetaKind::Bool, 1),
            (TEXT, _) => (MetaKind::Text, 4),
            (ARRAY, _) => (MetaKind::List, 8),
            _ => return Err(Error::damaged(format!("an array of the unknown type {kind}"))),
        };
        let n = self.count(each)?;
        if of == MetaKind::Number(DType::U8) {
            let bytes = self.cursor.take(usize::try_from(n).unwrap_or(usize::MAX)).map_err(cut)?;
            return Ok(MetaValue::Bytes(bytes.to_vec()));
        }
        self.values = self.values.saturating_add(n);
        if self.values > VALUES {
            return Err(Error::unsupported(format!("more than {VALUES} values of metadata")));
        }
        let mut items = Vec::new();
        for _ in 0..n {
            items.push(self.value(kind, depth.saturating_add(1))?);
        }
        Ok(MetaValue::List { of: Some(of), items })
    }

    fn info(&mut self) -> Result<Info> {
        let at = self.cursor.offset();
        let name = self.name()?;
        let dims = self.u32()?;
        let mut shape = Vec::new();
        for _ in 0..dims {
            shape.push(self.length().map_err(|e| e.in_tensor(&name))?);
        }
        shape.reverse();
        Ok(Info { name, shape, kind: self.u32()?, offset: self.u64()?, at })
    }
}
