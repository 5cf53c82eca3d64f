// A loop device over the file that a storage client exports. Invariants: direct I/O, so that the device caches nothing twice; no
// partitions, whose devices would outlive an unmount; a device is identified by its file, or by the number that the kernel gives to its
// present use (diskseq), so that no device of another owner is ever detached.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Clock } from '@rsio/base/lib/clock';
import { bootId } from '@rsio/base/daemon/process-facts';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { deviceUsers } from '../device-users.ts';
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
  // If the daemon that exports the file unmounts it, the kernel forgets the path of the file.
  writeFileSync(noteOf(file), useOf(device));
  return device;
}

/** Detaches all loop devices over the file. Throws E_STORAGE if a device is still in use, for example because it is mounted. */
export async function detachLoops(clock: Clock, file: string): Promise<void> {
  for (const device of loopsOver(file)) await runProgram(clock, 'losetup', ['--detach', device]);
  if ((await awaited(clock, () => (loopsOver(file).length === 0 ? true : null))) === null) {
    const [device = ''] = loopsOver(file);
    const users = await deviceUsers(attributeOf(device, 'dev'), device);
    throw new RsError('E_STORAGE', `Loop device ${device} over ${file} is still in use: unmount it (findmnt ${device})${users}`, {
      device,
      file,
    });
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
  const noted = textIn(noteOf(file));
  return devices
    .map((name) => `/dev/${name}`)
    .filter((device) => {
      const backing = attributeOf(device, 'loop/backing_file');
      return backing === file || (backing !== null && useOf(device) === noted);
    });
}

/** The path of a note beside the exported file, which says which use of which device is over the file. */
function noteOf(file: string): string {
  return `${file}.loop`;
}

/** The kernel gives each use of each disk a number of its own. */
function useOf(device: string): string {
  return `${device} ${attributeOf(device, 'diskseq')} ${bootId()}`;
}

function attributeOf(device: string, name: string): string | null {
  return textIn(`${device.replace('/dev/', '/sys/block/')}/${name}`);
}

function textIn(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').replace(/\n$/, '');
  } catch (thrown) {
    // The attributes of a use exist only while the device is attached.
    if (errnoName(thrown) === undefined) throw thrown;
    return null;
  }
}
