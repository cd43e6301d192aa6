import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { type PickleContext, PickleGlobal, unpickle } from '../../src/checkpoint/torch/unpickler.js';
import { InputError } from '../../src/errors.js';
import { fixture } from './digests.js';

const context: PickleContext = {
  where: 'some.pkl',
  findGlobal: (name) => {
    if (name === 'collections.OrderedDict') return new PickleGlobal(name, () => new Map());
    return name === 'torch.float32' ? new PickleGlobal(name) : undefined;
  },
  loadPersistent: (id) => ({ persistent: id }),
};

function load(...parts: (string | Uint8Array)[]): unknown {
  const bytes = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)),
  );
  return unpickle(bytes, 0, context).value;
}

/** A value in the JSON form of scripts/fixtures/torch_extra.py. */
function asJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
  if (typeof value === 'bigint') return { int: String(value) };
  if (Array.isArray(value)) return value.map(asJson);
  if (value instanceof Map) return { dict: [...value].map(([key, item]) => [asJson(key), asJson(item)]) };
  return value;
}

describe('pickles written by Python', async () => {
  const rows: unknown = JSON.parse(await readFile(fixture('torch/pickles.json'), 'utf8'));
  for (const { name, pickle, value } of rows as { name: string; pickle: string; value: unknown }[]) {
    it(`reads ${name}`, () => {
      const bytes = Buffer.from(pickle, 'hex');
      const found = unpickle(bytes, 0, context);
      assert.deepEqual(asJson(found.value), value);
      assert.equal(found.end, bytes.length);
    });
  }
});

it('keeps one object one', () => {
  const [first, second] = load(']q\x00h\x00h\x00\x87.') as unknown[];
  assert.ok(first === second);
});

it('gives persistent ids to the context', () => {
  assert.deepEqual(load('K\x07Q.'), { persistent: 7 });
});

describe('forbidden names', () => {
  const pickles: [name: string, pickle: string][] = [
    ['posix.system', 'cposix\nsystem\nX\x04\x00\x00\x00true\x85R.'],
    ['builtins.eval', '\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.'],
    ['os.path.join', '\x80\x04\x8c\x02os\x8c\x09path.join\x93.'],
    ['collections.OrderedDict.fromkeys', 'ccollections\nOrderedDict.fromkeys\n.'],
    ['constructor.constructor', 'cconstructor\nconstructor\n.'],
    ['__proto__.__proto__', 'c__proto__\n__proto__\n.'],
  ];
  for (const [name, pickle] of pickles) {
    it(`refuses ${name} by its name`, () => {
      assert.throws(
        () => load(pickle),
        (error) => {
          assert.ok(error instanceof InputError);
          assert.ok(error.message.startsWith(`some.pkl names ${name}, `), error.message);
          return true;
        },
      );
    });
  }

  it('does not let a name reach the terminal raw', () => {
    assert.throws(() => load('cos\x1b[2J\nx\n.'), { message: /os\\u001b\[2J\.x/ });
  });
});

describe('damaged pickles', () => {
  const long = (length: number) => Buffer.from(Uint32Array.of(length).buffer);
  const longer = Buffer.from('ffffffffffffff7f', 'hex');
  const bad: [name: string, parts: (string | Uint8Array)[], problem: RegExp][] = [
    ['nothing at all', [], /ends too early/],
    ['no end', ['N'], /ends too early/],
    ['an end without a value', ['.'], /empty stack/],
    ['a mark for the result', ['(.'], /takes a mark for a value/],
    ['a tuple of too few', ['N\x86.'], /empty stack/],
    ['a tuple across a mark', ['N(N\x86.'], /takes a mark/],
    ['a list without a beginning', ['Nt.'], /never began/],
    ['an unknown memo entry', ['h\x05.'], /recalls the value 5/],
    ['a memo of nothing', ['q\x00.'], /empty stack/],
    ['a huge text', ['X', long(0xffffffff), 'abc'], /ends too early/],
    ['a huge text of 64 bits', ['\x8d', longer, 'abc'], /ends too early/],
    ['huge bytes', ['\x8e', longer, 'abc'], /ends too early/],
    ['a huge byte array', ['\x96', longer, 'abc'], /ends too early/],
    ['a huge integer', ['\x8b', long(0x7fffffff), 'abc'], /integer of 2147483647 bytes/],
    ['a negative integer length', ['\x8b', long(0xffffffff), 'abc'], /integer of 4294967295 bytes/],
    ['a huge decimal integer', ['L', '9'.repeat(900), 'L\n.'], /a number that is none/],
    ['a decimal that is none', ['I12x\n.'], /a number that is none/],
    ['a name without an end', ['c', 'x'.repeat(5000)], /line without an end/],
    ['a name that is no text', ['\x80\x04K\x01K\x02\x93.'], /global without a name/],
    ['a future protocol', ['\x80\x06N.'], /protocol 6/],
    ['a call of no function', ['K\x01)R.'], /calls what is not a function/],
    ['a call of a type', ['ctorch\nfloat32\n)R.'], /calls torch.float32/],
    ['a call without arguments', ['ccollections\nOrderedDict\nK\x01R.'], /without a list of arguments/],
    ['an instance', ['(iposix\nsystem\n.'], /opcode 0x69/],
    ['an object', ['(cposix\n', 'system\no.'], /names posix.system/],
    ['an extension', ['\x82\x01.'], /opcode 0x82/],
    ['a buffer out of band', ['\x97.'], /opcode 0x97/],
    ['an append to a dict', ['}K\x01a.'], /appends to what is not a list/],
    ['items of a list', [']K\x01K\x02s.'], /sets items of what is not a dict/],
    ['a key without a value', ['}(K\x01u.'], /key without a value/],
    ['state of a number', ['K\x01Nb.'], /sets attributes/],
    ['endless empty dicts', ['}'.repeat(2 ** 21)], /more than 1000000 steps/],
    ['endless duplicates', ['N', '2'.repeat(2 ** 21)], /more than 1000000 steps/],
  ];
  for (const [name, parts, problem] of bad) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => load(...parts),
        (error) => {
          assert.ok(error instanceof InputError, String(error));
          assert.match(error.message, problem);
          assert.match(error.message, /some\.pkl/);
          return true;
        },
      );
    });
  }
});
