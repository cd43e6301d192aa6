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
  return [cpu.model, cores, cpu.features.join(' ')].filter((part) => part !== '').join(', ');
}

function versions({ memory, onnxruntime, node, platform }: HostInfo): string {
  return `${formatBytes(memory)} of memory, onnxruntime ${onnxruntime}, Node ${node}, ${platform}`;
}
