// Starts workers with few rights: this module chooses the user of the processes, and passes descriptors to them with the code in machine/.
// Invariants: the user of workers changes only when the configuration changes; each protection that the machine lacks is logged once.

import { readFileSync } from 'node:fs';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import type { DaemonLog } from '@rsio/base/log/log';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { type SystemCalls, systemCalls } from '../../machine/system-calls.ts';
import { chooseWorkerUser, type WorkerUserChoice } from '../../machine/worker-user.ts';
import { FileOpens } from './file-opens.ts';
import { Worker } from './worker-pool.ts';
import type { Confining } from '../../session/channel/worker-wire.ts';

export interface WorkerRightsOptions {
  readonly clock: Clock;
  readonly log: DaemonLog;
  /** Returns the served volume or snapshot with this id, or null. */
  served(id: string): ServedVolume | null;
}

/** Capabilities that a listener needs to start and kill processes of another user: CAP_KILL, CAP_SETGID, CAP_SETUID. */
const NEEDED_CAPABILITIES = [5, 6, 7];

/** If workers have more rights than they need with this configuration, returns the reason and the remedy; otherwise returns null. */
export function workerRightsWarning(server: Pick<RssrvConfig['server'], 'user'>): string | null {
  return choiceHere(server).warning;
}

function choiceHere({ user }: Pick<RssrvConfig['server'], 'user'>): WorkerUserChoice {
  const uid = process.geteuid?.() ?? 0;
  return chooseWorkerUser({ configured: user?.name ?? null, uid, canSwitch: mayChangeUsers() });
}

export class WorkerRights {
  private readonly options: WorkerRightsOptions;
  private readonly calls: SystemCalls;
  private choice: WorkerUserChoice = { user: null, warning: null };
  private readonly said = new Set<string>();
  readonly files: FileOpens;

  constructor(options: WorkerRightsOptions) {
    this.options = options;
    this.files = new FileOpens(options.clock, (id) => options.served(id));
    this.calls = systemCalls();
  }

  /** Name of the user of workers; null if they run as the user of the listener. */
  get user(): string | null {
    return this.choice.user?.name ?? null;
  }

  /** The uid and gid of the user of workers, for other programs that get descriptors. */
  get userIds(): { readonly uid: number; readonly gid: number } | null {
    return this.choice.user;
  }

  /** The reason why workers have more rights than they need, with the remedy; null if they have only the rights that they need. */
  get warning(): string | null {
    return this.choice.warning;
  }

  /** Chooses the user of workers that start later. Returns true if the user has changed. */
  choose(server: Pick<RssrvConfig['server'], 'user'>): boolean {
    const before = this.choice.user;
    this.choice = choiceHere(server);
    const { user: now, warning } = this.choice;
    if (warning !== null) this.say(warning);
    if (now !== null && now.uid !== before?.uid) this.options.log.info(`Server processes run as user ${now.name}`);
    return now?.uid !== before?.uid || now?.gid !== before?.gid;
  }

  /** `record` records the pid of the worker. */
  start(record: (pid: number) => Promise<void>): Worker {
    const { clock, log } = this.options;
    return new Worker(clock, log, record, this.confining());
  }

  /** Returns how to confine the next worker. */
  private confining(): Confining {
    const started = (unprotected: readonly string[]): void => {
      for (const what of unprotected) this.say(`Server processes run ${what}: check the kernel, or what the container forbids`);
    };
    return { user: this.choice.user, calls: this.calls, started };
  }

  private say(sentence: string): void {
    if (this.said.has(sentence)) return;
    this.said.add(sentence);
    this.options.log.warn(sentence);
  }
}

function mayChangeUsers(): boolean {
  try {
    const [, effective = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return NEEDED_CAPABILITIES.every((bit) => ((BigInt(`0x${effective}`) >> BigInt(bit)) & 1n) === 1n);
  } catch {
    return false;
  }
}
