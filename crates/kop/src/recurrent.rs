//! Recurrent layers.

/// One direction of an ONNX LSTM in f32 with the default activations, without peepholes, clipping or coupled gates.
///
/// The input part of the gates, `x W^T + Wb + Rb`, is computed beforehand as one product and given as
/// `[seq, batch, 4 * hidden]` in ONNX's gate order i, o, f, c.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LstmProblem {
    /// Time steps.
    pub seq: usize,
    /// Sequences.
    pub batch: usize,
    /// Hidden units.
    pub hidden: usize,
    /// Run from the last time step to the first.
    pub reverse: bool,
    /// Elements between time steps of the output `[seq, batch, hidden]`.
    pub y_step_stride: usize,
}

/// One direction of an ONNX GRU in f32 with the default activations, without clipping.
///
/// The input part of the gates, with all biases but the one below, is computed beforehand as one product and given as
/// `[seq, batch, 3 * hidden]` in ONNX's gate order z, r, h.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GruProblem {
    /// Time steps.
    pub seq: usize,
    /// Sequences.
    pub batch: usize,
    /// Hidden units.
    pub hidden: usize,
    /// Run from the last time step to the first.
    pub reverse: bool,
    /// The reset gate applies to the candidate's product and its bias, which is an operand; else to the state before it.
    pub linear_before_reset: bool,
    /// Each sequence has a length of its own, an operand: what lies behind it is zero.
    pub lengths: bool,
    /// Elements between time steps of the output `[seq, batch, hidden]`.
    pub y_step_stride: usize,
}
