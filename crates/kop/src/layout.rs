//! How the elements of an activation tensor lie in memory.

/// The order of a tensor's axes in memory. Logical shapes never change with the layout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub enum Layout {
    /// Row-major in the logical order of axes (an image is N, C, H, W).
    #[default]
    Plain,
    /// Axis 1 moved to the end, then row-major (an image is N, H, W, C). For rank 3 and above.
    ChannelsLast,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Layout; 2] = [Layout::Plain, Layout::ChannelsLast];

    /// The name used in plans and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Layout::Plain => "plain",
            Layout::ChannelsLast => "channels_last",
        }
    }

    /// Inverse of [`Layout::name`].
    pub fn parse(name: &str) -> Option<Layout> {
        Self::ALL.into_iter().find(|l| l.name() == name)
    }

    /// The logical axes of a tensor of `rank` axes as they follow each other in memory, the outermost first.
    pub fn order(self, rank: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..rank).collect();
        if self == Layout::ChannelsLast && rank >= 3 {
            order.remove(1);
            order.push(1);
        }
        order
    }

    /// Element strides of the logical axes of `dims` under this layout, without gaps.
    /// `ChannelsLast` below rank 3 is the same as `Plain`.
    pub fn strides(self, dims: &[usize]) -> Vec<usize> {
        let mut strides = vec![0; dims.len()];
        let mut step = 1usize;
        for &axis in self.order(dims.len()).iter().rev() {
            strides[axis] = step;
            step = step.saturating_mul(dims[axis]);
        }
        strides
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_follow_the_layout() {
        assert_eq!(Layout::Plain.strides(&[2, 3, 4, 5]), [60, 20, 5, 1]);
        assert_eq!(Layout::ChannelsLast.strides(&[2, 3, 4, 5]), [60, 1, 15, 3]);
        assert_eq!(Layout::ChannelsLast.strides(&[2, 3]), [3, 1]);
        assert_eq!(Layout::parse("channels_last"), Some(Layout::ChannelsLast));
    }
}
