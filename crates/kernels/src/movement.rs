//! Moving data: strided copies, gathers along an axis, resizing of images.

mod copy;
mod gather;
mod resize;
mod turn;

pub use copy::KERNELS as COPY;
pub(crate) use copy::transpose_planes;
pub use gather::KERNELS as GATHER;
pub use resize::KERNELS as RESIZE;
