//! TensorFlow graphs: operators that touch files, processes or the network, in graphs and their functions.

use crate::report::Severity;
use crate::scanner::Scanner;
use modelsmith_wire::proto::{Error, Message, WireType};

/// Operators that reach out, and what they do.
const OPERATORS: &[(&str, &str)] = &[
    ("ReadFile", "reads a file"),
    ("WriteFile", "writes a file"),
    ("MatchingFiles", "lists files"),
    ("WholeFileReader", "reads files"),
    ("WholeFileReaderV2", "reads files"),
    ("TextLineReader", "reads files"),
    ("TextLineReaderV2", "reads files"),
    ("FixedLengthRecordReader", "reads files"),
    ("FixedLengthRecordReaderV2", "reads files"),
    ("TFRecordReader", "reads files"),
    ("TFRecordReaderV2", "reads files"),
    ("TextLineDataset", "reads files"),
    ("TFRecordDataset", "reads files"),
    ("FixedLengthRecordDataset", "reads files"),
    ("SqlDataset", "reads a database"),
    ("PyFunc", "runs Python"),
    ("PyFuncStateless", "runs Python"),
    ("EagerPyFunc", "runs Python"),
    ("PrintV2", "writes to the terminal or a file"),
    ("DebugIdentity", "sends tensors away"),
    ("DebugIdentityV2", "sends tensors away"),
    ("FileSystemSetConfiguration", "changes file systems"),
    ("RpcCall", "calls another machine"),
    ("RpcClient", "calls another machine"),
    ("RpcServer", "opens a server"),
    ("Rpc", "calls another machine"),
    ("TryRpc", "calls another machine"),
    ("XlaLaunch", "runs compiled code"),
    ("TPUExecute", "runs compiled code"),
    ("SummaryWriter", "writes files"),
    ("CreateSummaryFileWriter", "writes files"),
    ("CreateSummaryDbWriter", "writes files"),
];

/// Bytes of a damaged graph that are searched.
const SEARCH: usize = 64 << 20;

/// Messages that are looked into one after the other, with their kind.
#[derive(Clone, Copy)]
enum Part {
    Saved,
    MetaGraph,
    Graph,
    Library,
    Function,
    Node,
}

pub(crate) fn is_saved_model(bytes: &[u8]) -> bool {
    first(bytes, 2).and_then(|meta| first(meta, 2)).is_some_and(is_graph)
}

/// A graph begins with a node: a message of a name and an operator.
pub(crate) fn is_graph(bytes: &[u8]) -> bool {
    let Some(node) = first(bytes, 1) else { return false };
    let name = |b: &[u8]| !b.is_empty() && b.iter().all(|c| c.is_ascii_graphic());
    first(node, 1).is_some_and(name)
        && first(node, 2)
            .is_some_and(|op| name(op) && op.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'>'))
}

/// The first field of that number, as bytes.
fn first(bytes: &[u8], number: u32) -> Option<&[u8]> {
    let mut fields = Message::new(bytes, 0).fields().filter_map(Result::ok);
    let found = fields.find(|f| f.number == number && f.wire_type() == WireType::Bytes)?;
    found.message().ok().map(|m| m.bytes())
}

pub(crate) fn scan(s: &mut Scanner<'_>, bytes: &[u8], member: &str) {
    let whole = Message::new(bytes, 0);
    let part = if is_saved_model(bytes) { Part::Saved } else { Part::Graph };
    if let Err(e) = walk(s, whole, part, member) {
        s.unknown("tensorflow.damaged", member, Some(e.offset()), format!("the graph is damaged: {}", e.kind()));
    }
}

/// Looks for operators in bytes that may be a damaged graph: the field of an operator, its length and its name.
pub(crate) fn search(s: &mut Scanner<'_>, bytes: &[u8], member: &str) {
    if bytes.len() > SEARCH || !matches!(bytes.first(), Some(0x08 | 0x0a | 0x12)) {
        return;
    }
    for (at, window) in bytes.windows(2).enumerate() {
        let &[0x12, length] = window else { continue };
        let start = at.saturating_add(2);
        let name = bytes.get(start..).and_then(|r| r.get(..usize::from(length)));
        if let Some((op, _)) = OPERATORS.iter().find(|(op, _)| name == Some(op.as_bytes())) {
            operator(s, op, crate::wide(at), member);
        }
    }
}

fn walk(s: &mut Scanner<'_>, whole: Message<'_>, part: Part, member: &str) -> Result<(), Error> {
    let mut open = vec![(whole, part)];
    while let Some((message, part)) = open.pop() {
        for field in message.fields() {
            let field = field?;
            let next = match (part, field.number) {
                (Part::Saved, 2) => Part::MetaGraph,
                (Part::MetaGraph, 2) => Part::Graph,
                (Part::MetaGraph, 5) => {
                    shapes(s, field.message()?, member)?;
                    continue;
                }
                (Part::Graph, 1) | (Part::Function, 3) => Part::Node,
                (Part::Graph, 2) => Part::Library,
                (Part::Library, 1) => Part::Function,
                (Part::Node, 2) => {
                    operator(s, &field.text()?, field.offset(), member);
                    continue;
                }
                _ => continue,
            };
            open.push((field.message()?, next));
        }
    }
    Ok(())
}

fn operator(s: &mut Scanner<'_>, op: &str, offset: u64, member: &str) {
    if let Some((_, does)) = OPERATORS.iter().find(|(name, _)| *name == op) {
        let reason = format!("the operator {op} {does}");
        s.find("tensorflow.operator", Severity::High, member, Some(offset), reason);
    }
}

/// The shapes of a signature: a dimension is a count, or -1 for one that is not known.
fn shapes(s: &mut Scanner<'_>, entry: Message<'_>, member: &str) -> Result<(), Error> {
    // Signature entry: value 2; inputs 1 and outputs 2 are entries of name 1 and TensorInfo 2, with its shape in 3.
    let path: [&[u32]; 6] = [&[2], &[1, 2], &[2], &[3], &[2], &[1]];
    let mut open = vec![(entry, 0usize)];
    while let Some((message, level)) = open.pop() {
        for field in message.fields() {
            let field = field?;
            if !path.get(level).is_some_and(|numbers| numbers.contains(&field.number)) {
                continue;
            }
            if level + 1 < path.len() {
                open.push((field.message()?, level + 1));
            } else if field.int()? < -1 {
                let reason = format!("a dimension of a signature is {}", field.int()?);
                s.unknown("tensorflow.damaged", member, Some(field.offset()), reason);
            }
        }
    }
    Ok(())
}
