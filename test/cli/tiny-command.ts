/** A small command for tests to run as a child process: it ends, or goes on, as its first argument says. */

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Args, Config, Flags, type Interfaces } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.js';
import { exitWith } from '../../src/cli/exit.js';
import {
  batchFlag,
  byteSizeFlag,
  deviceFlag,
  existingPathFlag,
  integerFlag,
  numberFlag,
  outputFileFlag,
  probabilityFlag,
  seedFlag,
  temperatureFlag,
  threadsFlag,
} from '../../src/cli/flags.js';
import { CheckError, InputError, InterruptedError, UnavailableError, UsageError } from '../../src/errors.js';

/** An error as another copy of the library throws it: of our shape, not of our class. */
class ForeignInputError extends Error {
  readonly code = 'input';
  readonly exitCode = 3;
  readonly hint = 'Convert it first.';
  readonly details = { file: 'x.bin' };
}

const ENDINGS: Readonly<Record<string, () => unknown>> = {
  foreign: () => {
    throw new ForeignInputError('x.bin is not a checkpoint.');
  },
  usage: () => {
    throw new UsageError('Those two flags do not go together.');
  },
  input: () => {
    throw new InputError('a very long sentence '.repeat(8), { hint: `recgemma ${'--flag '.repeat(20)}` });
  },
  check: () => {
    throw new CheckError('The difference is too large.');
  },
  unavailable: () => {
    throw new UnavailableError('There is no GPU.');
  },
  bug: () => {
    const nothing = undefined as unknown as { length: number };
    return nothing.length;
  },
  'bug-elsewhere': async () => {
    setImmediate(() => {
      throw new TypeError('thrown in a callback');
    });
    await sleep(60_000);
  },
  missing: () => readFileSync('/nonexistent/file'),
  thrown: () => {
    throw 'a string';
  },
};

class Tiny extends BaseCommand<typeof Tiny> {
  static override summary = 'A command for tests';
  static override args = { ending: Args.string({ required: true }) };
  static override flags = {
    batch: batchFlag,
    device: deviceFlag,
    seed: seedFlag,
    threads: threadsFlag,
    'max-tokens': integerFlag({ min: 1 }),
    below: integerFlag({ max: 9 }),
    scale: numberFlag({ min: 0.5 }),
    'top-p': probabilityFlag(),
    temperature: temperatureFlag(),
    memory: byteSizeFlag(),
    input: existingPathFlag(),
    output: outputFileFlag(),
    chat: Flags.boolean({ exclusive: ['echo'] }),
    echo: Flags.boolean(),
  };

  async run(): Promise<void> {
    const ending = this.args.ending;
    if (ending === 'flags') this.console.result(this.flags, () => String(this.flags.batch));
    else if (ending in ENDINGS) await ENDINGS[ending]?.();
    else await this.goOn(ending);
  }

  /** Writes lines for ever, or until the signal, each way that a command may take it. */
  private async goOn(ending: string): Promise<void> {
    let lines = 0;
    this.console.line({ line: lines++ });
    while (!this.signal.aborted || ending === 'deaf') {
      await sleep(2);
      if (ending !== 'deaf') this.console.line({ line: lines++ });
    }
    if (ending === 'stops-with-message')
      throw new InterruptedError('Interrupted. The first lines were kept.');
    if (ending === 'stops-with-error') throw new Error('worker is gone');
    if (ending === 'stops-by-signal') this.signal.throwIfAborted();
  }
}

/** A package of its own, so that the tests need no build. */
const pjson = { name: 'tiny', version: '0.0.0', oclif: { bin: 'tiny' } } as unknown as Interfaces.PJSON;
const root = fileURLToPath(new URL('../..', import.meta.url));
const argv = process.argv.slice(2);
await exitWith(argv, async () => Tiny.run([...argv], await Config.load({ root, pjson })));
