// Who uses the devices of a volume, in words for people: mount points, devices that stand on it, swap, processes. A mount may live on in a
// process with mounts of its own (a container) when it is gone here. Whoever /proc does not show makes taking the device away fail, which is
// said too. Leaves looking to machine-use.ts.

import { readdir, readFile } from 'node:fs/promises';
import { DEVICE_USERS_NAMED_MAX } from './limits.ts';
import { baseName, ofBlock } from '../loop/loop-device.ts';
import { type MachineUse, machineUse } from './machine-use.ts';

export interface UsedDevices {
  readonly rawFile: string;
  /** `/dev/loop3`, or null. */
  readonly loop: string | null;
}

export async function deviceUsers({ rawFile, loop }: UsedDevices): Promise<string[]> {
  const use = await machineUse();
  const others = (use.loops.get(rawFile) ?? []).filter((device) => device !== loop);
  const ofLoop = loop === null ? [] : await loopUsers(use, loop);
  const processes = [...new Set([rawFile, ...(loop === null ? [] : [loop])].flatMap((file) => use.openFiles.get(file) ?? []))];
  return [...ofLoop, ...others.map((device) => `loop device ${device}`), ...someOf(processes)];
}

async function loopUsers({ mounts }: MachineUse, loop: string): Promise<string[]> {
  const number = await ofBlock(loop, 'dev');
  const holders = await readdir(`/sys/block/${baseName(loop)}/holders`).catch(() => []);
  const swaps = await readFile('/proc/swaps', 'utf8').catch(() => '');
  const isSwap = swaps.split('\n').some((line) => line.split(/\s/)[0] === loop);
  return [...(mounts.get(number ?? '') ?? []), ...holders.map((name) => `device ${name}`), ...(isSwap ? ['swap'] : [])];
}

function someOf(processes: readonly string[]): string[] {
  const more = processes.length - DEVICE_USERS_NAMED_MAX;
  return more > 0 ? [...processes.slice(0, DEVICE_USERS_NAMED_MAX), `${more} more processes`] : [...processes];
}
