// Hosts of a SCSI target over volumes in memory: arbitrary command blocks and parameter lists, task management, reservations, ends of nexuses,
// lost volumes. Oracle: no exception. The engine answers each task at most once and leaves it exactly once; the data fits into the length
// that the host has announced; the buffer is bounded. No task remains after the answer to a reset, and no task is answered after its nexus
// has ended. In the end, no task remains.

import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { COMMANDS } from '@rsio/gates/scsi/command-table';
import { SCSI_PIECE_BYTES, SCSI_TRANSFER_MAX_BYTES } from '@rsio/gates/limits';
import type { TaskFunction } from '@rsio/gates/scsi/port';
import { cdb6, type RigHost, ScsiRig } from '@rsio/gates/scsi/testing/scsi-rig';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { mutatedScript, readScript, scriptPieces, type Step, step } from '../../makers/script.ts';

const KIND = { COMMAND: 0, VOLUME: 1, FAIL: 2, TIME: 3, MANAGE: 4, END: 5, DATA: 6, ACCESS: 7, SAVE: 8 } as const;
const KINDS = 9;
const HOSTS = 3;
const VOLUME_BYTES = 64 * 1024;
const ROUNDS_MAX = 1000;
const HEAD_BYTES = 20;
const FUNCTIONS: readonly TaskFunction[] = [
  'abort task',
  'abort task set',
  'clear task set',
  'lun reset',
  'target warm reset',
  'target cold reset',
  'query task',
  'query task set',
];
const STATUSES: readonly Status[] = [STATUS.OK, STATUS.OK, STATUS.IO_ERROR, STATUS.OUTCOME_UNKNOWN];
const STATES = ['active', 'active', 'standby', 'transitioning'] as const;

const OF_BLOCKS = COMMANDS.filter(({ place }) => place === 'blocks');

class Scene {
  private readonly rig: ScsiRig;
  private readonly hosts: RigHost[] = [];
  private lastTag = 0;

  constructor(options: number) {
    this.rig = new ScsiRig({
      sizeBytes: VOLUME_BYTES,
      blockSizeBytes: (options & 1) === 0 ? 512 : 4096,
      readonly: (options & 14) === 2,
      canDiscard: (options & 4) === 0,
      hasPartner: (options & 8) !== 0,
    });
    this.rig.newUnit(300, 'f'.repeat(32));
    for (let index = 0; index < HOSTS; index++) this.hosts.push(this.rig.host(`host${index >> 1}`, 1 + (index & 1)));
  }

  get isDeep(): boolean {
    return this.rig.unit.volume.seen.length > 0;
  }

  take({ kind, arg, bytes }: Step): void {
    const index = arg % HOSTS;
    const value = arg >>> 2;
    const host = this.hosts[index]!;
    switch (kind % KINDS) {
      case KIND.COMMAND:
        return this.command(host, bytes);
      case KIND.VOLUME:
        return this.rig.complete(1 + (value % 8));
      case KIND.FAIL:
        this.rig.unit.volume.fail = STATUSES[value % STATUSES.length]!;
        return;
      case KIND.TIME:
        this.rig.nowMs += value * 500;
        return this.rig.target.tick();
      case KIND.MANAGE:
        return this.manage(host, FUNCTIONS[value % FUNCTIONS.length]!);
      case KIND.END:
        if (value % 4 === 0) this.end(index);
        return;
      case KIND.DATA:
        for (const tag of [...host.planned.keys()].slice(0, 1)) host.release(tag);
        return;
      case KIND.ACCESS:
        this.rig.unit.access = STATES[value % STATES.length]!;
        return this.rig.target.accessChanged(0);
      default:
        this.rig.isAuto = value % 2 === 0;
        this.rig.saves.shift()?.[value % 4 === 1 ? 'reject' : 'resolve'](new Error('no path'));
    }
  }

  /** A command with its data: which unit, how many bytes its host announces, whether its data comes later, the command block, the data. */
  private command(host: RigHost, bytes: Buffer): void {
    if (bytes.length < HEAD_BYTES) return;
    const flags = bytes[0]!;
    const lun = [0, 0, 0, 300, 7, -1][flags & 7] ?? 0;
    const expected = bytes.readUIntBE(1, 3);
    const data = bytes.subarray(HEAD_BYTES);
    const out = Buffer.alloc(expected);
    data.copy(out);
    const attribute = (flags & 0xc0) === 0xc0 ? 'ordered' : 'simple';
    const options = (flags & 8) === 0 ? { expected, lun, attribute } : { out, lun, attribute };
    this.lastTag = host.start(bytes.subarray(4, HEAD_BYTES), options as Parameters<RigHost['start']>[1], (flags & 0x10) !== 0);
    for (const task of [...host.under, ...host.planned.values()]) {
      const isBounded = task.memoryBytes <= 2 * SCSI_TRANSFER_MAX_BYTES + SCSI_PIECE_BYTES && task.outBytes <= task.memoryBytes;
      expectThat(isBounded, `a task has a buffer of ${task.memoryBytes} bytes for ${task.outBytes}`);
      expectThat(task.outBytes <= (task.hasDataOut ? task.expectedBytes : 0), `a task wants ${task.outBytes} bytes of data`);
    }
  }

  private manage(host: RigHost, what: TaskFunction): void {
    const isReset = what === 'lun reset' || what === 'clear task set' || what.startsWith('target');
    const before = this.hosts.flatMap((one) => [...one.under].filter(({ lun }) => lun === 0).map((task) => [one, task, task.tag] as const));
    let answers = 0;
    host.nexus.manage({
      what,
      lun: 0,
      tag: this.lastTag,
      done: () => {
        answers++;
        expectThat(answers === 1, `${what} was answered twice`);
        const isOver = !isReset || before.every(([one, task, tag]) => !one.under.has(task) || task.tag !== tag);
        expectThat(isOver, `${what} was answered before the I/O behind it had ended`);
      },
    });
  }

  /** A host leaves, and another one comes. */
  private end(index: number): void {
    const host = this.hosts[index]!;
    let hasEnded = false;
    host.isLive = false;
    host.nexus.end(() => {
      expectThat(!hasEnded && host.under.size === 0, 'a nexus ended before its I/O');
      hasEnded = true;
    });
    this.gone.push(host);
    this.hosts[index] = this.rig.host(`host${index >> 1}`, 1 + (index & 1));
  }

  private readonly gone: RigHost[] = [];

  /** Ends each host that the engine wants to end. */
  follow(): void {
    for (const [index, { closedFor }] of this.hosts.entries()) if (closedFor !== null) this.end(index);
  }

  async finish(): Promise<void> {
    this.rig.unit.access = 'active';
    this.rig.isAuto = true;
    for (let round = 0; round < ROUNDS_MAX && this.isBusy; round++) {
      this.rig.settle();
      for (const one of this.rig.saves.splice(0)) one.resolve();
      await Promise.resolve();
      await Promise.resolve();
      this.rig.target.tick();
    }
    expectThat(!this.isBusy, 'tasks are left');
    for (const host of this.hosts) {
      host.answers.length = 0;
      while (host.send(cdb6(0x03, 0, 0, 0, 18)).data[2] !== 0);
      expectThat(host.end().hasEnded, 'an idle nexus did not end');
    }
    expectThat(this.rig.unit.volume.underWay === 0, 'the volume has requests');
  }

  private get isBusy(): boolean {
    return this.rig.waiting > 0 || [...this.hosts, ...this.gone].some(({ under }) => under.size > 0);
  }
}

async function run(input: Buffer): Promise<boolean> {
  const steps = readScript(input);
  const scene = new Scene(steps[0]?.arg ?? 0);
  for (const one of steps) {
    scene.take(one);
    scene.follow();
    if (one.kind % KINDS === KIND.SAVE) await Promise.resolve();
  }
  await scene.finish();
  return scene.isDeep;
}

/** A command block with likely fields. */
function commandBlock(random: SeededRandom): Buffer {
  const { opcode, action, usage } = random.pick(random.chance(0.5) ? OF_BLOCKS : COMMANDS);
  const cdb = Buffer.alloc(16);
  cdb[0] = random.chance(0.98) ? opcode : random.int(0, 255);
  for (let at = 1; at < usage.length; at++) if (random.chance(0.3)) cdb[at] = random.int(0, 255) & usage[at]!;
  if (action >= 0) cdb[1] = (cdb[1]! & 0xe0) | action;
  const [blocks, first] = [random.pick([0, 1, 2, 8, 100]), random.pick([0, 1, 5, 127, 128])];
  if (random.chance(0.7))
    switch (usage.length) {
      case 6:
        cdb[3] = first;
        cdb[4] = random.pick([blocks, 255]);
        break;
      case 10:
        cdb.writeUInt32BE(first, 2);
        cdb.writeUInt16BE(random.pick([blocks, 24, 255]), 7);
        break;
      case 12:
        cdb.writeUInt32BE(first, 2);
        cdb.writeUInt32BE(random.pick([blocks, 255]), 6);
        break;
      default:
        cdb.writeBigUInt64BE(BigInt(first), 2);
        cdb.writeUInt32BE(random.pick([blocks, 76, 104, 255]), 10);
    }
  if (opcode === 0x5f) cdb.writeUInt32BE(24, 5);
  if (opcode === 0x89) cdb[13] = random.pick([0, 1, 1, 2]);
  return cdb;
}

function parameterData(random: SeededRandom): Buffer {
  switch (random.int(0, 4)) {
    case 0: {
      // The keys have only a few values, so that reservations often have the same key.
      const list = Buffer.alloc(24);
      list[7] = random.int(0, 2);
      list[15] = random.int(0, 2);
      list[20] = random.pick([0, 0, 0, 1, 4, 8]);
      return list;
    }
    case 1: {
      const list = Buffer.alloc(8 + 16 * random.int(0, 4));
      list.writeUInt16BE(list.length - 8, 2);
      for (let at = 8; at < list.length; at += 16) {
        list.writeUInt32BE(random.pick([0, 3, 127, 128]), at + 4);
        list.writeUInt32BE(random.pick([0, 1, 8, 0xffff_ffff]), at + 8);
      }
      return list;
    }
    case 2:
      return Buffer.from([0, 0, 0, 0, 0x0a, 10, random.pick([0, 4]), 0x10, random.pick([0, 8]), 0, 0, 0, 0xff, 0xff, 0, 0]);
    case 3:
      return Buffer.alloc(random.pick([512, 1024, 4096]), random.int(0, 1));
    default:
      return random.bytes(random.int(0, 100));
  }
}

function make(random: SeededRandom): Buffer {
  const command = (): Step => {
    const data = parameterData(random);
    const head = Buffer.alloc(HEAD_BYTES);
    head[0] = random.int(0, 255) & random.pick([0x08, 0x18, 0xc8, 0xdf, 0x00, 0xff]);
    head.writeUIntBE(random.pick([data.length, data.length, 512, 4096, 51_200, 0, random.int(0, 70_000)]), 1, 3);
    commandBlock(random).copy(head, 4);
    return step(KIND.COMMAND, random.int(0, 255), Buffer.concat([head, data]));
  };
  const one = (): Step => {
    if (random.chance(0.6)) return command();
    const { VOLUME, FAIL, TIME, MANAGE, END, DATA, ACCESS, SAVE } = KIND;
    const kind = random.pick([VOLUME, VOLUME, VOLUME, DATA, DATA, FAIL, TIME, MANAGE, MANAGE, END, ACCESS, SAVE]);
    return step(kind, random.int(0, 255));
  };
  // The first step chooses the volume.
  const steps = [step(KIND.VOLUME, random.pick([0, 0, 1, 2, 4, 8, 9])), ...Array.from({ length: random.int(1, 40) }, one)];
  return mutatedScript(random, steps, one);
}

export const scsiCommands: FuzzTarget = {
  name: 'scsi-commands',
  deep: 'the volume was asked for something',
  fixedSeeds: 250,
  make,
  run,
  pieces: scriptPieces,
};
