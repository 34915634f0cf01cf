//! Reading: one header block after the other, long names and pax records applied to the member behind them.

use crate::wide;
use thiserror::Error;

const BLOCK: usize = 512;

/// Bytes that are not the archive they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("at byte offset {offset}: {kind}")]
pub struct Error {
    kind: Kind,
    offset: u64,
}

/// The kinds of [`enum@Error`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Kind {
    /// The first block is no header.
    #[error("no tar header: not a tar archive")]
    NoHeader,
    /// A header does not have its checksum.
    #[error("the checksum of the header does not match")]
    Checksum,
    /// A field is not a number.
    #[error("the {0} of the member is not a number")]
    Number(&'static str),
    /// A member reaches past the end.
    #[error("member `{name}` has {size} bytes, {left} are left")]
    Truncated {
        /// Member name.
        name: String,
        /// Announced bytes.
        size: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// More members than are taken.
    #[error("more than {0} members")]
    TooMany(usize),
}

impl Error {
    /// An error at absolute offset `offset` of the archive.
    pub fn new(kind: Kind, offset: u64) -> Self {
        Error { kind, offset }
    }

    /// What is wrong.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Byte offset in the archive.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A hard or symbolic link, a device, or another kind, by its letter.
    Other(u8),
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name. Never to be used as a path unchecked.
    pub name: String,
    /// What it is.
    pub kind: Type,
    /// Where a link leads.
    pub link: String,
    /// First byte of its content.
    pub offset: u64,
    /// Bytes of content.
    pub size: u64,
}

/// An archive and its members.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    members: Vec<Member>,
    end: u64,
    error: Option<Error>,
}

/// Names given by a block that stands before the member's own header.
#[derive(Default)]
struct Ahead {
    name: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

/// True when `bytes` begin with a tar header whose checksum is right.
pub fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(..BLOCK).is_some_and(|block| block.iter().any(|&b| b != 0) && checksum(block))
}

impl<'a> Archive<'a> {
    /// The most members that are listed.
    pub const MEMBERS: usize = 1 << 20;

    /// Lists the members. An archive that breaks after its first header is listed up to there: [`Archive::error`].
    ///
    /// # Errors
    /// When the first block is no header.
    pub fn open(bytes: &'a [u8]) -> Result<Archive<'a>, Error> {
        if !is_tar(bytes) {
            return Err(Error::new(Kind::NoHeader, 0));
        }
        let mut archive = Archive { bytes, members: Vec::new(), end: 0, error: None };
        archive.error = archive.list().err();
        Ok(archive)
    }

    /// Members in file order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The last member of that name, which is the one that counts when a name occurs twice.
    pub fn find(&self, name: &str) -> Option<&Member> {
        let plain = |n: &str| n.strip_prefix("./").unwrap_or(n).to_owned();
        self.members.iter().rev().find(|m| plain(&m.name) == name)
    }

    /// The content of a member.
    pub fn content(&self, member: &Member) -> &'a [u8] {
        let start = usize::try_from(member.offset).unwrap_or(usize::MAX);
        let size = usize::try_from(member.size).unwrap_or(usize::MAX);
        self.bytes.get(start..).and_then(|rest| rest.get(..size)).unwrap_or_default()
    }

    /// Offset behind the last member; what follows should be zeros.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Where the archive breaks off.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    fn list(&mut self) -> Result<(), Error> {
        let mut at = 0usize;
        let mut ahead = Ahead::default();
        let mut headers = 0usize;
        while let Some(block) = self.bytes.get(at..).and_then(|rest| rest.get(..BLOCK)) {
            if block.iter().all(|&b| b == 0) {
                break;
            }
            headers = headers.saturating_add(1);
            if headers > Self::MEMBERS {
                return Err(Error::new(Kind::TooMany(Self::MEMBERS), wide(at)));
            }
            at = self.member(block, at, &mut ahead)?;
            self.end = wide(at.min(self.bytes.len()));
        }
        Ok(())
    }

    /// One header with its content; the offset of the next.
    fn member(&mut self, block: &[u8], at: usize, ahead: &mut Ahead) -> Result<usize, Error> {
        let fail = |kind| Error::new(kind, wide(at));
        if !checksum(block) {
            return Err(fail(Kind::Checksum));
        }
        let letter = block.get(156).copied().unwrap_or(0);
        let name = ahead.name.take().unwrap_or_else(|| name(block));
        let link = ahead.link.take().unwrap_or_else(|| text(block.get(157..257)));
        let own = number(block.get(124..136)).ok_or(fail(Kind::Number("size")))?;
        // Links, devices and folders have no content, whatever their size field says.
        let size = match letter {
            b'1'..=b'6' => 0,
            _ => ahead.size.take().unwrap_or(own),
        };
        let start = at.saturating_add(BLOCK);
        let left = self.bytes.len().saturating_sub(start);
        let length = usize::try_from(size).ok().filter(|&s| s <= left);
        let length = length.ok_or(fail(Kind::Truncated { name: name.clone(), size, left: wide(left) }))?;
        let content = self.bytes.get(start..start.saturating_add(length)).unwrap_or_default();
        match letter {
            b'L' => ahead.name = Some(text(Some(content))),
            b'K' => ahead.link = Some(text(Some(content))),
            b'x' => records(content, ahead),
            b'g' => {}
            _ => {
                let kind = match letter {
                    0 | b'0' | b'7' if name.ends_with('/') => Type::Folder,
                    0 | b'0' | b'7' => Type::File,
                    b'5' => Type::Folder,
                    other => Type::Other(other),
                };
                self.members.push(Member { name, kind, link, offset: wide(start), size });
            }
        }
        Ok(start.saturating_add(length.div_ceil(BLOCK).saturating_mul(BLOCK)))
    }
}

/// Name of a member, with the prefix of ustar.
fn name(block: &[u8]) -> String {
    let name = text(block.get(..100));
    let prefix = match block.get(257..263) {
        Some(b"ustar\0") => text(block.get(345..500)),
        _ => String::new(),
    };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// Text up to the first zero byte.
fn text(field: Option<&[u8]>) -> String {
    let field = field.unwrap_or_default();
    let used = field.split(|&b| b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(used).into_owned()
}

/// An octal number, or one in base 256 when its first bit is set.
fn number(field: Option<&[u8]>) -> Option<u64> {
    let field = field?;
    if let Some((&first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        let start = u64::from(first & 0x7f);
        return rest.iter().try_fold(start, |n, &b| n.checked_mul(256)?.checked_add(u64::from(b)));
    }
    let text = text(Some(field));
    let digits = text.trim();
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(digits, 8).ok()
}

/// The sum over the header with its own field as spaces; old writers summed signed bytes.
fn checksum(block: &[u8]) -> bool {
    let Some(given) = number(block.get(148..156)) else { return false };
    let counted = |i: usize, b: u8| if (148..156).contains(&i) { b' ' } else { b };
    let unsigned = block.iter().enumerate().map(|(i, &b)| i64::from(counted(i, b))).sum::<i64>();
    let signed = block.iter().enumerate().map(|(i, &b)| i64::from(i8::from_le_bytes([counted(i, b)]))).sum::<i64>();
    i64::try_from(given).is_ok_and(|g| g == unsigned || g == signed)
}

/// Records `LENGTH KEY=VALUE\n` of a pax header.
fn records(mut content: &[u8], ahead: &mut Ahead) {
    while !content.is_empty() {
        let Some(space) = content.iter().position(|&b| b == b' ') else { return };
        let digits = content.get(..space).and_then(|d| std::str::from_utf8(d).ok());
        let Some(length) = digits.and_then(|d| d.parse::<usize>().ok()) else { return };
        let Some(record) = content.get(space.saturating_add(1)..length) else { return };
        let record = String::from_utf8_lossy(record.strip_suffix(b"\n").unwrap_or(record)).into_owned();
        match record.split_once('=') {
            Some(("path", value)) => ahead.name = Some(value.to_owned()),
            Some(("linkpath", value)) => ahead.link = Some(value.to_owned()),
            Some(("size", value)) => ahead.size = value.parse().ok(),
            _ => {}
        }
        content = content.get(length..).unwrap_or_default();
    }
}
