//! The parts of an engine file, taken apart and put together again with a right checksum.

use modelsmith_engine::file::checksum;

const HEADER: usize = 64;

/// One entry of the section table and its bytes.
#[derive(Clone)]
pub struct Section {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// One entry of the blob table and its bytes.
#[derive(Clone)]
pub struct Blob {
    pub origin: Vec<u8>,
    pub strings: u8,
    pub bytes: Vec<u8>,
}

/// A file in parts.
#[derive(Clone)]
pub struct Container {
    pub info: [Vec<u8>; 3],
    /// Key and value of each note.
    pub notes: Vec<[Vec<u8>; 2]>,
    pub sections: Vec<Section>,
    pub blobs: Vec<Blob>,
}

/// What a table says beside the truth: each moves or replaces an offset or a length as it is written.
#[derive(Clone, Default)]
pub struct Lies {
    /// Section or blob (sections first) and the offset and length written for it.
    pub range: Option<(usize, Option<u64>, Option<u64>)>,
    /// Number of notes.
    pub notes: Option<u64>,
    /// Number of sections.
    pub sections: Option<u64>,
    /// Number of blobs.
    pub blobs: Option<u64>,
    /// Bytes of the meta part.
    pub meta: Option<u64>,
    /// Version.
    pub version: Option<u32>,
}

fn number(bytes: &[u8], at: &mut usize) -> usize {
    let n = u64::from_le_bytes(bytes[*at..*at + 8].try_into().unwrap()) as usize;
    *at += 8;
    n
}

fn text(bytes: &[u8], at: &mut usize) -> Vec<u8> {
    let n = u32::from_le_bytes(bytes[*at..*at + 4].try_into().unwrap()) as usize;
    *at += 4 + n;
    bytes[*at - n..*at].to_vec()
}

impl Container {
    /// Takes a good file apart.
    pub fn read(file: &[u8]) -> Container {
        let mut at = HEADER;
        let info = std::array::from_fn(|_| text(file, &mut at));
        let notes = (0..number(file, &mut at)).map(|_| [text(file, &mut at), text(file, &mut at)]).collect();
        let part = |at: &mut usize| {
            let (start, len) = (number(file, at), number(file, at));
            file[start..start + len].to_vec()
        };
        let mut sections = Vec::new();
        for _ in 0..number(file, &mut at) {
            let name = String::from_utf8(text(file, &mut at)).unwrap();
            sections.push(Section { name, bytes: part(&mut at) });
        }
        let mut blobs = Vec::new();
        for _ in 0..number(file, &mut at) {
            let origin = text(file, &mut at);
            let strings = file[at];
            at += 1;
            blobs.push(Blob { origin, strings, bytes: part(&mut at) });
        }
        Container { info, notes, sections, blobs }
    }

    fn tables(&self, places: &[(u64, u64)], lies: &Lies) -> Vec<u8> {
        let mut out = Vec::new();
        let put_text = |out: &mut Vec<u8>, t: &[u8]| {
            out.extend_from_slice(&(t.len() as u32).to_le_bytes());
            out.extend_from_slice(t);
        };
        let put_range = |out: &mut Vec<u8>, i: usize| {
            let (mut start, mut len) = places[i];
            if let Some((which, s, l)) = lies.range
                && which == i
            {
                start = s.unwrap_or(start);
                len = l.unwrap_or(len);
            }
            out.extend_from_slice(&start.to_le_bytes());
            out.extend_from_slice(&len.to_le_bytes());
        };
        self.info.iter().for_each(|t| put_text(&mut out, t));
        out.extend_from_slice(&lies.notes.unwrap_or(self.notes.len() as u64).to_le_bytes());
        self.notes.iter().flatten().for_each(|t| put_text(&mut out, t));
        out.extend_from_slice(&lies.sections.unwrap_or(self.sections.len() as u64).to_le_bytes());
        for (i, s) in self.sections.iter().enumerate() {
            put_text(&mut out, s.name.as_bytes());
            put_range(&mut out, i);
        }
        out.extend_from_slice(&lies.blobs.unwrap_or(self.blobs.len() as u64).to_le_bytes());
        for (i, b) in self.blobs.iter().enumerate() {
            put_text(&mut out, &b.origin);
            out.push(b.strings);
            put_range(&mut out, self.sections.len() + i);
        }
        out
    }

    /// The file, with the lies told and the checksum right.
    pub fn write(&self, lies: &Lies) -> Vec<u8> {
        let count = self.sections.len() + self.blobs.len();
        let tables = self.tables(&vec![(0, 0); count], lies).len();
        let mut at = HEADER + tables;
        let mut places = Vec::new();
        for s in &self.sections {
            places.push((at as u64, s.bytes.len() as u64));
            at += s.bytes.len();
        }
        let meta = at - HEADER + 8 * self.blobs.len();
        at = (HEADER + meta).next_multiple_of(64);
        for b in &self.blobs {
            places.push((at as u64, b.bytes.len() as u64));
            at = (at + b.bytes.len()).next_multiple_of(64);
        }
        let mut out = vec![0; HEADER];
        out.extend(self.tables(&places, lies));
        self.sections.iter().for_each(|s| out.extend_from_slice(&s.bytes));
        self.blobs.iter().for_each(|b| out.extend_from_slice(&checksum(&[&b.bytes]).to_le_bytes()));
        for b in &self.blobs {
            out.resize(out.len().next_multiple_of(64), 0);
            out.extend_from_slice(&b.bytes);
        }
        out.resize(at, 0);
        let size = out.len() as u64;
        out[..8].copy_from_slice(b"MSENGINE");
        out[8..12].copy_from_slice(&lies.version.unwrap_or(5).to_le_bytes());
        out[16..24].copy_from_slice(&lies.meta.unwrap_or(meta as u64).to_le_bytes());
        out[24..32].copy_from_slice(&size.to_le_bytes());
        reseal(&mut out);
        out
    }
}

/// Makes the checksum of header and meta part right.
pub fn reseal(bytes: &mut [u8]) {
    let meta = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
    let end = meta.saturating_add(HEADER).min(bytes.len());
    bytes[32..40].fill(0);
    let sum = checksum(&[&bytes[..HEADER], &bytes[HEADER..end]]);
    bytes[32..40].copy_from_slice(&sum.to_le_bytes());
}
