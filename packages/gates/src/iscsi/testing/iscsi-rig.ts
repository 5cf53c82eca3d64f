// An iSCSI gate with a volume in memory and raw initiators, for tests. The test decides when the volume completes, when a turn of the event
// loop ends, and what the time is.

import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import { DataBuffers } from '@rsio/rsiod/frontends/streams/data-buffers';
import { MemoryBudget } from '@rsio/rsiod/frontends/streams/memory-budget';
import { BatchPool } from '@rsio/rsiod/frontends/streams/transport';
import { MemoryTransport } from '@rsio/rsiod/frontends/nbd/testing/memory-transport';
import { MemoryVolume, type MemoryVolumeOptions } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import type { AnaState, GateNamespace } from '../../ports/gate-namespace.ts';
import type { GateConnection } from '../../ports/gate-protocol.ts';
import { IscsiProtocol } from '../../iscsi-protocol.ts';
import { GATE_BYTES_MAX, GATE_HOST_BYTES_MAX, GATE_RESERVE_BYTES } from '../../limits.ts';
import { HostBudgets } from '../../ports/host-budgets.ts';
import { GateOrder } from '../../order/gate-order.ts';
import { VolumeOrder } from '../../order/volume-order.ts';
import { Reservations } from '../../reservations/reservations.ts';
import {
  HOST,
  type HostDigests,
  keysOf,
  type LoginFields,
  loginPdu,
  pdu,
  type PduFields,
  type TargetPdu,
  targetPdus,
} from './iscsi-host.ts';

export const TARGET = 'iqn.2026-01.org.example:gate';
export const LUN = 3;
const NO_TAG = 0xffff_ffff;

interface RigOptions extends MemoryVolumeOptions {
  readonly memoryBytes?: number;
  readonly config?: Partial<ClientGateConfig>;
}

export class RigUnit implements GateNamespace {
  readonly nsid = LUN;
  readonly volume: MemoryVolume;
  readonly reservations = new Reservations(null, () => Promise.resolve());
  order: VolumeOrder;
  ana: AnaState = 'optimized';
  isElsewhere = false;
  asked = 0;

  constructor(volume: MemoryVolume, order: GateOrder) {
    this.volume = volume;
    this.order = new VolumeOrder(order, volume.sizeBytes);
  }

  wanted(): void {
    this.asked++;
  }
}

export class IscsiRig {
  readonly data = new DataBuffers();
  readonly batches = new BatchPool();
  readonly budget: MemoryBudget;
  readonly hosts: HostBudgets;
  readonly volume: MemoryVolume;
  readonly unit: RigUnit;
  readonly protocol: IscsiProtocol;
  readonly log: string[] = [];
  readonly order = new GateOrder();
  config: ClientGateConfig;
  nowMs = 1_000;
  /** Connections that were closed unread (rule D1). */
  cut = 0;
  finished = 0;
  proven = 0;
  /** While it is true, the volume completes nothing. */
  isStalled = false;
  private readonly volumeTurns: (() => void)[] = [];
  private readonly gateTurns: (() => void)[] = [];

  constructor(options: RigOptions = {}) {
    const { memoryBytes = GATE_BYTES_MAX, config = {} } = options;
    this.config = {
      name: 'hv',
      protocol: 'iscsi',
      nqn: null,
      addresses: [{ address: '192.0.2.5', port: 3260 }],
      hosts: null,
      volumes: 'all',
      member: null,
      secretFile: null,
      secrets: null,
      tls: false,
      tlsKeys: new Map(),
      ...config,
    };
    this.volume = new MemoryVolume({ ...options, schedule: (fire) => this.volumeTurns.push(fire) });
    Object.assign(this.volume, { id: '12345678-9abc-4def-8123-456789abcdef' });
    const bounds = { limitBytes: memoryBytes, reserveBytes: Math.min(memoryBytes, GATE_RESERVE_BYTES), smallBytes: 8192 };
    this.budget = new MemoryBudget(bounds, (fire) => this.gateTurns.push(fire));
    this.hosts = new HostBudgets({ ...bounds, limitBytes: GATE_HOST_BYTES_MAX, reserveBytes: 0 }, (fire) => this.gateTurns.push(fire));
    const ports = {
      name: TARGET,
      version: '1.0',
      config: () => this.config,
      nowMs: () => this.nowMs,
      note: (sentence: string) => void this.log.push(sentence),
    };
    this.protocol = new IscsiProtocol(ports, this.pools());
    this.unit = new RigUnit(this.volume, this.order);
    this.protocol.target.add(this.unit);
  }

  pools(): ConstructorParameters<typeof IscsiProtocol>[1] {
    const schedule = (fire: () => void): void => void this.gateTurns.push(fire);
    return { data: this.data, batches: this.batches, budget: this.budget, hosts: this.hosts, order: this.order, schedule };
  }

  /** A host that has logged in with these keys. */
  login(keys: Readonly<Record<string, string>> = {}, fields: Partial<LoginFields> & { readonly host?: string } = {}): RigHost {
    const host = new RigHost(this);
    host.login(keys, fields);
    return host;
  }

  /** The same, after the host has taken the unit attention that reports the new unit. */
  ready(keys: Readonly<Record<string, string>> = {}, fields: Partial<LoginFields> & { readonly host?: string } = {}): RigHost {
    const host = this.login(keys, fields);
    host.send(host.command([0, 0, 0, 0, 0, 0]));
    return host;
  }

  complete(most = Number.POSITIVE_INFINITY): void {
    for (const fire of this.volumeTurns.splice(0, most)) fire();
  }

  turn(): void {
    for (const fire of this.gateTurns.splice(0)) fire();
  }

  settle(): void {
    for (let round = 0; round < 1000 && (this.isStalled ? 0 : this.volumeTurns.length) + this.gateTurns.length > 0; round++) {
      if (!this.isStalled) this.complete();
      this.turn();
    }
  }

  get inUse(): number {
    return this.data.inUse + this.batches.inUse + this.budget.usedBytes;
  }
}

/** The gate wants an answer. */
function isPing({ opcode, tag }: TargetPdu): boolean {
  return opcode === 0x20 && tag === NO_TAG;
}

export class RigHost {
  readonly transport = new MemoryTransport();
  readonly connection: GateConnection;
  digests: HostDigests = { header: false, data: false };
  cmdSn = 1;
  /** Whether the host answers pings, as hosts do; the test does not see them then. */
  answersPings = true;
  private readonly rig: IscsiRig;
  private rest: Buffer = Buffer.alloc(0);

  constructor(rig: IscsiRig) {
    this.rig = rig;
    this.connection = rig.protocol.connect(this.transport, {
      proven: () => rig.proven++,
      refused: (sentence) => void rig.log.push(`refused: ${sentence}`),
      source: 'a',
      cut: () => void rig.cut++,
      closing: (why) => void rig.log.push(`closed: ${why}`),
      failed: (thrown) => void rig.log.push(`failed: ${thrown instanceof Error ? (thrown.stack ?? '') : ''}`),
      finished: () => rig.finished++,
    });
  }

  login(keys: Readonly<Record<string, string>>, fields: Partial<LoginFields> & { readonly host?: string } = {}): void {
    const own = { InitiatorName: fields.host ?? HOST, SessionType: 'Normal', TargetName: TARGET };
    const [answer] = this.send(loginPdu({ stage: 1, next: 3, keys: { ...own, ...keys }, ...fields }));
    if (answer?.opcode !== 0x23 || answer.head.readUInt16BE(36) !== 0) throw new Error(`Login: ${JSON.stringify(answer)}`);
    const { HeaderDigest, DataDigest } = keysOf(answer.data);
    this.digests = { header: HeaderDigest === 'CRC32C', data: DataDigest === 'CRC32C' };
  }

  receive(bytes: Buffer): void {
    // The memory is overwritten after the call, because a real socket also re-uses its receive buffer.
    const lent = Buffer.from(bytes);
    this.connection.receive(lent, 0, lent.length);
    lent.fill(0xdd);
  }

  /** Sends bytes, lets everything complete, and returns what the gate has sent. */
  send(bytes: Buffer): TargetPdu[] {
    this.receive(bytes);
    return this.answers();
  }

  answers(): TargetPdu[] {
    const found: TargetPdu[] = [];
    for (let round = 0; round < 20; round++) {
      this.rig.settle();
      found.push(...this.take());
    }
    return found;
  }

  /** Returns what the gate has sent, without letting anything complete. */
  take(): TargetPdu[] {
    this.transport.deliver();
    const { pdus, rest } = targetPdus(Buffer.concat([this.rest, this.transport.takeLeft()]), this.digests);
    this.rest = rest;
    if (!this.answersPings) return pdus;
    const pings = pdus.filter(isPing);
    for (const { head } of pings) this.pong(head.readUInt32BE(20));
    return pdus.filter((one) => !isPing(one));
  }

  /** Answers the ping with this tag. */
  pong(tag: number): void {
    this.receive(this.bytes({ opcode: 0, isImmediate: true, tag: NO_TAG, words: { 20: tag, 24: this.cmdSn } }));
  }

  bytes(fields: PduFields): Buffer {
    return pdu(fields, this.digests);
  }

  /** A SCSI command with the next command number. */
  command(cdb: readonly number[], options: Partial<PduFields> & { readonly bytes?: number } = {}): Buffer {
    const direction = options.bytes === undefined ? 0 : cdb[0] === 0x2a ? 0x20 : 0x40;
    const sn = options.isImmediate === true ? this.cmdSn : this.cmdSn++;
    const words = { 20: options.bytes ?? 0, 24: sn, ...options.words };
    return this.bytes({ opcode: 1, lun: LUN, tag: 100 + sn, ...options, cdb, words, flags: options.flags ?? 0x80 | direction });
  }

  dataOut(tag: number, transferTag: number, offset: number, data: Buffer, options: { sn?: number; isFinal?: boolean } = {}): Buffer {
    const { sn = 0, isFinal = true } = options;
    return this.bytes({ opcode: 5, flags: isFinal ? 0x80 : 0, tag, words: { 20: transferTag, 36: sn, 40: offset }, data });
  }

  /** The socket has been closed. */
  vanish(): void {
    this.transport.failWrites();
    this.connection.closed();
    this.rig.settle();
  }
}
