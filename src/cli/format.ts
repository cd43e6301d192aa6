/** Figures as people read them. */

import type { Quality } from '../index.js';

/** A time span: `850 ms`, `12 s`, `3 min 5 s`, `2 h 10 min`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

const signed = new Intl.NumberFormat('en', {
  signDisplay: 'exceptZero',
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});

/** What a precision costs: `perplexity +0.22 %, KL divergence 8.9e-4, greedy agreement 98.6 % against fp32 over 351 tokens`. */
export function formatQuality(quality: Quality): string {
  const perplexity = `perplexity ${signed.format(100 * (quality.perplexity_ratio - 1))} %`;
  const divergence = `KL divergence ${quality.kl_divergence.toExponential(1)}`;
  const agreement = `greedy agreement ${(100 * quality.greedy_agreement).toFixed(1)} %`;
  return `${perplexity}, ${divergence}, ${agreement} against ${quality.against} over ${quality.tokens} tokens`;
}
