"""Records what PyTorch and safetensors read from the golden checkpoints: dtype, shape and a hash of every tensor.

Usage: python scripts/goldens/hash_torch.py GOLDENS/checkpoints > fixtures/goldens/torch-tensors.json
Made with torch 2.13.0, safetensors 0.8.0.
"""

import enum
import hashlib
import json
import pathlib
import sys
import types
import typing

import torch
from safetensors import safe_open


def stub_recurrentgemma():
    """Lets torch.load build the pickled GriffinConfig without the recurrentgemma package."""
    common = types.ModuleType("recurrentgemma.common")
    common.TemporalBlockType = enum.Enum("TemporalBlockType", "ATTENTION RECURRENT")
    common.ScanType = enum.Enum("ScanType", "AUTO LINEAR_NATIVE ASSOCIATIVE_NATIVE LINEAR_PALLAS")
    fields = (
        "vocab_size width mlp_expanded_width num_heads block_types embeddings_scale_by_sqrt_dim "
        "attention_window_size logits_soft_cap lru_width scan_type"
    )
    common.GriffinConfig = typing.NamedTuple("GriffinConfig", [(name, object) for name in fields.split()])
    sys.modules["recurrentgemma"] = types.ModuleType("recurrentgemma")
    sys.modules["recurrentgemma.common"] = common


def describe(tensor):
    data = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return [str(tensor.dtype).removeprefix("torch."), list(tensor.shape), hashlib.sha256(data).hexdigest()[:32]]


def read_torch(path, weights_only=True):
    return torch.load(path, map_location="cpu", weights_only=weights_only)


def read_safetensors(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def read(path):
    if path.is_file():
        example = "example" in path.name
        return read_torch(path, weights_only=False)["model"] if example else read_torch(path)
    tensors = {}
    for shard in sorted(path.glob("*.safetensors")):
        tensors |= read_safetensors(shard)
    for shard in sorted(path.glob("*.bin")):
        tensors |= read_torch(shard)
    return tensors


def main():
    root = pathlib.Path(sys.argv[1])
    stub_recurrentgemma()
    found = {}
    for path in sorted(root.glob("*/*")):
        if path.suffix == ".pt" or path.name.startswith(("hf-", "state-spaces")):
            tensors = read(path)
            found[str(path.relative_to(root))] = {name: describe(tensor) for name, tensor in tensors.items()}
    lines = []
    for path, tensors in found.items():
        rows = ",\n".join(f"    {json.dumps(name)}: {json.dumps(row)}" for name, row in tensors.items())
        lines.append(f"  {json.dumps(path)}: {{\n{rows}\n  }}")
    print("{\n" + ",\n".join(lines) + "\n}")


main()
