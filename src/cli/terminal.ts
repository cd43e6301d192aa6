/** What a stream can show: whether it is a live terminal, and whether it takes colour. */

/** A stream to write to; the last two are a terminal's. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** The environment variables that are looked at. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Whether lines on `stream` may be redrawn (spinners, bars). A terminal of width 0, as some containers give, counts as
 * none: ora would print without end there.
 */
export function isLive(stream: Output, env: Environment): boolean {
  return stream.isTTY === true && (stream.columns ?? 0) > 0 && env.TERM !== 'dumb' && !env.CI;
}

/** Whether `stream` gets colour: as `--[no-]color` says, then `NO_COLOR` (https://no-color.org), then if it is a terminal. */
export function usesColor(stream: Output, env: Environment, asked?: boolean): boolean {
  return asked ?? (!env.NO_COLOR && stream.isTTY === true && env.TERM !== 'dumb');
}

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

/** `text` in one of the terminal's own colours, where `enabled`. */
export function paint(enabled: boolean, style: keyof typeof STYLES, text: string): string {
  return enabled ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;
}
