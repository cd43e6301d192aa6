/** What a `tokenizer.json` puts before every text. */

import { isRecord } from './json-format.js';
import { partOf, type Step, stepsOf, unsupported } from './json-steps.js';

/**
 * The token that the post-processor puts before every text, or undefined. What it puts behind a text is left out here: an end of the text,
 * after which no model goes on.
 * @throws InputError where it does anything else.
 */
export function leadingToken(postProcessor: unknown, file: string): string | undefined {
  const steps = stepsOf(postProcessor, 'processors');
  // ByteLevel only moves the borders that Python's tokenizers reports.
  const templates = steps.filter((step) => step.type !== 'ByteLevel');
  if (templates.length > 1 || templates.some((step) => step.type !== 'TemplateProcessing')) {
    throw unsupported(file, partOf('post_processor', steps));
  }
  const tokens = templates.flatMap(tokensBefore);
  if (tokens.length > 1)
    throw unsupported(file, `a post_processor that puts ${tokens.join(' ')} before a text`);
  return tokens[0];
}

/** The special tokens that `TemplateProcessing.single` has before the text, which it calls sequence A. */
function tokensBefore({ single }: Step): string[] {
  const items: unknown[] = Array.isArray(single) ? single : [];
  const text = items.findIndex((item) => isRecord(item) && isRecord(item.Sequence));
  return items.slice(0, Math.max(0, text)).flatMap((item) => {
    const token = isRecord(item) && isRecord(item.SpecialToken) ? item.SpecialToken.id : undefined;
    return typeof token === 'string' ? [token] : [];
  });
}
