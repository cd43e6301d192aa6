/** The regular expressions of a `tokenizer.json`, which Python searches with Oniguruma, as JavaScript's. */

/** Llama 3's only part that ignores case, where Oniguruma finds the long s too; the one flag that JavaScript lacks (until Node 23). */
const CONTRACTIONS = {
  theirs: "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
  ours: "(?:'[sS\u017f]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
} as const;

/** GPT-2's expression, by which `ByteLevel` splits unless told not to (tokenizers, pre_tokenizers/byte_level.rs). */
export const GPT2_SPLIT = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

const ESCAPE = String.raw`\\[sSrnt]|\\[pP]\{[A-Z][a-z]?\}|\\[^\p{L}\p{N}\s]`;

/** What is understood, each meaning the same in both: anything else, such as \w, anchors, or possessive quantifiers, is not. */
const TOKENS = [
  ESCAPE,
  // A class of escapes, characters, and ranges of ASCII letters and digits.
  String.raw`\[\^?(?:${ESCAPE}|[A-Za-z0-9](?:-[A-Za-z0-9])?|[^\\[\]&^A-Za-z0-9-])+\]`,
  String.raw`\((?:\?[:!=]|(?!\?))|[|)]`,
  // A group may be there or not, but is not repeated: repetitions in repetitions can take for ever.
  String.raw`(?:\?|(?<!\))(?:[*+]|\{\d+(?:,\d*)?\}))(?![*+?{])`,
  String.raw`[^\\^$.|?*+()[\]{}]`,
];
const TOKEN = new RegExp(TOKENS.join('|'), 'uy');

/**
 * An expression that finds what Oniguruma finds with `source`, or undefined where it uses anything whose meaning may differ. Oniguruma's
 * `\s` is Unicode's White_Space, JavaScript's is not. Letters that only one of the two knows, of Unicode's newest version, differ still.
 */
export function splitPattern(source: string): RegExp | undefined {
  const parts = source.split(CONTRACTIONS.theirs).map(translate);
  if (parts.some((part) => part === undefined)) return undefined;
  try {
    return new RegExp(parts.join(CONTRACTIONS.ours), 'gu');
  } catch {
    return undefined;
  }
}

function translate(source: string): string | undefined {
  let translated = '';
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const token = TOKEN.exec(source)?.[0];
    if (token === undefined) return undefined;
    translated += token.replace(/\\([\s\S])/gu, (whole, letter: string) => {
      if (letter === 's') return String.raw`\p{White_Space}`;
      if (letter === 'S') return String.raw`\P{White_Space}`;
      // In Unicode mode few may be escaped, a hyphen only inside a class; Oniguruma lets any punctuation be.
      if (letter === '-') return String.raw`\x2d`;
      return /[\p{L}\p{N}\\^$.*+?()[\]{}|/]/u.test(letter) ? whole : letter;
    });
  }
  return translated;
}

/** Cuts a text at what the expression finds, which stays, as Hugging Face's `Split` with the behaviour `Isolated`. */
export function isolate(text: string, pattern: RegExp): string[] {
  const parts: string[] = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(pattern)) {
    if (index > from) parts.push(text.slice(from, index));
    if (found !== '') parts.push(found);
    from = index + found.length;
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}
