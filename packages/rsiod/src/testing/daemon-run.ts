// Simulates runs of the daemon after one another, for tests of what it attaches again: a real record and a fake clock. Servers and attachments
// are fakes.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import { quietLog } from '@rsio/base/log/log';
import { START_REACH_MS } from '../attachments/limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterEach, beforeEach } from 'vitest';
import { AttachedFile } from '../attachments/attached-file.ts';
import { AttachedList } from '../attachments/attached-list.ts';
import { AttachedRecord } from '../attachments/attached-record.ts';
import { AttachedVolumes } from '../attachments/attached-volumes.ts';
import type { AttachArguments } from '../attachments/attach-request.ts';
import { labelOf } from '../attachments/offers.ts';
import { type Owner, PERSON } from '../attachments/owners.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { TAKE } from '@rsio/protocol/wire/messages';
import type { Audience } from '../volumes/frontend-volume.ts';

export const AT_ONCE = 3;

export interface TestVolume {
  readonly namespace: string;
  readonly name: string;
  readonly universe: number;
  readonly id: string;
  readonly wantsReadonly: boolean;
  readonly shownTo?: Audience;
}

export function volume(name: string, id = `id-${name}`, namespace = 'osl'): TestVolume {
  return { namespace, name, universe: 0, id, wantsReadonly: false };
}

/** Where the record of each test is. */
export const place = { folder: '', file: '' };

/** Gives each test of the calling file a folder of its own. */
export function useRecord(): void {
  beforeEach(() => {
    place.folder = mkdtempSync(join(tmpdir(), 'rsio-al-'));
    place.file = join(place.folder, 'attached.json');
  });
  afterEach(() => removeFolder(place.folder));
}

/** Simulates one run of the daemon. Servers 1 (big-1) and 2 (big-2) offer the volumes that the test names. */
export class DaemonRun {
  readonly clock = new FakeClock();
  readonly volumes = new AttachedVolumes<TestVolume>();
  readonly list = this.volumes.list;
  readonly detached = this.volumes.detached;
  readonly owners = this.volumes.owners;
  readonly record: AttachedRecord<TestVolume>;
  readonly asked: string[] = [];
  readonly said: string[] = [];
  readonly warned: string[] = [];
  readonly logged: string[] = [];
  readonly attached: AttachedList<TestVolume>;
  offered: {
    readonly volume: TestVolume;
    readonly serverid: number;
    readonly isConnected: boolean;
    readonly poolGeneration: number | null;
    readonly poolId: string | null;
  }[] = [];
  /** Key: label of a volume. Value: the error code with which every attempt to attach the volume fails. */
  readonly failures = new Map<string, string>();
  /** Volumes of the previous process whose devices are in use. */
  readonly usedDevices = new Set<string>();
  readonly released: string[] = [];
  /** Volumes whose devices the previous process has left. */
  leftDevices: readonly TestVolume[] = [];
  /** Names of volumes whose server reports that this node holds them. */
  readonly holding = new Set<string>();
  /** Labels of volumes that cannot be closed. */
  readonly uncloseable = new Set<string>();
  /** Volumes whose hold has ended. */
  readonly closed: string[] = [];
  /** The owner of each detach that was asked for. */
  readonly detachedFor: (string | null)[] = [];
  /** The fake attachments complete an attach only after this promise has resolved. */
  held: Promise<void> = Promise.resolve();

  constructor(boot = 'boot-1') {
    const log = { ...quietLog, info: (text: string) => void this.logged.push(text) };
    this.record = new AttachedRecord<TestVolume>({
      log,
      boot,
      volumes: this.volumes,
      store: (current) => new AttachedFile(place.file, quietLog, current),
      serverOf: ({ id }) => {
        const serverid = this.offered.find((one) => one.volume.id === id)?.serverid ?? 1;
        return { serverid, name: `big-${serverid}` };
      },
    });
    this.attached = new AttachedList<TestVolume>({
      clock: this.clock,
      log,
      record: this.record,
      restoredAtOnce: AT_ONCE,
      attachments: this,
      frontends: {
        release: ({ name }, why, force) => {
          if (this.usedDevices.has(name) && !force) return Promise.reject(new RsError('E_IN_USE', 'It is in use by mount point /mnt'));
          this.released.push(`${name}: ${why}`);
          return Promise.resolve();
        },
        releaseLeft: async (reason, isWanted) => {
          this.released.push(...this.leftDevices.filter((one) => !isWanted(one)).map(({ name }) => `${name}: ${reason}`));
        },
      },
      reports: { add: (_object, _from, to, reason) => void this.said.push(`${to}: ${reason}`) },
      current: { config: { applications: [{ volumes: ['osl:app', 'x'] }] as unknown as RscltConfig['applications'] } },
    });
  }

  /** Starts a run, and lets START_REACH_MS pass, so that the run no longer waits for servers. */
  static async after(last: DaemonRun | null, boot?: string): Promise<DaemonRun> {
    const run = await DaemonRun.started(last, boot);
    run.clock.advance(START_REACH_MS);
    return run;
  }

  static async started(last: DaemonRun | null, boot?: string): Promise<DaemonRun> {
    last?.attached.stop();
    const run = new DaemonRun(boot);
    await run.attached.load((sentence) => run.warned.push(sentence));
    return run;
  }

  offer(one: TestVolume, serverid = 1, isConnected = true, poolGeneration: number | null = null, poolId: string | null = null): void {
    this.offered.push({ volume: one, serverid, isConnected, poolGeneration, poolId });
  }

  get offers() {
    return this.offered.map(({ volume: { namespace, name, universe, id }, serverid, isConnected, poolGeneration, poolId }) => {
      const holders = this.holding.has(name) ? [{ node: 'venus', address: '10.0.0.1', sinceMs: 0 }] : [];
      const own = { server: `big-${serverid}`, from: { serverid }, config: { nodename: 'venus' }, mirror: null, poolGeneration, poolId };
      return { ...own, namespace, name, universe, id, isConnected, holders };
    });
  }

  get labels(): string[] {
    return this.list.map((one) => `${labelOf(one)} ${one.id}${one.wantsReadonly ? ' readonly' : ''}`);
  }

  async attach(...[names, readOnly, server, _take, _by, owner = PERSON]: AttachArguments): Promise<AttachOutcome[]> {
    return await this.attachFor(names, readOnly, server, owner);
  }

  private async attachFor(
    names: readonly string[],
    readOnly: boolean,
    server: string | null,
    owner: Owner | null,
  ): Promise<AttachOutcome[]> {
    this.asked.push(...names.map((name) => `${name}${readOnly ? ' readonly' : ''} of ${server ?? 'any'}`));
    await this.held;
    return names.map((name) => {
      const code = this.failures.get(name) ?? null;
      const found = this.offered.find((one) => labelOf(one.volume) === name && (server === null || server === `big-${one.serverid}`));
      const error = code === null ? null : { code, message: `It cannot (${code})` };
      if (error === null && found !== undefined) {
        if (!this.list.some(({ id }) => id === found.volume.id)) this.list.push({ ...found.volume, wantsReadonly: readOnly });
        if (owner !== null) this.owners.settle(this.owners.claim(name, found.volume.id, owner));
        this.detached.delete(`${name} ${found.volume.id}`);
      }
      return { volume: name, done: error === null, already: false, device: null, error };
    });
  }

  async attachAgain(label: string, readOnly: boolean, server: string): Promise<AttachOutcome> {
    const [outcome] = await this.attachFor([label], readOnly, server, null);
    return outcome!;
  }

  async attachWanted(isVerbose: boolean): Promise<void> {
    this.asked.push(`wanted${isVerbose ? ', verbose' : ''}`);
  }

  async endOrder(ticket: string): Promise<void> {
    const label = this.owners.end(ticket);
    if (label !== null) await this.closeUnowned(label);
  }

  async closeUnowned(label: string): Promise<void> {
    if (this.uncloseable.has(label)) throw new RsError('E_NO_PATH', 'There is no path');
    if (this.owners.isFree(label)) await this.detach([label]);
  }

  detach(names: readonly string[], _force = false, owner: string | null = null): Promise<AttachOutcome[]> {
    this.detachedFor.push(owner);
    const outcomes = names.map((name): AttachOutcome => {
      const at = this.list.findIndex((one) => labelOf(one) === name || one.name === name);
      const [gone] = at < 0 ? [] : this.list.splice(at, 1);
      if (gone !== undefined) {
        this.owners.drop(labelOf(gone));
        this.detached.add(`${labelOf(gone)} ${gone.id}`);
        this.closed.push(labelOf(gone));
      }
      return { volume: name, done: true, already: gone === undefined, device: null, error: null };
    });
    return Promise.resolve(outcomes);
  }

  /** Advances the clock so that the timer of the list can fire, and waits for the work that the timer starts. */
  async pass(durationMs: number): Promise<void> {
    this.clock.advance(durationMs);
    await this.attached.restore();
  }
}

/** Returns a run that has attached the given volumes and has then been killed. */
export async function runWith(...volumes: readonly TestVolume[]): Promise<DaemonRun> {
  const run = await DaemonRun.after(null);
  for (const one of volumes) run.offer(one);
  await run.attached.attach(volumes.map(labelOf), false, null, TAKE.NO);
  return run;
}
