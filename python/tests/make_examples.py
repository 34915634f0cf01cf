"""Makes the models of `modelsmith.datasets` anew: needs the package onnx."""

import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "package", "modelsmith", "data")


def save(name, nodes, inputs, outputs, weights=(), opsets=(("", 13),)):
    """Writes a model and checks it."""
    graph = helper.make_graph(nodes, name.split(".")[0], inputs, outputs, [numpy_helper.from_array(w, n) for n, w in weights])
    opsets = [helper.make_opsetid(d, v) for d, v in opsets]
    model = helper.make_model(graph, ir_version=8, opset_imports=opsets, producer_name="modelsmith examples")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, os.path.join(FOLDER, name))


def iris():
    """A logistic regression on two lengths of the iris data of Fisher (1936), trained here: needs scikit-learn for the data alone."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    x, y = load_iris(return_X_y=True)
    return LogisticRegression(max_iter=1000).fit(x[:, :2], y)


def main():
    """Makes all of them."""
    os.makedirs(FOLDER, exist_ok=True)
    info, f32 = helper.make_tensor_value_info, TensorProto.FLOAT
    weights = np.arange(1, 7, dtype=np.float32).reshape(3, 2)
    save(
        "mul_1.onnx",
        [helper.make_node("Mul", ["X", "W"], ["Y"], "Mul1")],
        [info("X", f32, [3, 2])],
        [info("Y", f32, [3, 2])],
        [("W", weights)],
    )
    save("sigmoid.onnx", [helper.make_node("Sigmoid", ["x"], ["y"], "sigmoid")], [info("x", f32, [3, 4, 5])], [info("y", f32, [3, 4, 5])])
    c = iris()
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["float_input"],
            ["output_label", "scores"],
            "classifier",
            domain="ai.onnx.ml",
            coefficients=c.coef_.ravel().tolist(),
            intercepts=c.intercept_.tolist(),
            classlabels_ints=[0, 1, 2],
            multi_class=1,
            post_transform="SOFTMAX",
        ),
        helper.make_node("ZipMap", ["scores"], ["output_probability"], "zipmap", domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]),
    ]
    labels = info("output_label", TensorProto.INT64, [3])
    maps = helper.make_value_info(
        "output_probability",
        helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(f32, []))),
    )
    save("logreg_iris.onnx", nodes, [info("float_input", f32, [3, 2])], [labels, maps], opsets=(("", 13), ("ai.onnx.ml", 3)))


if __name__ == "__main__":
    main()
