"""Writes fixtures/factbook/expected.json: what DeepMind's own code computes with the stored models.

  python scripts/train/expected.py fixtures/factbook

The stored bfloat16 parameters are widened to float32, and everything is computed in
float32. Each model gets three prompts (the third is longer than Griffin's window):
their ids, the five best logits after the prompt, and 48 greedily chosen tokens, not
stopped at <eos>. `min_margin` is by how much the closest of these choices won: a
computation that errs by less than half of it chooses the same tokens.
"""

import argparse
import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import sentencepiece as spm

import models

CONTINUATION = 48
SCORED_TOKENS = 1000
LONG_PROMPT_CHARACTERS = 900  # at other lengths a choice of 48 is nearly a tie


def make_forward(model, params):
  @functools.partial(jax.jit, static_argnames="with_cache")
  def forward(ids, start, cache=None, with_cache=False):
    """Logits `[time, vocab]` of one sequence, whose first token is at position `start`."""
    at = start + jnp.arange(ids.shape[0])
    logits, cache = model.apply({"params": params}, ids[None], at[None], cache, return_cache=with_cache)
    return logits[0], cache

  return forward


def expected_prompt(forward, sp, prompt: str) -> dict:
  prompt_ids = [sp.bos_id(), *sp.encode(prompt)]
  logits, cache = forward(jnp.array(prompt_ids), 0, with_cache=True)
  last = np.asarray(logits[-1])
  best = np.argsort(-last)[:5]

  ids, row = list(prompt_ids), last
  for _ in range(CONTINUATION):
    ids.append(int(row.argmax()))
    logits, cache = forward(jnp.array(ids[-1:]), len(ids) - 1, cache, with_cache=True)
    row = np.asarray(logits[-1])

  # The same choices once more, from one pass without a cache.
  rows = np.asarray(forward(jnp.array(ids[:-1]), 0)[0])[len(prompt_ids) - 1 :]
  greedy = ids[len(prompt_ids) :]
  assert rows.argmax(-1).tolist() == greedy, "the cached steps and the full pass disagree"
  two_best = np.sort(rows, axis=-1)[:, -2:]
  return {
      "prompt": prompt,
      "prompt_ids": prompt_ids,
      "top_ids": best.tolist(),
      "top_logits": [float(last[i]) for i in best],
      "greedy_ids": greedy,
      "greedy_text": sp.decode(greedy),
      "min_margin": float((two_best[:, 1] - two_best[:, 0]).min()),
  }


def log_likelihood(forward, ids: list[int]) -> float:
  """Sum of the natural log probabilities of ids[1:], each given all before it."""
  logits = forward(jnp.array(ids[:-1]), 0)[0]
  chosen = jax.nn.log_softmax(logits)[jnp.arange(len(ids) - 1), jnp.array(ids[1:])]
  return float(np.asarray(chosen, np.float64).sum())


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("folder", type=pathlib.Path, help="fixtures/factbook")
  parser.add_argument("--models", nargs="+", default=models.MODELS)
  args = parser.parse_args()

  heldout = (args.folder / "heldout.txt").read_text("utf-8")
  prompts = [
      "Geography of Atlantis\n\nLocation:",
      "Introduction to Uruguay\n\nBackground:",
      heldout[:LONG_PROMPT_CHARACTERS],
  ]
  result = {}
  for name in args.models:
    folder = args.folder / name
    sp = spm.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    forward = make_forward(models.build(name), models.load(folder))
    scored = [sp.bos_id(), *sp.encode(heldout)[:SCORED_TOKENS]]
    result[name] = {
        "prompts": [expected_prompt(forward, sp, p) for p in prompts],
        "heldout": {"tokens": len(scored) - 1, "log_likelihood": log_likelihood(forward, scored)},
    }
    for entry in result[name]["prompts"]:
      print(f"{name}: margin {entry['min_margin']:.4f}  {entry['prompt'][-60:]!r} -> {entry['greedy_text']!r}")
    print(f"{name}: {result[name]['heldout']}")
  (args.folder / "expected.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
  main()
