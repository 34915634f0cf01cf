//! The machine: a stack, marks, a memo, and one instruction after the other.

use super::{Call, Error, Event, How, Kind, Node, NodeId, Pickle, What, literal};
use crate::wide;
use modelsmith_base::Cursor;
use std::borrow::Cow;
use std::collections::HashMap;

/// Bounds on what one pickle may make. Each instruction makes at most three nodes, so the length of the pickle bounds
/// them too.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Values.
    pub nodes: usize,
    /// Values on the stack, memo entries, and events.
    pub held: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { nodes: 1 << 24, held: 1 << 24 }
    }
}

/// Reads the pickle that begins at `bytes[at..]`. Offsets count from the start of `bytes`. It never fails: what was
/// read up to a fault is in the result, with the fault.
pub fn read<'a>(bytes: &'a [u8], at: usize, limits: &Limits) -> Pickle<'a> {
    let nodes = vec![Node::None, Node::Bool(false), Node::Bool(true)];
    let pickle =
        Pickle { nodes, events: Vec::new(), root: None, protocol: 0, end: wide(at), left: Vec::new(), error: None };
    let rest = bytes.get(at..).unwrap_or_default();
    let (stack, marks, memo) = (Vec::new(), Vec::new(), HashMap::new());
    let mut machine = Machine { code: Cursor::new(rest, wide(at)), at: wide(at), stack, marks, memo, limits, pickle };
    let fatal = machine.run().err();
    let mut pickle = machine.pickle;
    pickle.left = machine.stack;
    pickle.end = machine.code.offset();
    pickle.error = pickle.error.or(fatal);
    pickle
}

pub(super) struct Machine<'a, 'l> {
    code: Cursor<'a>,
    /// Offset of the present instruction.
    at: u64,
    stack: Vec<NodeId>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, NodeId>,
    limits: &'l Limits,
    pub(super) pickle: Pickle<'a>,
}

type Step = Result<(), Error>;

impl<'a> Machine<'a, '_> {
    fn run(&mut self) -> Step {
        loop {
            self.at = self.code.offset();
            let code = self.code.u8()?;
            if code == b'.' {
                self.pickle.root = Some(self.pop()?);
                return Ok(());
            }
            self.step(code)?;
            let held = self.stack.len().max(self.marks.len()).max(self.memo.len()).max(self.pickle.events.len());
            if held > self.limits.held {
                let what = "values on the stack or in the memo";
                return Err(self.fault(Kind::Limit { what, limit: self.limits.held }));
            }
        }
    }

    /// One instruction; each group answers whether it knows it.
    fn step(&mut self, code: u8) -> Step {
        let known = self.scalar(code)?
            || self.container(code)?
            || self.memory(code)?
            || self.import_or_id(code)?
            || self.object(code)?;
        if known { Ok(()) } else { Err(self.fault(Kind::Instruction(code))) }
    }

    fn scalar(&mut self, code: u8) -> Result<bool, Error> {
        let node = match code {
            b'N' => return self.put(NodeId(0)),
            b'\x89' => return self.put(NodeId(1)),
            b'\x88' => return self.put(NodeId(2)),
            b'I' => literal::int(self.line()?).ok_or(self.operand("an integer"))?,
            b'L' => literal::long(self.line()?).ok_or(self.operand("an integer"))?,
            b'J' => Node::Int(i64::from(i32::from_le_bytes(self.code.u32()?.to_le_bytes()))),
            b'K' => Node::Int(i64::from(self.code.u8()?)),
            b'M' => Node::Int(i64::from(self.code.u16()?)),
            b'\x8a' => literal::whole(Cow::Borrowed(self.counted(1)?)),
            b'\x8b' => literal::whole(Cow::Borrowed(self.counted(4)?)),
            b'F' => Node::Float(literal::float(self.line()?).ok_or(self.operand("a float"))?),
            b'G' => Node::Float(f64::from_bits(self.code.u64()?.swap_bytes())),
            b'S' => Node::Str(Cow::Owned(literal::quoted(self.line()?).ok_or(self.operand("a quoted string"))?)),
            b'T' => Node::Str(Cow::Borrowed(self.counted(4)?)),
            b'U' => Node::Str(Cow::Borrowed(self.counted(1)?)),
            b'V' => Node::Text(Cow::Owned(literal::raw_unicode(self.line()?).ok_or(self.operand("escaped text"))?)),
            b'X' => Node::Text(literal::utf8(self.counted(4)?)),
            b'\x8c' => Node::Text(literal::utf8(self.counted(1)?)),
            b'\x8d' => Node::Text(literal::utf8(self.counted(8)?)),
            b'B' => Node::Bytes(Cow::Borrowed(self.counted(4)?)),
            b'C' => Node::Bytes(Cow::Borrowed(self.counted(1)?)),
            b'\x8e' => Node::Bytes(Cow::Borrowed(self.counted(8)?)),
            b'\x96' => Node::ByteArray(Cow::Borrowed(self.counted(8)?)),
            b'\x97' => Node::Buffer,
            _ => return Ok(false),
        };
        self.push(node)
    }

    fn container(&mut self, code: u8) -> Result<bool, Error> {
        match code {
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(true)
            }
            b']' => self.push(Node::List(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            b'\x8f' => self.push(Node::Set(Vec::new())),
            b'l' => self.gather(Node::List),
            b't' => self.gather(Node::Tuple),
            b'\x91' => self.gather(Node::FrozenSet),
            b'd' => {
                let flat = self.marked()?;
                let pairs = self.pairs(&flat)?;
                self.push(Node::Dict(pairs))
            }
            b'\x85'..=b'\x87' => {
                let count = usize::from(code.saturating_sub(0x84));
                let from = self.stack.len().checked_sub(count).filter(|&f| f >= self.fence());
                let from = from.ok_or(self.fault(Kind::Underflow))?;
                let items = self.stack.split_off(from);
                self.push(Node::Tuple(items))
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' | b'\x90' => {
                let items = self.marked()?;
                self.append(items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![(key, value)])
            }
            b'u' => {
                let flat = self.marked()?;
                let pairs = self.pairs(&flat)?;
                self.set(pairs)
            }
            _ => Ok(false),
        }
    }

    fn memory(&mut self, code: u8) -> Result<bool, Error> {
        match code {
            b'0' => match self.stack.len() > self.fence() {
                true => self.pop().map(|_| true),
                false => self.marked().map(|_| true),
            },
            b'1' => self.marked().map(|_| true),
            b'2' => {
                let top = self.top()?;
                self.put(top)
            }
            b'p' | b'q' | b'r' | b'\x94' => {
                let key = match code {
                    b'\x94' => wide(self.memo.len()),
                    _ => self.index(code)?,
                };
                let top = self.top()?;
                self.memo.insert(key, top);
                Ok(true)
            }
            b'g' | b'h' | b'j' => {
                let key = self.index(code)?;
                let id = self.memo.get(&key).copied().ok_or(self.fault(Kind::Memo(key)))?;
                self.put(id)
            }
            b'\x80' => {
                let protocol = self.code.u8()?;
                self.pickle.protocol = self.pickle.protocol.max(protocol);
                if protocol > 5 {
                    self.flaw(Kind::Protocol(protocol));
                }
                Ok(true)
            }
            b'\x95' => {
                let (frame, left) = (self.code.u64()?, wide(self.code.left()));
                if frame > left {
                    self.flaw(Kind::Frame { frame, left });
                }
                Ok(true)
            }
            b'\x98' => self.top().map(|_| true),
            _ => Ok(false),
        }
    }

    fn index(&mut self, code: u8) -> Result<u64, Error> {
        match code {
            b'q' | b'h' => Ok(u64::from(self.code.u8()?)),
            b'r' | b'j' => Ok(u64::from(self.code.u32()?)),
            _ => match literal::long(self.line()?) {
                Some(Node::Int(i)) => u64::try_from(i).map_err(|_| self.operand("a memo index")),
                _ => Err(self.operand("a memo index")),
            },
        }
    }

    fn import_or_id(&mut self, code: u8) -> Result<bool, Error> {
        match code {
            b'c' => {
                let (module, name) = (self.name()?, self.name()?);
                self.import(module, name)
            }
            b'\x93' => {
                let (name, module) = (self.pop()?, self.pop()?);
                let named = [module, name].iter().all(|&id| {
                    use Node::{Call, Global, Persistent, Str, Text};
                    // An attribute that was imported may be a text too.
                    matches!(self.pickle.node(id), Text(_) | Str(_) | Call(_) | Global { .. } | Persistent(_))
                });
                if !named {
                    return Err(self.operand("text"));
                }
                self.import(module, name)
            }
            b'P' => {
                let id = literal::utf8(self.line()?);
                let id = self.made(Node::Text(id))?;
                self.push(Node::Persistent(id))
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))
            }
            b'\x82' | b'\x83' | b'\x84' => {
                let code = match code {
                    b'\x82' => u64::from(self.code.u8()?),
                    b'\x83' => u64::from(self.code.u16()?),
                    _ => u64::from(self.code.u32()?),
                };
                self.event(What::Extension(code));
                Err(self.fault(Kind::Extension(code)))
            }
            _ => Ok(false),
        }
    }

    fn object(&mut self, code: u8) -> Result<bool, Error> {
        match code {
            b'R' | b'\x81' => {
                let (args, callee) = (self.pop()?, self.pop()?);
                self.call(if code == b'R' { How::Reduce } else { How::New }, callee, args, None)
            }
            b'\x92' => {
                let (kwargs, args, callee) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(How::NewEx, callee, args, Some(kwargs))
            }
            b'i' => {
                let (module, name) = (self.name()?, self.name()?);
                let items = self.marked()?;
                self.import(module, name)?;
                let callee = self.pop()?;
                let args = self.made(Node::Tuple(items))?;
                self.call(How::Inst, callee, args, None)
            }
            b'o' => {
                let mut items = self.marked()?.into_iter();
                let callee = items.next().ok_or(self.fault(Kind::Underflow))?;
                let args = self.made(Node::Tuple(items.collect()))?;
                self.call(How::Obj, callee, args, None)
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.top()?);
                self.build(object, state);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn call(&mut self, how: How, callee: NodeId, args: NodeId, kwargs: Option<NodeId>) -> Result<bool, Error> {
        let (items, pairs, states) = (Vec::new(), Vec::new(), Vec::new());
        let id = self.made(Node::Call(Box::new(Call { how, callee, args, kwargs, items, pairs, states })))?;
        self.event(What::Call(id));
        self.put(id)
    }

    fn import(&mut self, module: NodeId, name: NodeId) -> Result<bool, Error> {
        let id = self.made(Node::Global { module, name })?;
        self.event(What::Import(id));
        self.put(id)
    }

    /// A text from a line.
    fn name(&mut self) -> Result<NodeId, Error> {
        let line = self.line()?;
        self.made(Node::Text(literal::utf8(line)))
    }

    /// The operand up to the end of the line.
    fn line(&mut self) -> Result<&'a [u8], Error> {
        let at = self.code.offset();
        let rest = self.code.clone().take(self.code.left())?;
        let length = rest.iter().position(|&b| b == b'\n').ok_or(Error::new(Kind::NoLineEnd, at))?;
        let line = self.code.take(length)?;
        self.code.take(1)?;
        Ok(line)
    }

    /// Bytes behind a length of `width` bytes.
    fn counted(&mut self, width: usize) -> Result<&'a [u8], Error> {
        let length = match width {
            1 => u64::from(self.code.u8()?),
            4 => u64::from(self.code.u32()?),
            _ => self.code.u64()?,
        };
        Ok(self.code.take(usize::try_from(length).unwrap_or(usize::MAX))?)
    }

    fn made(&mut self, node: Node<'a>) -> Result<NodeId, Error> {
        let index = self.pickle.nodes.len();
        if index >= self.limits.nodes {
            return Err(self.fault(Kind::Limit { what: "values", limit: self.limits.nodes }));
        }
        self.pickle.nodes.push(node);
        u32::try_from(index).map(NodeId).map_err(|_| self.fault(Kind::Limit { what: "values", limit: index }))
    }

    fn push(&mut self, node: Node<'a>) -> Result<bool, Error> {
        let id = self.made(node)?;
        self.put(id)
    }

    fn put(&mut self, id: NodeId) -> Result<bool, Error> {
        self.stack.push(id);
        Ok(true)
    }

    fn fence(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<NodeId, Error> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    pub(super) fn top(&self) -> Result<NodeId, Error> {
        let there = self.stack.len() > self.fence();
        self.stack.last().copied().filter(|_| there).ok_or(self.fault(Kind::Underflow))
    }

    /// Everything above the last mark.
    fn marked(&mut self) -> Result<Vec<NodeId>, Error> {
        let from = self.marks.pop().ok_or(self.fault(Kind::NoMark))?;
        Ok(self.stack.split_off(from.min(self.stack.len())))
    }

    fn gather(&mut self, make: fn(Vec<NodeId>) -> Node<'a>) -> Result<bool, Error> {
        let items = self.marked()?;
        self.push(make(items))
    }

    fn pairs(&self, flat: &[NodeId]) -> Result<Vec<(NodeId, NodeId)>, Error> {
        let pairs = flat.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(self.operand("keys with values: their number is odd"));
        }
        Ok(pairs.filter_map(|p| Some((*p.first()?, *p.get(1)?))).collect())
    }

    pub(super) fn event(&mut self, what: What) {
        self.pickle.events.push(Event { offset: self.at, what });
    }

    /// Notes a fault that Python may pass over.
    fn flaw(&mut self, kind: Kind) {
        let error = self.fault(kind);
        self.pickle.error.get_or_insert(error);
    }

    fn fault(&self, kind: Kind) -> Error {
        Error::new(kind, self.at)
    }

    fn operand(&self, wanted: &'static str) -> Error {
        self.fault(Kind::Operand(wanted))
    }
}
