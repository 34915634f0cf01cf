//! Where buffers lie in one arena: buffers whose lives do not meet share memory.

use std::cmp::Reverse;

/// Every buffer starts at a multiple of this many bytes.
pub const ALIGN: usize = 64;

/// What is to be placed: bytes, and the first and last step that touches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Size in bytes.
    pub bytes: usize,
    /// First step that writes it.
    pub first: usize,
    /// Last step that reads it.
    pub last: usize,
}

/// Where blocks lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// First byte of each block.
    pub offsets: Vec<usize>,
    /// Bytes of the arena.
    pub total: usize,
    /// Bytes alive during each step.
    pub live: Vec<u64>,
}

impl Placement {
    /// The largest sum of bytes alive at once: no placement can do with less.
    pub fn largest_live(&self) -> u64 {
        self.live.iter().copied().max().unwrap_or(0)
    }
}

/// Comparisons of two blocks that the search for a better order may make from each of its six beginnings.
const SEARCH: usize = 4 << 20;
/// Most orders tried from each beginning.
const ROUNDS: usize = 32;

/// Places `blocks` over `steps` steps, each at the lowest gap that holds it among those alive with it. The order in which
/// they are placed decides; the best of several is taken. `None` when sizes overflow.
pub fn place(blocks: &[Block], steps: usize) -> Option<Placement> {
    let live = live(blocks, steps)?;
    let least = live.iter().copied().max().unwrap_or(0);
    let pressure = |b: &Block| live[b.first.min(steps)..=b.last.min(steps)].iter().copied().max().unwrap_or(0);
    let area = |b: &Block| b.bytes as u128 * (b.last.saturating_sub(b.first) as u128 + 1);
    // The largest first, the fullest step first, the most room over time first: each is beaten by another somewhere.
    let mut orders = vec![(0..blocks.len()).collect::<Vec<_>>(); 3];
    orders[0].sort_by_key(|&i| (Reverse(blocks[i].bytes), blocks[i].first));
    orders[1].sort_by_key(|&i| (Reverse(pressure(&blocks[i])), Reverse(blocks[i].bytes)));
    orders[2].sort_by_key(|&i| (Reverse(area(&blocks[i])), blocks[i].first));
    let mut best: Option<(Vec<usize>, usize)> = None;
    let rounds = (SEARCH / blocks.len().pow(2).max(1)).clamp(1, ROUNDS);
    'search: for (mut order, all) in orders.iter().flat_map(|o| [(o.clone(), false), (o.clone(), true)]) {
        let mut forward = vec![0u32; blocks.len()];
        for _ in 0..rounds {
            let (offsets, total) = place_in(blocks, &order)?;
            let out = |i: usize| offsets[i] + blocks[i].bytes.next_multiple_of(ALIGN) == total;
            // What sticks out at the end of the arena goes earlier the next time: before its equals, or before `all`.
            if !all {
                (0..blocks.len()).for_each(|i| forward[i] += u32::from(out(i)));
                order.sort_by_key(|&i| (Reverse(blocks[i].bytes), Reverse(forward[i])));
            } else if let Some(p) = order.iter().rposition(|&i| out(i)) {
                order[..=p].rotate_right(1);
            }
            if best.as_ref().is_none_or(|b| total < b.1) {
                best = Some((offsets, total));
            }
            if best.as_ref().is_some_and(|b| b.1 as u64 == least) {
                break 'search;
            }
        }
    }
    let (offsets, total) = best?;
    Some(Placement { offsets, total, live })
}

fn live(blocks: &[Block], steps: usize) -> Option<Vec<u64>> {
    let mut live = vec![0u64; steps + 1];
    for b in blocks {
        let bytes = b.bytes.checked_next_multiple_of(ALIGN)? as u64;
        for slot in &mut live[b.first.min(steps)..=b.last.min(steps)] {
            *slot = slot.checked_add(bytes)?;
        }
    }
    Some(live)
}

fn place_in(blocks: &[Block], order: &[usize]) -> Option<(Vec<usize>, usize)> {
    let mut offsets = vec![0; blocks.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0usize;
    let mut taken = Vec::new();
    for &i in order {
        let b = &blocks[i];
        let bytes = b.bytes.checked_next_multiple_of(ALIGN)?;
        taken.clear();
        for &j in &placed {
            if blocks[j].first <= b.last && b.first <= blocks[j].last {
                taken.push((offsets[j], offsets[j] + blocks[j].bytes.next_multiple_of(ALIGN)));
            }
        }
        taken.sort_unstable();
        let mut at = 0usize;
        for &(from, to) in &taken {
            if at.checked_add(bytes)? <= from {
                break;
            }
            at = at.max(to);
        }
        offsets[i] = at;
        total = total.max(at.checked_add(bytes)?);
        placed.push(i);
    }
    (total <= isize::MAX as usize / 16).then_some((offsets, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_that_meet_do_not_share() {
        let b = |bytes, first, last| Block { bytes, first, last };
        let blocks = [b(100, 0, 1), b(1000, 1, 2), b(100, 2, 3), b(64, 0, 3), b(900, 3, 4)];
        let p = place(&blocks, 5).unwrap();
        for i in 0..blocks.len() {
            for j in 0..i {
                let (x, y) = (&blocks[i], &blocks[j]);
                let apart = p.offsets[i] + x.bytes <= p.offsets[j] || p.offsets[j] + y.bytes <= p.offsets[i];
                assert!(apart || x.last < y.first || y.last < x.first, "{i} and {j}");
            }
            assert_eq!(p.offsets[i] % ALIGN, 0);
        }
        assert_eq!(p.largest_live(), 1024 + 128 + 64);
        assert_eq!(p.total as u64, p.largest_live());
        assert_eq!(place(&[b(usize::MAX, 0, 0)], 1), None);
    }
}
