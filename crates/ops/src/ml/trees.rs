//! What the tree ensembles share: a forest, built from either way in which the specification writes one, and the leaf
//! that a row of features reaches in each tree.

use crate::prelude::*;
use std::collections::HashMap;

/// Trees with votes at their leaves.
pub(crate) struct Forest {
    roots: Vec<Next>,
    splits: Vec<Split>,
    leaves: Vec<Vec<(usize, f64)>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Next {
    Split(usize),
    Leaf(usize),
}

struct Split {
    feature: usize,
    mode: Mode,
    value: f64,
    members: Vec<f64>,
    yes: Next,
    no: Next,
    missing: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Leq,
    Lt,
    Gte,
    Gt,
    Eq,
    Neq,
    Member,
}

impl Mode {
    const ALL: [Mode; 7] = [Mode::Leq, Mode::Lt, Mode::Gte, Mode::Gt, Mode::Eq, Mode::Neq, Mode::Member];
    const NAMES: [&str; 6] = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];
}

impl Split {
    fn next(&self, x: f64) -> Next {
        let holds = match self.mode {
            _ if x.is_nan() && self.missing => true,
            Mode::Leq => x <= self.value,
            Mode::Lt => x < self.value,
            Mode::Gte => x >= self.value,
            Mode::Gt => x > self.value,
            Mode::Eq => x == self.value,
            Mode::Neq => x != self.value,
            Mode::Member => self.members.contains(&x),
        };
        if holds { self.yes } else { self.no }
    }
}

/// How the votes of several trees become one score.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Aggregate {
    Average,
    Sum,
    Min,
    Max,
}

impl Aggregate {
    const ALL: [Aggregate; 4] = [Aggregate::Average, Aggregate::Sum, Aggregate::Min, Aggregate::Max];

    /// The function of a name.
    pub(crate) fn of(name: &str) -> OpResult<Aggregate> {
        let at = ["AVERAGE", "SUM", "MIN", "MAX"].iter().position(|n| *n == name);
        at.map(|i| Aggregate::ALL[i]).ok_or_else(|| OpError::invalid(format!("aggregate_function {name:?}")))
    }

    /// The function of a number.
    pub(crate) fn numbered(n: i64) -> OpResult<Aggregate> {
        let found = usize::try_from(n).ok().and_then(|i| Aggregate::ALL.get(i).copied());
        found.ok_or_else(|| OpError::invalid(format!("aggregate_function {n}")))
    }
}

/// A list attribute of floats, or its form as a tensor of doubles.
pub(crate) fn floats(cx: &EvalCx, name: &str) -> OpResult<Vec<f64>> {
    if let Some(t) = cx.tensor_attr(&format!("{name}_as_tensor"))? {
        return Ok(t.to_f64s()?);
    }
    Ok(cx.attrs.opt_floats(name)?.unwrap_or_default().into_iter().map(f64::from).collect())
}

fn ragged(name: &str) -> OpError {
    OpError::invalid(format!("attribute {name} has another length than the others"))
}

fn column<T: Clone>(list: &[T], i: usize, name: &str) -> OpResult<T> {
    list.get(i).cloned().ok_or_else(|| ragged(name))
}

impl Forest {
    /// The forest that TreeEnsembleRegressor and TreeEnsembleClassifier write: nodes with ids, leaves among them, and
    /// votes called `prefix_ids`, `prefix_nodeids` and so on.
    ///
    /// # Errors
    /// When lists differ in length or name nodes that are not there.
    pub(crate) fn listed(cx: &EvalCx, prefix: &str) -> OpResult<Forest> {
        let ints = |name: &str| Ok::<_, OpError>(cx.attrs.opt_ints(name)?.unwrap_or_default());
        let (trees, ids) = (ints("nodes_treeids")?, ints("nodes_nodeids")?);
        let (features, yes, no) = (ints("nodes_featureids")?, ints("nodes_truenodeids")?, ints("nodes_falsenodeids")?);
        let (modes, values) = (cx.attrs.opt_strings("nodes_modes")?.unwrap_or_default(), floats(cx, "nodes_values")?);
        let missing = ints("nodes_missing_value_tracks_true")?;
        let mut forest = Forest { roots: vec![], splits: vec![], leaves: vec![] };
        let mut places = HashMap::new();
        for (i, &tree) in trees.iter().enumerate() {
            let leaf = column(&modes, i, "nodes_modes")? == "LEAF";
            let place = if leaf { Next::Leaf(forest.leaves.len()) } else { Next::Split(forest.splits.len()) };
            if !places.keys().any(|&(t, _)| t == tree) {
                forest.roots.push(place);
            }
            places.insert((tree, column(&ids, i, "nodes_nodeids")?), place);
            if leaf {
                forest.leaves.push(vec![]);
                continue;
            }
            let mode = Mode::NAMES.iter().position(|n| *n == modes[i]);
            forest.splits.push(Split {
                feature: usize::try_from(column(&features, i, "nodes_featureids")?).unwrap_or(usize::MAX),
                mode: Mode::ALL[mode.ok_or_else(|| OpError::invalid(format!("mode {:?}", modes[i])))?],
                value: column(&values, i, "nodes_values")?,
                members: vec![],
                // Replaced once every node has its place.
                yes: Next::Leaf(i),
                no: Next::Leaf(i),
                missing: missing.get(i) == Some(&1),
            });
        }
        let find = |tree: i64, id: i64| {
            let fail = || OpError::invalid(format!("tree {tree} has no node {id}"));
            places.get(&(tree, id)).copied().ok_or_else(fail)
        };
        for split in &mut forest.splits {
            let Next::Leaf(i) = split.yes else { continue };
            split.yes = find(trees[i], column(&yes, i, "nodes_truenodeids")?)?;
            split.no = find(trees[i], column(&no, i, "nodes_falsenodeids")?)?;
        }
        forest.vote(cx, prefix, find)?;
        Ok(forest)
    }

    fn vote(&mut self, cx: &EvalCx, prefix: &str, find: impl Fn(i64, i64) -> OpResult<Next>) -> OpResult<()> {
        let ints = |name: &str| Ok::<_, OpError>(cx.attrs.opt_ints(&format!("{prefix}_{name}"))?.unwrap_or_default());
        let (targets, trees, nodes) = (ints("ids")?, ints("treeids")?, ints("nodeids")?);
        let weights = floats(cx, &format!("{prefix}_weights"))?;
        for (i, &target) in targets.iter().enumerate() {
            let place = find(column(&trees, i, "treeids")?, column(&nodes, i, "nodeids")?)?;
            let target = usize::try_from(target).unwrap_or(usize::MAX);
            match place {
                Next::Leaf(leaf) => self.leaves[leaf].push((target, column(&weights, i, "weights")?)),
                Next::Split(_) => return Err(OpError::invalid("a vote at a node that is no leaf")),
            }
        }
        Ok(())
    }

    /// The forest that TreeEnsemble writes: inner nodes and leaves in lists of their own.
    ///
    /// # Errors
    /// When lists differ in length or name nodes that are not there.
    pub(crate) fn indexed(cx: &EvalCx) -> OpResult<Forest> {
        let needed = |name: &str| {
            let t = cx.tensor_attr(name)?.ok_or_else(|| OpError::invalid(format!("attribute {name} is required")))?;
            Ok::<_, OpError>(t.to_f64s()?)
        };
        let (modes, values, weights) = (needed("nodes_modes")?, needed("nodes_splits")?, needed("leaf_weights")?);
        let sets = cx.tensor_attr("membership_values")?.map(|t| t.to_f64s()).transpose()?.unwrap_or_default();
        let mut sets = sets.split(|v| v.is_nan());
        let (features, targets) = (cx.attrs.ints("nodes_featureids")?, cx.attrs.ints("leaf_targetids")?);
        let sides = ["true", "false"].map(|side| {
            let ids = cx.attrs.ints(&format!("nodes_{side}nodeids"))?;
            Ok::<_, OpError>((ids, cx.attrs.ints(&format!("nodes_{side}leafs"))?))
        });
        let [yes, no] = sides;
        let (yes, no) = (yes?, no?);
        let missing = cx.attrs.opt_ints("nodes_missing_value_tracks_true")?.unwrap_or_default();
        let next = |(ids, leafs): &(Vec<i64>, Vec<i64>), i: usize| {
            let at = usize::try_from(column(ids, i, "nodes_nodeids")?).unwrap_or(usize::MAX);
            let (leaf, count) = match column(leafs, i, "nodes_leafs")? {
                0 => (false, modes.len()),
                _ => (true, weights.len()),
            };
            match at < count {
                true => Ok(if leaf { Next::Leaf(at) } else { Next::Split(at) }),
                false => Err(OpError::invalid(format!("node {i} names {at} of {count}"))),
            }
        };
        let mut splits = Vec::new();
        for (i, &mode) in modes.iter().enumerate() {
            let mode = Mode::ALL.get(mode as usize).copied();
            let mode = mode.ok_or_else(|| OpError::invalid("an unknown node mode"))?;
            splits.push(Split {
                feature: usize::try_from(column(&features, i, "nodes_featureids")?).unwrap_or(usize::MAX),
                mode,
                value: column(&values, i, "nodes_splits")?,
                members: if mode == Mode::Member { sets.next().unwrap_or(&[]).to_vec() } else { vec![] },
                yes: next(&yes, i)?,
                no: next(&no, i)?,
                missing: missing.get(i) == Some(&1),
            });
        }
        let root = |&r: &i64| match usize::try_from(r).ok().filter(|&r| r < splits.len()) {
            Some(r) => Ok(Next::Split(r)),
            None => Err(OpError::invalid(format!("root {r} of {} nodes", splits.len()))),
        };
        let roots = cx.attrs.ints("tree_roots")?.iter().map(root).collect::<OpResult<Vec<_>>>()?;
        let leaf = |(i, &w): (usize, &f64)| {
            let target = column(&targets, i, "leaf_targetids")?;
            Ok(vec![(usize::try_from(target).unwrap_or(usize::MAX), w)])
        };
        let leaves = weights.iter().enumerate().map(leaf).collect::<OpResult<Vec<_>>>()?;
        Ok(Forest { roots, splits, leaves })
    }

    /// Votes of the leaf that `row` reaches from `root`.
    fn reach(&self, root: Next, row: &[f64]) -> OpResult<&[(usize, f64)]> {
        let mut at = root;
        for _ in 0..=self.splits.len() {
            match at {
                Next::Leaf(leaf) => return Ok(&self.leaves[leaf]),
                Next::Split(i) => {
                    let split = &self.splits[i];
                    let absent = || OpError::invalid(format!("feature {} of {}", split.feature, row.len()));
                    at = split.next(*row.get(split.feature).ok_or_else(absent)?);
                }
            }
        }
        Err(OpError::invalid("a tree whose nodes run in a circle"))
    }

    /// One score for each of `targets`.
    ///
    /// # Errors
    /// When a feature or a target is not there.
    pub(crate) fn scores(&self, row: &[f64], targets: usize, how: Aggregate) -> OpResult<Vec<f64>> {
        let mut out = vec![None; targets];
        for &root in &self.roots {
            for &(target, weight) in self.reach(root, row)? {
                let outside = || OpError::invalid(format!("target {target} of {targets}"));
                let slot: &mut Option<f64> = out.get_mut(target).ok_or_else(outside)?;
                *slot = Some(match (*slot, how) {
                    (None, _) => weight,
                    (Some(sum), Aggregate::Sum | Aggregate::Average) => sum + weight,
                    (Some(least), Aggregate::Min) => least.min(weight),
                    (Some(most), Aggregate::Max) => most.max(weight),
                });
            }
        }
        let n = if how == Aggregate::Average { self.roots.len().max(1) as f64 } else { 1.0 };
        Ok(out.into_iter().map(|s| s.unwrap_or(0.0) / n).collect())
    }

    /// Targets that some leaf votes for.
    pub(crate) fn targets(&self) -> std::collections::BTreeSet<usize> {
        self.leaves.iter().flatten().map(|(t, _)| *t).collect()
    }

    /// True when no vote is negative.
    pub(crate) fn all_positive(&self) -> bool {
        self.leaves.iter().flatten().all(|(_, w)| *w >= 0.0)
    }
}

/// Rows of a matrix of features; a vector is one row.
pub(crate) fn features(x: &Tensor) -> OpResult<(usize, Vec<Vec<f64>>)> {
    let (n, width) = match x.shape() {
        [f] => (1, *f),
        [n, f] => (*n, *f),
        other => return Err(OpError::invalid(format!("features of shape {other:?}"))),
    };
    let all = x.to_f64s()?;
    Ok((n, (0..n).map(|i| all[i * width..][..width].to_vec()).collect()))
}

/// Attributes of two small trees for samples: the first splits twice, the second is one split.
pub(crate) const SAMPLE_NODES: [(&str, [i64; 8]); 5] = [
    ("nodes_treeids", [0, 0, 0, 0, 0, 1, 1, 1]),
    ("nodes_nodeids", [0, 1, 2, 3, 4, 0, 1, 2]),
    ("nodes_featureids", [0, 1, 0, 0, 0, 1, 0, 0]),
    ("nodes_truenodeids", [1, 3, 0, 0, 0, 1, 0, 0]),
    ("nodes_falsenodeids", [2, 4, 0, 0, 0, 2, 0, 0]),
];
/// Modes of the nodes of [`SAMPLE_NODES`] under two comparisons.
pub(crate) fn sample_modes(first: &str, second: &str) -> Vec<std::string::String> {
    [first, second, "LEAF", "LEAF", "LEAF", second, "LEAF", "LEAF"].map(str::to_owned).to_vec()
}
/// The numbers of an attribute that is a tensor: doubles beside features that are, else floats.
pub(crate) fn sample_tensor(features: DType, v: &[f32]) -> Tensor {
    match features {
        F64 => Tensor::vector(&v.iter().map(|&x| f64::from(x)).collect::<Vec<_>>()),
        _ => Tensor::vector(v),
    }
}
/// Thresholds of [`SAMPLE_NODES`].
pub(crate) const SAMPLE_VALUES: [f32; 8] = [0.5, -0.25, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0];
