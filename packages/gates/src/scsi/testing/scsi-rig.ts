// A target with a volume in memory and hosts without a transport, for tests. The test decides when the volume completes, when a state is saved,
// and what the time is. A host reads its answers without the codec of the engine.

import { MemoryVolume, type MemoryVolumeOptions } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import { GateOrder } from '../../order/gate-order.ts';
import type { GatePath } from '../../order/gate-path.ts';
import { VolumeOrder } from '../../order/volume-order.ts';
import { Reservations } from '../../reservations/reservations.ts';
import type { ReservationState } from '@rsio/rsiod/notes/reservation-state';
import type { ScsiNexus, TaskFunction, TaskOwner } from '../port.ts';
import { ScsiTask } from '../scsi-task.ts';
import { ScsiTarget } from '../target.ts';
import type { AccessState, UnitPort } from '../unit-port.ts';

export const TARGET_NAME = 'iqn.2026-01.example:disks';

export class RigUnit implements UnitPort {
  readonly lun: number;
  readonly volume: MemoryVolume;
  access: AccessState = 'active';
  reservations: Reservations | null;
  order: VolumeOrder | null = null;
  orders = 0;
  canOrder = true;

  constructor(lun: number, volume: MemoryVolume, reservations: Reservations | null) {
    this.lun = lun;
    this.volume = volume;
    this.reservations = reservations;
  }

  orderHere(): boolean {
    this.orders++;
    return this.canOrder;
  }
}

/** A MemoryVolume with an id of its own. */
class NamedVolume extends MemoryVolume {
  override readonly id: 'id';

  constructor(id: string, options: MemoryVolumeOptions) {
    super(options);
    this.id = id as 'id';
  }
}

export interface ScsiRigOptions extends MemoryVolumeOptions {
  readonly hasPartner?: boolean;
  readonly state?: ReservationState;
  /** Whether units keep the order of the changes of several paths (rule D1). Hosts then answer nothing until `proves`. */
  readonly isOrdered?: boolean;
}

export class ScsiRig {
  readonly target: ScsiTarget;
  readonly unit: RigUnit;
  readonly saved: ReservationState[] = [];
  readonly order = new GateOrder();
  /** Pending saves, which the test completes; used while `isAuto` is false. */
  readonly saves: { resolve: () => void; reject: (error: Error) => void }[] = [];
  isAuto = true;
  nowMs = 1000;
  private readonly turns: (() => void)[] = [];
  private readonly options: ScsiRigOptions;

  constructor(options: ScsiRigOptions = {}) {
    this.options = options;
    this.target = new ScsiTarget({
      hasPartner: options.hasPartner ?? false,
      member: 1,
      targetName: TARGET_NAME,
      version: '1.0',
      ports: () => [1],
      nowMs: () => this.nowMs,
    });
    this.unit = this.newUnit(0, '00112233-4455-6677-8899-aabbccddeeff');
  }

  newUnit(lun: number, id: string): RigUnit {
    const volume = new NamedVolume(id, { ...this.options, schedule: (fire) => this.turns.push(fire) });
    const reservations = new Reservations(this.options.state ?? null, (state) => {
      this.saved.push(state);
      return this.isAuto ? Promise.resolve() : new Promise((resolve, reject) => void this.saves.push({ resolve, reject }));
    });
    const unit = new RigUnit(lun, volume, reservations);
    if (this.options.isOrdered === true) unit.order = new VolumeOrder(this.order, volume.sizeBytes);
    this.target.show(unit);
    return unit;
  }

  /** A host that has already received its first unit attention. */
  host(name = 'a', targetPort = 1): RigHost {
    const host = new RigHost(this, name, targetPort);
    for (const lun of this.target.luns) host.start(cdb6(0), { lun });
    host.answers.length = 0;
    return host;
  }

  complete(most = Number.POSITIVE_INFINITY): void {
    for (const fire of this.turns.splice(0, most)) fire();
  }

  settle(): void {
    while (this.turns.length > 0) this.complete();
  }

  get waiting(): number {
    return this.turns.length;
  }
}

export interface SendOptions {
  readonly out?: Buffer;
  /** Bytes that the host announces; by default the length of `out`, or a large number. */
  readonly expected?: number;
  readonly lun?: number;
  readonly attribute?: ScsiTask['attribute'];
}

export interface RigAnswer {
  readonly tag: number;
  readonly status: number;
  /** Sense key, additional sense code and qualifier, such as '5/2400'; empty if there is no sense data. */
  readonly sense: string;
  /** The wrong byte of the command block according to sense data in fixed form; -1 if the data names none. */
  readonly pointer: number;
  readonly data: Buffer;
  readonly presented: number;
  /** The answer in short form: `good`, the name of a status, or the sense. */
  readonly short: string;
}

const STATUSES: Readonly<Record<number, string>> = { 0: 'good', 2: 'check', 8: 'busy', 0x18: 'conflict' };

export class RigHost implements TaskOwner {
  readonly nexus: ScsiNexus;
  readonly answers: RigAnswer[] = [];
  /** Tasks that were passed to the engine and have not ended. */
  readonly under = new Set<ScsiTask>();
  /** Tasks whose data the test sends later. */
  readonly planned = new Map<number, ScsiTask>();
  closedFor: string | null = null;
  isLive = true;
  private lastTag = 0;
  readonly rig: ScsiRig;

  readonly path: GatePath;
  /** How often the engine has asked the host for a sign that it holds the path. */
  asked = 0;

  constructor(rig: ScsiRig, name: string, targetPort: number) {
    this.rig = rig;
    this.path = rig.order.newPath({ nowMs: () => rig.nowMs, roundTrip: () => this.asked++ });
    this.nexus = rig.target.begin({
      initiatorName: `iqn.2026-01.example:${name}`,
      initiatorPort: `iqn.2026-01.example:${name},i,0x000000000001`,
      targetPort,
      path: this.path,
      owner: this,
    });
  }

  answer(task: ScsiTask): void {
    const { tag, status, sense, senseBytes, data, dataOffset, dataBytes, presentedBytes } = task;
    if (!this.isLive || this.answers.some((one) => one.tag === tag)) throw new Error(`Task ${tag} is answered again, or after the end`);
    if (dataBytes > task.expectedBytes) throw new Error(`Task ${tag} has ${dataBytes} bytes for ${task.expectedBytes}`);
    const code = senseBytes === 0 ? '' : senseText(sense.subarray(0, senseBytes));
    this.answers.push({
      tag,
      status,
      sense: code,
      pointer: senseBytes >= 18 && (sense[15]! & 0xc0) === 0xc0 ? sense.readUInt16BE(16) : -1,
      data: Buffer.from(data.subarray(dataOffset, dataOffset + dataBytes)),
      presented: presentedBytes,
      short: code === '' ? (STATUSES[status] ?? String(status)) : code,
    });
  }

  left(task: ScsiTask): void {
    if (!this.under.delete(task)) throw new Error(`Task ${task.tag} is left twice`);
    task.buffer.fill(0xdd);
  }

  mayContinue(): boolean {
    return this.isLive;
  }

  drop(lun: number | null, tag: number | null): boolean {
    let isHit = false;
    for (const [known, task] of this.planned)
      if ((lun === null || task.lun === lun) && (tag === null || known === tag)) isHit = this.planned.delete(known) || isHit;
    return isHit;
  }

  close(why: string): void {
    this.closedFor = why;
  }

  /** Plans a command; returns its tag. It is executed when `isHeld` is false. */
  start(cdb: Buffer, { out, expected, lun = 0, attribute = 'simple' }: SendOptions = {}, isHeld = false): number {
    const task = new ScsiTask();
    task.tag = ++this.lastTag;
    task.lun = lun;
    task.attribute = attribute;
    task.cdb.fill(0);
    cdb.copy(task.cdb);
    task.hasDataOut = out !== undefined;
    task.expectedBytes = expected ?? out?.length ?? 8 * 1024 * 1024;
    if (!this.nexus.plan(task)) this.answer(task);
    else {
      task.buffer = Buffer.alloc(task.memoryBytes, 0xee);
      out?.copy(task.buffer, 0, 0, task.outBytes);
      if (isHeld) this.planned.set(task.tag, task);
      else this.execute(task);
    }
    return task.tag;
  }

  private execute(task: ScsiTask): void {
    this.under.add(task);
    this.nexus.execute(task);
  }

  /** The data of a held command has arrived. */
  release(tag: number): void {
    const task = this.planned.get(tag);
    if (task === undefined || !this.planned.delete(tag)) throw new Error(`Task ${tag} is not held`);
    this.execute(task);
  }

  answerTo(tag: number): RigAnswer | null {
    return this.answers.find((one) => one.tag === tag) ?? null;
  }

  /** Sends a command, lets the volume complete everything, and returns the answer. */
  send(cdb: Buffer, options: SendOptions = {}): RigAnswer {
    const tag = this.start(cdb, options);
    this.rig.settle();
    const answer = this.answerTo(tag);
    if (answer === null) throw new Error(`Task ${tag} has no answer`);
    return answer;
  }

  /** Like `send`, and waits until states are saved. */
  async sendAsync(cdb: Buffer, options: SendOptions = {}): Promise<RigAnswer> {
    const tag = this.start(cdb, options);
    for (let round = 0; round < 6; round++) {
      this.rig.settle();
      await Promise.resolve();
    }
    const answer = this.answerTo(tag);
    if (answer === null) throw new Error(`Task ${tag} has no answer`);
    return answer;
  }

  /** Returns the answer to the function, or null if the function is still waiting. */
  manage(what: TaskFunction, tag = 0, lun = 0): { answer: string | null } {
    const found: { answer: string | null } = { answer: null };
    this.nexus.manage({ what, lun, tag, done: (answer) => void (found.answer = answer) });
    return found;
  }

  end(): { hasEnded: boolean } {
    const found = { hasEnded: false };
    this.isLive = false;
    this.nexus.end(() => void (found.hasEnded = true));
    return found;
  }
}

function senseText(sense: Buffer): string {
  const isDescriptor = (sense[0]! & 0x7f) === 0x72;
  const key = (isDescriptor ? sense[1]! : sense[2]!) & 0x0f;
  const code = isDescriptor ? sense.readUInt16BE(2) : sense.readUInt16BE(12);
  return `${key.toString(16)}/${code.toString(16).padStart(4, '0')}`;
}

export function cdb6(opcode: number, one = 0, two = 0, three = 0, four = 0, control = 0): Buffer {
  return Buffer.from([opcode, one, two, three, four, control]);
}

export function cdb10(opcode: number, lba: number, blocks: number, flags = 0): Buffer {
  const cdb = Buffer.alloc(10);
  cdb[0] = opcode;
  cdb[1] = flags;
  cdb.writeUInt32BE(lba, 2);
  cdb.writeUInt16BE(blocks, 7);
  return cdb;
}

export function cdb12(opcode: number, lba: number, blocks: number, flags = 0): Buffer {
  const cdb = Buffer.alloc(12);
  cdb[0] = opcode;
  cdb[1] = flags;
  cdb.writeUInt32BE(lba, 2);
  cdb.writeUInt32BE(blocks, 6);
  return cdb;
}

export function cdb16(opcode: number, lba: number | bigint, blocks: number, flags = 0): Buffer {
  const cdb = Buffer.alloc(16);
  cdb[0] = opcode;
  cdb[1] = flags;
  cdb.writeBigUInt64BE(BigInt(lba), 2);
  cdb.writeUInt32BE(blocks, 10);
  return cdb;
}

/** The parameter list of PERSISTENT RESERVE OUT. */
export function prList(key: bigint, serviceKey: bigint, flags = 0): Buffer {
  const list = Buffer.alloc(24);
  list.writeBigUInt64BE(key, 0);
  list.writeBigUInt64BE(serviceKey, 8);
  list[20] = flags;
  return list;
}

export function prOut(action: number, type = 0): Buffer {
  const cdb = Buffer.alloc(10);
  cdb[0] = 0x5f;
  cdb[1] = action;
  cdb[2] = type;
  cdb.writeUInt32BE(24, 5);
  return cdb;
}

export function prIn(action: number, allocated = 8192): Buffer {
  return cdb10(0x5e, 0, allocated, action);
}
