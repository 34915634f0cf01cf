//! `ModelProto`, `OperatorSetIdProto` and `FunctionProto`.

use super::*;

/// The whole file. `training_info` and `configuration` are kept as they are, among the unknown fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelProto<'a> {
    /// Field 1.
    pub ir_version: Option<i64>,
    /// Field 2.
    pub producer_name: Text<'a>,
    /// Field 3.
    pub producer_version: Text<'a>,
    /// Field 4.
    pub domain: Text<'a>,
    /// Field 5.
    pub model_version: Option<i64>,
    /// Field 6.
    pub doc_string: Text<'a>,
    /// Field 7.
    pub graph: Option<GraphProto<'a>>,
    /// Field 8.
    pub opset_import: Vec<OperatorSetIdProto<'a>>,
    /// Field 14.
    pub metadata_props: Vec<Entry<'a>>,
    /// Field 25.
    pub functions: Vec<FunctionProto<'a>>,
    /// Other fields: 20 `training_info`, 26 `configuration`, and what came later.
    pub unknown: Unknown<'a>,
}

impl<'a> Proto<'a> for ModelProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.ir_version = Some(f.int()?),
            2 => self.producer_name = Some(f.text()?),
            3 => self.producer_version = Some(f.text()?),
            4 => self.domain = Some(f.text()?),
            5 => self.model_version = Some(f.int()?),
            6 => self.doc_string = Some(f.text()?),
            7 => merge(&mut self.graph, &f, limits)?,
            8 => push(&mut self.opset_import, &f, limits)?,
            14 => push(&mut self.metadata_props, &f, limits)?,
            25 => push(&mut self.functions, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_int(out, 1, self.ir_version);
        put_text(out, 2, &self.producer_name);
        put_text(out, 3, &self.producer_version);
        put_text(out, 4, &self.domain);
        put_int(out, 5, self.model_version);
        put_text(out, 6, &self.doc_string);
        if let Some(graph) = &self.graph {
            put(out, 7, graph);
        }
        put_all(out, 8, &self.opset_import);
        put_all(out, 14, &self.metadata_props);
        put_all(out, 25, &self.functions);
        self.unknown.encode(out);
    }
}

/// One imported operator set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperatorSetIdProto<'a> {
    /// Field 1.
    pub domain: Text<'a>,
    /// Field 2.
    pub version: Option<i64>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

impl<'a> Proto<'a> for OperatorSetIdProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.domain = Some(f.text()?),
            2 => self.version = Some(f.int()?),
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_text(out, 1, &self.domain);
        put_int(out, 2, self.version);
        self.unknown.encode(out);
    }
}

/// A model-local function.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionProto<'a> {
    /// Field 1.
    pub name: Text<'a>,
    /// Field 4.
    pub input: Vec<Cow<'a, str>>,
    /// Field 5.
    pub output: Vec<Cow<'a, str>>,
    /// Field 6: attributes without default.
    pub attribute: Vec<Cow<'a, str>>,
    /// Field 7.
    pub node: Vec<NodeProto<'a>>,
    /// Field 8.
    pub doc_string: Text<'a>,
    /// Field 9.
    pub opset_import: Vec<OperatorSetIdProto<'a>>,
    /// Field 10.
    pub domain: Text<'a>,
    /// Field 11: attributes with default.
    pub attribute_proto: Vec<AttributeProto<'a>>,
    /// Field 12.
    pub value_info: Vec<ValueInfoProto<'a>>,
    /// Field 13.
    pub overload: Text<'a>,
    /// Field 14.
    pub metadata_props: Vec<Entry<'a>>,
    /// Other fields.
    pub unknown: Unknown<'a>,
}

impl<'a> Proto<'a> for FunctionProto<'a> {
    fn field(&mut self, _: &Message<'a>, f: Field<'a>, limits: &mut Limits) -> Result<(), Error> {
        match f.number {
            1 => self.name = Some(f.text()?),
            4 => push_text(&mut self.input, &f, limits)?,
            5 => push_text(&mut self.output, &f, limits)?,
            6 => push_text(&mut self.attribute, &f, limits)?,
            7 => push(&mut self.node, &f, limits)?,
            8 => self.doc_string = Some(f.text()?),
            9 => push(&mut self.opset_import, &f, limits)?,
            10 => self.domain = Some(f.text()?),
            11 => push(&mut self.attribute_proto, &f, limits)?,
            12 => push(&mut self.value_info, &f, limits)?,
            13 => self.overload = Some(f.text()?),
            14 => push(&mut self.metadata_props, &f, limits)?,
            _ => self.unknown.keep(&f, limits)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut Rope<'a>) {
        put_text(out, 1, &self.name);
        put_texts(out, 4, &self.input);
        put_texts(out, 5, &self.output);
        put_texts(out, 6, &self.attribute);
        put_all(out, 7, &self.node);
        put_text(out, 8, &self.doc_string);
        put_all(out, 9, &self.opset_import);
        put_text(out, 10, &self.domain);
        put_all(out, 11, &self.attribute_proto);
        put_all(out, 12, &self.value_info);
        put_text(out, 13, &self.overload);
        put_all(out, 14, &self.metadata_props);
        self.unknown.encode(out);
    }
}
