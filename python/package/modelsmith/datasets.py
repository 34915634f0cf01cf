"""Small models for examples, under the names that ONNX Runtime gives its own: `mul_1.onnx` multiplies by a constant,
`sigmoid.onnx` is one node, `logreg_iris.onnx` a logistic regression over the iris data."""

import os

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")


def get_example(name: str) -> str:
    """The path of an example.

    Raises `FileNotFoundError`, which lists those that there are.
    """
    path = os.path.join(_FOLDER, name)
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no example {name}; there are {', '.join(sorted(os.listdir(_FOLDER)))}")
    return path
