"""Trains one of the three small models on the prepared World Factbook.

  python scripts/train/train.py --model griffin --data /tmp/factbook/data --out fixtures/factbook/griffin

All three see the same tokens in the same order, with the same optimizer. Needs
about 20 minutes a model on two CPU cores.
"""

import argparse
import json
import math
import pathlib
import shutil
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

import models

SEED = 1
SEQUENCE_LENGTH = 256
BATCH_SIZE = 8
STEPS = 2400
WARMUP_STEPS = 100
PEAK_LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.1
BOS = 2


def windows(tokens: np.ndarray, offset: int = 0) -> np.ndarray:
  """All windows `[n, SEQUENCE_LENGTH + 1]`: the last token of one is the first of the next."""
  n = (len(tokens) - 1 - offset) // SEQUENCE_LENGTH
  starts = offset + SEQUENCE_LENGTH * np.arange(n)
  return tokens[starts[:, None] + np.arange(SEQUENCE_LENGTH + 1)].astype(np.int32)


def batches(tokens: np.ndarray, steps: int):
  """Random batches `[batch, SEQUENCE_LENGTH + 1]`; another cut and order each epoch."""
  rng = np.random.default_rng(SEED)
  pool = np.empty((0, SEQUENCE_LENGTH + 1), np.int32)
  for _ in range(steps):
    while len(pool) < BATCH_SIZE:
      epoch = windows(tokens, offset=int(rng.integers(SEQUENCE_LENGTH)))
      pool = np.concatenate([pool, rng.permutation(epoch)])
    yield pool[:BATCH_SIZE]
    pool = pool[BATCH_SIZE:]


def positions(tokens: jax.Array) -> jax.Array:
  """Position of each token `[batch, time]` in its document or, where that began earlier, in the window."""
  index = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
  start = jnp.where(tokens == BOS, index, 0)
  return index - jax.lax.cummax(start, axis=1)


def make_loss(model):
  """Sum of the negative log-likelihoods (nats), and how many tokens were predicted."""

  def loss(params, batch):
    tokens, targets = batch[:, :-1], batch[:, 1:]
    logits, _ = model.apply({"params": params}, tokens, positions(tokens), return_cache=False)
    nll = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    counted = targets != BOS  # which document follows is no question for a language model
    return jnp.sum(nll * counted), jnp.sum(counted)

  return loss


def decays(params) -> dict:
  """True for the matrices, which decay; norms, biases and the RG-LRU's `a_param` do not."""
  matrices = ("kernel", "w", "input_embedding")
  return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key in matrices, params)


def evaluate(loss, params, tokens: np.ndarray) -> tuple[float, int]:
  """(total nats, tokens) over a token stream, each token predicted once."""
  step = jax.jit(loss)
  total, count = 0.0, 0
  for batch in np.array_split(windows(tokens), 60):
    nll, n = step(params, jnp.asarray(batch))
    total, count = total + float(nll), count + int(n)
  return total, count


def train(model, tokens: np.ndarray, steps: int):
  example = jnp.zeros((1, 8), jnp.int32)
  params = jax.jit(model.init)(jax.random.key(SEED), example, positions(example))["params"]
  schedule = optax.warmup_cosine_decay_schedule(0.0, PEAK_LEARNING_RATE, WARMUP_STEPS, steps)
  optimizer = optax.chain(
      optax.clip_by_global_norm(1.0),
      optax.adamw(schedule, b1=0.9, b2=0.95, weight_decay=WEIGHT_DECAY, mask=decays),
  )
  state = optimizer.init(params)
  loss = make_loss(model)

  def mean_loss(params, batch):
    total, count = loss(params, batch)
    return total / count

  @jax.jit
  def update(params, state, batch):
    value, grads = jax.value_and_grad(mean_loss)(params, batch)
    updates, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, updates), state, value

  began, recent = time.time(), []
  for step, batch in enumerate(batches(tokens, steps), 1):
    params, state, value = update(params, state, jnp.asarray(batch))
    recent.append(float(value))
    if step % 50 == 0 or step == steps:
      speed = step * batch[:, 1:].size / (time.time() - began)
      print(f"step {step}/{steps}  loss {np.mean(recent):.4f}  {speed:.0f} tokens/s", flush=True)
      recent = []
  return params


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--model", choices=models.MODELS, required=True)
  parser.add_argument("--data", type=pathlib.Path, required=True, help="output folder of prepare_data.py")
  parser.add_argument("--out", type=pathlib.Path, required=True)
  parser.add_argument("--steps", type=int, default=STEPS)
  args = parser.parse_args()

  data = json.loads((args.data / "data.json").read_text())
  model = models.build(args.model)
  params = train(model, np.fromfile(args.data / "train.bin", "<u2"), args.steps)

  args.out.mkdir(parents=True, exist_ok=True)
  shutil.copyfile(args.data / "tokenizer.model", args.out / "tokenizer.model")
  models.save(args.model, params, args.out)

  # What is reported is what the stored, rounded parameters reach.
  stored = models.load(args.out)
  nats, count = evaluate(make_loss(model), stored, np.fromfile(args.data / "heldout.bin", "<u2"))
  result = {
      "parameters": sum(x.size for x in jax.tree.leaves(stored)),
      "steps": args.steps,
      "tokens_seen": args.steps * BATCH_SIZE * SEQUENCE_LENGTH,
      "heldout_tokens": count,
      "heldout_nats_per_token": round(nats / count, 4),
      "heldout_bits_per_byte": round(nats / math.log(2) / data["heldout_bytes"], 4),
  }
  (args.out / "training.json").write_text(json.dumps(result, indent=2) + "\n")
  print(json.dumps(result, indent=2))


if __name__ == "__main__":
  main()
