// Checks repeatedly during a test which server processes have a volume's file open, because two processes must never have the file open at
// the same time (S10). Also finds server processes; the test kills them.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Host } from './host.ts';

const LOOK_EVERY_MS = 25;

/** The server processes of a host. The listener and forked children that have not started their program yet do not count. */
export function workersOf(host: Host): number[] {
  const alike = host.processes().filter((pid) => textOf(`/proc/${pid}/cmdline`).includes('/rssrv/dist/program/worker.js'));
  return alike.filter((pid) => !alike.includes(parentOf(pid)));
}

/** Pid of the parent; 0: the process has ended. */
function parentOf(pid: number): number {
  const stat = textOf(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
}

export class ServedBy {
  private readonly host: Host;
  private readonly file: string;
  private readonly timer: NodeJS.Timeout;
  private readonly seen = new Set<number>();
  private readonly overlaps: string[] = [];

  constructor(host: Host, file: string) {
    this.host = host;
    this.file = file;
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
    this.look();
  }

  /**
   * Ends the checks. `overlaps`: pairs of processes that had the file open at the same time. `processes`: number of processes that ever had
   * the file open.
   */
  end(): { readonly overlaps: readonly string[]; readonly processes: number } {
    clearInterval(this.timer);
    // On a busy machine, the timer may not have run since the last process began.
    this.look();
    return { overlaps: this.overlaps, processes: this.seen.size };
  }

  private look(): void {
    const serving = workersOf(this.host).filter((pid) => this.hasOpen(pid));
    for (const pid of serving) this.seen.add(pid);
    // The processes in the list were not all examined at the same moment. Two processes overlap only if the first one still has the file
    // open after the second one was examined.
    const [first, second] = serving;
    if (first !== undefined && second !== undefined && this.hasOpen(first)) this.overlaps.push(`${first} and ${second}`);
  }

  private hasOpen(pid: number): boolean {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((descriptor) => targetOf(`/proc/${pid}/fd/${descriptor}`) === this.file);
    } catch {
      return false;
    }
  }
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
