"""When two runtimes agree: the measure of torch_sweep.py.

Tensors agree where they differ by at most 1e-4 of the largest value; integers exactly. Where float32 itself is not that
exact, PyTorch evaluates the model in float64: a result agrees too where it is at most `NOISE` times as far from that as
PyTorch's own float32 is, and the table says so. The detections of a detector are a set: each is matched with one of the other
side, so that scores that are equal, or nearly, may come in another order. One that is on one side only fails, unless its
score is within the tolerance of the lowest score that is kept, or its box overlaps a kept one by the limit of the
suppression: that is said.
"""

import numpy as np

TOLERANCE = 1e-4
# How much further from float64 than PyTorch's float32 a result in float32 may be: each makes its sums in its own order.
NOISE = 2.0


def reach(*values):
    """The largest magnitude of tensors."""
    finite = [np.abs(v[np.isfinite(v)]).max(initial=0.0) for v in values if v.size]
    return max([float(x) for x in finite], default=0.0)


def off(a, b):
    """How far `a` is from `b`, in shares of the largest value of `b`; infinite where they cannot be compared."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return np.inf
    if not b.size:
        return 0.0
    if b.dtype.kind in "biu":
        return 0.0 if (a == b).all() else np.inf
    a, b = a.astype(np.float64), b.astype(np.float64)
    if (np.isnan(a) != np.isnan(b)).any():
        return np.inf
    return float(np.nanmax(np.abs(a - b), initial=0.0)) / max(reach(b), 1e-6)


def apart(ours, theirs, exact=None):
    """What is wrong with outputs, in words, and what has to be said of those that agree."""
    if len(ours) != len(theirs):
        return f"{len(ours)} outputs, PyTorch gives {len(theirs)}", ""
    said = ""
    for i, (a, b) in enumerate(zip(ours, theirs)):
        a = np.asarray(a)
        if a.shape != b.shape:
            return f"output {i} is {a.shape}, PyTorch gives {b.shape}", ""
        error = off(a, b)
        if error <= TOLERANCE:
            continue
        if not np.isfinite(error):
            return f"output {i}: {int((a != b).sum())} of {a.size} values differ", ""
        if exact is not None and exact[i].shape == b.shape:
            mine, other = off(a, exact[i]), off(b, exact[i])
            if mine <= NOISE * other:
                said = f"output {i} is {error:.1e} from PyTorch, {mine:.1e} from float64, PyTorch {other:.1e}"
                continue
            return f"output {i} is {error:.1e} of the largest off ({mine:.1e} from float64, PyTorch {other:.1e})", ""
        return f"output {i} is {error:.1e} of the largest off", ""
    return "", said


def overlap(a, b):
    """Intersection over union of a box with boxes."""
    low, high = np.maximum(a[:2], b[:, :2]), np.minimum(a[2:], b[:, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=1)
    area = lambda x: np.prod(x[..., 2:] - x[..., :2], axis=-1)
    return both / np.maximum(area(a) + area(b) - both, 1e-12)


def alike(a, i, b, j):
    """How far detection `i` of `a` is from `j` of `b`: the largest share over its fields."""
    worst = 0.0
    for field, x in a.items():
        x, y = x[i], b[field][j]
        if x.dtype.kind in "biu":
            worst = max(worst, 0.0 if (x == y).all() else np.inf)
        else:
            scale = 1.0 if field in ("scores", "masks") else max(reach(b[field]), 1.0)
            worst = max(worst, float(np.abs(x - y).max(initial=0.0)) / scale)
    return worst


def edge(one, k, others, floor, limit):
    """True for a detection at the edge of what is kept: by its score, or by its overlap with what was kept before it."""
    if abs(float(one["scores"][k]) - floor) <= TOLERANCE:
        return True
    same = others["labels"] == one["labels"][k]
    shares = overlap(one["boxes"][k], others["boxes"][same]) if same.any() else np.zeros(1)
    return bool((np.abs(shares - limit) <= TOLERANCE).any())


def detections(ours, theirs, fields, threshold, limit):
    """As `apart`, of the detections of one image: tensors of which the first axis counts them.

    `threshold` is the score from which they are kept, `limit` the overlap from which the weaker one goes."""
    if len(ours) != len(theirs):
        return f"{len(ours)} outputs, PyTorch gives {len(theirs)}", ""
    a, b = (dict(zip(fields, [np.asarray(v) for v in side])) for side in (ours, theirs))
    for field in fields:
        if a[field].shape[1:] != b[field].shape[1:] or a[field].dtype.kind != b[field].dtype.kind:
            return f"{field} are {a[field].dtype}{a[field].shape}, PyTorch gives {b[field].dtype}{b[field].shape}", ""
    left, moved, lone = list(range(len(a["scores"]))), 0, []
    for j in range(len(b["scores"])):
        best = min(left, key=lambda i: (alike(a, i, b, j), abs(i - j)), default=None)
        if best is not None and alike(a, best, b, j) <= TOLERANCE:
            left.remove(best)
            moved += best != j
        else:
            lone.append(j)
    kept = np.concatenate([a["scores"], b["scores"]])
    floor = threshold if len(kept) == 0 or kept.min() - threshold <= TOLERANCE else float(kept.min())
    for side, other, which in ((a, b, left), (b, a, lone)):
        strange = [k for k in which if not edge(side, k, other, floor, limit)]
        if strange:
            whose = "ours alone" if side is a else "PyTorch's alone"
            k = strange[0]
            near = min((alike(other, i, side, k) for i in range(len(other["scores"]))), default=np.inf)
            return f"{len(strange)} of {len(side['scores'])} detections are {whose}: score {side['scores'][k]:.6f}, nearest {near:.1e} off", ""
    said = []
    if left or lone:
        said.append(f"{len(left) + len(lone)} detections at the edge of what is kept are on one side only")
    if moved:
        said.append(f"{moved} of {len(b['scores'])} detections come in another order")
    return "", ", ".join(said)
