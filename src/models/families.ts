/** Every family of models that can be converted; a new one is added here. */

import type { ModelFamily } from './family.js';
import { griffinFamily } from './griffin/family.js';
import { mambaFamily } from './mamba/family.js';
import { transformerFamily } from './transformer/family.js';

/** In the order in which they are tried. */
export const MODEL_FAMILIES: readonly ModelFamily[] = [griffinFamily, transformerFamily, mambaFamily];
