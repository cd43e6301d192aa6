/** Whose tensor names a checkpoint uses. */

/** DeepMind's JAX code (`flax`), DeepMind's PyTorch code (`torch`), or Hugging Face transformers (`hf`). */
export type SourceLayout = 'flax' | 'torch' | 'hf';
