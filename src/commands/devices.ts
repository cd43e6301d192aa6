/** `recgemma devices`: what can run here, and why the rest cannot. */

import { formatBytes } from '../bytes.js';
import { BaseCommand } from '../cli/base-command.js';
import type { DeviceInfo, HostInfo } from '../index.js';

export default class Devices extends BaseCommand<typeof Devices> {
  static override summary = 'Show what can run a model here, and why the rest cannot';
  static override description =
    'Each device is tried with a tiny model, in a process of its own, so that the answer is a fact and not a guess.';
  static override examples = ['<%= config.bin %> devices', '<%= config.bin %> devices --json'];

  async run(): Promise<void> {
    const { describeHost, listDevices } = await import('../index.js');
    const [host, devices] = await Promise.all([describeHost(), listDevices({ signal: this.signal })]);
    this.console.result({ devices, host }, () => {
      const rows = devices.map((device) => [
        device.name,
        device.available ? 'yes' : 'no',
        device.available ? describe(device, host) : (device.reason ?? ''),
      ]);
      return `${this.console.table(['DEVICE', 'AVAILABLE', 'DETAIL'], rows)}\n\n${versions(host)}`;
    });
  }
}

function describe(device: DeviceInfo, { cpu }: HostInfo): string {
  if (device.name !== 'cpu') return device.detail?.gpus?.join(', ') ?? '';
  const cores = `${cpu.cores} ${cpu.cores === 1 ? 'core' : 'cores'}`;
  const parts = [cpu.model, cores, cpu.features.join(' '), int8Models(device)];
  return parts.filter((part) => part !== '').join(', ');
}

/** How int8 models run here, where that is not as usual. */
function int8Models({ detail }: DeviceInfo): string {
  if (detail?.int8Products === 'unsigned') return 'int8 models with unsigned weights';
  return detail?.int8Products === null ? 'no int8 models' : '';
}

function versions({ memory, onnxruntime, node, platform }: HostInfo): string {
  return `${formatBytes(memory)} of memory, onnxruntime ${onnxruntime}, Node ${node}, ${platform}`;
}
