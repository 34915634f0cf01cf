#!/usr/bin/env python3
"""Why cases of attention in 16 bit are listed as failures: by which arithmetic each passes, and by which not.

usage: softmax_order.py CASES
The expanded cases are the function body of Attention. They are run by onnx's own evaluator with its Softmax replaced by
three others: every step of Softmax's function body rounded to the type; the same with the sum rounded after each term, in
the order of memory, as numpy adds bfloat16; and all in float64, rounded once. Printed is how many elements leave the
tolerance of the case. The specification says nothing of the order in which, or of the precision with which, terms are added.
"""
import glob, os, sys, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun


def softmax(way):
    class Softmax(OpRun):
        op_domain = ""

        def _run(self, x, axis=None):
            axis, kind = -1 if axis is None else axis, x.dtype
            rounded = (lambda v: v) if way == "once" else (lambda v: v.astype(kind).astype(float))
            x = x.astype(float)
            e = rounded(np.exp(rounded(x - x.max(axis, keepdims=True))))
            total = e.sum(axis, keepdims=True)
            if way == "each":
                total = np.zeros_like(total)
                for term in np.split(e, e.shape[axis], axis):
                    total = rounded(total + term)
            return ((e / rounded(total)).astype(kind),)

    return Softmax


def load(case):
    model = onnx.load(f"{case}/model.onnx")
    read = lambda name: numpy_helper.to_array(onnx.TensorProto.FromString(open(f"{case}/test_data_set_0/{name}.pb", "rb").read()))
    return model, {i.name: read(f"input_{k}") for k, i in enumerate(model.graph.input)}, read("output_0")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(f"{'case':60}{'body':>8}{'by term':>9}{'once':>7}  of")
    for case in sorted(glob.glob(f"{sys.argv[1]}/node__test_attention*16_expanded")):
        model, feed, want = load(case)
        counts = []
        for way in ("body", "each", "once"):
            got = ReferenceEvaluator(model, new_ops=[softmax(way)]).run(None, feed)[0].astype(float)
            counts.append(int((np.abs(got - want.astype(float)) > 1e-7 + 1e-3 * np.abs(want.astype(float))).sum()))
        print(f"{os.path.basename(case)[6:]:60}{counts[0]:>8}{counts[1]:>9}{counts[2]:>7}  {want.size}")


if __name__ == "__main__":
    main()
