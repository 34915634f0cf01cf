"""What ONNX Runtime's README, tutorials and reference show for CPUs, with the import changed: one test for each snippet."""

import json
import os
import warnings

import numpy
import numpy as np
import pytest

import modelsmith as onnxruntime
import modelsmith as ort
import modelsmith as rt
from modelsmith import datasets as data
from modelsmith.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, NoSuchFile


def test_the_reference_runs_a_model(sigmoid):
    session = onnxruntime.InferenceSession(sigmoid, providers=["CPUExecutionProvider"])
    outputs = session.run(["y"], {"x": np.zeros((3, 4, 5), np.float32)})
    assert outputs[0].shape == (3, 4, 5) and np.all(outputs[0] == 0.5)


def test_load_and_predict(sigmoid):
    sess = rt.InferenceSession(sigmoid, providers=rt.get_available_providers())
    assert (sess.get_inputs()[0].name, sess.get_inputs()[0].shape, sess.get_inputs()[0].type) == ("x", [3, 4, 5], "tensor(float)")
    assert (sess.get_outputs()[0].name, sess.get_outputs()[0].shape) == ("y", [3, 4, 5])
    x = numpy.random.random((3, 4, 5)).astype(numpy.float32)
    [res] = sess.run([sess.get_outputs()[0].name], {sess.get_inputs()[0].name: x})
    np.testing.assert_allclose(res, 1 / (1 + np.exp(-x.astype(float))), rtol=1e-6)


def test_a_model_in_memory(mul):
    with open(mul, "rb") as f:
        sess = rt.InferenceSession(f.read())
    assert sess.run(None, {"X": np.ones((3, 2), np.float32)})[0].tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_model_made_by_the_onnx_package(mul):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(mul)
    sess = rt.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert sess.run(None, {"X": np.ones((3, 2), np.float32)})[0][2, 1] == 6


def test_metadata(mul):
    meta = rt.InferenceSession(mul).get_modelmeta()
    assert meta.producer_name == "modelsmith examples" and meta.graph_name == "mul_1"
    assert (meta.domain, meta.version, meta.description, meta.custom_metadata_map) == ("", 0, "", {})


def test_common_errors():
    example = data.get_example("logreg_iris.onnx")
    sess = rt.InferenceSession(example, providers=rt.get_available_providers())
    input_name = sess.get_inputs()[0].name
    output_name = sess.get_outputs()[0].name
    with pytest.raises(Exception, match="float64"):
        sess.run([output_name], {input_name: np.ones((3, 2))})
    with pytest.raises(InvalidArgument, match="misspelled"):
        sess.run(["misspelled"], {input_name: np.ones((3, 2), np.float32)})
    with pytest.raises(ValueError, match="no value is given for input float_input"):
        sess.run([output_name], {"misspelled": np.ones((3, 2), np.float32)})
    for x in (np.float32([1, 2, 3, 4]), np.float32([[1, 2, 3, 4]]), np.ones((3, 2, 1), np.float32)):
        with pytest.raises((Fail, InvalidArgument)):
            sess.run([output_name], {input_name: x})
    with pytest.raises(NoSuchFile):
        rt.InferenceSession("not_there.onnx")


def test_a_classifier_gives_labels_and_a_dict_for_each_row():
    sess = rt.InferenceSession(data.get_example("logreg_iris.onnx"), providers=rt.get_available_providers())
    x = np.array([[5.1, 3.5], [6.0, 2.2], [7.9, 3.8]], dtype=np.float32)
    label, probability = sess.run(None, {sess.get_inputs()[0].name: x})
    assert label.dtype == np.int64 and label.tolist() == [0, 1, 2]
    assert [set(p) for p in probability] == [{0, 1, 2}] * 3
    assert all(abs(sum(p.values()) - 1) < 1e-6 for p in probability)
    assert [max(p, key=p.get) for p in probability] == [0, 1, 2]


def test_backend():
    backend = rt.backend
    onnx = pytest.importorskip("onnx")
    name = data.get_example("logreg_iris.onnx")
    rep = backend.prepare(name, "CPU")
    x = np.array([[-1.0, -2.0], [1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    label, proba = rep.run(x)
    assert len(label) == len(proba) == 3
    model = onnx.load(name)
    label_again, _ = backend.run_model(model, x, "CPU")
    assert label.tolist() == label_again.tolist()
    with pytest.raises((RuntimeError, InvalidArgument)):
        rep.run(np.array([[-1.0, -2.0]], dtype=np.float32))
    node = onnx.helper.make_node("Add", ["a", "b"], ["c"])
    assert backend.run_node(node, [np.float32([1]), np.float32([2])])[0].tolist() == [3]


def test_profiling(sigmoid, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = rt.SessionOptions()
    options.enable_profiling = True
    sess = rt.InferenceSession(sigmoid, options, providers=rt.get_available_providers())
    sess.run(None, {"x": np.zeros((3, 4, 5), np.float32)})
    prof_file = sess.end_profiling()
    with open(prof_file, encoding="utf-8") as f:
        events = json.load(f)
    node = [e for e in events if e["cat"] == "Node" and "sigmoid" in e["name"]]
    assert len(node) == 1 and node[0]["dur"] >= 0 and node[0]["args"]["kernel"]


def test_options_of_the_performance_guide(sigmoid, tmp_path):
    sess_options = rt.SessionOptions()
    sess_options.graph_optimization_level = rt.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    sess_options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    sess_options.intra_op_num_threads = 1
    sess_options.inter_op_num_threads = 1
    sess_options.execution_mode = rt.ExecutionMode.ORT_SEQUENTIAL
    sess_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = rt.InferenceSession(sigmoid, sess_options)
    assert os.path.exists(tmp_path / "optimized.onnx")
    run_options = rt.RunOptions()
    run_options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    assert session.run(None, {"x": np.zeros((3, 4, 5), np.float32)}, run_options)[0][0, 0, 0] == 0.5
    assert session.get_session_options().intra_op_num_threads == 1


def test_every_level_of_optimization_gives_the_same(digits, image):
    results = []
    for level in rt.GraphOptimizationLevel:
        options = rt.SessionOptions()
        options.graph_optimization_level = level
        results.append(rt.InferenceSession(digits, options).run(None, _feed(digits, image))[0])
    for r in results[1:]:
        np.testing.assert_allclose(r, results[0], rtol=1e-4, atol=1e-5)


def _feed(path, image):
    return {rt.InferenceSession(path).get_inputs()[0].name: image}


def test_unknown_providers_are_left_out_with_a_warning(sigmoid):
    with pytest.warns(UserWarning, match="CUDAExecutionProvider: there is no such provider here"):
        sess = ort.InferenceSession(sigmoid, providers=[("CUDAExecutionProvider", {"device_id": 0}), "CPUExecutionProvider"])
    assert sess.get_providers() == ["CPUExecutionProvider"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ort.InferenceSession(sigmoid, providers=["CPUExecutionProvider"])


def test_binding_of_arrays(mul):
    session = onnxruntime.InferenceSession(mul)
    x = np.ones((3, 2), np.float32)
    io_binding = session.io_binding()
    io_binding.bind_cpu_input("X", x)
    io_binding.bind_output("Y")
    session.run_with_iobinding(io_binding)
    assert io_binding.copy_outputs_to_cpu()[0].tolist() == [[1, 2], [3, 4], [5, 6]]
    x[:] = 2
    session.run_with_iobinding(io_binding)
    assert io_binding.copy_outputs_to_cpu()[0].tolist() == [[2, 4], [6, 8], [10, 12]]


def test_binding_of_addresses(mul):
    session = onnxruntime.InferenceSession(mul)
    x = onnxruntime.OrtValue.ortvalue_from_numpy(np.ones((3, 2), np.float32), "cpu", 0)
    y = onnxruntime.OrtValue.ortvalue_from_shape_and_type([3, 2], np.float32, "cpu", 0)
    io_binding = session.io_binding()
    io_binding.bind_input(
        name="X", device_type=x.device_name(), device_id=0, element_type=np.float32, shape=x.shape(), buffer_ptr=x.data_ptr()
    )
    io_binding.bind_output(
        name="Y", device_type=y.device_name(), device_id=0, element_type=np.float32, shape=y.shape(), buffer_ptr=y.data_ptr()
    )
    session.run_with_iobinding(io_binding)
    assert y.numpy().tolist() == [[1, 2], [3, 4], [5, 6]]
    io_binding.bind_ortvalue_input("X", x)
    io_binding.bind_ortvalue_output("Y", y)
    session.run_with_iobinding(io_binding)
    assert io_binding.get_outputs()[0].data_ptr() == y.data_ptr()


def test_values(mul):
    session = onnxruntime.InferenceSession(mul)
    x = onnxruntime.OrtValue.ortvalue_from_numpy(np.ones((3, 2), np.float32))
    assert (x.device_name(), x.shape(), x.data_type(), x.is_tensor()) == ("cpu", [3, 2], "tensor(float)", True)
    assert x.element_type() == 1 and x.has_value()
    [y] = session.run_with_ort_values(["Y"], {"X": x})
    assert isinstance(y, onnxruntime.OrtValue) and y.numpy()[1, 1] == 4
    assert session.run(["Y"], {"X": x})[0][1, 1] == 4
    x.update_inplace(np.zeros((3, 2), np.float32))
    assert not session.run(["Y"], {"X": x})[0].any()


def test_dlpack(mul):
    torch = pytest.importorskip("torch")
    session = onnxruntime.InferenceSession(mul)
    x = torch.ones(3, 2)
    [y] = session.run(None, {"X": x})
    value = onnxruntime.OrtValue.from_dlpack(x)
    assert value.data_ptr() == x.data_ptr()
    assert torch.equal(torch.from_dlpack(y), torch.tensor([[1.0, 2], [3, 4], [5, 6]]))
    assert torch.from_dlpack(y).data_ptr() == y.ctypes.data


def test_async(mul):
    import threading

    done, seen = threading.Event(), []

    def callback(results, user_data, error):
        seen.append((results, user_data, error))
        done.set()

    onnxruntime.InferenceSession(mul).run_async(["Y"], {"X": np.ones((3, 2), np.float32)}, callback, "mine")
    assert done.wait(30)
    assert seen[0][1:] == ("mine", "") and seen[0][0][0][0, 1] == 2


def test_what_is_asked_of_the_module(sigmoid):
    assert ort.get_device() == "CPU" and ort.get_all_providers() == ["CPUExecutionProvider"]
    assert ort.get_version_string() == ort.__version__
    ort.set_default_logger_severity(3)
    ort.set_seed(1)
    ort.disable_telemetry_events()
    sess = ort.InferenceSession(sigmoid)
    assert sess.get_provider_options() == {"CPUExecutionProvider": {}}
    assert sess.get_overridable_initializers() == []
    sess.set_providers(["CPUExecutionProvider"])
    sess.disable_fallback()
