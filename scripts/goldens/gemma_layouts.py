"""Writes the tiny Gemmas of the goldens in the layouts of google-deepmind/gemma (Orbax) and google/gemma_pytorch.

    pip install torch==2.13.0 safetensors==0.8.0 numpy jax==0.10.2 orbax-checkpoint==0.12.8
    python scripts/goldens/gemma_layouts.py GOLDENS

GOLDENS holds checkpoints/MODEL/hf-f32 and configs/MODEL.json. Written to fixtures/goldens/checkpoints/MODEL: the same weights as

- flax-ocdbt-f32, the released tree: one level of keys with slashes, and `w` below the two matrices of the MLP;
- flax-nested-f32 (only where there is one key head), the tree that gemma.params.load_and_format_params makes, as plain zarr;
- torch-f32.ckpt, with the table of rotations that the released files hold.

Each is read back and compared. Names of OCDBT data files are random, so they change whenever this runs; the tensors do not.
"""

import json
import pathlib
import shutil
import sys

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import torch
from safetensors.torch import load_file

OUT = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "goldens" / "checkpoints"
MODELS = ("gemma-mqa-tiny", "gemma-mha-tiny")
POSITIONS = 8  # of the table of rotations, which has two rows for each; the released files have 8192


def flax_attention(weights, prefix, config):
    """The heads are an axis of their own: [heads, hidden, head_dim] on the way in, [heads, head_dim, hidden] on the way out."""

    def heads(name):
        matrix = weights[f"{prefix}.{name}_proj.weight"]
        return matrix.reshape(-1, config["head_dim"], config["hidden_size"]).transpose(0, 2, 1)

    out = weights[f"{prefix}.o_proj.weight"].T
    tree = {"attn_vec_einsum": {"w": out.reshape(-1, config["head_dim"], config["hidden_size"])}}
    if config["num_key_value_heads"] == config["num_attention_heads"]:
        tree["qkv_einsum"] = {"w": np.stack([heads("q"), heads("k"), heads("v")])}
    else:
        tree["q_einsum"] = {"w": heads("q")}
        tree["kv_einsum"] = {"w": np.stack([heads("k"), heads("v")])}
    return tree


def flax_layer(weights, prefix, config):
    def mlp(name):
        return weights[f"{prefix}.mlp.{name}_proj.weight"].T

    return {
        "attn": flax_attention(weights, f"{prefix}.self_attn", config),
        "mlp": {"gating_einsum": np.stack([mlp("gate"), mlp("up")]), "linear": mlp("down")},
        "pre_attention_norm": {"scale": weights[f"{prefix}.input_layernorm.weight"]},
        "pre_ffw_norm": {"scale": weights[f"{prefix}.post_attention_layernorm.weight"]},
    }


def flax_nested(weights, config):
    tree = {
        "embedder": {"input_embedding": weights["model.embed_tokens.weight"]},
        "final_norm": {"scale": weights["model.norm.weight"]},
    }
    for index in range(config["num_hidden_layers"]):
        tree[f"layer_{index}"] = flax_layer(weights, f"model.layers.{index}", config)
    return {"transformer": tree}


def flax_released(nested):
    """As gemma.params.flatten_and_remap_params: all but the last key joined by slashes, after a `w` below each matrix of the MLP."""
    flat = {}

    def visit(path, tree):
        for key, value in tree.items():
            if isinstance(value, dict):
                visit([*path, key], value)
            elif path[-1] == "mlp":
                flat["/".join([*path, key])] = {"w": value}
            else:
                flat.setdefault("/".join(path), {})[key] = value

    visit([], nested)
    return flat


def save_orbax(folder, tree, **options):
    shutil.rmtree(folder, ignore_errors=True)
    tree = jax.tree.map(jnp.asarray, tree)
    ocp.Checkpointer(ocp.PyTreeCheckpointHandler(**options)).save(folder, tree)
    (folder / "commit_success.txt").unlink(missing_ok=True)  # names a path of this machine, and no reader needs it
    compare(ocp.PyTreeCheckpointer().restore(folder), tree)


def compare(found, tree):
    assert found.keys() == tree.keys(), (found.keys(), tree.keys())
    for key, value in tree.items():
        if isinstance(value, dict):
            compare(found[key], value)
        else:
            np.testing.assert_array_equal(np.asarray(found[key]), np.asarray(value), key, strict=True)


def rotations(head_dim, theta):
    """gemma.model.precompute_freqs_cis."""
    frequencies = 1 / theta ** (torch.arange(0, head_dim, 2).float() / head_dim)
    angles = torch.outer(torch.arange(2 * POSITIONS), frequencies).float()
    return torch.polar(torch.ones_like(angles), angles)


def torch_state(weights, config):
    """In the order of state_dict() of gemma.model.GemmaForCausalLM; all but `qkv_proj` and the embedding is named as in HF."""
    state = {
        "freqs_cis": rotations(config["head_dim"], config["rope_theta"]),
        "embedder.weight": weights["model.embed_tokens.weight"],
    }
    for index in range(config["num_hidden_layers"]):
        layer = f"model.layers.{index}"
        attention = [weights[f"{layer}.self_attn.{name}_proj.weight"] for name in "qkv"]
        state[f"{layer}.self_attn.qkv_proj.weight"] = torch.cat(attention)
        for name in ("self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"):
            state[f"{layer}.{name}.weight"] = weights[f"{layer}.{name}.weight"]
        for name in ("input_layernorm", "post_attention_layernorm"):
            state[f"{layer}.{name}.weight"] = weights[f"{layer}.{name}.weight"]
    state["model.norm.weight"] = weights["model.norm.weight"]
    return state


def save_torch(path, state):
    torch.save({"model_state_dict": state}, path)
    compare(torch.load(path, weights_only=True)["model_state_dict"], state)


def main(goldens):
    root = pathlib.Path(goldens)
    for model in MODELS:
        config = json.loads((root / "configs" / f"{model}.json").read_text())
        weights = load_file(root / "checkpoints" / model / "hf-f32" / "model.safetensors")
        nested = flax_nested({name: tensor.numpy() for name, tensor in weights.items()}, config)
        folder = OUT / model
        folder.mkdir(parents=True, exist_ok=True)
        save_orbax(folder / "flax-ocdbt-f32", flax_released(nested))
        if config["num_key_value_heads"] == 1:
            save_orbax(folder / "flax-nested-f32", nested, use_ocdbt=False)
        save_torch(folder / "torch-f32.ckpt", torch_state(weights, config))


if __name__ == "__main__":
    main(*sys.argv[1:])
