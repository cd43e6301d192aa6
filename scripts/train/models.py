"""The three models that are compared: their configurations, and how they are stored."""

import json
import pathlib

import jax
import jax.numpy as jnp
from orbax import checkpoint as orbax
from recurrentgemma import common
from recurrentgemma.jax import Griffin

R, A = common.TemporalBlockType.RECURRENT, common.TemporalBlockType.ATTENTION
VOCAB_SIZE = 2048

# A recurrent block has more parameters than an attention block, so the MLPs differ
# in width: that gives all three models the same number of parameters within 1 %.
_SHAPES = {
    "griffin": dict(block_types=(R, R, A, R, R, A), mlp_expanded_width=384, attention_window_size=128),
    "hawk": dict(block_types=(R,) * 6, mlp_expanded_width=336, attention_window_size=128),
    "mqa": dict(block_types=(A,) * 6, mlp_expanded_width=480, attention_window_size=2048),
}
MODELS = tuple(_SHAPES)


def config(model: str) -> common.GriffinConfig:
  return common.GriffinConfig(
      vocab_size=VOCAB_SIZE,
      width=128,
      num_heads=4,
      lru_width=192,
      embeddings_scale_by_sqrt_dim=True,
      logits_soft_cap=30.0,
      # On a CPU this trains twice as fast as DeepMind's default, the plain loop.
      scan_type=common.ScanType.ASSOCIATIVE_NATIVE,
      **_SHAPES[model],
  )


def build(model: str) -> Griffin:
  """The model, computing in float32."""
  return Griffin(config(model), gradient_checkpointing=False, dtype=jnp.float32)


def save(model: str, params: dict, folder: pathlib.Path) -> None:
  """Writes `checkpoint/` (Orbax, bfloat16, as the releases are) and model-config.json."""
  device = jax.local_devices()[0]
  stored = jax.tree.map(lambda x: jax.device_put(x.astype(jnp.bfloat16), device), params)
  target = (folder / "checkpoint").absolute()
  orbax.PyTreeCheckpointer().save(target, stored, force=True)
  (target / "commit_success.txt").unlink()  # names a path of this machine, and no reader needs it

  fields = config(model)._asdict()
  del fields["scan_type"]  # how to compute, not what
  fields["block_types"] = [kind.name.lower() for kind in fields["block_types"]]
  (folder / "model-config.json").write_text(json.dumps(fields, indent=2) + "\n")


def load(folder: pathlib.Path) -> dict:
  """The stored bfloat16 parameters, as float32."""
  stored = orbax.PyTreeCheckpointer().restore((folder / "checkpoint").absolute())
  return jax.tree.map(lambda x: jnp.asarray(x).astype(jnp.float32), stored)
