//! Sets of element types that the specification uses again and again, by the names it gives them.

use modelsmith_ir::TypeSet;
use modelsmith_tensor::DType::{self, *};

/// Real floats of 16, 32 and 64 bit.
pub const FLOATS: TypeSet = TypeSet::tensors(&[F32, F64, F16]);
/// `FLOATS` and bfloat16.
pub const FLOATS_BF16: TypeSet = TypeSet::tensors(&[F32, F64, F16, BF16]);
/// Booleans.
pub const BOOL: TypeSet = TypeSet::tensors(&[Bool]);
/// The types of indices.
pub const INDEX: TypeSet = TypeSet::tensors(&[I32, I64]);
/// 64-bit integers.
pub const I64_ONLY: TypeSet = TypeSet::tensors(&[I64]);
/// Integers and floats of 8 to 64 bit, without bfloat16.
pub const NUMERIC: TypeSet = TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64]);
/// `NUMERIC` and bfloat16.
pub const NUMERIC_BF16: TypeSet = TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64]);
/// Every type of IR version 3.
pub const ALL: TypeSet =
    TypeSet::tensors(&[F32, F64, F16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, String, Complex64, Complex128]);
/// Every type of IR version 4: with bfloat16.
pub const ALL_IR4: TypeSet =
    TypeSet::tensors(&[F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, String, Complex64, Complex128]);
/// Every type of IR version 9: with 8-bit floats.
pub const ALL_IR9: TypeSet = TypeSet::tensors(&[
    F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, I16, I32, I64, U8, U16, U32, U64, Bool, String,
    Complex64, Complex128,
]);
/// Every type of IR version 10: with 4-bit integers.
pub const ALL_IR10: TypeSet = TypeSet::tensors(&[
    F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, I8, I16, I32, I64, U8, U16, U32, U64, I4, U4, Bool,
    String, Complex64, Complex128,
]);
/// Every type of IR version 11: with 4-bit floats.
pub const ALL_IR11: TypeSet = TypeSet::tensors(&[
    F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F4E2M1, I8, I16, I32, I64, U8, U16, U32, U64, I4,
    U4, Bool, String, Complex64, Complex128,
]);
/// Every type of IR version 12: with powers of two.
pub const ALL_IR12: TypeSet = TypeSet::tensors(&[
    F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16, I32, I64, U8, U16, U32,
    U64, I4, U4, Bool, String, Complex64, Complex128,
]);
/// Every type of IR version 13: with 2-bit integers.
pub const ALL_IR13: TypeSet = TypeSet::tensors(&[
    F32, F64, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1, I8, I16, I32, I64, U8, U16, U32,
    U64, I4, U4, I2, U2, Bool, String, Complex64, Complex128,
]);
/// Integers of 32 and 64 bit and floats of 16 to 64 bit.
pub const WIDE: TypeSet = TypeSet::tensors(&[F32, F64, F16, I32, I64, U32, U64]);
/// `WIDE` and bfloat16.
pub const WIDE_BF16: TypeSet = TypeSet::tensors(&[F32, F64, F16, BF16, I32, I64, U32, U64]);
/// 8-bit integers.
pub const BYTES: TypeSet = TypeSet::tensors(&[I8, U8]);
/// 8-bit floats.
pub const FLOATS8: TypeSet = TypeSet::tensors(&[F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ]);

/// The name of an element type in the specification.
pub fn spelled(dtype: DType) -> std::string::String {
    match dtype {
        F32 => "float".into(),
        F64 => "double".into(),
        F16 => "float16".into(),
        BF16 => "bfloat16".into(),
        Complex64 => "complex64".into(),
        Complex128 => "complex128".into(),
        Bool | String => dtype.name().into(),
        d if d.is_int() => d.name().replacen('i', "int", 1).replacen('u', "uint", 1),
        d => d.name().replacen("f8", "float8", 1).replacen("f4", "float4", 1),
    }
}
