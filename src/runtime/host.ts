/** What the machine is: processor, memory, and the versions of what runs on it. */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import { promisify } from 'node:util';

/** The machine and the versions, as `recgemma devices` shows them. */
export interface HostInfo {
  readonly platform: string;
  readonly node: string;
  /** Version of the onnxruntime-node package. */
  readonly onnxruntime: string;
  /** Bytes that this process may use: the machine's memory, or its container's limit. */
  readonly memory: number;
  readonly cpu: CpuInfo;
}

/** The processor. */
export interface CpuInfo {
  readonly model: string;
  /** Logical cores that this process may use. */
  readonly cores: number;
  /** The instruction sets that decide how fast matrices multiply: of {@link CPU_FEATURES} those that are there. */
  readonly features: readonly string[];
}

/** Names from Linux's /proc/cpuinfo: `flags` on x86, `Features` on Arm. */
const CPU_FEATURES = [
  'avx2',
  'f16c',
  'avx_vnni',
  'avx512f',
  'avx512_vnni',
  'avx512_bf16',
  'avx512_fp16',
  'amx_int8',
  'amx_bf16',
  'asimd',
  'asimddp',
  'i8mm',
  'sve',
  'bf16',
] as const;

/** macOS's names, in small letters, of the features that Linux calls otherwise. */
const MAC_NAMES: Readonly<Record<string, string>> = {
  advsimd: 'asimd',
  dotprod: 'asimddp',
  avx512vnni: 'avx512_vnni',
};

/** Describes this machine. Never fails: what cannot be read is left empty. */
export async function describeHost(): Promise<HostInfo> {
  const limit = process.constrainedMemory();
  return {
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    onnxruntime: onnxruntimeVersion(),
    memory: limit > 0 ? Math.min(limit, os.totalmem()) : os.totalmem(),
    cpu: {
      model: os.cpus()[0]?.model.trim() ?? '',
      cores: os.availableParallelism(),
      features: await readFeatures(),
    },
  };
}

async function readFeatures(): Promise<string[]> {
  if (process.platform !== 'darwin') {
    return cpuFeatures(await readFile('/proc/cpuinfo', 'utf8').catch(() => ''));
  }
  const sysctl = await promisify(execFile)('sysctl', ['-a']).catch(() => ({ stdout: '' }));
  return macFeatures(sysctl.stdout);
}

/** The features that matter here, of those that the text of /proc/cpuinfo lists for its first core. */
export function cpuFeatures(cpuinfo: string): string[] {
  const listed = new Set(/^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(' '));
  return CPU_FEATURES.filter((feature) => listed.has(feature));
}

/** The same of what macOS's `sysctl -a` prints: a line for each feature of Apple's processors, lists of names on Intel's. */
export function macFeatures(sysctl: string): string[] {
  const intel = [...sysctl.matchAll(/^machdep\.cpu\.(?:leaf7_)?features:(.*)$/gm)].flatMap(([, names]) =>
    names!.trim().split(/\s+/),
  );
  const apple = [...sysctl.matchAll(/^hw\.optional\.arm\.(?:FEAT_)?(\w+): 1$/gm)].map(([, name]) => name!);
  const listed = new Set(
    [...intel, ...apple].map((name) => MAC_NAMES[name.toLowerCase()] ?? name.toLowerCase()),
  );
  return CPU_FEATURES.filter((feature) => listed.has(feature));
}

function onnxruntimeVersion(): string {
  try {
    const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as {
      version: string;
    };
    return version;
  } catch {
    return '';
  }
}
