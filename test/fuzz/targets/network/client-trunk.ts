// A client's trunk over two paths, and a server that proves itself and then sends anything: correct answers, answers with changed headers,
// arbitrary bytes, silence, resets, lost sessions. Oracle: no exception. Each request is answered once, and its buffer is not touched after
// the answer. At the end, no buffer is lent.

import { type LinkShape } from '@rsio/protocol/testing/memory-transport';
import type { HeardFrame, ScriptedPath } from '@rsio/protocol/testing/scripted-server';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { TrunkScene } from '@rsio/protocol/testing/trunk-scene';
import { Request } from '@rsio/protocol/client/requests/request';
import { ANSWER, frameEntry, OP } from '@rsio/protocol/wire/frames';
import { Ping } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { anyFrame, dataOf, frameBytes } from '../../makers/frame-maker.ts';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { MESSAGE_KINDS, messageBytes } from '../../makers/message-maker.ts';
import { mutatedScript, readScript, scriptPieces, type Step, step } from '../../makers/script.ts';

const KIND = {
  SUBMIT: 0,
  ANSWER: 1,
  LIE: 2,
  BYTES: 3,
  TIME: 4,
  CLOSE: 5,
  LOSE: 6,
  PONG: 7,
  STAND: 8,
  RESET: 9,
  HALF: 10,
  REST: 11,
} as const;
const KINDS = 12;
const OPS = [OP.READ, OP.READ, OP.WRITE, OP.FLUSH, OP.DISCARD, OP.ZERO, OP.IOCTL, OP.LIST];
const TIMES_MS = [0, 1, 5, 50, 300, 1000, 4000];
const REQUESTS_MAX = 100;
const GUARD_BYTE = 0xee;
const EMPTY = Buffer.alloc(0);

interface Submitted {
  readonly request: Request;
  readonly buffer: Buffer;
  answers: number;
}

class Scene {
  readonly trunkScene: TrunkScene;
  readonly submitted: Submitted[] = [];
  answered = 0;
  private readonly answeredFrames = new Set<HeardFrame>();
  /** The remaining bytes of an answer of which only the first part was sent. Null: there is no such answer. */
  private rest: { readonly path: ScriptedPath; readonly bytes: Buffer } | null = null;

  constructor() {
    const cuts = new SeededRandom(5);
    const shape: LinkShape = { takeMs: () => 0, travelMs: () => 0, cut: (length) => cuts.int(1, length), restMs: () => 0 };
    this.trunkScene = new TrunkScene(2, shape);
    this.trunkScene.server.digest = false;
    this.trunkScene.start();
  }

  submit(op: number, bytes: Buffer): void {
    if (this.submitted.length === REQUESTS_MAX) return;
    const hasData = op === OP.READ || op === OP.WRITE;
    const isIo = frameEntry(op)?.shape === 'io' && op !== OP.FLUSH;
    const count = isIo ? 1 + ((bytes[1] ?? 0) % 40) : 0;
    const bodyBytes = hasData ? count * 512 : 0;
    const buffer = Buffer.alloc(bodyBytes + 2);
    const entry: Submitted = { request: new Request(), buffer, answers: 0 };
    const isSessions = op === OP.LIST;
    Object.assign(entry.request, {
      op,
      lba: isIo ? (bytes[0] ?? 0) : 0,
      count,
      bodyBytes,
      buffer,
      bufferOffset: 1,
      aux: op === OP.IOCTL ? 1 : 0,
      attachment: isSessions ? null : this.trunkScene.attachment,
      events: { requestDone: (_request: Request, status: number) => this.done(entry, status) },
    } satisfies Partial<Request>);
    this.submitted.push(entry);
    this.trunkScene.trunk.submit(entry.request);
  }

  take({ kind, arg, bytes }: Step): void {
    const { server, clock, network } = this.trunkScene;
    const path = server.paths[arg % Math.max(1, server.paths.length)];
    const route = network.routes[arg % network.routes.length]!;
    switch (kind % KINDS) {
      case KIND.SUBMIT:
        this.submit(OPS[arg % OPS.length]!, bytes);
        break;
      case KIND.ANSWER:
        if (path !== undefined) this.answer(path, bytes);
        break;
      case KIND.LIE:
        if (path !== undefined) this.lie(path, bytes);
        break;
      case KIND.BYTES:
        this.say(path, bytes);
        break;
      case KIND.TIME:
        clock.advance(TIMES_MS[arg % TIMES_MS.length]!);
        break;
      case KIND.CLOSE:
        path?.connection.close('The server closes it', (bytes[0] ?? 0) % 2 === 0);
        break;
      case KIND.LOSE:
        server.loseSession();
        break;
      case KIND.PONG:
        if (path !== undefined && !path.connection.isClosed) path.pong();
        break;
      case KIND.STAND:
        route.stand((bytes[0] ?? 0) % 2 === 0 ? 'there' : 'back', (bytes[0] ?? 0) % 4 < 2);
        break;
      case KIND.HALF:
        this.half(bytes[0] ?? 0);
        break;
      case KIND.REST:
        if (this.rest !== null) this.say(this.rest.path, this.rest.bytes);
        this.rest = null;
        break;
      default:
        route.reset();
    }
    clock.advance(0);
  }

  /** Ends the requests in flight. Expects that no buffer and no request is left. */
  finish(): void {
    const { trunkScene } = this;
    const { clock, network, pools } = trunkScene;
    this.answered = this.submitted.filter(({ answers }) => answers > 0).length;
    trunkScene.trunk.end(STATUS.IO_ERROR, 'The run is over');
    for (const supervisor of trunkScene.supervisors) supervisor.retire('The run is over');
    for (const route of network.routes) {
      route.heal();
      route.reset();
    }
    clock.advance(10_000);
    for (const { request, buffer, answers } of this.submitted) {
      expectThat(answers === 1, `a request of op ${request.op} was answered ${answers} times`);
      expectThat(
        buffer.every((byte) => byte === GUARD_BYTE),
        'a buffer was touched after its request was answered',
      );
    }
    expectThat(pools.bodies.lent.size === 0, `${pools.bodies.lent.size} body buffers are lent after the end`);
    expectThat(pools.outputs.lent.size === 0, `${pools.outputs.lent.size} output buffers are lent after the end`);
  }

  private done(entry: Submitted, status: number): void {
    expectThat(Number.isInteger(status) && status >= 0 && status <= 0xffff, `a request was answered with status ${status}`);
    const { buffer } = entry;
    expectThat(entry.answers > 0 || (buffer[0] === 0 && buffer.at(-1) === 0), 'data was received outside of its buffer');
    entry.answers++;
    buffer.fill(GUARD_BYTE);
  }

  /** Returns a request that was received on this path and that `answer` has not answered. */
  private pending(path: ScriptedPath, index: number): HeardFrame | undefined {
    const open = path.heard.filter((frame) => frameEntry(frame.header.op)?.isSlotted === true && !this.answeredFrames.has(frame));
    return open[index % Math.max(1, open.length)];
  }

  private answer(path: ScriptedPath, bytes: Buffer): void {
    const frame = this.pending(path, bytes[0] ?? 0);
    if (path.connection.isClosed) return;
    if (frame === undefined) {
      const fence = path.requests(OP.FENCE).at(-1);
      if (fence !== undefined) path.say(OP.FENCED, fence.header.aux);
      return;
    }
    this.answeredFrames.add(frame);
    const { op, count } = frame.header;
    const status = (bytes[1] ?? 0) < 200 ? STATUS.OK : (bytes[1] ?? 0) - 200;
    if (frameEntry(op)?.shape === 'message') path.answerMessage(frame, status, bytes.subarray(3), (bytes[2] ?? 0) & 2);
    else path.answerIo(frame, status, op === OP.READ && status === STATUS.OK ? dataOf(count) : EMPTY);
  }

  /**
   * Sends the first part of the right answer to a READ, on any path. Another path may answer the READ before the rest of this answer
   * arrives.
   */
  private half(at: number): void {
    for (const path of this.trunkScene.server.paths) {
      const read = path.requests(OP.READ).findLast((frame) => !this.answeredFrames.has(frame));
      if (read === undefined || this.rest !== null) continue;
      this.answeredFrames.add(read);
      const { slot, seq, lba, count } = read.header;
      const answer = frameBytes(OP.READ | ANSWER, { slot, seq, lba, count }, 'io', dataOf(count));
      const cut = 17 + (at % Math.max(1, answer.length - 17));
      this.say(path, answer.subarray(0, cut));
      this.rest = { path, bytes: answer.subarray(cut) };
    }
  }

  /** Sends an answer with an arbitrary body. The header is the right one, changed by a mask. */
  private lie(path: ScriptedPath, bytes: Buffer): void {
    const frame = this.pending(path, bytes[0] ?? 0);
    if (frame === undefined) return;
    const { op, slot, seq, lba, count } = frame.header;
    const header = frameBytes(op | ANSWER, { slot, seq, lba, count }, frameEntry(op)?.shape ?? 'io', EMPTY);
    for (let at = 0; at < header.length; at++) header[at]! ^= bytes[1 + at] ?? 0;
    const data = op === OP.READ ? dataOf(Math.min(count, 100)) : EMPTY;
    this.say(path, Buffer.concat([header, bytes.length > 17 ? bytes.subarray(17) : data]));
  }

  private say(path: ScriptedPath | undefined, bytes: Buffer): void {
    if (path === undefined || path.connection.isClosed || bytes.length === 0) return;
    path.connection.transport.send(Buffer.from(bytes), 0, bytes.length, () => undefined);
  }
}

function run(input: Buffer): boolean {
  const scene = new Scene();
  for (const one of readScript(input)) scene.take(one);
  scene.finish();
  return scene.answered > 0;
}

function lyingMask(random: SeededRandom): Buffer {
  const mask = Buffer.alloc(17);
  mask[0] = random.int(0, 20);
  if (random.chance(0.8)) mask[random.int(1, 16)] = 1 << random.int(0, 7);
  return random.chance(0.8) ? mask : Buffer.concat([mask, messageBytes(random, random.pick(MESSAGE_KINDS))]);
}

function bytesOf(random: SeededRandom): Buffer {
  const heartbeat = Ping.encode({
    number: random.int(0, 9),
    clockMs: 1,
    heard: random.int(0, 9),
    oldestMs: 5,
    generation: random.int(0, 3),
  });
  const said = [
    (): Buffer => frameBytes(random.pick([OP.PING, OP.PONG]), {}, 'message', heartbeat),
    (): Buffer => frameBytes(OP.NOTIFY, { aux: random.int(0, 3) }, 'message', EMPTY),
    (): Buffer => frameBytes(OP.FENCED, { aux: random.int(0, 3) }, 'message', EMPTY),
    (): Buffer => anyFrame(random),
  ];
  return Buffer.concat(Array.from({ length: random.int(1, 3) }, () => random.pick(said)()));
}

/** Makes steps in which an answer stops halfway, the other path answers the request, and then the rest of the first answer arrives. */
function overtaken(random: SeededRandom): Step[] {
  const answers = [0, 1].map((arg) => step(KIND.ANSWER, arg, Buffer.from([0, 0, 0])));
  const pongs = [0, 1].map((arg) => step(KIND.PONG, arg));
  const silence = [...pongs, step(KIND.TIME, 3), ...pongs, step(KIND.TIME, 4), ...pongs, step(KIND.TIME, 4)];
  return [
    step(KIND.SUBMIT, 0, random.bytes(2)),
    step(KIND.TIME, 1),
    step(KIND.HALF, 0, random.bytes(1)),
    ...silence,
    ...answers,
    step(KIND.REST),
  ];
}

function make(random: SeededRandom): Buffer {
  const one = (): Step => {
    const arg = random.int(0, 15);
    const kind = random.int(0, 99);
    if (kind < 35) return step(KIND.SUBMIT, arg, random.bytes(2));
    if (kind < 60) return step(KIND.ANSWER, arg, random.chance(0.3) ? random.bytes(3) : Buffer.from([0, 0, 0]));
    if (kind < 70) return step(KIND.LIE, arg, lyingMask(random));
    if (kind < 76) return step(KIND.BYTES, arg, bytesOf(random));
    if (kind < 88) return step(KIND.TIME, arg);
    return step(
      random.pick([KIND.CLOSE, KIND.LOSE, KIND.PONG, KIND.PONG, KIND.STAND, KIND.STAND, KIND.RESET, KIND.HALF, KIND.REST]),
      arg,
      random.bytes(1),
    );
  };
  const opening = random.chance(0.15) ? overtaken(random) : [];
  return mutatedScript(random, [...opening, ...Array.from({ length: random.int(3, 30) }, one)], one);
}

export const clientTrunk: FuzzTarget = {
  name: 'client-trunk',
  deep: 'a request was answered by the server',
  fixedSeeds: 120,
  make,
  run,
  pieces: scriptPieces,
};
