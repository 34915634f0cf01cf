//! Activations written out in simpler operators.

use modelsmith_rewrite::{Graph, Match, Preserves, Rule, Try};
use modelsmith_tensor::DType;

/// All of them.
pub static RULES: &[&Rule] = &[
    &GELU_DIV,
    &GELU_DIV_HALF,
    &GELU_DIV_INNER,
    &GELU_MUL,
    &GELU_MUL_HALF,
    &GELU_MUL_INNER,
    &GELU_TANH_POW,
    &GELU_TANH_CUBE,
    &GELU_TANH_OUTER,
    &SILU,
    &HARD_SWISH,
    &HARD_SWISH_CLIP,
    &MISH,
];

const CLOSE: Preserves = Preserves::Float(32);

static GELU_DIV: Rule =
    Rule::text("gelu-div", "Mul(Mul(x, Add(Erf(Div(x, 1.4142135623730951)), 1)), 0.5)", "Gelu(x)", CLOSE);
static GELU_DIV_HALF: Rule =
    Rule::text("gelu-div-half", "Mul(Mul(x, 0.5), Add(Erf(Div(x, 1.4142135623730951)), 1))", "Gelu(x)", CLOSE);
static GELU_DIV_INNER: Rule =
    Rule::text("gelu-div-inner", "Mul(x, Mul(Add(Erf(Div(x, 1.4142135623730951)), 1), 0.5))", "Gelu(x)", CLOSE);
static GELU_MUL: Rule =
    Rule::text("gelu-mul", "Mul(Mul(x, Add(Erf(Mul(x, 0.7071067811865476)), 1)), 0.5)", "Gelu(x)", CLOSE);
static GELU_MUL_HALF: Rule =
    Rule::text("gelu-mul-half", "Mul(Mul(x, 0.5), Add(Erf(Mul(x, 0.7071067811865476)), 1))", "Gelu(x)", CLOSE);
static GELU_MUL_INNER: Rule =
    Rule::text("gelu-mul-inner", "Mul(x, Mul(Add(Erf(Mul(x, 0.7071067811865476)), 1), 0.5))", "Gelu(x)", CLOSE);

static GELU_TANH_POW: Rule = Rule::text(
    "gelu-tanh-pow",
    "Mul(Mul(x, 0.5), Add(Tanh(Mul(Add(x, Mul(Pow(x, 3), 0.044715)), 0.7978845608028654)), 1))",
    "Gelu(x) {approximate = \"tanh\"}",
    CLOSE,
);
static GELU_TANH_CUBE: Rule = Rule::text(
    "gelu-tanh-cube",
    "Mul(Mul(x, 0.5), Add(Tanh(Mul(Add(x, Mul(Mul(Mul(x, x), x), 0.044715)), 0.7978845608028654)), 1))",
    "Gelu(x) {approximate = \"tanh\"}",
    CLOSE,
);
static GELU_TANH_OUTER: Rule = Rule::text(
    "gelu-tanh-outer",
    "Mul(Mul(x, Add(Tanh(Mul(Add(x, Mul(Pow(x, 3), 0.044715)), 0.7978845608028654)), 1)), 0.5)",
    "Gelu(x) {approximate = \"tanh\"}",
    CLOSE,
);

static SILU: Rule = Rule::text("silu", "Mul(x, Sigmoid(x))", "Swish(x)", CLOSE);
static HARD_SWISH: Rule =
    Rule::text("hard-swish", "Mul(x, HardSigmoid(x) {alpha = 0.16666667, beta = 0.5})", "HardSwish(x)", CLOSE)
        .when(attributes_suffice);
static HARD_SWISH_CLIP: Rule =
    Rule::text("hard-swish-clip", "Mul(x, Div(Clip(Add(x, 3), 0, 6), 6))", "HardSwish(x)", CLOSE);
static MISH: Rule = Rule::text("mish", "Mul(x, Tanh(Softplus(x)))", "Mish(x)", CLOSE);

/// Attributes are single precision, which a double notices.
fn attributes_suffice(g: &Graph, m: &Match) -> Try {
    match g.ty(m.get("x")?).dtype() {
        Some(DType::F64) => Err("the attributes are less precise than the tensor".into()),
        _ => Ok(()),
    }
}
