//! The table of all operators.
// Written by `cargo xtask gen`; do not edit.

#[path = "math/mod.rs"]
pub mod math;
#[path = "shape/mod.rs"]
pub mod shape;

/// Every operator.
pub static ALL: &[&modelsmith_ir::OpDef] = &[
    &math::abs::ABS,
    &math::acos::ACOS,
    &math::acosh::ACOSH,
    &math::add::ADD,
    &math::and::AND,
    &math::asin::ASIN,
    &math::asinh::ASINH,
    &math::atan::ATAN,
    &math::atanh::ATANH,
    &math::bitwise_and::BITWISE_AND,
    &math::bitwise_not::BITWISE_NOT,
    &math::bitwise_or::BITWISE_OR,
    &math::bitwise_xor::BITWISE_XOR,
    &math::ceil::CEIL,
    &math::cos::COS,
    &math::cosh::COSH,
    &math::div::DIV,
    &math::equal::EQUAL,
    &math::erf::ERF,
    &math::exp::EXP,
    &math::floor::FLOOR,
    &math::greater::GREATER,
    &math::greater_or_equal::GREATER_OR_EQUAL,
    &math::is_inf::IS_INF,
    &math::is_nan::IS_NAN,
    &math::less::LESS,
    &math::less_or_equal::LESS_OR_EQUAL,
    &math::log::LOG,
    &math::mul::MUL,
    &math::neg::NEG,
    &math::not::NOT,
    &math::or::OR,
    &math::reciprocal::RECIPROCAL,
    &math::round::ROUND,
    &math::sign::SIGN,
    &math::sin::SIN,
    &math::sinh::SINH,
    &math::sqrt::SQRT,
    &math::sub::SUB,
    &math::tan::TAN,
    &math::tanh::TANH,
    &math::xor::XOR,
    &shape::identity::IDENTITY,
    &shape::squeeze::SQUEEZE,
];
