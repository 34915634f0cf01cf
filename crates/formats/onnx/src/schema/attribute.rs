//! `AttributeProto`.

use super::*;

/// What an attribute holds, by the numbers of `AttributeProto.AttributeType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AttributeType {
    Float = 1,
    Int = 2,
    String = 3,
    Tensor = 4,
    Graph = 5,
    Floats = 6,
    Ints = 7,
    Strings = 8,
    Tensors = 9,
    Graphs = 10,
    SparseTensor = 11,
    SparseTensors = 12,
    Type = 13,
    Types = 14,
}

impl AttributeType {
    /// The type of number `code`.
    pub fn from_code(code: i32) -> Option<AttributeType> {
        use AttributeType::*;
        let all = [
            Float,
            Int,
            String,
            Tensor,
            Graph,
            Floats,
            Ints,
            Strings,
            Tensors,
            Graphs,
            SparseTensor,
            SparseTensors,
            Type,
            Types,
        ];
        all.into_iter().find(|t| t.code() == code)
    }

    /// Its number.
    pub const fn code(self) -> i32 {
        use AttributeType::*;
        match self {
            Float => 1,
            Int => 2,
            String => 3,
            Tensor => 4,
            Graph => 5,
            Floats => 6,
            Ints => 7,
            Strings => 8,
            Tensors => 9,
            Graphs => 10,
            SparseTensor => 11,
            SparseTensors => 12,
            Type => 13,
            Types => 14,
        }
    }
}

/// An attribute: a name and a value in one of the fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttributeProto<'a> {
    /// Field 1.
    pub name: Text<'a>,
    /// Field 2.
    pub f: Option<f32>,
    /// Field 3.
    pub i: Option<i64>,
    /// Field 4.
    pub s: Option<Cow<'a, [u8]>>,
    /// Field 5.
    pub t: Option<Box<TensorProto<'a>>>,
    /// Field 6.
    pub g: Option<Box<GraphProto<'a>>>,
    /// Field 13.
    pub doc_string: Text<'a>,
    /// Field 14.
    pub tp: Option<Box<TypeProto<'a>>>,
    /// Field 20; old files leave it out.
    pub ty: Option<i32>,
    /// Field 21: in a function body, the attribute of the caller that stands here.
    pub ref_attr_name: Text<'a>,
    /// Field 22.
    pub sparse_tensor: Option<Box<SparseTensorProto<'a>>>,
    /// Repeated fields.
    pub lists: Lists<'a>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

/// The repeated fields of an attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lists<'a> {
    /// Field 7.
    pub floats: Vec<f32>,
    /// Field 8.
    pub ints: Vec<i64>,
    /// Field 9.
    pub strings: Vec<Cow<'a, [u8]>>,
    /// Field 10.
    pub tensors: Vec<TensorProto<'a>>,
    /// Field 11.
    pub graphs: Vec<GraphProto<'a>>,
    /// Field 15.
    pub type_protos: Vec<TypeProto<'a>>,
    /// Field 23.
    pub sparse_tensors: Vec<SparseTensorProto<'a>>,
}

impl AttributeProto<'_> {
    /// What the attribute holds: as it says, or, where an old file does not say, by the field that is there.
    /// `None` when neither tells.
    pub fn kind(&self) -> Option<AttributeType> {
        use AttributeType::*;
        if let Some(kind) = self.ty.and_then(AttributeType::from_code) {
            return Some(kind);
        }
        let l = &self.lists;
        let present = [
            (self.f.is_some(), Float),
            (self.i.is_some(), Int),
            (self.s.is_some(), String),
            (self.t.is_some(), Tensor),
            (self.g.is_some(), Graph),
            (self.tp.is_some(), Type),
            (self.sparse_tensor.is_some(), SparseTensor),
            (!l.floats.is_empty(), Floats),
            (!l.ints.is_empty(), Ints),
            (!l.strings.is_empty(), Strings),
            (!l.tensors.is_empty(), Tensors),
            (!l.graphs.is_empty(), Graphs),
            (!l.type_protos.is_empty(), Types),
            (!l.sparse_tensors.is_empty(), SparseTensors),
        ];
        present.into_iter().find(|(there, _)| *there).map(|(_, kind)| kind)
    }
}

impl<'a> Proto<'a> for AttributeProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.name = Some(f.text()?),
            2 => self.f = Some(f.float()?),
            3 => self.i = Some(f.int()?),
            4 => self.s = Some(Cow::Borrowed(f.message()?.bytes())),
            5 => merge_boxed(&mut self.t, &f, limits)?,
            6 => merge_boxed(&mut self.g, &f, limits)?,
            13 => self.doc_string = Some(f.text()?),
            14 => merge_boxed(&mut self.tp, &f, limits)?,
            20 => self.ty = Some(f.int32()?),
            21 => self.ref_attr_name = Some(f.text()?),
            22 => merge_boxed(&mut self.sparse_tensor, &f, limits)?,
            7 | 8 | 9 | 10 | 11 | 15 | 23 => self.list_field(&f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_text(out, 1, &self.name);
        if let Some(f) = self.f {
            out.float(2, f);
        }
        put_int(out, 3, self.i);
        if let Some(s) = &self.s {
            out.bytes(4, s);
        }
        if let Some(t) = &self.t {
            put(out, 5, &**t);
        }
        if let Some(g) = &self.g {
            put(out, 6, &**g);
        }
        self.lists.floats.iter().for_each(|&v| out.float(7, v));
        self.lists.ints.iter().for_each(|&v| out.int(8, v));
        self.lists.strings.iter().for_each(|v| out.bytes(9, v));
        put_all(out, 10, &self.lists.tensors);
        put_all(out, 11, &self.lists.graphs);
        put_text(out, 13, &self.doc_string);
        if let Some(tp) = &self.tp {
            put(out, 14, &**tp);
        }
        put_all(out, 15, &self.lists.type_protos);
        put_int32(out, 20, self.ty);
        put_text(out, 21, &self.ref_attr_name);
        if let Some(sparse) = &self.sparse_tensor {
            put(out, 22, &**sparse);
        }
        put_all(out, 23, &self.lists.sparse_tensors);
        self.unknown.encode(out);
    }
}

impl<'a> AttributeProto<'a> {
    fn list_field(&mut self, f: &Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        let lists = &mut self.lists;
        match f.number {
            7 => {
                limits.charge(f.raw.bytes().len(), f.offset())?;
                f.floats_into(&mut lists.floats)
            }
            8 => push_ints(&mut lists.ints, f, limits),
            9 => {
                limits.charge(size_of::<Cow<'_, [u8]>>(), f.offset())?;
                lists.strings.push(Cow::Borrowed(f.message()?.bytes()));
                Ok(())
            }
            10 => push(&mut lists.tensors, f, limits),
            11 => push(&mut lists.graphs, f, limits),
            15 => push(&mut lists.type_protos, f, limits),
            _ => push(&mut lists.sparse_tensors, f, limits),
        }
    }
}
