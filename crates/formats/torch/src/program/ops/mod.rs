//! The families of operators, a file each; in it one row for each operator.

mod arithmetic;
mod compare;
mod conv;
mod create;
mod index;
mod linear;
mod norm;
mod pad;
mod pool;
mod quant;
mod reduce;
mod resize;
mod rnn;
mod scatter;
mod shape;
mod unary;

use super::table::Row;

/// Every family.
pub(super) const FAMILIES: &[&[Row]] = &[
    arithmetic::ROWS,
    compare::ROWS,
    conv::ROWS,
    create::ROWS,
    index::ROWS,
    linear::ROWS,
    norm::ROWS,
    pad::ROWS,
    pool::ROWS,
    quant::ROWS,
    reduce::ROWS,
    resize::ROWS,
    rnn::ROWS,
    scatter::ROWS,
    shape::ROWS,
    super::control::ROWS,
    unary::ROWS,
];
