//! What the imports of a pickle mean: a table from module and name to a recipe, shared by the reader of checkpoints and
//! the scanner. What is not in it stays data for the one and is refused by the other.

use modelsmith_base::DType;

/// The meaning of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// A function that rebuilds a tensor from its arguments.
    Tensor(Rebuild),
    /// A typed storage class of PyTorch.
    Storage(Element),
    /// The storage class that counts bytes.
    UntypedStorage,
    /// An element type.
    Type(Element),
    /// A container that behaves like a plain one.
    Container(Container),
    /// A part of a NumPy array.
    Numpy(Numpy),
    /// `torch.Size`: a tuple of integers.
    Size,
    /// `torch.device`.
    Device,
    /// Text to bytes: how protocols 0 to 2 write them.
    Encode,
    /// Makes an instance without calling its constructor, for protocols 0 and 1.
    Reconstruct,
    /// A named constant: quantization scheme, layout, memory format.
    Constant,
    /// Gives its first argument back.
    First,
    /// A class that does nothing when it is made or given its state.
    Class,
}

/// How elements lie in a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// Type of each part.
    pub dtype: DType,
    /// Parts of an element: 2 for pairs of halves, which have no type of their own.
    pub parts: usize,
}

/// The functions that rebuild tensors, by their arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuild {
    /// `(storage, offset, size, stride, ...)`.
    Plain,
    /// `(storage, offset, size, stride, requires_grad, hooks, dtype, metadata)`.
    Typed,
    /// `(data, requires_grad, hooks, [state])`.
    Parameter,
    /// `(storage, offset, size, stride, quantizer, requires_grad, hooks)`.
    Quantized,
    /// `(layout, data)`.
    Sparse,
    /// `(buffer, sizes, strides, offsets)`.
    Nested,
    /// `(dtype, size, stride, requires_grad)`.
    Meta,
    /// `(function, class, args, state)`.
    FromType,
    /// `(data, dtype, device, requires_grad)`.
    FromDevice,
    /// `(class, dtype, size, stride, offset, layout, device, requires_grad)`.
    Wrapper,
}

/// Containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// A dictionary.
    Dict,
    /// A dictionary whose first argument is the factory of missing values.
    DefaultDict,
    /// A list.
    List,
    /// A tuple.
    Tuple,
    /// A set.
    Set,
    /// Bytes.
    Bytes,
    /// A number or text made from its argument.
    Scalar,
}

/// Parts of NumPy arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numpy {
    /// `_reconstruct(class, shape, typecode)`, then a state.
    Reconstruct,
    /// `scalar(dtype, bytes)`.
    Scalar,
    /// `dtype(code, align, copy)`, then a state.
    Dtype,
    /// `_frombuffer(buffer, dtype, shape, order)`.
    FromBuffer,
    /// The class of arrays, or of element types.
    Class,
}

struct Row(&'static str, &'static str, Recipe);

const fn one(dtype: DType) -> Element {
    Element { dtype, parts: 1 }
}

/// The recipe of `name` in `module`, under its present and older module names.
pub fn recipe(module: &str, name: &str) -> Option<Recipe> {
    let module = present(module);
    let typed = |table: &[(&str, Element)]| table.iter().find(|(n, _)| *n == name).map(|(_, e)| *e);
    match module {
        "torch" | "torch.cuda" if name.ends_with("Storage") => {
            let class = name.strip_suffix("Storage").unwrap_or_default();
            return STORAGES
                .iter()
                .find(|(n, _)| *n == class)
                .map(|(_, e)| Recipe::Storage(*e))
                .or(table(module, name));
        }
        "torch" => {
            if let Some(element) = typed(TYPES) {
                return Some(Recipe::Type(element));
            }
        }
        "numpy" if SCALARS.contains(&name) => return Some(Recipe::Numpy(Numpy::Class)),
        "numpy.dtypes" if name.ends_with("DType") && plain_class(name) => return Some(Recipe::Numpy(Numpy::Class)),
        _ => {}
    }
    let class = || CLASSES.iter().any(|m| module.starts_with(m)) && plain_class(name);
    table(module, name).or_else(|| class().then_some(Recipe::Class))
}

fn table(module: &str, name: &str) -> Option<Recipe> {
    ROWS.iter().find(|Row(m, n, _)| *m == module && *n == name).map(|Row(_, _, recipe)| *recipe)
}

/// The name that a module has now.
fn present(module: &str) -> &str {
    match module {
        "__builtin__" => "builtins",
        "copy_reg" => "copyreg",
        "numpy._core.multiarray" => "numpy.core.multiarray",
        "numpy._core.numeric" => "numpy.core.numeric",
        other => other,
    }
}

/// A class name without dots: capital first, so that no function of the same module passes.
fn plain_class(name: &str) -> bool {
    let body = name.trim_start_matches('_');
    body.starts_with(|c: char| c.is_ascii_uppercase()) && body.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Modules whose classes hold tensors and plain attributes only.
const CLASSES: &[&str] = &["torch.nn.modules.", "torchvision.models.", "torchvision.ops.misc"];

const STORAGES: &[(&str, Element)] = &[
    ("Float", one(DType::F32)),
    ("Double", one(DType::F64)),
    ("Half", one(DType::F16)),
    ("BFloat16", one(DType::BF16)),
    ("Long", one(DType::I64)),
    ("Int", one(DType::I32)),
    ("Short", one(DType::I16)),
    ("Char", one(DType::I8)),
    ("Byte", one(DType::U8)),
    ("Bool", one(DType::Bool)),
    ("ComplexFloat", one(DType::Complex64)),
    ("ComplexDouble", one(DType::Complex128)),
    ("ComplexHalf", Element { dtype: DType::F16, parts: 2 }),
    ("QInt8", one(DType::I8)),
    ("QUInt8", one(DType::U8)),
    ("QInt32", one(DType::I32)),
    ("QUInt4x2", one(DType::U8)),
    ("QUInt2x4", one(DType::U8)),
];

const TYPES: &[(&str, Element)] = &[
    ("float32", one(DType::F32)),
    ("float64", one(DType::F64)),
    ("float16", one(DType::F16)),
    ("bfloat16", one(DType::BF16)),
    ("int64", one(DType::I64)),
    ("int32", one(DType::I32)),
    ("int16", one(DType::I16)),
    ("int8", one(DType::I8)),
    ("uint8", one(DType::U8)),
    ("uint16", one(DType::U16)),
    ("uint32", one(DType::U32)),
    ("uint64", one(DType::U64)),
    ("bool", one(DType::Bool)),
    ("complex32", Element { dtype: DType::F16, parts: 2 }),
    ("complex64", one(DType::Complex64)),
    ("complex128", one(DType::Complex128)),
    ("float8_e4m3fn", one(DType::F8E4M3FN)),
    ("float8_e4m3fnuz", one(DType::F8E4M3FNUZ)),
    ("float8_e5m2", one(DType::F8E5M2)),
    ("float8_e5m2fnuz", one(DType::F8E5M2FNUZ)),
    ("float8_e8m0fnu", one(DType::F8E8M0)),
    ("float4_e2m1fn_x2", one(DType::U8)),
    ("qint8", one(DType::I8)),
    ("quint8", one(DType::U8)),
    ("qint32", one(DType::I32)),
    ("quint4x2", one(DType::U8)),
    ("quint2x4", one(DType::U8)),
    ("bits8", one(DType::U8)),
    ("bits16", one(DType::U16)),
];

/// Scalar classes of NumPy.
const SCALARS: &[&str] = &[
    "bool_",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
];

const ROWS: &[Row] = &[
    Row("torch._utils", "_rebuild_tensor", Recipe::Tensor(Rebuild::Plain)),
    Row("torch._utils", "_rebuild_tensor_v2", Recipe::Tensor(Rebuild::Plain)),
    Row("torch._utils", "_rebuild_tensor_v3", Recipe::Tensor(Rebuild::Typed)),
    Row("torch._utils", "_rebuild_parameter", Recipe::Tensor(Rebuild::Parameter)),
    Row("torch._utils", "_rebuild_parameter_with_state", Recipe::Tensor(Rebuild::Parameter)),
    Row("torch._utils", "_rebuild_qtensor", Recipe::Tensor(Rebuild::Quantized)),
    Row("torch._utils", "_rebuild_sparse_tensor", Recipe::Tensor(Rebuild::Sparse)),
    Row("torch._utils", "_rebuild_sparse_csr_tensor", Recipe::Tensor(Rebuild::Sparse)),
    Row("torch._utils", "_rebuild_nested_tensor", Recipe::Tensor(Rebuild::Nested)),
    Row("torch._utils", "_rebuild_meta_tensor_no_storage", Recipe::Tensor(Rebuild::Meta)),
    Row("torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Recipe::Tensor(Rebuild::FromDevice)),
    Row("torch._utils", "_rebuild_device_tensor_from_numpy", Recipe::Tensor(Rebuild::FromDevice)),
    Row("torch._utils", "_rebuild_xla_tensor", Recipe::Tensor(Rebuild::FromDevice)),
    Row("torch._utils", "_rebuild_wrapper_subclass", Recipe::Tensor(Rebuild::Wrapper)),
    Row("torch._tensor", "_rebuild_from_type_v2", Recipe::Tensor(Rebuild::FromType)),
    Row("torch.storage", "UntypedStorage", Recipe::UntypedStorage),
    Row("torch", "UntypedStorage", Recipe::UntypedStorage),
    Row("torch.storage", "TypedStorage", Recipe::UntypedStorage),
    Row("torch", "Size", Recipe::Size),
    Row("torch", "device", Recipe::Device),
    Row("torch", "Tensor", Recipe::Class),
    Row("torch.nn.parameter", "Parameter", Recipe::Class),
    Row("torch.nn.parameter", "Buffer", Recipe::Class),
    Row("torch", "FloatTensor", Recipe::Class),
    Row("torch", "LongTensor", Recipe::Class),
    Row("torch", "per_tensor_affine", Recipe::Constant),
    Row("torch", "per_tensor_symmetric", Recipe::Constant),
    Row("torch", "per_channel_affine", Recipe::Constant),
    Row("torch", "per_channel_symmetric", Recipe::Constant),
    Row("torch", "per_channel_affine_float_qparams", Recipe::Constant),
    Row("torch", "strided", Recipe::Constant),
    Row("torch.serialization", "_get_layout", Recipe::Constant),
    Row("torch.nn.backends.thnn", "_get_thnn_function_backend", Recipe::Constant),
    Row("torch.jit._pickle", "build_intlist", Recipe::Container(Container::List)),
    Row("torch.jit._pickle", "build_doublelist", Recipe::Container(Container::List)),
    Row("torch.jit._pickle", "build_boollist", Recipe::Container(Container::List)),
    Row("torch.jit._pickle", "build_tensorlist", Recipe::Container(Container::List)),
    Row("torch.jit._pickle", "restore_type_tag", Recipe::First),
    Row("collections", "OrderedDict", Recipe::Container(Container::Dict)),
    Row("collections", "Counter", Recipe::Container(Container::Dict)),
    Row("collections", "defaultdict", Recipe::Container(Container::DefaultDict)),
    Row("collections", "deque", Recipe::Container(Container::List)),
    Row("builtins", "dict", Recipe::Container(Container::Dict)),
    Row("builtins", "list", Recipe::Container(Container::List)),
    Row("builtins", "tuple", Recipe::Container(Container::Tuple)),
    Row("builtins", "set", Recipe::Container(Container::Set)),
    Row("builtins", "frozenset", Recipe::Container(Container::Set)),
    Row("builtins", "bytearray", Recipe::Container(Container::Bytes)),
    Row("builtins", "bytes", Recipe::Container(Container::Bytes)),
    Row("builtins", "complex", Recipe::Container(Container::Scalar)),
    Row("builtins", "int", Recipe::Container(Container::Scalar)),
    Row("builtins", "long", Recipe::Container(Container::Scalar)),
    Row("builtins", "float", Recipe::Container(Container::Scalar)),
    Row("builtins", "bool", Recipe::Container(Container::Scalar)),
    Row("builtins", "str", Recipe::Container(Container::Scalar)),
    Row("builtins", "unicode", Recipe::Container(Container::Scalar)),
    Row("builtins", "slice", Recipe::Container(Container::Tuple)),
    Row("builtins", "range", Recipe::Container(Container::Tuple)),
    Row("builtins", "xrange", Recipe::Container(Container::Tuple)),
    Row("builtins", "object", Recipe::Class),
    Row("_codecs", "encode", Recipe::Encode),
    Row("copyreg", "_reconstructor", Recipe::Reconstruct),
    Row("numpy.core.multiarray", "_reconstruct", Recipe::Numpy(Numpy::Reconstruct)),
    Row("numpy.core.multiarray", "scalar", Recipe::Numpy(Numpy::Scalar)),
    Row("numpy.core.numeric", "_frombuffer", Recipe::Numpy(Numpy::FromBuffer)),
    Row("numpy", "dtype", Recipe::Numpy(Numpy::Dtype)),
    Row("numpy", "ndarray", Recipe::Numpy(Numpy::Class)),
    Row("argparse", "Namespace", Recipe::Class),
    Row("pathlib", "PosixPath", Recipe::Class),
    Row("pathlib", "WindowsPath", Recipe::Class),
    Row("pathlib", "PurePosixPath", Recipe::Class),
    Row("datetime", "datetime", Recipe::Class),
    Row("datetime", "date", Recipe::Class),
    Row("datetime", "timedelta", Recipe::Class),
    Row("decimal", "Decimal", Recipe::Class),
    Row("fractions", "Fraction", Recipe::Class),
    Row("uuid", "UUID", Recipe::Class),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_mean_the_same() {
        assert_eq!(recipe("__builtin__", "set"), recipe("builtins", "set"));
        assert_eq!(recipe("numpy._core.multiarray", "scalar"), Some(Recipe::Numpy(Numpy::Scalar)));
        assert_eq!(recipe("torch.cuda", "HalfStorage"), Some(Recipe::Storage(one(DType::F16))));
        assert_eq!(recipe("torch", "UntypedStorage"), Some(Recipe::UntypedStorage));
        assert_eq!(recipe("torch", "uint16"), Some(Recipe::Type(one(DType::U16))));
    }

    #[test]
    fn what_runs_something_has_no_recipe() {
        for (module, name) in [
            ("builtins", "eval"),
            ("builtins", "getattr"),
            ("os", "system"),
            ("torch", "load"),
            ("torch", "_utils"),
            ("torch.nn.modules.module", "_register"),
            ("torch.nn.modules.module", "Module.register_forward_hook"),
            ("torch.nn.modules.module", "torch"),
            ("numpy.dtypes", "os.systemDType"),
            ("", ""),
        ] {
            assert_eq!(recipe(module, name), None, "{module}.{name}");
        }
        assert_eq!(recipe("torch.nn.modules.conv", "Conv2d"), Some(Recipe::Class));
    }
}
