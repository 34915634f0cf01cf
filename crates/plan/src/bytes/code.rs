//! How values become bytes and back: little-endian, counts before elements, one byte for the variant of an enum.

use modelsmith_base::Cursor;
use modelsmith_ir::{Atom, Attr, AttrKind, Attrs, Dim, TensorType, Type};
use modelsmith_tensor::{DType, Tensor, WeightExpr};
use std::sync::Arc;

/// Expressions and types nested deeper than this are refused.
const MAX_DEPTH: usize = 24;

/// What a reading function returns.
pub(crate) type Got<T> = Result<T, Bad>;

/// Bytes that do not say what is expected.
#[derive(Debug)]
pub(crate) struct Bad {
    pub offset: u64,
    pub message: String,
}

/// Reads from untrusted bytes.
pub(crate) struct Reader<'a> {
    pub cursor: Cursor<'a>,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], base: u64) -> Reader<'a> {
        Reader { cursor: Cursor::new(bytes, base), depth: 0 }
    }

    pub fn bad<T>(&self, message: impl Into<String>) -> Got<T> {
        Err(Bad { offset: self.cursor.offset(), message: message.into() })
    }

    fn take(&mut self, n: usize) -> Got<&'a [u8]> {
        let offset = self.cursor.offset();
        self.cursor.take(n).map_err(|e| Bad { offset, message: e.to_string() })
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Got<T>) -> Got<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.bad("nested too deep");
        }
        let out = read(self);
        self.depth -= 1;
        out
    }
}

/// A value with a form in bytes.
pub(crate) trait Code: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn get(r: &mut Reader) -> Got<Self>;
}

macro_rules! code_number {
    ($($t:ty),*) => { $(impl Code for $t {
        fn put(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.to_le_bytes());
        }
        fn get(r: &mut Reader) -> Got<Self> {
            let mut bytes = [0; size_of::<$t>()];
            bytes.copy_from_slice(r.take(size_of::<$t>())?);
            Ok(<$t>::from_le_bytes(bytes))
        }
    })* };
}
code_number!(u8, u32, u64, i64, f32);

impl Code for usize {
    fn put(&self, out: &mut Vec<u8>) {
        (*self as u64).put(out);
    }
    fn get(r: &mut Reader) -> Got<Self> {
        let n = u64::get(r)?;
        usize::try_from(n).or_else(|_| r.bad(format!("{n} is no size")))
    }
}

impl Code for bool {
    fn put(&self, out: &mut Vec<u8>) {
        u8::from(*self).put(out);
    }
    fn get(r: &mut Reader) -> Got<Self> {
        match u8::get(r)? {
            0 => Ok(false),
            1 => Ok(true),
            n => r.bad(format!("{n} is neither true nor false")),
        }
    }
}

impl Code for String {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        out.extend_from_slice(self.as_bytes());
    }
    fn get(r: &mut Reader) -> Got<Self> {
        let n = u32::get(r)? as usize;
        let bytes = r.take(n)?.to_vec();
        String::from_utf8(bytes).or_else(|_| r.bad("text that is not UTF-8"))
    }
}

impl<T: Code> Code for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        self.iter().for_each(|x| x.put(out));
    }
    fn get(r: &mut Reader) -> Got<Self> {
        let n = u32::get(r)? as usize;
        // Every element takes at least a byte.
        if n > r.cursor.left() {
            return r.bad(format!("{n} elements in {} bytes", r.cursor.left()));
        }
        (0..n).map(|_| T::get(r)).collect()
    }
}

impl<T: Code> Code for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        self.iter().for_each(|x| x.put(out));
    }
    fn get(r: &mut Reader) -> Got<Self> {
        Ok(if bool::get(r)? { Some(T::get(r)?) } else { None })
    }
}

impl<T: Code + Copy + Default, const N: usize> Code for [T; N] {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|x| x.put(out));
    }
    fn get(r: &mut Reader) -> Got<Self> {
        let mut all = [T::default(); N];
        for x in &mut all {
            *x = T::get(r)?;
        }
        Ok(all)
    }
}

impl<A: Code, B: Code> Code for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn get(r: &mut Reader) -> Got<Self> {
        Ok((A::get(r)?, B::get(r)?))
    }
}

/// Codes the fields of a struct in order.
macro_rules! code_struct {
    ($t:ty { $($f:ident),* $(,)? }) => {
        impl Code for $t {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$f.put(out);)*
            }
            fn get(r: &mut Reader) -> Got<Self> {
                $(let $f = Code::get(r)?;)*
                Ok(Self { $($f),* })
            }
        }
    };
}
pub(crate) use code_struct;

/// Codes the variants of an enum: a number each, then the fields.
macro_rules! code_enum {
    ($t:ident { $($n:literal : $v:ident $(($($x:ident),*))? $({$($f:ident),*})?),* $(,)? }) => {
        impl Code for $t {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($t::$v $(($($x),*))? $({$($f),*})? => {
                        out.push($n);
                        $($($x.put(out);)*)?
                        $($($f.put(out);)*)?
                    })*
                }
            }
            fn get(r: &mut Reader) -> Got<Self> {
                match u8::get(r)? {
                    $($n => {
                        $($(let $x = Code::get(r)?;)*)?
                        $($(let $f = Code::get(r)?;)*)?
                        Ok($t::$v $(($($x),*))? $({$($f),*})?)
                    })*
                    n => r.bad(format!("{n} is no {}", stringify!($t))),
                }
            }
        }
    };
}
pub(crate) use code_enum;

impl Code for DType {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
    fn get(r: &mut Reader) -> Got<Self> {
        let n = u8::get(r)?;
        DType::ALL.into_iter().find(|d| *d as u8 == n).map_or_else(|| r.bad(format!("{n} is no element type")), Ok)
    }
}

impl Code for Dim {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Dim::Unknown => out.push(0),
            Dim::Known(n) => {
                out.push(1);
                n.put(out);
            }
            Dim::Expr(e) => {
                out.push(2);
                let terms = e.terms().map(|(p, c)| (c, p.to_vec())).collect::<Vec<_>>();
                terms.put(out);
            }
        }
    }
    fn get(r: &mut Reader) -> Got<Self> {
        r.nested(|r| {
            Ok(match u8::get(r)? {
                0 => Dim::Unknown,
                1 => Dim::Known(i64::get(r)?),
                2 => {
                    let terms = Vec::<(i64, Vec<Factor>)>::get(r)?;
                    let product = |(c, p): (i64, Vec<Factor>)| p.into_iter().fold(Dim::Known(c), |n, f| n * f.0);
                    terms.into_iter().map(product).fold(Dim::Known(0), |a, b| a + b)
                }
                n => return r.bad(format!("{n} is no dimension")),
            })
        })
    }
}

/// One factor of a product, as the dimension that consists of it alone.
struct Factor(Dim);

impl Code for Atom {
    fn put(&self, out: &mut Vec<u8>) {
        let mut both = |n: u8, a: &Dim, b: &Dim| {
            out.push(n);
            a.put(out);
            b.put(out);
        };
        match self {
            Atom::FloorDiv(a, b) => both(1, a, b),
            Atom::Mod(a, b) => both(2, a, b),
            Atom::Min(a, b) => both(3, a, b),
            Atom::Max(a, b) => both(4, a, b),
            Atom::Broadcast(a, b) => both(5, a, b),
            Atom::Symbol(s) => {
                out.push(0);
                s.to_string().put(out);
            }
        }
    }
    fn get(r: &mut Reader) -> Got<Self> {
        // Atoms are read as factors; the dimension type keeps its own normal form.
        r.bad("an atom stands alone")
    }
}

impl Code for Factor {
    fn put(&self, _: &mut Vec<u8>) {}
    fn get(r: &mut Reader) -> Got<Self> {
        let kind = u8::get(r)?;
        let dim = match kind {
            0 => Dim::symbol(&String::get(r)?),
            1..=5 => {
                let (a, b) = (Dim::get(r)?, Dim::get(r)?);
                match kind {
                    1 => a.floor_div(&b),
                    2 => a.modulo(&b),
                    3 => a.smaller(&b),
                    4 => a.larger(&b),
                    _ => a.broadcast(&b).unwrap_or(Dim::Unknown),
                }
            }
            n => return r.bad(format!("{n} is no factor")),
        };
        // A written factor is in normal form: it stays one factor, so that products stay short.
        let single = match &dim {
            Dim::Expr(e) => e.terms().count() == 1 && e.terms().all(|(p, c)| c == 1 && p.len() == 1),
            _ => false,
        };
        if single { Ok(Factor(dim)) } else { r.bad("a factor that is not in normal form") }
    }
}

code_struct!(TensorType { dtype, shape });

impl Code for Type {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Type::Unknown => out.push(0),
            Type::Tensor(t) => {
                out.push(1);
                t.put(out);
            }
            Type::Sparse(t) => {
                out.push(2);
                t.put(out);
            }
            Type::Sequence(t) => {
                out.push(3);
                t.put(out);
            }
            Type::Optional(t) => {
                out.push(4);
                t.put(out);
            }
            Type::Map(k, t) => {
                out.push(5);
                k.put(out);
                t.put(out);
            }
            Type::Opaque(d, n) => {
                out.push(6);
                d.put(out);
                n.put(out);
            }
        }
    }
    fn get(r: &mut Reader) -> Got<Self> {
        r.nested(|r| {
            Ok(match u8::get(r)? {
                0 => Type::Unknown,
                1 => Type::Tensor(Code::get(r)?),
                2 => Type::Sparse(Code::get(r)?),
                3 => Type::Sequence(Box::new(Type::get(r)?)),
                4 => Type::Optional(Box::new(Type::get(r)?)),
                5 => Type::Map(DType::get(r)?, Box::new(Type::get(r)?)),
                6 => Type::Opaque(String::get(r)?, String::get(r)?),
                n => return r.bad(format!("{n} is no type")),
            })
        })
    }
}

impl Code for Tensor {
    fn put(&self, out: &mut Vec<u8>) {
        self.dtype().put(out);
        self.shape().to_vec().put(out);
        match self.strings() {
            Ok(all) => all.iter().for_each(|s| s.put(out)),
            Err(_) => out.extend_from_slice(self.bytes()),
        }
    }
    fn get(r: &mut Reader) -> Got<Self> {
        let dtype = DType::get(r)?;
        let shape = Vec::<usize>::get(r)?;
        let count = if shape.contains(&0) { Some(0) } else { shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) };
        let Some(count) = count else { return r.bad(format!("shape {shape:?} overflows")) };
        let made = if dtype == DType::String {
            if count > r.cursor.left() {
                return r.bad(format!("{count} strings in {} bytes", r.cursor.left()));
            }
            let all = (0..count).map(|_| String::get(r)).collect::<Got<Vec<_>>>()?;
            Tensor::from_strings(&shape, all)
        } else {
            let Some(bytes) = dtype.bytes_for(count) else { return r.bad("sizes overflow") };
            Tensor::from_bytes(dtype, &shape, r.take(bytes)?)
        };
        made.or_else(|e| r.bad(e.to_string()))
    }
}

/// Tensors of attributes are literals in a plan.
fn literal(w: &Arc<WeightExpr>) -> Tensor {
    match &**w {
        WeightExpr::Literal(t) => t.clone(),
        other => Tensor::zeros(other.dtype(), &[0]).unwrap_or_else(|_| Tensor::vector::<f32>(&[])),
    }
}

impl Code for Attr {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Attr::Int(x) => (0u8, *x).put(out),
            Attr::Float(x) => (1u8, *x).put(out),
            Attr::String(x) => (2u8, x.clone()).put(out),
            Attr::Bytes(x) => (3u8, x.clone()).put(out),
            Attr::Tensor(x) => (4u8, literal(x)).put(out),
            Attr::Sparse(v, i, s) => ((5u8, literal(v)), (literal(i), s.clone())).put(out),
            Attr::Type(x) => {
                out.push(6);
                x.put(out);
            }
            Attr::Ints(x) => (7u8, x.clone()).put(out),
            Attr::Floats(x) => (8u8, x.clone()).put(out),
            Attr::Strings(x) => (9u8, x.clone()).put(out),
            Attr::Tensors(x) => (10u8, x.iter().map(literal).collect::<Vec<_>>()).put(out),
            Attr::Types(x) => {
                out.push(11);
                x.put(out);
            }
            Attr::Ref(name, _) => (12u8, name.clone()).put(out),
        }
    }
    fn get(r: &mut Reader) -> Got<Self> {
        let lit = |t: Tensor| Arc::new(WeightExpr::Literal(t));
        Ok(match u8::get(r)? {
            0 => Attr::Int(Code::get(r)?),
            1 => Attr::Float(Code::get(r)?),
            2 => Attr::String(Code::get(r)?),
            3 => Attr::Bytes(Code::get(r)?),
            4 => Attr::Tensor(lit(Code::get(r)?)),
            5 => Attr::Sparse(lit(Code::get(r)?), lit(Code::get(r)?), Code::get(r)?),
            6 => Attr::Type(Code::get(r)?),
            7 => Attr::Ints(Code::get(r)?),
            8 => Attr::Floats(Code::get(r)?),
            9 => Attr::Strings(Code::get(r)?),
            10 => Attr::Tensors(Vec::<Tensor>::get(r)?.into_iter().map(lit).collect()),
            11 => Attr::Types(Code::get(r)?),
            12 => Attr::Ref(Code::get(r)?, AttrKind::Int),
            n => return r.bad(format!("{n} is no attribute")),
        })
    }
}

impl Code for Attrs {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u32).put(out);
        for (name, value) in self.iter() {
            name.to_owned().put(out);
            value.put(out);
        }
    }
    fn get(r: &mut Reader) -> Got<Self> {
        let all = Vec::<(String, Attr)>::get(r)?;
        let mut out = Attrs::new();
        for (name, value) in all {
            out.set(&name, value);
        }
        Ok(out)
    }
}
