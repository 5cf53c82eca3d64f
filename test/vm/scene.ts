// The two machines, with two links between them, and helpers that all chapters use.
// install.ts, boots.ts and upgrade.ts have the chapters.

import type { Machine } from './machine.ts';
import type { Report } from './report.ts';

export interface Scene {
  readonly server: Machine;
  readonly client: Machine;
  readonly report: Report;
  /** Folders below /share with the packages: `before` has the version before the upgrade, and `after` the version after it. */
  readonly before: string;
  readonly after: string;
}

export function until(command: string, seconds = 600): string {
  return `for i in $(seq ${seconds}); do if ${command}; then break; fi; sleep 1; [ $i -lt ${seconds} ] || exit 1; done`;
}

/**
 * Returns the errors of disks and file systems in the kernel's log of a boot. `boot`: `0` is the current boot, and `-1` the previous one.
 * `since`: a time of the machine before which errors do not count.
 */
export async function diskErrors(machine: Pick<Machine, 'try'>, boot: string, since?: string): Promise<string> {
  const grep = 'grep -E "I/O error|EXT4-fs error|EXT4-fs warning|lost (sync|async) page|Aborting journal|Remounting filesystem read-only"';
  const from = since === undefined ? '' : ` --since '${since}'`;
  return (await machine.try(`journalctl -k -b ${boot}${from} --no-pager | ${grep}`)).text.trim();
}
