/** What models are tried on: an English passage, and tokens drawn at random. */

import { createRandom } from '../runtime/random.js';

/** A passage written for this purpose: plain prose with names, numbers, quotes and a list, so that many kinds of token occur. */
export const PASSAGE = `The lighthouse at Kerrin Point was lit for the first time on 3 October 1871. Its keeper, Anna Moreau, \
wrote every evening how far the beam could be seen, what ships had passed, and how the wind stood. "The sea forgets nothing," \
she used to say, "but it tells only what it likes." In forty years she missed eleven evenings: two for the funeral of her \
brother, nine for a fever. When an engineer from the city came to replace the oil lamp by an electric one, he asked to read \
the books, and found that they held what no instrument of that time could have measured: the slow warming of the bay, the \
year in which the herring left, and the night, in March 1889, when the ice reached the harbour and 17 boats were lost. He had \
the volumes copied, sent them to three universities, and put the new lamp 2.5 metres higher than the old one, because of a \
note on page 214.
`;

/** `length` token ids, the same at every run; another `stream` gives others. */
export function seededTokens(vocabSize: number, length: number, stream = 0): number[] {
  const random = createRandom(SEED, stream);
  return Array.from({ length }, () => Math.floor(random() * vocabSize));
}

const SEED = 20240411;

/** At most `count` of the positions 0 to `length - 1`, evenly spread, the last always among them. */
export function spreadPositions(length: number, count: number): number[] {
  const step = Math.max(1, Math.ceil(length / count));
  const positions: number[] = [];
  for (let position = length - 1; position >= 0; position -= step) positions.push(position);
  return positions.reverse();
}
