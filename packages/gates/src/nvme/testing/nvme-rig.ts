// Connections of a gate with a volume in memory and raw hosts, for tests. The test decides when the volume completes, when a turn of the
// event loop ends, and what the time is.

import { randomBytes } from 'node:crypto';
import { DataBuffers } from '@rsio/rsiod/frontends/streams/data-buffers';
import { MemoryBudget } from '@rsio/rsiod/frontends/streams/memory-budget';
import { BatchPool } from '@rsio/rsiod/frontends/streams/transport';
import { MemoryTransport } from '@rsio/rsiod/frontends/nbd/testing/memory-transport';
import { MemoryVolume, type MemoryVolumeOptions } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import { GATE_BYTES_MAX, GATE_HOST_BYTES_MAX, GATE_RESERVE_BYTES } from '../../limits.ts';
import { HostBudgets } from '../../ports/host-budgets.ts';
import type { AuthParties } from '../auth/dh-chap.ts';
import type { SharedAuthPorts } from '../auth/dh-turns.ts';
import { NvmeConnection } from '../nvme-connection.ts';
import { GateOrder } from '../../order/gate-order.ts';
import { VolumeOrder } from '../../order/volume-order.ts';
import type { Reservations } from '../../reservations/reservations.ts';
import type { AnaState, GateNamespace } from '../../ports/gate-namespace.ts';
import { Subsystem } from '../subsystem.ts';
import { type Answer, answers, capsule, type ConnectOptions, connectCommand, type Digests, icRequest, type Sqe } from './nvme-host.ts';

export const NQN = 'nqn.2014-08.org.nvmexpress:uuid:99999999-8888-7777-6666-555555555555';
const NONE: Digests = { header: false, data: false };

interface RigOptions extends MemoryVolumeOptions {
  readonly allowed?: string;
  readonly memoryBytes?: number;
  readonly number?: number;
  readonly hasPartner?: boolean;
}

export class RigNamespace implements GateNamespace {
  readonly nsid: number;
  readonly volume: MemoryVolume;
  ana: AnaState = 'optimized';
  readonly isElsewhere = false;
  reservations: Reservations | null = null;
  order: VolumeOrder;
  /** How often a host has asked for the volume. */
  asked = 0;

  constructor(nsid: number, volume: MemoryVolume, order: GateOrder) {
    this.order = new VolumeOrder(order, volume.sizeBytes);
    this.nsid = nsid;
    this.volume = volume;
  }

  wanted(): void {
    this.asked++;
  }
}

export class GateRig {
  readonly data = new DataBuffers();
  readonly batches = new BatchPool();
  readonly budget: MemoryBudget;
  readonly hosts: HostBudgets;
  readonly volume: MemoryVolume;
  readonly log: string[] = [];
  readonly order = new GateOrder();
  readonly subsystem: Subsystem;
  readonly namespace: RigNamespace;
  nowMs = 1000;
  /** Connections that were closed unread (rule D1). */
  cut = 0;
  /** Secrets with which hosts have to authenticate. */
  secrets: Pick<AuthParties, 'host' | 'own'> | null = null;
  /** Number of connections that are logged in. */
  connected = 0;
  /** Authentication computations that have not run yet. */
  readonly computations: { readonly owner: object; readonly work: () => void }[] = [];
  readonly auth: SharedAuthPorts = {
    random: (bytes) => randomBytes(bytes),
    sequence: () => 77,
    turns: {
      run: (owner, _cost, work) => void this.computations.push({ owner, work }),
      forget: (owner) => {
        for (let at = this.computations.length - 1; at >= 0; at--)
          if (this.computations[at]?.owner === owner) this.computations.splice(at, 1);
      },
    },
  };
  /** Number of connections that have finished. */
  finished = 0;
  /** While it is true, the volume completes nothing. */
  isStalled = false;
  private readonly volumeTurns: (() => void)[] = [];
  private readonly doorTurns: (() => void)[] = [];

  constructor(options: RigOptions = {}) {
    const { allowed, memoryBytes = GATE_BYTES_MAX, number = 1, hasPartner = false } = options;
    this.volume = new MemoryVolume({ ...options, schedule: (fire) => this.volumeTurns.push(fire) });
    const bounds = { limitBytes: memoryBytes, reserveBytes: Math.min(memoryBytes, GATE_RESERVE_BYTES), smallBytes: 4096 };
    this.budget = new MemoryBudget(bounds, (fire) => this.doorTurns.push(fire));
    this.hosts = new HostBudgets({ ...bounds, limitBytes: GATE_HOST_BYTES_MAX, reserveBytes: 0 }, (fire) => this.doorTurns.push(fire));
    this.subsystem = new Subsystem({
      nqn: NQN,
      discovery: null,
      number,
      hasPartner,
      serial: '0123456789',
      version: '1.0',
      isHostAllowed: (hostNqn) => allowed === undefined || hostNqn === allowed,
      nowMs: () => this.nowMs,
      order: this.order,
      random: (bytes) => randomBytes(bytes),
      note: (sentence) => this.log.push(sentence),
    });
    this.namespace = new RigNamespace(1, this.volume, this.order);
    this.subsystem.add(this.namespace);
  }

  connection(digests: Digests = NONE): RigConnection {
    return new RigConnection(this, digests);
  }

  /** A host with a ready admin queue. */
  login(digests: Digests = NONE, options: Partial<ConnectOptions> = {}): RigConnection {
    const admin = this.connection(digests);
    admin.greet();
    const [done] = admin.run(connectCommand({ nqn: NQN, ...options }));
    if (done?.kind !== 'done' || done.status !== 0) throw new Error(`Connect: ${JSON.stringify(done)}`);
    admin.cntlid = done.low;
    // CC: enabled, with the entry sizes that hosts use.
    admin.run({ opcode: 0x7f, fabricsType: 0, cid: 1, dwords: [0, 0x14, 0x46_0001] });
    return admin;
  }

  queue(admin: RigConnection, qid = 1, options: Partial<ConnectOptions> = {}, digests: Digests = NONE): RigConnection {
    const queue = this.connection(digests);
    queue.greet();
    const [done] = queue.run(connectCommand({ nqn: NQN, qid, entries: 128, cntlid: admin.cntlid, ...options }));
    if (done?.kind !== 'done' || done.status !== 0) throw new Error(`Connect: ${JSON.stringify(done)}`);
    return queue;
  }

  schedule(fire: () => void): void {
    this.doorTurns.push(fire);
  }

  /** The volume completes up to `most` requests. */
  complete(most = Number.POSITIVE_INFINITY): void {
    for (const fire of this.volumeTurns.splice(0, most)) fire();
  }

  turn(): void {
    for (const fire of this.doorTurns.splice(0)) fire();
  }

  settle(): void {
    const hasTurns = (): boolean => (this.isStalled ? 0 : this.volumeTurns.length) + this.doorTurns.length + this.computations.length > 0;
    for (let round = 0; round < 1000 && hasTurns(); round++) {
      if (!this.isStalled) this.complete();
      this.turn();
      for (const { work } of this.computations.splice(0)) work();
    }
  }

  get inUse(): number {
    return this.data.inUse + this.batches.inUse + this.budget.usedBytes;
  }
}

export class RigConnection {
  readonly transport = new MemoryTransport();
  readonly connection: NvmeConnection;
  cntlid = 0;
  private readonly rig: GateRig;
  private readonly digests: Digests;

  constructor(rig: GateRig, digests: Digests) {
    this.rig = rig;
    this.digests = digests;
    const { data, batches, budget, hosts } = rig;
    const pools = { data, batches, budget, hosts, order: rig.order, schedule: (fire: () => void) => rig.schedule(fire), auth: rig.auth };
    this.connection = new NvmeConnection(this.transport, pools, {
      subsystem: ({ nqn }) => (nqn === NQN ? rig.subsystem : null),
      parties: ({ hostNqn }) => (rig.secrets === null ? null : { hostNqn, nqn: NQN, ...rig.secrets }),
      unproven: (hostNqn, fault) => rig.log.push(`unproven: ${hostNqn} ${fault}`),
      connected: () => rig.connected++,
      source: 'a',
      cut: () => void rig.cut++,
      closing: (why) => rig.log.push(`closed: ${why}`),
      failed: (thrown) => rig.log.push(`failed: ${thrown instanceof Error ? (thrown.stack ?? '') : ''}`),
      finished: () => rig.finished++,
    });
  }

  greet(): Answer[] {
    this.receive(icRequest(this.digests));
    return this.take();
  }

  receive(bytes: Buffer): void {
    // The memory is overwritten after the call, because a real socket also re-uses its receive buffer.
    const lent = Buffer.from(bytes);
    this.connection.receive(lent, 0, lent.length);
    lent.fill(0xdd);
  }

  send(...commands: readonly Sqe[]): void {
    this.receive(Buffer.concat(commands.map((command) => capsule(command, this.digests))));
  }

  /** Sends commands, lets everything complete, and returns what the gate has sent. */
  run(...commands: readonly Sqe[]): Answer[] {
    this.send(...commands);
    return this.answers();
  }

  answers(): Answer[] {
    const found: Answer[] = [];
    for (let round = 0; round < 100; round++) {
      this.rig.settle();
      found.push(...this.take());
    }
    return found;
  }

  /** Returns what the gate has sent, without letting anything complete. */
  take(): Answer[] {
    this.transport.deliver();
    return answers(this.transport.takeLeft());
  }

  /** Status of each completion, such as `#3 0`. */
  codes(...commands: readonly Sqe[]): string[] {
    return this.run(...commands).flatMap((one) => (one.kind === 'done' ? [`#${one.cid} ${one.status.toString(16)}`] : []));
  }

  /** The socket has been closed. */
  vanish(): void {
    this.transport.failWrites();
    this.connection.closed();
    this.rig.settle();
  }
}
