"""What several tests need: example models, and the folder of benchmark models where there is one."""

import os
import subprocess
import sys

import numpy as np
import pytest

import modelsmith

HERE = os.path.dirname(os.path.abspath(__file__))
ZOO = os.environ.get("MODELSMITH_ZOO", "")


@pytest.fixture
def sigmoid():
    return modelsmith.datasets.get_example("sigmoid.onnx")


@pytest.fixture
def mul():
    return modelsmith.datasets.get_example("mul_1.onnx")


@pytest.fixture
def digits():
    path = os.path.join(HERE, "..", "..", "examples", "digits", "digits.onnx")
    if not os.path.exists(path):
        pytest.skip("the example examples/digits is not here")
    return path


@pytest.fixture
def image():
    return np.random.default_rng(3).random((1, 1, 8, 8), dtype=np.float32) * 16


@pytest.fixture
def zoo():
    """The folder of a benchmark model by name."""

    def find(name):
        folder = os.path.join(ZOO, name)
        if not ZOO or not os.path.isdir(folder):
            pytest.skip(f"the benchmark model {name} is not here: MODELSMITH_ZOO names the folder of them")
        return folder

    return find


@pytest.fixture
def python():
    """Runs a program of Python and returns what it printed; fails where it does not end well."""

    def run(text, **kwargs):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=300, **kwargs)
        assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
        return done.stdout

    return run
