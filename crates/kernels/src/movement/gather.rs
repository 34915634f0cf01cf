//! Gather along an axis. Inputs: the data and the indices. Output: the gathered rows; it may share memory with neither.

use crate::def::{Args, Facts, KernelDef, KernelError, Reject, no_pack, no_workspace};
use crate::mem::{self, Shared};
use crate::span::product;
use modelsmith_base::DType;
use modelsmith_kop::{GatherProblem, Isa};
use modelsmith_pool::Pool;

/// Kernels for gathers. Loads and stores only, so one form serves all instruction sets.
pub static KERNELS: &[KernelDef<GatherProblem>] = &[KernelDef {
    name: "gather_rows__portable",
    isa: Isa::PORTABLE,
    accepts,
    cost: |p, facts: &Facts| 500.0 + 2.0 * (p.outer * p.count * p.inner_bytes) as f64 / facts.gbytes,
    pack_format: no_pack,
    workspace: no_workspace,
    run,
}];

fn accepts(p: &GatherProblem) -> Result<(), Reject> {
    if !matches!(p.index, DType::I32 | DType::I64) {
        return Reject::because("indices are neither i32 nor i64");
    }
    let sizes = [product(&[p.outer, p.axis, p.inner_bytes]), product(&[p.outer, p.count, p.inner_bytes, 8])];
    if sizes.contains(&None) || product(&[p.count, 8]).is_none() || p.axis > i64::MAX as usize {
        return Reject::because("sizes overflow");
    }
    Ok(())
}

fn run(p: &GatherProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let (in_len, out_len) = (p.outer * p.axis * p.inner_bytes, p.outer * p.count * p.inner_bytes);
    let index_bytes = p.count * if p.index == DType::I64 { 8 } else { 4 };
    let out = mem::output(args.outputs, "output")?.elements::<u8>(out_len, "output")?;
    let data = mem::input(args.inputs, 0, "data")?.elements::<u8>(in_len, "data")?;
    let index = mem::input(args.inputs, 1, "indices")?.elements::<u8>(index_bytes, "indices")?;
    mem::apart((data, in_len), (out, out_len), "data")?;
    mem::apart((index, index_bytes), (out, out_len), "indices")?;
    let read = |i: usize| -> i64 {
        // SAFETY: i < count, and the buffer holds `count` indices.
        unsafe {
            match p.index {
                DType::I64 => index.cast::<i64>().add(i).read_unaligned(),
                _ => i64::from(index.cast::<i32>().add(i).read_unaligned()),
            }
        }
    };
    let place = |index: i64| {
        let at = if index < 0 { index.checked_add(p.axis as i64)? } else { index };
        usize::try_from(at).ok().filter(|&at| at < p.axis)
    };
    let places: Result<Vec<usize>, KernelError> = (0..p.count)
        .map(|i| place(read(i)).ok_or_else(|| KernelError::BadIndex { index: read(i), len: p.axis }))
        .collect();
    let places = places?;
    let (from, to) = (Shared(data.cast_mut()), Shared(out));
    let grain = (32 * 1024 / p.inner_bytes.max(1)).max(1);
    pool.for_ranges(p.outer * p.count, grain, |rows, _| {
        for row in rows {
            let (o, i) = (row / p.count, row % p.count);
            let s = from.get().wrapping_add((o * p.axis + places[i]) * p.inner_bytes);
            let d = to.get().wrapping_add(row * p.inner_bytes);
            // SAFETY: the place was checked against the axis; each row is written by one task.
            unsafe { std::ptr::copy_nonoverlapping(s, d, p.inner_bytes) };
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dst, Src};

    #[test]
    fn gathers_and_refuses() {
        let p = GatherProblem { outer: 2, axis: 5, inner_bytes: 8, count: 4, index: DType::I64 };
        let data: Vec<u64> = (0..10).collect();
        let pool = Pool::new(2);
        let call = |index: &[i64]| {
            let mut out = vec![0u64; 8];
            let inputs = [Src::new(&data), Src::new(index)];
            let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut out)], workspace: &mut [] };
            KERNELS[0].run(&p, args, &pool).map(|()| out)
        };
        assert_eq!(call(&[0, -1, 3, -5]).unwrap(), [0, 4, 3, 0, 5, 9, 8, 5]);
        assert_eq!(call(&[0, 5, 3, -6]), Err(KernelError::BadIndex { index: 5, len: 5 }));
        assert_eq!(call(&[0, 1, i64::MIN, 0]), Err(KernelError::BadIndex { index: i64::MIN, len: 5 }));
        let p32 = GatherProblem { outer: 1, axis: 10, inner_bytes: 8, count: 2, index: DType::I32 };
        let mut out = vec![0u64; 2];
        let inputs = [Src::new(&data), Src::new(&[9i32, -9])];
        let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut out)], workspace: &mut [] };
        KERNELS[0].run(&p32, args, &pool).unwrap();
        assert_eq!(out, [9, 1]);
    }
}
