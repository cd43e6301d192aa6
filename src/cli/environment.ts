/** Environment variables as flags: `--max-tokens` is also read from `RECGEMMA_MAX_TOKENS`. */

import type { Interfaces } from '@oclif/core';

/** The environment variable of a flag. */
export function envName(flag: string): string {
  return `RECGEMMA_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** Gives every flag its environment variable. oclif then takes the flag, the variable, the default, in this order. */
export function withEnvironment<F extends Interfaces.FlagInput>(flags: F): F {
  return Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [name, { env: envName(name), ...flag }]),
  ) as F;
}

/**
 * A boolean flag (`name`, which may be negated) of an unparsed command line, or of the environment, or undefined: what
 * error reporting goes by, since a usage error comes before there are parsed flags.
 */
export function peekFlag(name: string, argv: readonly string[], env: NodeJS.ProcessEnv): boolean | undefined {
  const flags = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  if (flags.includes(`--no-${name}`)) return false;
  if (flags.includes(`--${name}`)) return true;
  const text = env[envName(name)];
  return text ? ['1', 'true', 'y', 'yes'].includes(text.toLowerCase()) : undefined; // as oclif reads it
}
