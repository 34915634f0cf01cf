use crate::sizes::Sizes;
use crate::{DType, Element, Error, Result};
use std::sync::Arc;

/// A dense, row-major tensor in host memory. Clones share the bytes until one is changed.
/// Elements below 8 bit are packed, lowest bits first, without padding between rows.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Sizes,
    pub(crate) data: Data,
}

#[derive(Clone)]
pub(crate) enum Data {
    Bytes(Bytes),
    Strings(Arc<Vec<String>>),
}

/// Memory that another owner keeps and that does not move or change while it is held.
pub trait Owner: AsRef<[u8]> + Send + Sync {}

impl<T: AsRef<[u8]> + Send + Sync> Owner for T {}

#[derive(Clone)]
pub(crate) enum Bytes {
    /// Words, so that every element type is aligned; `start` is the first that counts, `len` the exact length in bytes.
    Own { words: Arc<Vec<u64>>, start: usize, len: usize },
    /// Memory of another owner, aligned as words are.
    Foreign(Arc<dyn Owner>),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Bytes::Own { words, start, len } => &bytemuck::cast_slice(&words[*start..])[..*len],
            Bytes::Foreign(owner) => (**owner).as_ref(),
        }
    }

    /// As [`Bytes::get`], to be changed; copies them first if they are shared or another's.
    fn get_mut(&mut self) -> &mut [u8] {
        if let Bytes::Foreign(owner) = self {
            *self = Bytes::copied((**owner).as_ref());
        }
        match self {
            Bytes::Own { words, start, len } => {
                &mut bytemuck::cast_slice_mut(&mut Arc::make_mut(words)[*start..])[..*len]
            }
            Bytes::Foreign(_) => &mut [],
        }
    }

    fn copied(bytes: &[u8]) -> Bytes {
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Bytes::Own { words: Arc::new(words), start: 0, len: bytes.len() }
    }

    fn holders(&self) -> Option<usize> {
        match self {
            Bytes::Own { words, .. } => Some(Arc::strong_count(words)),
            Bytes::Foreign(_) => None,
        }
    }

    /// `len` zeros, or `None` where there is not so much memory. Those of a cache line and more begin at one, which
    /// kernels read and write fastest.
    fn zeros(len: usize) -> Option<Bytes> {
        let words = len.div_ceil(8);
        let spare = if len < LINE { 0 } else { LINE / 8 - 1 };
        let words = zeroed(words + spare)?;
        let start = words.as_ptr().align_offset(LINE).min(spare);
        Some(Bytes::Own { words: Arc::new(words), start, len })
    }
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// Number of elements of `shape`; `None` on overflow.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    // A zero anywhere makes the tensor empty whatever the others multiply to.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

impl Tensor {
    /// A tensor of the elements `values`.
    ///
    /// # Errors
    /// When their number is not that of `shape`.
    pub fn new<T: Element>(shape: &[usize], values: Vec<T>) -> Result<Tensor> {
        Tensor::check_count(T::DTYPE, shape, values.len())?;
        Tensor::from_bytes(T::DTYPE, shape, bytemuck::cast_slice(&values))
    }

    /// A tensor of rank 0.
    pub fn scalar<T: Element>(value: T) -> Tensor {
        Tensor::new(&[], vec![value]).expect("one element fills rank 0")
    }

    /// A tensor of rank 1.
    pub fn vector<T: Element>(values: &[T]) -> Tensor {
        Tensor::new(&[values.len()], values.to_vec()).expect("n elements fill [n]")
    }

    /// A tensor over a copy of `bytes`, little-endian and packed.
    ///
    /// # Errors
    /// When they do not fill `shape`, and for strings.
    pub fn from_bytes(dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<Tensor> {
        let mut t = Tensor::zeros(dtype, shape)?;
        let wanted = t.bytes().len();
        if dtype == DType::String || wanted != bytes.len() {
            return Err(Error::Size { dtype, shape: shape.to_vec(), wanted, found: bytes.len(), unit: "bytes" });
        }
        t.bytes_mut().copy_from_slice(bytes);
        Ok(t)
    }

    /// A tensor over memory that `owner` keeps, without a copy where it begins at a multiple of 8 bytes. The memory is
    /// little-endian and packed, and nobody changes it while the tensor or a clone of it lives.
    ///
    /// # Errors
    /// As for [`Tensor::from_bytes`].
    pub fn over(dtype: DType, shape: &[usize], owner: Arc<dyn Owner>) -> Result<Tensor> {
        let bytes = (*owner).as_ref();
        let wanted = count(shape)
            .and_then(|n| dtype.bytes_for(n))
            .ok_or_else(|| Error::TooLarge { dtype, shape: shape.to_vec() })?;
        if bytes.len() != wanted || bytes.as_ptr().align_offset(8) != 0 {
            return Tensor::from_bytes(dtype, shape, bytes);
        }
        Ok(Tensor { dtype, shape: shape.into(), data: Data::Bytes(Bytes::Foreign(owner)) })
    }

    /// A tensor of zeros, `false`, or empty strings.
    ///
    /// # Errors
    /// When the size overflows.
    pub fn zeros(dtype: DType, shape: &[usize]) -> Result<Tensor> {
        let too_large = || Error::TooLarge { dtype, shape: shape.to_vec() };
        let n = count(shape).ok_or_else(too_large)?;
        let data = if dtype == DType::String {
            Data::Strings(Arc::new(vec![String::new(); n]))
        } else {
            let bytes = dtype.bytes_for(n).filter(|&b| b <= isize::MAX as usize / 2).ok_or_else(too_large)?;
            Data::Bytes(Bytes::zeros(bytes).ok_or_else(too_large)?)
        };
        Ok(Tensor { dtype, shape: shape.into(), data })
    }

    /// A tensor of strings.
    ///
    /// # Errors
    /// When their number is not that of `shape`.
    pub fn from_strings(shape: &[usize], values: Vec<String>) -> Result<Tensor> {
        Tensor::check_count(DType::String, shape, values.len())?;
        Ok(Tensor { dtype: DType::String, shape: shape.into(), data: Data::Strings(Arc::new(values)) })
    }

    pub(crate) fn check_count(dtype: DType, shape: &[usize], found: usize) -> Result<()> {
        let wanted = count(shape).ok_or_else(|| Error::TooLarge { dtype, shape: shape.to_vec() })?;
        match wanted == found {
            true => Ok(()),
            false => Err(Error::Size { dtype, shape: shape.to_vec(), wanted, found, unit: "elements" }),
        }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True when a dimension is 0.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// The packed little-endian bytes; empty for strings.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Bytes(b) => b.get(),
            Data::Strings(_) => &[],
        }
    }

    /// As [`Tensor::bytes`], to be changed; copies them first if they are shared.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.data {
            Data::Bytes(b) => b.get_mut(),
            Data::Strings(_) => &mut [],
        }
    }

    /// True while no clone shares the elements: then changing them copies nothing.
    pub fn is_alone(&self) -> bool {
        self.holders() == Some(1)
    }

    /// This tensor and its clones, as many as share the elements; `None` where another owner has them.
    pub fn holders(&self) -> Option<usize> {
        match &self.data {
            Data::Bytes(b) => b.holders(),
            Data::Strings(s) => Some(Arc::strong_count(s)),
        }
    }

    /// The elements, when they are stored as `T`.
    ///
    /// # Errors
    /// When the element type is another one.
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        if T::DTYPE != self.dtype {
            return Err(Error::DType { wanted: T::DTYPE.name(), found: self.dtype });
        }
        Ok(self.raw())
    }

    /// As [`Tensor::as_slice`], to be changed.
    ///
    /// # Errors
    /// As there.
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T]> {
        if T::DTYPE != self.dtype {
            return Err(Error::DType { wanted: T::DTYPE.name(), found: self.dtype });
        }
        Ok(bytemuck::cast_slice_mut(self.bytes_mut()))
    }

    pub(crate) fn raw<T: bytemuck::Pod>(&self) -> &[T] {
        bytemuck::cast_slice(self.bytes())
    }

    /// The elements of a string tensor.
    ///
    /// # Errors
    /// For all other types.
    pub fn strings(&self) -> Result<&[String]> {
        match &self.data {
            Data::Strings(s) => Ok(s),
            Data::Bytes(..) => Err(Error::DType { wanted: "strings", found: self.dtype }),
        }
    }

    /// The same elements under another shape; no copy.
    ///
    /// # Errors
    /// When the number of elements differs.
    pub fn reshaped(&self, shape: &[usize]) -> Result<Tensor> {
        Tensor::check_count(self.dtype, shape, self.len())?;
        Ok(Tensor { shape: shape.into(), ..self.clone() })
    }

    /// The same bits as elements of `dtype`, which are as wide.
    pub(crate) fn relabelled(self, dtype: DType) -> Tensor {
        Tensor { dtype, ..self }
    }

    /// True when both hold the same type, shape and bits.
    pub fn same_bits(&self, other: &Tensor) -> bool {
        self.dtype == other.dtype
            && *self.shape == *other.shape
            && match (&self.data, &other.data) {
                (Data::Strings(a), Data::Strings(b)) => a == b,
                (Data::Bytes(..), Data::Bytes(..)) => self.bytes() == other.bytes(),
                _ => false,
            }
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.shape())?;
        match &self.data {
            Data::Strings(s) => write!(f, " {:?}", &s[..s.len().min(16)]),
            Data::Bytes(..) if self.dtype.is_complex() => write!(f, " ..."),
            Data::Bytes(..) if self.len() <= 64 => write!(f, " {:?}", self.to_f64s().unwrap_or_default()),
            Data::Bytes(..) => write!(f, " ..."),
        }
    }
}

/// Words from which memory is taken as the system gives it: zero already.
const LARGE: usize = 1 << 17;

/// Zeros, or `None` where there is not so much memory.
fn zeroed(words: usize) -> Option<Vec<u64>> {
    let mut out = Vec::new();
    out.try_reserve_exact(words).ok()?;
    if words < LARGE {
        out.resize(words, 0);
        return Some(out);
    }
    // The memory was to be had. Given back and asked for as zeros, it is written once, by who fills it.
    drop(std::hint::black_box(out));
    Some(vec![0; words])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked() {
        let e = Tensor::new(&[2, 2], vec![1f32; 3]).unwrap_err();
        assert_eq!(e.to_string(), "a f32 tensor of shape [2, 2] wants 4 elements, 3 given");
        assert!(matches!(Tensor::zeros(DType::F64, &[usize::MAX, 2]), Err(Error::TooLarge { .. })));
        assert!(Tensor::zeros(DType::F64, &[usize::MAX, 2, 0]).is_ok());
    }

    #[test]
    fn clones_share_until_written() {
        let a = Tensor::vector(&[1i32, 2]);
        let mut b = a.clone();
        b.as_mut_slice::<i32>().unwrap()[0] = 9;
        assert_eq!((a.to_i64s().unwrap(), b.to_i64s().unwrap()), (vec![1, 2], vec![9, 2]));
    }

    #[test]
    fn memory_of_others_is_read_in_place_and_copied_to_be_changed() {
        let owner: Arc<dyn Owner> = Arc::new(bytemuck::cast_slice::<u64, u8>(&[1u64, 2]).to_vec());
        let at = (*owner).as_ref().as_ptr();
        let mut a = Tensor::over(DType::I64, &[2], owner.clone()).unwrap();
        assert_eq!(a.bytes().as_ptr() == at, at.align_offset(8) == 0);
        assert!(!a.is_alone() || at.align_offset(8) != 0);
        a.as_mut_slice::<i64>().unwrap()[0] = 7;
        assert_eq!(a.to_i64s().unwrap(), [7, 2]);
        assert_eq!((*owner).as_ref()[0], 1);
        let e = Tensor::over(DType::I64, &[3], owner).unwrap_err();
        assert_eq!(e.to_string(), "a i64 tensor of shape [3] wants 24 bytes, 16 given");
    }

    #[test]
    fn long_tensors_begin_at_a_cache_line() {
        for n in [16, 17, 1000, 1 << 19] {
            let mut a = Tensor::zeros(DType::F32, &[n]).unwrap();
            assert_eq!(a.bytes().as_ptr() as usize % LINE, 0);
            let b = a.clone();
            assert!(!a.is_alone());
            a.as_mut_slice::<f32>().unwrap()[n - 1] = 1.0;
            assert!(a.is_alone());
            assert_eq!((a.to_f64s().unwrap()[n - 1], b.to_f64s().unwrap()[n - 1]), (1.0, 0.0));
        }
    }
}
