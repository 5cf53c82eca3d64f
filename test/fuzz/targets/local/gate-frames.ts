// Frames of hosts to a gate for AoE, over a volume in memory: ATA commands, config strings, mask lists, reservations, queries to all, old
// frames, and arbitrary other bytes, in records of the helper that are cut anywhere. Oracle: no exception. Each frame has at most one answer
// for each volume, to its sender. A write is executed only if the gate permits writes, the frame is young, and the frame is for one volume.
// The data that hosts store stays within its bounds. The commands of a volume are bounded, and none is left at the end.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { AoeEngine } from '@rsio/gates/aoe/aoe-engine';
import { AoeTarget, type Notes } from '@rsio/gates/aoe/aoe-target';
import { OutputBatch } from '@rsio/gates/aoe/output-batch';
import { RecordReader } from '@rsio/gates/aoe/record-reader';
import {
  ata,
  config,
  EVERYONE,
  frame,
  GATE,
  type Header,
  HOST,
  mask,
  OTHER,
  replyIn,
  reserve,
} from '@rsio/gates/aoe/testing/raw-initiator';
import {
  AOE_CHANGE_MS,
  AOE_CONFIG_MAX_BYTES,
  AOE_FRAME_MAX_BYTES,
  AOE_MACS_MAX,
  AOE_VOLUME_COMMANDS_MAX,
  AOE_WRITE_AGE_MS,
} from '@rsio/gates/limits';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { ScriptedVolume, VOLUME_BYTES } from '../../fixtures/scripted-volume.ts';
import { mutatedScript, readScript, scriptPieces, type Step, step } from '../../makers/script.ts';

const KIND = { FRAME: 0, VOLUME: 1, FAIL: 2, TIME: 3, RAW: 4, LATEST: 5 } as const;
const KINDS = 6;
const SHELF = 7;
const AGES_MS = [0, 0, 0, 1, AOE_WRITE_AGE_MS, AOE_WRITE_AGE_MS + 1, 100_000, -1_000];
const TIMES_MS = [1, AOE_CHANGE_MS, 1_000, 60_000];
const TURNS = 4;

/** The clock of the current scene. All scenes share the memory of the output, because making this memory takes longer than an input. */
let current: FakeClock;
const output = new OutputBatch({ soon: (fire) => current.soon(fire) });

class Scene {
  readonly clock = new FakeClock();
  readonly storage: ScriptedVolume;
  private readonly engine: AoeEngine;
  private readonly target: AoeTarget;
  private readonly cuts = new SeededRandom(5);
  private readonly reader: RecordReader;
  private isBroken = false;
  private answers: Buffer[] = [];
  /** For each sender: the number of its frames, minus the number of answers to them. */
  private readonly open = new Map<string, number>();

  constructor(options: number) {
    current = this.clock;
    this.storage = new ScriptedVolume(options);
    this.engine = new AoeEngine({
      shelf: SHELF,
      version: '1',
      clock: this.clock,
      output,
      stoodStill: () => false,
      warn: () => undefined,
    });
    this.engine.card = { mac: Number.parseInt(GATE.replaceAll(':', ''), 16), mtu: (options & 8) === 0 ? 9_000 : 1_500 };
    this.engine.hosts = null;
    this.engine.hasUnsafeWrites = (options & 16) === 0;
    const none: Notes = { config: Buffer.alloc(0), masks: [], reserved: [] };
    this.target = new AoeTarget(0, this.storage.volume, none, () =>
      (options & 32) === 0 ? Promise.resolve() : Promise.reject(new Error('full')),
    );
    this.engine.targets.set(0, this.target);
    this.reader = new RecordReader({
      record: (bytes, start, end, timeUs) => this.frame(bytes, start, end, timeUs),
      broken: () => {
        this.isBroken = true;
      },
    });
    output.connect((bytes, lengthBytes, sent) => {
      for (let at = 0; at < lengthBytes; at += 4 + bytes.readUInt32BE(at))
        this.answers.push(Buffer.from(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at))));
      sent();
    });
  }

  async take({ kind, arg, bytes }: Step): Promise<void> {
    switch (kind % KINDS) {
      case KIND.FRAME:
        this.record(bytes.subarray(0, AOE_FRAME_MAX_BYTES), AGES_MS[arg % AGES_MS.length]!);
        break;
      case KIND.VOLUME:
        this.storage.answerSome(arg);
        break;
      case KIND.LATEST:
        this.storage.answerLatest(arg);
        break;
      case KIND.FAIL:
        this.storage.failNext(arg);
        break;
      case KIND.TIME:
        this.clock.advance(TIMES_MS[arg % TIMES_MS.length]!);
        break;
      default:
        this.pass(bytes);
    }
    await this.judge();
  }

  async finish(): Promise<void> {
    while (this.storage.isWaiting) this.storage.answerAll();
    await this.judge();
    expectThat(this.engine.inVolumes === 0 && this.target.inVolume === 0, `${this.engine.inVolumes} commands are left`);
  }

  private record(bytes: Buffer, ageMs: number): void {
    const head = Buffer.alloc(12);
    head.writeUInt32BE(8 + bytes.length);
    head.writeBigUInt64BE(BigInt(Math.max(1, (this.clock.wallMs() - ageMs) * 1000)), 4);
    const whole = Buffer.concat([head, bytes]);
    const at = this.cuts.int(0, whole.length);
    for (const part of this.cuts.chance(0.5) ? [whole] : [whole.subarray(0, at), whole.subarray(at)]) this.pass(part);
  }

  private pass(bytes: Buffer): void {
    if (this.isBroken) return;
    const lent = Buffer.from(bytes);
    this.reader.receive(lent, lent.length);
    lent.fill(0xdd);
  }

  private frame(bytes: Buffer, start: number, end: number, timeUs: number): void {
    expectThat(end - start <= AOE_FRAME_MAX_BYTES, `a frame of ${end - start} bytes`);
    if (timeUs === 0) return;
    const ageMs = this.clock.wallMs() - timeUs / 1000;
    const before = this.writes();
    if (end - start >= 24) this.count(bytes.toString('hex', start + 6, start + 12), 1);
    this.engine.receive(bytes, start, end, timeUs);
    const isForOne = end - start >= 36 && bytes[start + 18] === 0 && bytes.readUInt16BE(start + 16) === SHELF;
    const mayWrite =
      this.engine.hasUnsafeWrites &&
      isForOne &&
      Math.abs(ageMs) <= AOE_WRITE_AGE_MS &&
      bytes.toString('hex', start, start + 6) === GATE.replaceAll(':', '');
    expectThat(this.writes() - before <= (mayWrite ? 1 : 0), 'a write was executed that is not allowed');
  }

  private writes(): number {
    return this.storage.volume.seen.reduce((sum, one) => sum + (one.startsWith('write') ? 1 : 0), 0);
  }

  private count(mac: string, change: number): void {
    this.open.set(mac, (this.open.get(mac) ?? 0) + change);
  }

  private async judge(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
    this.clock.advance(0);
    for (const bytes of this.answers.splice(0)) {
      const { to, from, flags, address } = replyIn(bytes);
      expectThat(flags.startsWith('R') && from === GATE && address === `${SHELF}.0` && to !== EVERYONE, `a strange answer to ${to}`);
      this.count(to.replaceAll(':', ''), -1);
      expectThat((this.open.get(to.replaceAll(':', '')) ?? -1) >= 0, `${to} got more answers than it has sent frames`);
    }
    const { underWay } = this.storage.volume;
    expectThat(underWay <= AOE_VOLUME_COMMANDS_MAX, `${underWay} requests are in the volume`);
    const { config: text, masks, reserved } = this.target.notes;
    expectThat(
      text.length <= AOE_CONFIG_MAX_BYTES && masks.length <= AOE_MACS_MAX && reserved.length <= AOE_MACS_MAX,
      'too much is stored',
    );
  }
}

async function run(input: Buffer): Promise<boolean> {
  const steps = readScript(input);
  const scene = new Scene(steps[0]?.arg ?? 0);
  for (const one of steps) await scene.take(one);
  await scene.finish();
  return scene.storage.volume.seen.length > 0;
}

function header(random: SeededRandom): Header {
  return {
    to: random.chance(0.9) ? GATE : random.pick([EVERYONE, OTHER]),
    from: random.pick([HOST, HOST, HOST, OTHER, EVERYONE]),
    shelf: random.chance(0.9) ? SHELF : random.pick([0, 8, 0xffff]),
    slot: random.chance(0.9) ? 0 : random.pick([1, 0xff]),
    tag: random.int(0, 2 ** 32 - 1),
    version: random.chance(0.98) ? 1 : random.int(0, 15),
    flags: random.chance(0.98) ? 0 : random.int(0, 15),
  };
}

function made(random: SeededRandom): Buffer {
  const head = header(random);
  const macs = Array.from({ length: random.pick([0, 1, 1, 2, 60]) }, () =>
    random.pick([HOST, OTHER, `02:00:00:00:01:${random.int(16, 99)}`]),
  );
  switch (random.int(0, 7)) {
    case 0:
      return config(random.int(0, 5), 'abcabcabc'.slice(0, random.int(0, 9)).repeat(random.pick([1, 1, 1, 150])), head);
    case 1:
      return mask(
        random.int(0, 2),
        macs.map((one) => [random.pick([0, 1, 1, 2, 2, 3]), one] as const),
        head,
      );
    case 2:
      return reserve(random.pick([0, 1, 1, 2, 2, 3]), random.chance(0.5) ? [] : macs, head);
    case 3:
      return frame(random.int(0, 255), random.bytes(random.int(0, 60)), head);
    default: {
      const command = random.pick([0x20, 0x24, 0x24, 0x30, 0x34, 0x34, 0xec, 0xe7, 0xea, random.int(0, 255)]);
      const isLong = command === 0x24 || command === 0x34;
      const isWrite = command === 0x30 || command === 0x34;
      const sectors = random.pick([0, 1, 2, 17, 17, random.int(0, 255)]);
      const flags = random.chance(0.97) ? (isLong ? 0x40 : 0) + (isWrite ? 1 : 0) : random.int(0, 255);
      const data = Buffer.alloc(isWrite ? 512 * Math.min(sectors, 17) : 0, random.int(0, 255));
      return ata(
        { command, lba: random.pick([0, 1, VOLUME_BYTES / 512 - 1, random.int(0, VOLUME_BYTES / 512), 2 ** 40]), sectors, flags, data },
        head,
      );
    }
  }
}

function make(random: SeededRandom): Buffer {
  const one = (): Step => {
    if (random.chance(0.01)) return step(KIND.RAW, 0, random.bytes(random.int(1, 40)));
    if (random.chance(0.5)) return step(KIND.FRAME, random.pick([0, 0, 0, random.int(0, 255)]), made(random));
    return step(random.pick([KIND.VOLUME, KIND.VOLUME, KIND.LATEST, KIND.TIME, KIND.TIME, KIND.FAIL]), random.int(0, 255));
  };
  // The first step chooses the volume and the gate, and lets time pass.
  const steps = [
    step(KIND.TIME, random.pick([0, 0, 1, 2, 8, 16, 32, random.int(0, 63)])),
    ...Array.from({ length: random.int(1, 40) }, one),
  ];
  return mutatedScript(random, steps, one);
}

export const gateFrames: FuzzTarget = {
  name: 'gate-frames',
  deep: 'the volume was asked for something',
  fixedSeeds: 250,
  make,
  run,
  pieces: scriptPieces,
};
