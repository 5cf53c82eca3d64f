// File systems that stand on a block device of ours whose volume is not attached any more: every access to them fails, and they are in the
// way of attaching it again. Read from /proc and /sys alone: a dead file system is never touched. Invariant: what cannot be read is not there.

import { readFileSync } from 'node:fs';

export interface DeadMount {
  readonly mountPoint: string;
  readonly device: string;
}

export interface DeadMountPorts {
  /** Text of a file below /proc or /sys; null: it cannot be read. */
  readonly file: (path: string) => string | null;
  /** Folder of the devices: `/dev`. */
  readonly devDir: string;
  /** Raw devices of the attached volumes. */
  readonly attached: readonly string[];
}

const LOOP = /^\/dev\/(loop\d+)$/;

export function deadMounts({ file, devDir, attached }: DeadMountPorts): DeadMount[] {
  const mounts = (file('/proc/self/mountinfo') ?? '').split('\n').flatMap((line) => {
    const words = line.split(' ');
    const source = words[words.indexOf('-', 6) + 2];
    const mountPoint = words[4];
    return source === undefined || mountPoint === undefined ? [] : [{ mountPoint: unescaped(mountPoint), device: source }];
  });
  return mounts.filter(({ device }) => {
    const loop = LOOP.exec(device)?.[1];
    const backing = loop === undefined ? null : file(`/sys/block/${loop}/loop/backing_file`);
    if (backing === null) return false;
    // Once a raw device is taken away its name is that of its own small file system: the root.
    if (backing === '/') return true;
    const place = backing.replace(/ \(deleted\)$/, '');
    return place.startsWith(`${devDir}/av`) && (place !== backing || !attached.includes(place));
  });
}

export function textOfFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

/** Spaces and their like stand as `\\040` there. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
