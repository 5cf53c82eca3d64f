// The pool at one process of a simulated server, in place of Pools, Volumes and ConfigInForce: opens and closes its volumes, reads and
// replaces its ledger on the mount of the machine. Invariants: no work on the pool is in progress once `closed` has resolved; a dead
// process begins nothing.

import { StateFile } from '@rsio/base/files/state-file';
import { RsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { Ownership } from '@rsio/rssrv/farm/shared-pool-ports';
import type { PoolState } from '@rsio/rssrv/pools/catalogue';
import type { PoolId } from '@rsio/rssrv/pools/disk/ids';
import type { PoolFiles } from '@rsio/rssrv/pools/disk/pool-files';
import { POOL_CHANGE_MS } from '@rsio/rssrv/pools/limits';
import { PoolWork } from '@rsio/rssrv/pools/pool-work';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import type { Ledgers } from '@rsio/rssrv/volumes/holds/ledgers';
import { override } from '../base/override.ts';
import type { SimProcess } from '../base/sim-clock.ts';
import type { FarmVolume } from './farm-judge.ts';
import type { FarmMachine } from './farm-machine.ts';
import type { FarmFile, FarmMount } from './farm-mount.ts';

export const POOL = 'fast';
export const POOL_ID = 'pool-fast';

export interface FarmPoolPorts {
  readonly listener: SimProcess;
  readonly machine: FarmMachine;
  readonly volumes: readonly FarmVolume[];
  ledgers(): Ledgers;
  ownership(): Ownership | null;
  /** Called when other volumes are served. */
  changed(): void;
}

/** Reads the ledgers of simulated pools, whose folders begin with `farm:`. */
const readers = new Map<string, () => Promise<string>>();

override<{ readonly path: string }, [], Promise<unknown>>(StateFile, 'load', (original) => async (self) => {
  const [folder = ''] = self.path.split('/');
  const read = readers.get(folder);
  return read === undefined ? original(self) : (JSON.parse(await read()) as { readonly content: unknown }).content;
});

const NONE = new Map<string, never>();
const EIO = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });

export class FarmPool {
  readonly folder: string;
  /** The pool while it is open. */
  state: PoolState | null = null;
  /** The mount on which the pool is open. */
  mount: FarmMount | null = null;
  served: readonly ServedVolume[] = [];
  /** For each volume that is served but not offered: the reason. */
  readonly suspended = new Map<string, string>();
  private files: PoolFiles | null = null;
  private readonly descriptors = new Map<string, FarmFile>();
  private readonly work = new PoolWork();
  private leaving = Promise.resolve();
  private readonly ports: FarmPoolPorts;

  constructor(ports: FarmPoolPorts) {
    this.ports = ports;
    this.folder = `farm:${ports.machine.name}`;
    readers.set(this.folder, () => this.read());
  }

  get states(): readonly PoolState[] {
    return this.state === null ? [] : [this.state];
  }

  get offered(): readonly ServedVolume[] {
    return this.served.filter(({ id }) => !this.suspended.has(id));
  }

  /** Does nothing if the pool is open, like ConfigInForce.openSharedPools: a clean move that has failed leaves it open. */
  async open(): Promise<void> {
    if (this.state?.isOpen === true) return;
    const { machine, volumes } = this.ports;
    const { mount } = machine;
    const ledgers = this.ports.ledgers();
    const ownership = this.ports.ownership();
    if (mount === null || mount.hasFailed) throw new RsError('E_POOL', 'The pool is not mounted');
    const files = {
      directory: this.folder,
      replaceLedger: (text: string) => this.replaceLedger(mount, text),
      markLedger: () => Promise.resolve(),
    } as unknown as PoolFiles;
    const identity = { id: POOL_ID as PoolId, createdMs: 0, hasLedger: true };
    const state = {
      name: POOL,
      path: this.folder,
      identity,
      isShared: true,
      ownership,
      isOpen: true,
      trouble: null,
      removed: NONE,
      snapshots: NONE,
      volumes: new Map(volumes.map(({ id }) => [id, {}])),
      parts: NONE,
      unreadable: new Set(),
    } as unknown as PoolState;
    this.state = { ...state, isOpen: false };
    try {
      await ledgers.read(files, identity, state);
      await ledgers.own(files, state);
    } catch (thrown) {
      ledgers.left(files);
      this.state = null;
      throw thrown;
    }
    [this.state, this.files, this.mount] = [state, files, mount];
    ledgers.inForce(files);
    this.suspended.clear();
    for (const { id } of volumes) this.descriptors.set(id, mount.open(id));
    this.served = volumes.map(({ id, sectors, shared, clients }) => ({
      name: id,
      universe: 0,
      id,
      type: 'file',
      path: id,
      sizeBytes: sectors * SECTOR_BYTES,
      blockSizeBytes: SECTOR_BYTES,
      readonly: false,
      shared,
      takeOver: null,
      takeOverForce: true,
      clients,
      pool: { ids: [POOL_ID], isThick: true, ownership: ownership! },
    }));
    this.ports.changed();
  }

  /** Closes the volumes. */
  remove(): Promise<void> {
    for (const file of this.descriptors.values()) this.mount?.close(file);
    this.descriptors.clear();
    [this.mount, this.served] = [null, []];
    this.suspended.clear();
    this.ports.changed();
    return Promise.resolve();
  }

  /** Like Pools.leave. */
  leave(): void {
    const { files } = this;
    if (files === null) return;
    [this.files, this.state] = [null, null];
    this.leaving = this.work.idle(files).then(() => this.ports.ledgers().left(files));
  }

  /** After `leave`: resolves when no work on the pool is in progress. */
  closed(): Promise<void> {
    return this.leaving;
  }

  suspend(id: string, why: string | null): void {
    if (why === null) this.suspended.delete(id);
    else if (this.served.some((one) => one.id === id)) this.suspended.set(id, why);
  }

  sync(id: string): Promise<void> {
    const { mount } = this;
    const { listener } = this.ports;
    const file = this.descriptors.get(id);
    if (mount === null || file === undefined) return Promise.reject(new RsError('E_VOLUME', `Volume ${id} is not open`));
    return this.inTime(
      `Volume ${id}`,
      new Promise((resolve, reject) => {
        mount.sync(file, 0, Number.POSITIVE_INFINITY, (isFine) =>
          listener.after(0, () => (isFine ? resolve() : reject(new RsError('E_VOLUME', `Volume ${id} cannot be synced`)))),
        );
      }),
    );
  }

  /** Like Pools.onLedger. */
  async onLedger(work: () => Promise<void>): Promise<void> {
    if (this.files === null) throw new RsError('E_POOL', 'The pool is not open');
    await this.inTime('The pool', this.work.track(this.files, work()));
  }

  private async inTime(what: string, ended: Promise<void>): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const late = this.ports.listener.after(POOL_CHANGE_MS, () => reject(new RsError('E_TIMEOUT', `${what} does not answer`)));
      ended.then(resolve, reject).finally(() => late.cancel());
    });
  }

  /** Reads the ledger as the mounted file system shows it. */
  private read(): Promise<string> {
    const { listener, machine } = this.ports;
    const { mount } = machine;
    return new Promise((resolve, reject) => {
      listener.after(0, () => (mount === null || mount.hasFailed ? reject(EIO) : resolve(mount.ledger)));
    });
  }

  private replaceLedger(mount: FarmMount, text: string): Promise<void> {
    const { listener, machine } = this.ports;
    machine.reached('ledger');
    return new Promise((resolve, reject) => {
      mount.replaceLedger(text, (isFine) => void listener.after(0, () => (isFine ? resolve() : reject(EIO))));
    });
  }
}
