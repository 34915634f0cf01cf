//! `GraphProto`, `NodeProto`, `ValueInfoProto` and `TensorAnnotation`.

use super::*;

/// A graph: the main one, or a body held by an attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphProto<'a> {
    /// Field 1.
    pub node: Vec<NodeProto<'a>>,
    /// Field 2.
    pub name: Text<'a>,
    /// Field 5.
    pub initializer: Vec<TensorProto<'a>>,
    /// Field 10.
    pub doc_string: Text<'a>,
    /// Field 11.
    pub input: Vec<ValueInfoProto<'a>>,
    /// Field 12.
    pub output: Vec<ValueInfoProto<'a>>,
    /// Field 13.
    pub value_info: Vec<ValueInfoProto<'a>>,
    /// Field 14.
    pub quantization_annotation: Vec<TensorAnnotation<'a>>,
    /// Field 15.
    pub sparse_initializer: Vec<SparseTensorProto<'a>>,
    /// Field 16.
    pub metadata_props: Vec<Entry<'a>>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

impl<'a> Proto<'a> for GraphProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => push(&mut self.node, &f, limits)?,
            2 => self.name = Some(f.text()?),
            5 => push(&mut self.initializer, &f, limits)?,
            10 => self.doc_string = Some(f.text()?),
            11 => push(&mut self.input, &f, limits)?,
            12 => push(&mut self.output, &f, limits)?,
            13 => push(&mut self.value_info, &f, limits)?,
            14 => push(&mut self.quantization_annotation, &f, limits)?,
            15 => push(&mut self.sparse_initializer, &f, limits)?,
            16 => push(&mut self.metadata_props, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_all(out, 1, &self.node);
        put_text(out, 2, &self.name);
        put_all(out, 5, &self.initializer);
        put_text(out, 10, &self.doc_string);
        put_all(out, 11, &self.input);
        put_all(out, 12, &self.output);
        put_all(out, 13, &self.value_info);
        put_all(out, 14, &self.quantization_annotation);
        put_all(out, 15, &self.sparse_initializer);
        put_all(out, 16, &self.metadata_props);
        self.unknown.encode(out);
    }
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeProto<'a> {
    /// Field 1; an empty string is an absent optional input.
    pub input: Vec<Cow<'a, str>>,
    /// Field 2; an empty string is an output that nobody wants.
    pub output: Vec<Cow<'a, str>>,
    /// Field 3.
    pub name: Text<'a>,
    /// Field 4.
    pub op_type: Text<'a>,
    /// Field 5.
    pub attribute: Vec<AttributeProto<'a>>,
    /// Field 6.
    pub doc_string: Text<'a>,
    /// Field 7.
    pub domain: Text<'a>,
    /// Field 8.
    pub overload: Text<'a>,
    /// Field 9.
    pub metadata_props: Vec<Entry<'a>>,
    /// Other fields: 10 `device_configurations`, and what came later.
    pub unknown: Unknown<'a>,
    /// Where the message lies in the file, for messages.
    pub offset: u64,
}

impl<'a> Proto<'a> for NodeProto<'a> {
    fn field(&mut self, parent: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        self.offset = parent.offset();
        match f.number {
            1 => push_text(&mut self.input, &f, limits)?,
            2 => push_text(&mut self.output, &f, limits)?,
            3 => self.name = Some(f.text()?),
            4 => self.op_type = Some(f.text()?),
            5 => push(&mut self.attribute, &f, limits)?,
            6 => self.doc_string = Some(f.text()?),
            7 => self.domain = Some(f.text()?),
            8 => self.overload = Some(f.text()?),
            9 => push(&mut self.metadata_props, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_texts(out, 1, &self.input);
        put_texts(out, 2, &self.output);
        put_text(out, 3, &self.name);
        put_text(out, 4, &self.op_type);
        put_all(out, 5, &self.attribute);
        put_text(out, 6, &self.doc_string);
        put_text(out, 7, &self.domain);
        put_text(out, 8, &self.overload);
        put_all(out, 9, &self.metadata_props);
        self.unknown.encode(out);
    }
}

/// Name and type of a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValueInfoProto<'a> {
    /// Field 1.
    pub name: Text<'a>,
    /// Field 2.
    pub ty: Option<TypeProto<'a>>,
    /// Field 3.
    pub doc_string: Text<'a>,
    /// Field 4.
    pub metadata_props: Vec<Entry<'a>>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

impl<'a> Proto<'a> for ValueInfoProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.name = Some(f.text()?),
            2 => merge(&mut self.ty, &f, limits)?,
            3 => self.doc_string = Some(f.text()?),
            4 => push(&mut self.metadata_props, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_text(out, 1, &self.name);
        if let Some(ty) = &self.ty {
            put(out, 2, ty);
        }
        put_text(out, 3, &self.doc_string);
        put_all(out, 4, &self.metadata_props);
        self.unknown.encode(out);
    }
}

/// The tensors that hold the quantization parameters of a tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorAnnotation<'a> {
    /// Field 1.
    pub tensor_name: Text<'a>,
    /// Field 2: for instance `SCALE_TENSOR` and the name of a tensor.
    pub quant_parameter_tensor_names: Vec<Entry<'a>>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

impl<'a> Proto<'a> for TensorAnnotation<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.tensor_name = Some(f.text()?),
            2 => push(&mut self.quant_parameter_tensor_names, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_text(out, 1, &self.tensor_name);
        put_all(out, 2, &self.quant_parameter_tensor_names);
        self.unknown.encode(out);
    }
}
