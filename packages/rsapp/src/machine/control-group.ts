// The control group of the programs of one application, so that all of their children can be found and killed. It lies below the control group
// of rsapp, which systemd delegates to it (rsapp.service), and outlives rsapp. Invariant: a program is in its group before it begins.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { parseMountTable } from '@rsio/base/daemon/mount-table';

/** Enters the group ($0) and becomes the program ($1). */
export const ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$1"';

export class ControlGroup {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Throws E_SYSTEM if this machine has no control groups of version 2, or rsapp may not make one. */
  make(): void {
    try {
      mkdirSync(this.path, { recursive: true });
      if (!existsSync(join(this.path, 'cgroup.procs'))) throw new RsError('E_SYSTEM', 'it is no control group of version 2');
    } catch (thrown) {
      const why = errnoName(thrown) ?? (thrown as Error).message;
      throw new RsError('E_SYSTEM', `The control group ${this.path} cannot be made (${why}): run rsapp as root, with Delegate=yes`);
    }
  }

  /** The processes in the group and below it. */
  get pids(): number[] {
    return pidsBelow(this.path);
  }

  signal(signal: NodeJS.Signals): void {
    if (signal === 'SIGKILL' && this.killAtOnce()) return;
    for (const pid of this.pids) {
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended.
      }
    }
  }

  /** Removes the group if it is empty. */
  remove(): void {
    try {
      for (const folder of foldersBelow(this.path)) rmdirSync(folder);
    } catch {
      // A process that has just been killed may still be in it.
    }
  }

  private killAtOnce(): boolean {
    try {
      writeFileSync(join(this.path, 'cgroup.kill'), '1');
      return true;
    } catch {
      return false;
    }
  }
}

/** Removes the folder of all groups if no application has one. */
export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // An application still runs, or the folder does not exist because no application has programs.
  }
}

/** The folders of the group, the deepest first. */
function foldersBelow(path: string): string[] {
  try {
    const inner = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...inner.flatMap(({ name }) => foldersBelow(join(path, name))), path];
  } catch {
    return [];
  }
}

function pidsBelow(path: string): number[] {
  return foldersBelow(path).flatMap((folder) => {
    try {
      return readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
}

/** Returns the folder of the control group of this process; null if the machine has none of version 2. */
export function ownGroup(mountInfo: string, cgroups: string): string | null {
  const mount = parseMountTable(mountInfo).find(({ type }) => type === 'cgroup2');
  const [, own] = /^0::(\/.*)$/m.exec(cgroups) ?? [];
  return mount === undefined || own === undefined ? null : join(mount.mountPoint, own);
}
