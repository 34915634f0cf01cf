//! The families of operators, a file each.

mod activation;
mod arithmetic;
mod compare;
mod complex;
mod conv;
mod core;
mod create;
mod decomposed;
mod index;
mod linear;
mod norm;
mod pool;
pub(crate) mod quantized;
mod reduce;
mod resize;
mod rnn;
mod shape;
mod unary;
mod view;
mod vision;

use super::schema::Row;
pub(crate) use complex::{complex, is_complex};
pub(crate) use shape::scalar;

/// Every family.
pub(crate) const FAMILIES: &[&[Row]] = &[
    activation::ROWS,
    arithmetic::ROWS,
    compare::ROWS,
    conv::ROWS,
    complex::ROWS,
    core::ROWS,
    create::ROWS,
    decomposed::ROWS,
    index::ROWS,
    linear::ROWS,
    norm::ROWS,
    pool::ROWS,
    quantized::ROWS,
    reduce::ROWS,
    resize::ROWS,
    rnn::ROWS,
    shape::ROWS,
    unary::ROWS,
    view::ROWS,
    vision::ROWS,
];
