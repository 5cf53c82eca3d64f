// A volume of a simulated server: its storage, its possible contents, its possible holders, and the users of different clients that share
// it or compete for it. The oracle judges its content, and the hold judge judges its holders.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import type { ServedVolume, VolumePools } from '@rsio/rssrv/storage/io/served-volume';
import { type Decided, HoldJudge } from '../judges/hold-judge.ts';
import { Oracle } from '../judges/oracle.ts';
import type { Form } from './sim-forms.ts';
import { LossJudge } from '../judges/loss-judge.ts';
import type { LossWatch } from '../storage/sim-cache.ts';
import type { ExecutionWatch, SimStorage } from '../storage/sim-storage.ts';
import type { SimUser } from './sim-user.ts';
import type { SimReplica } from '../votes/sim-replica.ts';
import { EVENT, type Trace } from '../base/trace.ts';

export class SimVolume implements LossWatch {
  /** The volume's id, which for a fixed volume is its name. */
  readonly id: string;
  name: string;
  readonly serverid: number;
  storage: SimStorage;
  readonly oracle: Oracle;
  readonly judge: HoldJudge;
  readonly users: SimUser[] = [];
  readonly losses = new LossJudge();
  /** Number of new incarnations of the storage that started because a sync failed. */
  lostIncarnations = 0;
  /** The other properties with which the volume has returned at the last start of its server; null: its own properties. */
  form: Form | null = null;
  /** The other file from which the volume may return (sim-forms.ts). */
  private readonly other: SimStorage;
  /** Number of logs that were replayed to a new incarnation. */
  recoveries = 0;
  /** Whether the volume is in a pool, so that commands change it. */
  readonly isPooled: boolean;
  /** The pool with the ledger of the volume; undefined for the volume of a section, whose holds are in the file of holders. */
  readonly pool: VolumePools | undefined;
  /** Whether the file of the volume is truncated. The server does not serve the volume until the file is restored. */
  isCut = false;
  /** Whether the removal of the volume was answered. */
  isRemoved = false;
  /** For a volume in a pool: the configuration with which the listener serves the volume; null: the listener does not serve it. */
  config: ServerVolumeConfig | null = null;
  /** Whether the file of the volume is on a simulated file system. A move or a rollback may replace this file. */
  isStored = false;
  /** Whether the volume is temporarily not served. */
  isSuspended = false;
  /** Nodes that read snapshots of the volume. These nodes therefore also see the volume. */
  readonly readers = new Set<string>();
  /** The replica, if the volume is one or may become one. The oracle of the mirror then judges the content. Null: a plain volume. */
  readonly replica: SimReplica | null;
  /** Called when the volume gets another file. */
  whenReplaced: () => void = () => undefined;
  /** For a replica: called when it may have lost data that was not written back. */
  whenLost: () => void = () => undefined;
  /** For a replica: sectors whose content the storage has lost, although reads may still return it for a while. */
  readonly forgotten = new Set<number>();
  private readonly earlier = new Set<SimStorage>();
  private readonly trace: Trace;

  /** `pooled`: id and first size of a volume in a pool. `replica`: for a replica of a mirror. */
  constructor(
    name: string,
    serverid: number,
    number: number,
    storage: SimStorage,
    other: SimStorage,
    trace: Trace,
    pooled: { readonly id: string; readonly sizeBytes: number } | null = null,
    replica: SimReplica | null = null,
  ) {
    this.replica = replica;
    this.id = pooled?.id ?? replica?.id ?? name;
    this.isPooled = pooled !== null;
    this.pool = pooled === null && replica === null ? undefined : { ids: [POOL_ID], isThick: false };
    this.name = name;
    this.serverid = serverid;
    this.storage = storage;
    this.other = other;
    const sectors = storage.content.length / SECTOR_BYTES;
    this.oracle = new Oracle(number, pooled === null ? sectors : pooled.sizeBytes / SECTOR_BYTES, sectors);
    this.trace = trace;
    this.oracle.breached = (sentence) => trace.say(`!! ${name}: ${sentence}`);
    this.judge = new HoldJudge(name, () => trace.now);
    this.follow(storage);
  }

  private follow(storage: SimStorage): void {
    storage.watch = this.replica === null ? this.watch : { executes: (...change) => this.tells(change) };
    storage.holds = { acts: (epoch) => this.acts(epoch) };
    storage.cache.watch = this;
  }

  /** Replaces the storage of the volume. */
  use(storage: SimStorage): void {
    const before = this.storage;
    if (before === storage) return;
    this.earlier.add(before);
    this.earlier.delete(storage);
    before.watch = null;
    before.cache.watch = null;
    // The new file takes over the time of the last failure of the earlier file, because the new file also judges requests that began with
    // the earlier file.
    storage.failedMs = Math.max(storage.failedMs, before.failedMs);
    storage.syncedMs = Math.max(storage.syncedMs, before.syncedMs);
    before.holds = { acts: () => this.judge.breach('C5: something is done on the file that the volume had before') };
    this.storage = storage;
    this.follow(storage);
    if (this.trace.isOn) this.trace.say(`${this.name}: another file`);
    this.whenReplaced();
  }

  /** A change of a volume in a pool waits for space, and is then executed again. */
  private get watch(): ExecutionWatch {
    const { oracle } = this;
    if (this.pool === undefined) return oracle;
    return { executes: (...change) => oracle.executes(...change), hasNoRoom: (...range) => oracle.waitsForRoom(...range) };
  }

  suspend(isSuspended: boolean): void {
    this.isSuspended = isSuspended;
  }

  /** The node that holds the volume. Null: no node holds it. */
  get holder(): string | null {
    const { last } = this.judge;
    return last === null || last.released ? null : last.node;
  }

  /** Sets the configuration with which the listener serves the volume. Null: the listener does not serve it. */
  serveAs(config: ServerVolumeConfig | null): void {
    this.config = config;
    this.isSuspended = false;
    if (config === null) return;
    this.isRemoved = false;
    this.name = config.name;
    this.oracle.grow((config.sizeBytes ?? 0) / SECTOR_BYTES);
  }

  /** C3: no operation runs on a removed volume. */
  private acts(epoch: number): void {
    this.judge.acts(epoch);
    if (this.isRemoved) this.judge.breach(`C3: something is done under epoch ${epoch} after the volume was removed`);
  }

  /** The file that an OPEN finds now. */
  get storageNow(): SimStorage {
    return this.form?.isOther === true ? this.other : this.storage;
  }

  /** The stamp of the volume's file. The stamp distinguishes this file from all other files. */
  get stamp(): string {
    return this.form?.isOther === true ? 'i2.b2' : 'i1.b1';
  }

  get breaches(): string[] {
    const earlier = [...this.earlier].flatMap(({ breaches }) => breaches);
    return [...this.oracle.breaches, ...this.storage.breaches, ...earlier, ...this.judge.breaches];
  }

  /** Whether several clients compete for the volume. */
  get isFought(): boolean {
    return this.users.length > 1;
  }

  /**
   * The server has decided a grant of the volume. If the server took the volume from a holder that had not released it, all acknowledged
   * writes of that holder must be durable at this time.
   */
  decided(decided: Decided): void {
    const before = this.judge.last;
    if (this.judge.decided(decided)) this.handedOver(decided, before?.node ?? null);
    const { last } = this.judge;
    if (last === null || last === before) return;
    if (before?.released === true && this.users.some((user) => user.node === before.node && user.leavesByForce)) this.oracle.dropped();
    this.trace.note(EVENT.HELD, this.oracle.volume, last.epoch, last.client);
    if (this.trace.isOn) this.trace.say(`${this.name}: ${last.node} (process ${last.client}) is given epoch ${last.epoch}, ${last.how}`);
  }

  /** An order is about to end the hold of this node. Everything that was written under the hold must be durable now. */
  takenAway(node: string): void {
    if (this.oracle.forgotten > 0)
      this.judge.breach(`H6: the hold of ${node} ends while the storage has forgotten what the client would send again`);
    this.oracle.dropped();
    this.oracle.handedOver();
    if (this.storage.cache.hasDirty) this.judge.breach(`H6: the hold of ${node} ends while what it has written is not durable`);
    this.judge.taken(node);
    if (this.trace.isOn) this.trace.say(`${this.name}: the hold of ${node} ends by order`);
  }

  forgets(sector: number, disk: Buffer, positionBytes: number): void {
    if (this.trace.isOn) this.trace.say(`${this.id}: the storage forgets sector ${sector}`);
    if (this.replica !== null) {
      this.forgotten.add(sector);
      this.whenLost();
      return;
    }
    if (this.trace.isOn) this.trace.say(`${this.name}: the storage forgets sector ${sector}, ${this.isAttached ? 'of a' : 'no'} holder`);
    this.oracle.forgets(sector, disk, positionBytes, this.isAttached);
  }

  /** For a replica: writes a trace line about an executed write. */
  private tells([, sector, content, positionBytes, lengthBytes]: Parameters<ExecutionWatch['executes']>): void {
    if (!this.trace.isOn) return;
    const numbers = Array.from({ length: lengthBytes / SECTOR_BYTES }, (_unused, at) =>
      content.readUInt32BE(positionBytes + at * SECTOR_BYTES + 4),
    );
    this.trace.say(`${this.id}: sectors from ${sector} on are written: ${[...new Set(numbers)].join(' ')}`);
  }

  /** The storage has lost sectors. Reads in flight may return the old or the new content of these sectors. */
  hasForgotten(): void {
    this.losses.forgot(this.storage.openings);
    for (const user of this.users) user.lower();
  }

  renewed(firstSector: number, sectors: number): void {
    for (let sector = firstSector; this.forgotten.size > 0 && sector < firstSector + sectors; sector++) this.forgotten.delete(sector);
    this.oracle.renewed(firstSector, sectors);
  }

  private get isAttached(): boolean {
    return this.users.some(({ isHolder }) => isHolder);
  }

  /** The client has replayed its whole log. `isNew`: this is the first replay in the current incarnation. */
  recovered(isNew: boolean): void {
    if (isNew) this.recoveries++;
    if (this.trace.isOn) this.trace.say(`${this.name}: incarnation ${this.oracle.incarnations}: lost data is restored`);
    this.oracle.recovered(this.storage.cache.disk);
  }

  private handedOver({ node, epoch, how }: Decided, from: string | null): void {
    if (this.replica !== null) return;
    // It is not a breach if another instance of the same node gets the volume: this instance does not have the replay log of the earlier
    // one, so the log is lost, as after a kill of the client.
    if (how !== 'force' && node !== from && this.oracle.forgotten > 0)
      this.judge.breach(`V1: ${node} is given epoch ${epoch} while the storage has forgotten what nobody was told to be lost`);
    this.oracle.dropped();
    this.oracle.handedOver();
    if (this.storage.cache.hasDirty) this.judge.breach(`H2: ${node} is given epoch ${epoch} while what was written before is not durable`);
  }

  /** The machine of the server has crashed. No process of the server runs. */
  crashed(): void {
    this.storage.crashed();
    this.replica?.map.crashed();
    this.forgotten.clear();
    this.whenLost();
    this.losses.noticed();
    this.oracle.crashed(this.isAttached);
    for (const user of this.users) user.lower();
  }

  /** A sync of the volume has failed. */
  lost(): void {
    this.lostIncarnations++;
    this.losses.lost(this.storage.openings);
    this.incarnationEnded();
  }

  /** A new incarnation of the storage starts. */
  incarnationEnded(): void {
    this.losses.noticed();
    this.oracle.incarnationEnded();
    if (this.trace.isOn) this.trace.say(`${this.name}: the storage starts incarnation ${this.oracle.incarnations}`);
    for (const user of this.users) user.lower();
  }
}

/** For each volume that was described to a process: the storage that the process opens. */
/** Id of the pool with the simulated volumes that are in a pool. */
const POOL_ID = 'pool';

const described = new WeakMap<ServedVolume, SimStorage>();

export function describe(volume: ServedVolume, storage: SimStorage): void {
  described.set(volume, storage);
}

export function storageOf(volume: ServedVolume): SimStorage | undefined {
  return described.get(volume);
}

/** The volume as the listener describes it to a process. */
export function served(volume: SimVolume): ServedVolume {
  const { id, name, storage, form, config } = volume;
  const sizeBytes = config?.sizeBytes ?? storage.content.length;
  const one: ServedVolume = {
    name,
    universe: 0,
    id,
    type: 'memory',
    path: null,
    sizeBytes: form?.isHalved === true ? sizeBytes / 2 : sizeBytes,
    blockSizeBytes: SECTOR_BYTES,
    readonly: false,
    shared: false,
    takeOver: config?.takeOver ?? null,
    takeOverForce: true,
    clients: config?.clients ?? null,
    ...form?.says,
  };
  if (volume.isStored) described.set(one, storage);
  const { pool } = volume;
  if (pool === undefined) return one;
  const mark = volume.replica?.mark ?? null;
  return { ...one, pool, ...(mark === null ? {} : { replica: { ...mark, mapPath: volume.id } }) };
}
