//! Comparisons, logic and choice.

use crate::program::context::Cx;
use crate::program::table::{Made, Row, Said, by, text};

pub(super) const ROWS: &[Row] = &[
    text("And", "torch.logical_and({0}, {1})"),
    by("Equal", equal),
    text("Greater", "torch.gt({0}, {1#})"),
    text("GreaterOrEqual", "torch.ge({0}, {1#})"),
    text("Less", "torch.lt({0}, {1#})"),
    text("LessOrEqual", "torch.le({0}, {1#})"),
    text("Or", "torch.logical_or({0}, {1})"),
    text("Where", "torch.where({0}, {1}, {2})"),
    text("Xor", "torch.logical_xor({0}, {1})"),
];

fn equal(cx: &mut Cx<'_>) -> Said<Made> {
    Ok(Made::from(format!("torch.eq({}, {})", cx.tensor(0)?, cx.operand(1)?)))
}
