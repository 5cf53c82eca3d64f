// One raw device, starting with INIT. The kernel sends valid and garbled requests, and interrupts of known and unknown requests; the volume
// answers in any order or with errors; the device may end at any moment. The target encodes requests without the product's codec. Oracle:
// no exception. Each request that needs an answer gets exactly one answer, of the right length. Requests to the volume keep to the
// negotiated sizes. No buffer stays lent.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { FUSE_DATA_MAX_BYTES, FUSE_INTERRUPT_MS, FUSE_REQUESTS_OUT_MAX } from '@rsio/rsiod/frontends/limits';
import { FuseBuffers } from '@rsio/rsiod/frontends/fuse/fuse-buffers';
import { FuseSession } from '@rsio/rsiod/frontends/fuse/fuse-session';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { mutatedScript, scriptPieces, type Step, step } from '../../makers/script.ts';
import { playFrontend, VOLUME_BYTES, type ScriptedVolume } from '../../fixtures/scripted-volume.ts';

const KIND = { REQUEST: 0, VOLUME: 1, LATE: 2, FAIL: 3, TIME: 4, STOP: 5 } as const;
const KINDS = 6;
const HEADER_BYTES = 40;
const REPLY_BYTES = 16;
/** Numbers of the requests, as in the header fuse.h of Linux. */
const OP = {
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  FSYNC: 20,
  INIT: 26,
  INTERRUPT: 36,
  BATCH_FORGET: 42,
} as const;
const FALLOCATE = 43;
const LSEEK = 46;
const UNANSWERED: readonly number[] = [OP.FORGET, OP.BATCH_FORGET, OP.INTERRUPT];
const ERRNO_MAX = 133;

class Scene {
  private readonly storage: ScriptedVolume;
  private readonly session: FuseSession;
  private readonly clock = new FakeClock();
  private readonly buffers = new FuseBuffers();
  /** For each number of a request: how many answers are due, and how many were received. */
  private readonly due = new Map<bigint, number>();
  private readonly answered = new Map<bigint, number>();

  constructor(storage: ScriptedVolume) {
    this.storage = storage;
    const { volume } = storage;
    const port = {
      reply: (bytes: Buffer, start: number, end: number): void => this.replied(bytes.subarray(start, end)),
      pause: () => undefined,
      resume: () => undefined,
    };
    this.session = new FuseSession({ volume, port, buffers: this.buffers, clock: this.clock, broken: () => undefined });
  }

  take({ kind, arg, bytes }: Step): void {
    switch (kind % KINDS) {
      case KIND.REQUEST:
        this.receive(bytes);
        break;
      case KIND.VOLUME:
        this.storage.answerSome(arg);
        break;
      case KIND.LATE:
        this.storage.answerLatest(arg);
        break;
      case KIND.FAIL:
        this.storage.failNext(arg);
        break;
      case KIND.TIME:
        this.clock.advance(FUSE_INTERRUPT_MS / 2);
        break;
      default:
        if (arg % 8 === 0) this.session.stop();
    }
    const { underWay } = this.storage.volume;
    expectThat(underWay <= FUSE_REQUESTS_OUT_MAX, `${underWay} requests are in the volume`);
  }

  finish(): void {
    while (this.storage.isWaiting) this.storage.answerAll();
    for (const [unique, due] of this.due) {
      const came = this.answered.get(unique) ?? 0;
      expectThat(came === due, `request ${unique} was answered ${came} times, ${due} answers are due`);
    }
    for (const unique of this.answered.keys()) expectThat(this.due.has(unique), `an answer to ${unique}, which nobody asked`);
    expectThat(this.session.underWay === 0, `${this.session.underWay} requests are under way after the end`);
    expectThat(this.buffers.inUse === 0, `${this.buffers.inUse} buffers are lent after the end`);
    for (const [operation, length] of this.storage.volume.seen.map((one) => /^(\w+) \d+\+(\d+)/.exec(one)?.slice(1) ?? []))
      if (operation === 'read' || operation === 'write')
        expectThat(Number(length) <= FUSE_DATA_MAX_BYTES, `a ${operation} of ${length} bytes was asked of the volume`);
  }

  /**
   * Passes bytes to the session as one read of the descriptor would. If the session does not keep the buffer, the target reuses the buffer
   * afterwards.
   */
  private receive(bytes: Buffer): void {
    if (bytes.length >= HEADER_BYTES && !UNANSWERED.includes(bytes.readUInt32LE(4))) {
      const unique = bytes.readBigUInt64LE(8);
      this.due.set(unique, (this.due.get(unique) ?? 0) + 1);
    }
    const buffer = this.buffers.takeLarge();
    bytes.copy(buffer);
    if (this.session.receive(buffer, bytes.length)) return;
    buffer.fill(0xdd, 0, bytes.length);
    this.buffers.giveBack(buffer);
  }

  private replied(reply: Buffer): void {
    expectThat(
      reply.length >= REPLY_BYTES && reply.readUInt32LE(0) === reply.length,
      `a reply of ${reply.length} bytes says another length`,
    );
    const error = reply.readInt32LE(4);
    expectThat(error <= 0 && error > -ERRNO_MAX, `error ${error} is none that the kernel takes`);
    expectThat(error === 0 || reply.length === REPLY_BYTES, `error ${error} comes with ${reply.length - REPLY_BYTES} bytes more`);
    const unique = reply.readBigUInt64LE(8);
    this.answered.set(unique, (this.answered.get(unique) ?? 0) + 1);
  }
}

function run(input: Buffer): boolean {
  return playFrontend(input, (storage) => new Scene(storage));
}

function request(opcode: number, unique: number, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(HEADER_BYTES + body.length, 0);
  header.writeUInt32LE(opcode, 4);
  header.writeBigUInt64LE(BigInt(unique), 8);
  header.writeBigUInt64LE(1n, 16);
  return Buffer.concat([header, body]);
}

/** READ, WRITE, FALLOCATE and LSEEK have their common fields at the same offsets. */
function ranged(bodyBytes: number, position: bigint, length: number, at: number): Buffer {
  const body = Buffer.alloc(bodyBytes);
  body.writeBigUInt64LE(position, 8);
  body.writeUInt32LE(length, at);
  return body;
}

function anyRequest(random: SeededRandom): Buffer {
  const unique = random.int(1, 400);
  const position = random.pick([0n, 512n, 4096n, BigInt(VOLUME_BYTES - 4096), BigInt(VOLUME_BYTES), 2n ** 53n, 2n ** 64n - 512n]);
  const length = random.pick([0, 1, 512, 4096, 4096, 8192, VOLUME_BYTES, FUSE_DATA_MAX_BYTES, FUSE_DATA_MAX_BYTES + 512, 0xffffffff]);
  switch (random.int(0, 9)) {
    case 0:
    case 1:
      return request(OP.READ, unique, ranged(40, position, length, 16));
    case 2:
    case 3: {
      const data = Math.min(length, 16384);
      return request(OP.WRITE, unique, Buffer.concat([ranged(40, position, data, 16), Buffer.alloc(data, 7)]));
    }
    case 4:
      return request(OP.FSYNC, unique, Buffer.alloc(16));
    case 5: {
      const body = ranged(32, position, length, 16);
      body.writeUInt32LE(random.pick([0, 1, 2, 3, 0x10, 0x11]), 24);
      return request(FALLOCATE, unique, body);
    }
    case 6:
      return request(LSEEK, unique, ranged(24, position, random.pick([0, 1, 2, 3, 4, 5]), 16));
    case 7: {
      const body = Buffer.alloc(8);
      body.writeBigUInt64LE(BigInt(random.int(1, 400)), 0);
      return request(OP.INTERRUPT, unique, body);
    }
    case 8:
      return request(random.pick([OP.GETATTR, OP.SETATTR, OP.OPEN]), unique, random.bytes(88));
    default:
      return request(random.int(0, 60), unique, random.bytes(random.int(0, 96)));
  }
}

function make(random: SeededRandom): Buffer {
  const options = random.int(0, 7);
  const init = Buffer.alloc(64);
  [7, random.chance(0.9) ? 45 : random.int(0, 60), 131072, 0xffffffff].forEach((field, index) => init.writeUInt32LE(field, 4 * index));
  const one = (): Step => {
    if (random.chance(0.65)) return step(KIND.REQUEST, options, anyRequest(random));
    return step(random.pick([KIND.VOLUME, KIND.VOLUME, KIND.LATE, KIND.FAIL, KIND.TIME, KIND.STOP]), random.int(0, 255));
  };
  const steps = [step(KIND.REQUEST, options, request(OP.INIT, 0, init)), ...Array.from({ length: random.int(1, 24) }, one)];
  return mutatedScript(random, steps, one);
}

export const fuseSession: FuzzTarget = {
  name: 'fuse-session',
  deep: 'the volume was asked for something',
  fixedSeeds: 250,
  make,
  run,
  pieces: scriptPieces,
};
