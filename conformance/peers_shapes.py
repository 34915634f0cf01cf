#!/usr/bin/env python3
"""A zoo for the measurement beside peers whose models are dynamic ones at their recorded sizes and at a batch of 8.

usage: peers_shapes.py ZOO_DIR OUT_DIR
Writes OUT_DIR/MODEL_SIZES with `model.onnx`, a link to the model's `dynamic.onnx`, and one data set: a recorded one but for the
first, whose sizes `model.onnx` of the zoo has, and the first with its images or sequences repeated to a batch of 8. Images of a batch differ:
each is rolled by its number along its last axis. Outputs of a batch are ONNX Runtime's.
"""
import glob, os, sys

import numpy as np
import onnx
import onnxruntime as rt
from onnx import numpy_helper


def read(folder, kind):
    files = sorted(glob.glob(f"{folder}/{kind}_*.pb"), key=lambda f: int(f.rsplit("_", 1)[1][:-3]))
    return [numpy_helper.to_array(onnx.TensorProto.FromString(open(f, "rb").read())) for f in files]


def write(folder, kind, tensors):
    for i, tensor in enumerate(tensors):
        with open(f"{folder}/{kind}_{i}.pb", "wb") as f:
            f.write(numpy_helper.from_array(np.ascontiguousarray(tensor)).SerializeToString())


def place(out, model, name, inputs, outputs):
    sizes = "x".join(map(str, inputs[0].shape))
    folder = f"{out}/{name}_{sizes}/test_data_set_0"
    os.makedirs(folder, exist_ok=True)
    link = f"{out}/{name}_{sizes}/model.onnx"
    if not os.path.exists(link):
        os.symlink(os.path.abspath(model), link)
    write(folder, "input", inputs)
    write(folder, "output", outputs)
    print(f"{name}_{sizes}", flush=True)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    zoo, out = sys.argv[1:]
    for model in sorted(glob.glob(f"{zoo}/*/dynamic.onnx")):
        home = os.path.dirname(model)
        name = os.path.basename(home)
        sets = sorted(glob.glob(f"{home}/dynamic_data_set_*"))
        for data in sets[1:]:
            place(out, model, name, read(data, "input"), read(data, "output"))
        first = read(sets[0], "input")
        batch = [np.concatenate([np.roll(x, i, axis=-1) for i in range(8)]) for x in first]
        session = rt.InferenceSession(model, providers=["CPUExecutionProvider"])
        feeds = {i.name: x for i, x in zip(session.get_inputs(), batch)}
        place(out, model, name, batch, session.run(None, feeds))


main()
