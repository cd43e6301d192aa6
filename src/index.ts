/** The library's public face. Index files only re-export. */

export * from './errors.js';
export { type DeviceInfo, type DeviceName, listDevices } from './runtime/devices.js';
export { type CpuInfo, describeHost, type HostInfo } from './runtime/host.js';
