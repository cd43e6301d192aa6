/** Devices: really trying them, and the words for why one cannot be used. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { explainFailure, listDevices, nvidiaGpus } from '../../src/runtime/devices.js';
import { cpuFeatures, describeHost, macFeatures } from '../../src/runtime/host.js';

describe('listDevices', () => {
  it('finds that the CPU computes, and gives a reason for whatever does not', async () => {
    const devices = await listDevices();
    assert.deepEqual(
      devices.map(({ name }) => name),
      ['cpu', 'webgpu', 'cuda'],
    );
    assert.equal(devices[0]?.available, true);
    assert.ok(['direct', 'unsigned'].includes(String(devices[0]?.detail?.int8Products)));
    for (const { available, reason } of devices) {
      if (available) assert.equal(reason, undefined);
      else assert.match(reason ?? '', /^\S.*\S$/, 'one line');
    }
  });

  it('stops when it is told to', async () => {
    const controller = new AbortController();
    const listing = listDevices({ signal: controller.signal });
    controller.abort(new Error('enough'));
    await assert.rejects(listing, /enough/);
  });
});

describe('explainFailure', () => {
  // What onnxruntime-node 1.30.0 said on machines without the device in question.
  const noAdapter =
    '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::' +
    'Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == ' +
    'wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters\n';
  const noLibrary = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library';

  it('tells a machine without a card from one without a driver', () => {
    assert.equal(explainFailure('webgpu', noAdapter, '', []), 'No graphics adapter was found.');
    assert.match(explainFailure('webgpu', noAdapter, '', ['NVIDIA H200']), /NVIDIA H200.*Vulkan/);
  });

  it('names the library that CUDA misses', () => {
    const stderr =
      'Failed to load library libonnxruntime_providers_shared.so with error: cannot open shared object file';
    const reason = explainFailure('cuda', noLibrary, stderr, []);
    assert.match(reason, /CUDA libraries.*\(libonnxruntime_providers_shared\.so\).*no NVIDIA GPU/);
    assert.doesNotMatch(explainFailure('cuda', noLibrary, '', ['NVIDIA H200']), /no NVIDIA GPU/);
  });

  it('passes on in one line what it does not know', () => {
    assert.equal(
      explainFailure('cuda', 'CUDA failure 35: driver too old\n at x', '', []),
      'CUDA failure 35: driver too old',
    );
  });
});

describe('nvidiaGpus', () => {
  it('reads the names from the driver’s folders', async (t) => {
    const folder = await mkdtemp(join(os.tmpdir(), 'recgemma-gpus-'));
    t.after(() => rm(folder, { recursive: true }));
    for (const card of ['0000:19:00.0', '0000:3b:00.0']) {
      await mkdir(join(folder, card));
      await writeFile(join(folder, card, 'information'), `Model: \t\t NVIDIA H200\nIRQ:   \t\t 277\n`);
    }
    assert.deepEqual(await nvidiaGpus(folder), ['NVIDIA H200', 'NVIDIA H200']);
  });

  it('finds none where there is no such driver', async () => {
    assert.deepEqual(await nvidiaGpus('/nonexistent'), []);
  });
});

describe('the host', () => {
  it('has the features of /proc/cpuinfo that matter, on x86 and on Arm', () => {
    const x86 =
      'processor\t: 0\nflags\t\t: fpu avx avx2 fma f16c avx512f avx512_vnni amx_tile amx_int8\n\nprocessor\t: 1\n';
    assert.deepEqual(cpuFeatures(x86), ['avx2', 'f16c', 'avx512f', 'avx512_vnni', 'amx_int8']);
    const arm = 'processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd aes asimddp sve i8mm bf16\n';
    assert.deepEqual(cpuFeatures(arm), ['asimd', 'asimddp', 'i8mm', 'sve', 'bf16']);
    assert.deepEqual(cpuFeatures(''), []);
  });

  it('has the same features by macOS’s names, on Apple’s processors and on Intel’s', () => {
    const apple =
      'hw.optional.arm.FEAT_DotProd: 1\nhw.optional.arm.FEAT_I8MM: 1\nhw.optional.arm.FEAT_BF16: 0\n' +
      'hw.optional.arm.AdvSIMD: 1\nmachdep.cpu.brand_string: Apple M2\n';
    assert.deepEqual(macFeatures(apple), ['asimd', 'asimddp', 'i8mm']);
    const intel =
      'machdep.cpu.features: FPU SSE4.2 F16C RDRAND\nmachdep.cpu.leaf7_features: AVX2 BMI2 AVX512F AVX512VNNI\n';
    assert.deepEqual(macFeatures(intel), ['avx2', 'f16c', 'avx512f', 'avx512_vnni']);
    assert.deepEqual(macFeatures(''), []);
  });

  it('is described', async () => {
    const host = await describeHost();
    assert.equal(host.node, process.versions.node);
    assert.match(host.onnxruntime, /^\d+\.\d+\.\d+/);
    assert.ok(host.memory > 0 && host.memory <= os.totalmem());
    assert.ok(host.cpu.cores >= 1);
  });
});
