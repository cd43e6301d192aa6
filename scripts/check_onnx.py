"""Looks at model folders as Python's onnx sees them, and prints what it found as JSON, one object a line.

  python scripts/check_onnx.py FOLDER...     (needs onnx 1.18 or later)

Each `model.onnx` must pass `onnx.checker` in full, shapes inferred strictly. The tests
run this where such a Python is; RECGEMMA_PYTHON names it if it is not `python3`.
"""

import hashlib
import json
import pathlib
import sys

import onnx
from onnx import external_data_helper, numpy_helper


def dims(value: onnx.ValueInfoProto) -> list:
  return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def describe(folder: pathlib.Path) -> dict:
  path = folder / "model.onnx"
  onnx.checker.check_model(path, full_check=True)
  model = onnx.load(path, load_external_data=False)
  inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)

  places = {}
  external = [tensor for tensor in model.graph.initializer if external_data_helper.uses_external_data(tensor)]
  for tensor in external:
    info = {entry.key: entry.value for entry in tensor.external_data}
    external_data_helper.load_external_data_for_tensor(tensor, str(folder))
    places[tensor.name] = {
        "location": info["location"],
        "offset": int(info["offset"]),
        "length": int(info["length"]),
        "shape": list(tensor.dims),
        "sha256": hashlib.sha256(numpy_helper.to_array(tensor).tobytes()).hexdigest(),
    }
  return {
      "ir_version": model.ir_version,
      "opsets": {opset.domain: opset.version for opset in model.opset_import},
      "producer": f"{model.producer_name} {model.producer_version}",
      "metadata": {entry.key: entry.value for entry in model.metadata_props},
      "inputs": {value.name: dims(value) for value in model.graph.input},
      "outputs": {value.name: dims(value) for value in model.graph.output},
      "inferred": {value.name: dims(value) for value in inferred.graph.output},
      "operators": sorted({node.op_type for node in model.graph.node}),
      "weights": places,
  }


if __name__ == "__main__":
  for name in sys.argv[1:]:
    print(json.dumps(describe(pathlib.Path(name))))
