//! The record of a family: every fact about it that the driver uses.

/// A family of models.
pub struct Family {
    /// Name for people.
    pub name: &'static str,
    /// Classes in `config.json`; the first is written on the way back.
    pub classes: &'static [&'static str],
    /// `model_type` in `config.json`.
    pub model_type: &'static str,
    /// `general.architecture`.
    pub gguf: &'static str,
    /// Hyperparameters, in the order in which they are written.
    pub keys: &'static [&'static [Key]],
    /// Tensors.
    pub tensors: &'static [&'static [Row]],
    /// Beginnings of tensor names that do not count, tried in this order.
    pub prefixes: &'static [&'static str],
    /// Beginning that the names of [`Family::tensors`] have in a file of the first class; not for names that begin
    /// with `lm_head`.
    pub prefix: &'static str,
    /// Beginnings of names of tensors that have no place in a GGUF file of the family.
    pub unused: &'static [&'static str],
    /// Where the vocabulary comes from; the first whose files are there counts.
    pub vocabulary: &'static [Vocabulary],
    /// What transformers calls the tokenizer, for vocabularies of SentencePiece on the way back.
    pub tokenizer_class: &'static str,
    /// Metadata of the tokenizer that are the same in every model.
    pub tokenizer: &'static [(&'static str, Constant)],
    /// Tensors that are computed from the configuration.
    pub computed: Computed,
    /// Entries of `config.json` that are the same in every model, for the way back.
    pub fixed: &'static [(&'static str, Constant)],
}

/// A hyperparameter.
pub struct Key {
    /// Its key without the name of the architecture.
    pub gguf: &'static str,
    /// Where `config.json` has it: paths with dots, the first that is there counts. The first one is written on the way
    /// back.
    pub config: &'static [&'static str],
    /// Its type.
    pub kind: Kind,
    /// Its value where `config.json` has none.
    pub default: Default,
    /// It is written only where one of these paths has one of these texts.
    pub when: Option<(&'static [&'static str], &'static [&'static str])>,
}

/// The type of a hyperparameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An unsigned integer of 32 bits.
    U32,
    /// A float of 32 bits.
    F32,
    /// A truth value.
    Bool,
    /// A text, by pairs of what `config.json` says and what GGUF says; others are not written.
    Choice(&'static [(&'static str, &'static str)]),
    /// `general.file_type`, which the type of the tensors decides.
    FileType,
    /// How sentence-transformers pools, from `modules.json`.
    Pooling,
}

/// The value of a hyperparameter that `config.json` does not give.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    /// It is not written.
    None,
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Width of the model by number of heads.
    HeadDim,
    /// As many as query heads.
    Heads,
    /// Four times the width of the model.
    FourTimesWidth,
    /// The part of a head that is rotated.
    RotaryDim,
}

/// A tensor, without `.weight` or `.bias`; `{}` stands for the number of the layer.
pub struct Row {
    /// Its name in a Hugging Face file.
    pub hf: &'static str,
    /// Its name in a GGUF file.
    pub gguf: &'static str,
    /// What happens on the way.
    pub via: Via,
    /// It is stored as `f32` whatever its rank.
    pub f32: bool,
}

/// What happens to a tensor on its way to GGUF. Each has an inverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Nothing.
    Copy,
    /// The rows of each query head, halves of a rotation one after the other, are interleaved.
    QueryHeads,
    /// The same for key heads.
    KeyHeads,
    /// A matrix is transposed.
    Transpose,
    /// One is added to the weight.
    AddOne,
    /// Rows beyond the vocabulary are left out.
    Vocabulary,
    /// It is left out.
    Drop,
}

/// Where a vocabulary comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// `tokenizer.model` of SentencePiece.
    SentencePiece,
    /// The same, and added tokens from `tokenizer.json`, as spelled there.
    SentencePieceAdded,
    /// `tokenizer.json` with merges and bytes as fallback, made from a SentencePiece model.
    ByteFallback,
    /// `tokenizer.json`, or `vocab.json` and `merges.txt`, with bytes as GPT-2 spells them.
    Gpt2,
    /// `tokenizer.json` or `vocab.txt` with word pieces.
    WordPiece,
}

/// A constant of metadata or configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constant {
    /// An unsigned integer.
    Int(u32),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(&'static str),
    /// Whether the GGUF file has that tensor.
    IfTensor(&'static str),
    /// What queries are scaled by: the width of a head, but width by heads in models with that many layers.
    QueryScalar(u32),
}

/// Tensors that are computed from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Computed {
    /// None.
    Nothing,
    /// `rope_freqs`: how much Llama 3 slows each rotation down.
    Llama3Rope,
    /// `rope_factors_long` and `rope_factors_short`.
    LongRope,
}

impl Family {
    /// A record to begin with.
    pub const BASE: Family = Family {
        name: "",
        classes: &[],
        model_type: "",
        gguf: "",
        keys: &[],
        tensors: &[],
        prefixes: &[],
        prefix: "",
        unused: &[],
        vocabulary: &[],
        tokenizer_class: "LlamaTokenizer",
        tokenizer: &[],
        computed: Computed::Nothing,
        fixed: &[],
    };

    /// Every row of its tensors.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> + use<> {
        self.tensors.iter().copied().flatten()
    }

    /// Every hyperparameter in order.
    pub fn all_keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().copied().flatten()
    }
}

/// A hyperparameter of that kind.
pub const fn key(gguf: &'static str, kind: Kind, config: &'static [&'static str]) -> Key {
    Key { gguf, config, kind, default: Default::None, when: None }
}

impl Key {
    /// With a value for configurations that do not have it.
    pub const fn or(mut self, default: Default) -> Key {
        self.default = default;
        self
    }

    /// Written only where one of these paths has one of these texts.
    pub const fn when(mut self, paths: &'static [&'static str], texts: &'static [&'static str]) -> Key {
        self.when = Some((paths, texts));
        self
    }
}

/// A tensor that is copied.
pub const fn row(hf: &'static str, gguf: &'static str) -> Row {
    Row { hf, gguf, via: Via::Copy, f32: false }
}

/// A tensor that is left out.
pub const fn drop(hf: &'static str) -> Row {
    row(hf, "").via(Via::Drop)
}

impl Row {
    /// With a transformation.
    pub const fn via(mut self, via: Via) -> Row {
        self.via = via;
        self
    }

    /// Stored as `f32`.
    pub const fn f32(mut self) -> Row {
        self.f32 = true;
        self
    }
}
