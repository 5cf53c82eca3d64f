// Engine for disks with persistent reservations, of the type Write Exclusive, Registrants Only. Rule: F13. A server has one of two keys:
// its standby key, which is derived from its name and with which it writes only to its own part of the header, or the key of its client.
// Invariants: a server registers a key only while it has no cached data and no I/O under way; the reservation is never released, because
// the disk refuses a fenced writer only while there is a reservation; a client registers its key before the record names the client.

import { createHash, randomBytes } from 'node:crypto';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { OneByOne } from '@rsio/base/structures/one-by-one';
import type { Engine, Sight, StorageClient } from '../engine.ts';
import type { FarmRecord, Note, Writer } from '../farm-record.ts';
import { WRITERS_MAX } from '../limits.ts';
import { DiskReservations, type ReservationCalls } from './reservation-calls.ts';
import { DiskClient, newClientName, parseClientName, SharedDisk, type SharedDiskOptions } from './shared-disk.ts';

/** The key of a client has the generation in its upper bits (the highest bit is 0), and random lower bits. */
const [GENERATION_BITS, RANDOM_BITS] = [23n, 40n];
const STANDBY_BIT = 1n << 63n;

export class ReservationEngine implements Engine {
  readonly kind = 'reservation';
  private readonly options: SharedDiskOptions;
  private readonly disk: SharedDisk;
  private readonly calls: ReservationCalls;
  /** Executes the changes of the key one after the other. */
  private readonly turns = new OneByOne();
  /** The key that this process has registered; null if it has registered none, or has lost it. */
  private key: bigint | null = null;
  /** The client that is connected and not closed. */
  private client: DiskClient | null = null;
  /** The clients that this process has fenced. */
  private readonly proven = new Set<string>();
  /** The servers that may own the pool, as the record names them. */
  private owners: readonly string[] = [];

  constructor(options: SharedDiskOptions, calls: ReservationCalls = new DiskReservations(options.clock, options.disk)) {
    this.options = options;
    this.disk = new SharedDisk(options);
    this.calls = calls;
  }

  prepare(owners: readonly string[]): Promise<void> {
    return this.disk.prepare(owners);
  }

  async look(): Promise<Sight> {
    try {
      const sight = await this.disk.look();
      this.owners = sight.record?.owners ?? [];
      return sight;
    } catch (thrown) {
      // A look that ends an earlier swap writes to the header, so it also needs a key.
      await this.recheck();
      await this.turns.run(() => this.standByIfLost()).catch(() => undefined);
      throw thrown;
    }
  }

  swap(seen: FarmRecord | null, next: FarmRecord): Promise<boolean> {
    return this.write(() => this.disk.swap(seen, next));
  }

  post(note: Note): Promise<void> {
    return this.write(() => this.disk.post(note));
  }

  /**
   * Replaces the key of an earlier process by the standby key. If the earlier process held the reservation, this server continues to hold
   * it.
   */
  async clear(): Promise<void> {
    await this.disk.clear();
    await this.turns.run(async () => {
      // The client has no device any more, even if it could not be closed.
      this.client = null;
      await this.standBy();
    });
  }

  async connect(generation: number): Promise<StorageClient> {
    return await this.turns.run(async () => {
      if (this.client !== null) throw this.error('has another client of this server: close that one first');
      await this.refuseUncleared();
      const key =
        ((BigInt(generation) & ((1n << GENERATION_BITS) - 1n)) << RANDOM_BITS) | BigInt(`0x${randomBytes(5).toString('hex')}`) | 1n;
      const name = await newClientName(key.toString(16));
      await this.take(key);
      this.client = new DiskClient(name, this.disk, {
        open: () => this.hold(name, key),
        close: () => this.turns.run(() => this.leave(name, key)),
      });
      return this.client;
    });
  }

  /**
   * Ends the registration of the client, and aborts its commands. If no machine has the client's key, the client was fenced before or has
   * ended, because it registered the key before the record named it, and it never registers the key again. The taker that fenced it may
   * have ended before the disk had aborted all commands, so the disk is reset then. NVMe has no such command, so nothing more can be done
   * there.
   */
  async fence(writer: Writer): Promise<void> {
    const { server, generation, client } = writer;
    const { key } = parseClientName(client);
    if (key === '') throw this.unproven(writer, 'its client has no key: all servers of the pool need fence = reservation');
    try {
      if (server === this.options.server) await this.refuseUncleared();
      await this.turns.run(() => this.standByIfLost());
      const own = this.key;
      const other = BigInt(`0x${key}`);
      if (own === null || own === other) throw this.error(`has no other key of this server than that of generation ${generation}`);
      const isAborted = (await this.preempt(own, other)) || server === this.options.server || this.proven.has(client);
      if (!isAborted) await this.calls.abortAll();
      const keys = await this.calls.keys();
      if (keys === null) await this.preempt(own, other);
      else if (keys.includes(other)) throw this.error(`still has the key 0x${key}`);
      // Without a reservation, the disk would execute writes of machines without a key. If another server holds the reservation, `reserve`
      // returns `conflict`, which is fine.
      await this.calls.reserve(own);
      if ((await this.calls.holder()) === null) throw this.error('has no reservation');
      if (this.proven.size >= WRITERS_MAX) this.proven.clear();
      this.proven.add(client);
    } catch (thrown) {
      throw this.unproven(writer, toRsError(thrown).message);
    }
  }

  close(): Promise<void> {
    return this.disk.close();
  }

  /** Runs a call that writes to the header. */
  private async write<T>(call: () => Promise<T>): Promise<T> {
    await this.turns.run(() => this.standByIfLost());
    try {
      return await call();
    } catch (thrown) {
      await this.recheck();
      throw thrown;
    }
  }

  /** Notices that another server has fenced this one. */
  private async recheck(): Promise<void> {
    await this.turns.run(async () => {
      const { key } = this;
      if (key !== null && (await this.calls.change(key, key).catch(() => 'done')) === 'conflict' && this.key === key) this.key = null;
    });
  }

  /** Registers the standby key unless this server has a key. A client that has lost its key is fenced, and never gets another one. */
  private async standByIfLost(): Promise<void> {
    if (this.key !== null) return;
    if (this.client !== null) throw this.error('refuses this server: another server has fenced it');
    await this.standBy();
  }

  private async standBy(): Promise<void> {
    await this.refuseUncleared();
    await this.take(standbyKey(this.options.server));
  }

  private async take(key: bigint): Promise<void> {
    this.key = null;
    if ((await this.calls.register(key)) === 'conflict') throw this.error('refuses the registration of this server');
    this.key = key;
  }

  /** Makes sure that this machine holds the reservation with this key. All writers are fenced, so another holder cannot be the owner. */
  private async hold(name: string, key: bigint): Promise<void> {
    if ((await this.calls.reserve(key)) === 'conflict') {
      if ((await this.calls.change(key, key)) === 'conflict') {
        if (this.key === key) this.key = null;
        throw this.error('refuses this server: another server has fenced it');
      }
      // The holder is a server that has ended its ownership, unless this server was too slow and the holder has taken the pool.
      const owner = (await this.look()).record?.owner ?? null;
      if (owner !== null && owner.client !== name) throw this.error(`is for server ${owner.server}, which has taken the pool meanwhile`);
      const holder = await this.calls.holder();
      const others = this.owners.filter((name) => name !== this.options.server).map(standbyKey);
      for (const other of holder === null ? [] : holder === 'unknown' ? others : [holder.key]) await this.calls.preempt(key, other);
      if ((await this.calls.reserve(key)) === 'conflict')
        throw this.error('is reserved by another machine: see sg_persist --in --read-reservation, end its use, and clear the reservation');
    }
    const holder = await this.calls.holder();
    if (holder === 'unknown') return;
    if (holder === null || holder.key !== key || !holder.isOurType) throw this.error('has another reservation than this server has made');
  }

  /** Called when the client has ended. The standby key keeps the reservation. */
  private async leave(name: string, key: bigint): Promise<void> {
    if (this.client?.name !== name) return;
    this.client = null;
    if (this.key !== key) return;
    this.key = null;
    const standby = standbyKey(this.options.server);
    if ((await this.calls.change(key, standby)) === 'done') this.key = standby;
  }

  /**
   * Preempts the key `other`. Returns false if no machine has this key. Throws if the key `own` is no longer registered, because the
   * conflict then says nothing about `other`.
   */
  private async preempt(own: bigint, other: bigint): Promise<boolean> {
    if ((await this.calls.preempt(own, other)) === 'done') return true;
    if ((await this.calls.change(own, own)) === 'done') return false;
    if (this.key === own) this.key = null;
    throw this.error('refuses this server: another server has fenced it');
  }

  /** Throws E_STORAGE if a loop device of this server is left. */
  private async refuseUncleared(): Promise<void> {
    if (!(await this.disk.isClear()))
      throw this.error('still has a loop device of this server: unmount its file system (findmnt, losetup --list)');
  }

  private unproven({ server, generation }: Writer, why: string): RsError {
    return new RsError(
      'E_FENCE',
      `Generation ${generation} of ${server} is not fenced on ${this.options.disk}: ${why}; the pool waits, and tries again`,
      { server, generation },
    );
  }

  private error(what: string): RsError {
    return new RsError('E_STORAGE', `Disk ${this.options.disk} ${what}`, { disk: this.options.disk });
  }
}

function standbyKey(server: string): bigint {
  return createHash('sha256').update(`rsio standby ${server}`).digest().readBigUInt64BE() | STANDBY_BIT;
}
