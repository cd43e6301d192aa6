/**
 * A pickle machine that builds plain data and nothing else (Python's Lib/pickletools.py describes the opcodes). Pickles are
 * programs that may name any function of the machine they are loaded on; here a name is looked up in the caller's list, and
 * one that is not in it ends the reading. No code from the file ever runs.
 */

import { InputError } from '../../errors.js';
import { quoted } from '../quoted.js';
import { PickleReader } from './pickle-reader.js';

/**
 * Most steps of one pickle: a tensor takes about 35, so a 9B model 20 000. Each step makes at most one small object, so this
 * also bounds the memory.
 */
const MAX_STEPS = 1_000_000;

/** Newest protocol that Python writes (PEP 574). */
const MAX_PROTOCOL = 5;

/** What a permitted global name stands for. */
export class PickleGlobal {
  /**
   * @param name The full Python name, such as `torch._utils._rebuild_tensor_v2`.
   * @param build What calling it gives, or undefined if it is not to be called.
   */
  constructor(
    readonly name: string,
    readonly build?: (args: readonly unknown[]) => unknown,
  ) {}
}

/** A record that only carries what its pickle held; made by globals that stand for plain classes. */
export class PickleRecord {
  constructor(
    readonly className: string,
    readonly args: readonly unknown[],
  ) {}
}

/** What the machine asks of its surroundings. */
export interface PickleContext {
  /** What messages call the file. */
  readonly where: string;
  /** The meaning of a global name, or undefined if it is not permitted. */
  findGlobal(name: string): PickleGlobal | undefined;
  /** The object that a persistent id stands for. */
  loadPersistent(id: unknown): unknown;
}

/** An unpickled value and where its pickle ended. */
export interface Unpickled {
  /** Dicts are Maps; lists, tuples and sets are arrays; integers are numbers, or bigints where a number is not exact. */
  readonly value: unknown;
  readonly end: number;
}

/** Marks the place on the stack where a tuple, list or dict begins. */
const MARK = Symbol('mark');

/** Runs the pickle that begins at `start`; throws InputError if it is damaged or names a global that is not permitted. */
export function unpickle(bytes: Uint8Array, start: number, context: PickleContext): Unpickled {
  const machine = new Machine(new PickleReader(bytes, start, context.where), context);
  return machine.run();
}

/** Opcodes that push a value which lies in the pickle itself. */
const CONSTANTS: Readonly<Record<string, (input: PickleReader) => unknown>> = {
  N: () => null,
  '\x88': () => true,
  '\x89': () => false,
  K: (input) => input.uint8(),
  M: (input) => input.uint16(),
  J: (input) => input.int32(),
  I: (input) => input.integerLine(),
  L: (input) => input.integerLine(),
  '\x8a': (input) => input.long(input.uint8()),
  '\x8b': (input) => input.long(input.length(4)),
  G: (input) => input.float64(),
  '\x8c': (input) => input.text(input.uint8()),
  X: (input) => input.text(input.length(4)),
  '\x8d': (input) => input.text(input.length(8)),
  U: (input) => input.latin1(input.uint8()),
  T: (input) => input.latin1(input.length(4)),
  C: (input) => input.bytes(input.uint8()),
  B: (input) => input.bytes(input.length(4)),
  '\x8e': (input) => input.bytes(input.length(8)),
  '\x96': (input) => input.bytes(input.length(8)),
  '(': () => MARK,
  ')': () => [],
  ']': () => [],
  '\x8f': () => [],
  '}': () => new Map(),
};

/** Opcodes that work on the stack. */
const STEPS: Readonly<Record<string, (machine: Machine) => void>> = {
  '\x80': (machine) => machine.checkProtocol(machine.input.uint8()),
  '\x95': (machine) => machine.input.length(8), // a frame: needs no handling where the whole pickle is in memory

  // Tuples, lists, sets and dicts
  '\x85': (machine) => machine.push(machine.popMany(1)),
  '\x86': (machine) => machine.push(machine.popMany(2)),
  '\x87': (machine) => machine.push(machine.popMany(3)),
  t: (machine) => machine.push(machine.popToMark()),
  l: (machine) => machine.push(machine.popToMark()),
  '\x91': (machine) => machine.push(machine.popToMark()),
  d: (machine) => {
    const items = machine.popToMark();
    machine.push(new Map());
    machine.setItems(items);
  },
  a: (machine) => machine.append(machine.popMany(1)),
  e: (machine) => machine.append(machine.popToMark()),
  '\x90': (machine) => machine.append(machine.popToMark()),
  s: (machine) => machine.setItems(machine.popMany(2)),
  u: (machine) => machine.setItems(machine.popToMark()),

  // Stack and memo
  '0': (machine) => machine.popAny(),
  '1': (machine) => machine.popToMark(),
  '2': (machine) => machine.push(machine.top()),
  q: (machine) => machine.remember(machine.input.uint8()),
  r: (machine) => machine.remember(machine.input.length(4)),
  '\x94': (machine) => machine.remember(undefined),
  h: (machine) => machine.recall(machine.input.uint8()),
  j: (machine) => machine.recall(machine.input.length(4)),

  // Names and what is made of them
  c: (machine) => machine.pushGlobal(machine.input.line(), machine.input.line()),
  '\x93': (machine) => machine.pushGlobal(...machine.popPair()),
  R: (machine) => machine.call(...machine.popPair()),
  '\x81': (machine) => machine.call(...machine.popPair()),
  b: (machine) => machine.dropState(),
  Q: (machine) => machine.push(machine.context.loadPersistent(machine.pop())),
};

const STOP = '.';

class Machine {
  private readonly stack: unknown[] = [];
  private readonly memo = new Map<number, unknown>();

  constructor(
    readonly input: PickleReader,
    readonly context: PickleContext,
  ) {}

  run(): Unpickled {
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      const opcode = this.input.opcode();
      if (opcode === STOP) return { value: this.pop(), end: this.input.position };
      const constant = CONSTANTS[opcode];
      if (constant === undefined) this.step(opcode);
      else this.push(constant(this.input));
    }
    throw this.input.fail(`takes more than ${MAX_STEPS} steps`);
  }

  private step(opcode: string): void {
    const step = STEPS[opcode];
    if (step === undefined) {
      throw this.input.fail(
        `uses the opcode 0x${opcode.charCodeAt(0).toString(16)}, which no saved tensor needs`,
      );
    }
    step(this);
  }

  checkProtocol(protocol: number): void {
    if (protocol > MAX_PROTOCOL)
      throw this.input.fail(`is of protocol ${protocol}, newer than ${MAX_PROTOCOL}`);
  }

  push(value: unknown): void {
    this.stack.push(value);
  }

  popAny(): unknown {
    if (this.stack.length === 0) throw this.input.fail('takes a value from an empty stack');
    return this.stack.pop();
  }

  pop(): unknown {
    const value = this.popAny();
    if (value === MARK) throw this.input.fail('takes a mark for a value');
    return value;
  }

  top(): unknown {
    const value = this.pop();
    this.stack.push(value);
    return value;
  }

  /** The uppermost values, the deepest first. */
  popMany(count: number): unknown[] {
    const values: unknown[] = [];
    for (let index = 0; index < count; index++) values.push(this.pop());
    return values.reverse();
  }

  popPair(): [unknown, unknown] {
    const second = this.pop();
    return [this.pop(), second];
  }

  popToMark(): unknown[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark === -1) throw this.input.fail('ends a list that it never began');
    return this.stack.splice(mark).slice(1);
  }

  append(items: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.input.fail('appends to what is not a list');
    for (const item of items) list.push(item);
  }

  setItems(items: readonly unknown[]): void {
    const dict = this.top();
    if (!(dict instanceof Map)) throw this.input.fail('sets items of what is not a dict');
    if (items.length % 2 !== 0) throw this.input.fail('has a dict key without a value');
    for (let index = 0; index < items.length; index += 2) dict.set(items[index], items[index + 1]);
  }

  /** Without a key the next unused one, as `MEMOIZE` has it. */
  remember(key: number | undefined): void {
    this.memo.set(key ?? this.memo.size, this.top());
  }

  recall(key: number): void {
    if (!this.memo.has(key)) throw this.input.fail(`recalls the value ${key}, which it never stored`);
    this.push(this.memo.get(key));
  }

  pushGlobal(module: unknown, name: unknown): void {
    if (typeof module !== 'string' || typeof name !== 'string')
      throw this.input.fail('has a global without a name');
    const fullName = `${module}.${name}`;
    const found = this.context.findGlobal(fullName);
    if (found === undefined) throw forbidden(this.context.where, fullName);
    this.push(found);
  }

  call(callee: unknown, args: unknown): void {
    if (!(callee instanceof PickleGlobal)) throw this.input.fail('calls what is not a function');
    if (callee.build === undefined) throw this.input.fail(`calls ${callee.name}, which is not a function`);
    if (!Array.isArray(args)) throw this.input.fail(`calls ${callee.name} without a list of arguments`);
    this.push(callee.build(args));
  }

  /** Attributes set after construction: a state dict's `_metadata`, which says nothing of the tensors. */
  dropState(): void {
    this.pop();
    const target = this.top();
    if (!(target instanceof Map || target instanceof PickleRecord)) {
      throw this.input.fail('sets attributes of what cannot have any');
    }
  }
}

function forbidden(where: string, name: string): InputError {
  const what = quoted(name).slice(1, -1);
  return new InputError(`${where} names ${what}, which is not needed to build tensors; it was not run.`, {
    hint: 'Only plain tensors are read: save the state dict (`torch.save(model.state_dict(), path)`), or use safetensors.',
    details: { file: where, global: name },
  });
}
