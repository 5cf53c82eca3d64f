// Finds the workers that have marked files (storage/files/range-file.ts), so that an error can name them. No system call returns the owner
// of a mark. The marks are therefore read from /proc, which lists them for each descriptor of a worker. Invariant: this code does not touch the file systems of the files, because these may not answer. Processes of other machines, and of
// users that this process may not inspect, are not found.

import { type BigIntStats, readdirSync, readFileSync } from 'node:fs';
import { processesNamed } from '@rsio/base/daemon/process-facts';
import { deviceName } from '../files/block-device.ts';
import { MARK_HOLDER_LOOKS_MAX } from '../../machine/limits.ts';

/** Beginning of the names of workers (worker.ts), and the name of a listener, which marks no file but may have thousands open. */
const [SERVER_NAME, LISTENER_NAME] = ['rssrv', 'rssrv: listener'];
/**
 * Matches a mark among the locks in /proc/PID/fdinfo. The line has the device in hexadecimal, the inode, and the position of the
 * marked byte.
 */
const MARK = /^lock:.* OFDLCK .* READ .* ([0-9a-f]+):([0-9a-f]+):(\d+) 4611686018427387904 4611686018427387904$/gm;

/** Returns the name of a file in the form that `markHolders` expects. */
export function markName({ dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>): string {
  return `${deviceName(dev)}:${ino}`;
}

/** Returns, for each file with a mark of this machine, the pid of the worker. `names`: see `markName`. */
export function markHolders(names: ReadonlySet<string>): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  let looks = 0;
  const workers = names.size === 0 ? [] : processesNamed((name) => name.startsWith(SERVER_NAME) && name !== LISTENER_NAME);
  for (const { pid } of workers) {
    if (pid === process.pid) continue;
    for (const file of descriptorsOf(pid)) {
      if (found.size === names.size || ++looks > MARK_HOLDER_LOOKS_MAX) return found;
      for (const [, major = '', minor = '', inode = ''] of textOf(file).matchAll(MARK)) {
        const name = `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}:${inode}`;
        if (names.has(name)) found.set(name, pid);
      }
    }
  }
  return found;
}

/**
 * Returns the paths of the fdinfo files of a process. If the first thread of the process has ended, the files are below the folder of
 * another thread.
 */
function descriptorsOf(pid: number): string[] {
  for (const thread of namesIn(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}/fdinfo`;
    const descriptors = namesIn(folder);
    if (descriptors.length > 0) return descriptors.map((descriptor) => `${folder}/${descriptor}`);
  }
  return [];
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
