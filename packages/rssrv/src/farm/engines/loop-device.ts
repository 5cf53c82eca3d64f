// A loop device over the file that a storage client exports. Invariants: direct I/O, so that the device caches nothing twice; no partitions,
// whose devices would outlive an unmount; a device is found by its file, so that no device of another owner is ever detached.

import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '@rsio/common/lib/clock';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { awaited, runProgram } from './device-programs.ts';

const SECTOR_BYTES = 512;

/** Attaches a new loop device to the file, and returns its path. Throws E_STORAGE. */
export async function attachLoop(clock: Clock, file: string): Promise<string> {
  // Without --partscan, the kernel reads no partition table.
  const device = await runProgram(clock, 'losetup', ['--find', '--show', '--direct-io=on', file]);
  // losetup succeeds even if the kernel cannot use direct I/O.
  if (!/^\/dev\/loop\d+$/.test(device) || attributeOf(device, 'loop/dio') !== '1') {
    await detachLoops(clock, file);
    throw new RsError('E_STORAGE', `Loop device ${device} has no direct I/O for ${file}: use a kernel from 5.15 on`, { device, file });
  }
  return device;
}

/** Detaches all loop devices over the file. Throws E_STORAGE if a device is still in use, for example because it is mounted. */
export async function detachLoops(clock: Clock, file: string): Promise<void> {
  for (const device of loopsOver(file)) await runProgram(clock, 'losetup', ['--detach', device]);
  if ((await awaited(clock, () => (loopsOver(file).length === 0 ? true : null))) === null) {
    const [device] = loopsOver(file);
    throw new RsError('E_STORAGE', `Loop device ${device} over ${file} is still in use: unmount it (findmnt ${device})`, { device, file });
  }
}

/** Makes the device as large as its file, and returns its size in bytes. */
export async function refreshLoop(clock: Clock, device: string): Promise<number> {
  await runProgram(clock, 'losetup', ['--set-capacity', device]);
  return loopBytes(device);
}

export function loopBytes(device: string): number {
  return Number(attributeOf(device, 'size')) * SECTOR_BYTES;
}

/** Reads only /sys, because an access to the device or its file may hang. */
function loopsOver(file: string): string[] {
  const devices = readdirSync('/sys/block').filter((name) => /^loop\d+$/.test(name));
  return devices.map((name) => `/dev/${name}`).filter((device) => attributeOf(device, 'loop/backing_file') === file);
}

function attributeOf(device: string, name: string): string | null {
  try {
    return readFileSync(`${device.replace('/dev/', '/sys/block/')}/${name}`, 'utf8').replace(/\n$/, '');
  } catch (thrown) {
    // The attribute exists only while the device is attached.
    if (errnoName(thrown) === undefined) throw thrown;
    return null;
  }
}
