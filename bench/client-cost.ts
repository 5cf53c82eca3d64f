// The cost of rsiod's data path per request, without the sockets: `node bench/dist/client-cost.js [reads|writes] [PATHS]`. A program's NBD
// requests of 8 KiB, 32 at a time, go through a connection, a volume with its replay log, and a trunk over paths in memory. The other end of
// each path answers at once. The program prints the least processor time of several rounds. To compare two checkouts, run the program
// alternately in both.

import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { Histogram } from '@rsio/base/structures/histogram';
import type { Clock } from '@rsio/base/lib/clock';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { HEADER_BYTES, SLOTS } from '@rsio/protocol/wire/limits';
import { Attachment } from '@rsio/protocol/client/attachment';
import { ReplayLog } from '@rsio/protocol/client/replay/replay-log';
import { SlabPool } from '@rsio/protocol/client/replay/replay-blocks';
import { SingleTarget } from '@rsio/protocol/client/single-target';
import { Connection } from '@rsio/protocol/link/connection';
import type { PathTransport, TransportEvents } from '@rsio/protocol/link/path-transport';
import { Trunk } from '@rsio/protocol/client/trunk';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { TAKE } from '@rsio/protocol/wire/messages';
import { DataBuffers } from '@rsio/rsiod/frontends/streams/data-buffers';
import { MemoryBudget } from '@rsio/rsiod/frontends/streams/memory-budget';
import { BatchPool, type StreamTransport } from '@rsio/rsiod/frontends/streams/transport';
import { NbdConnection } from '@rsio/rsiod/frontends/nbd/nbd-connection';
import { Submissions } from '@rsio/rsiod/frontends/nbd/nbd-transmission';
import { COMMAND, MAGIC, REQUEST_HEADER_BYTES, SIMPLE_REPLY_BYTES } from '@rsio/rsiod/frontends/nbd/wire/nbd-constants';
import { Volume } from '@rsio/rsiod/volumes/volume';

const DEPTH = 32;
const IO_BYTES = 8192;
const REQUESTS = 200_000;
const ROUNDS = 9;
const VOLUME_BYTES = 1 << 29;
const LOG_BYTES = 64 << 20;
const MIB = 1 << 20;
const NOTHING = Buffer.alloc(0);
/** Shared by all rounds, so that no round pays for new memory. */
const slabs = new SlabPool(LOG_BYTES / MIB);

/** Calls of `soon` run at the end of an event, and calls of `later` at the end of a turn. */
const soon: (() => void)[] = [];
const later: (() => void)[] = [];

function runAll(list: (() => void)[]): void {
  for (let index = 0; index < list.length; index++) list[index]!();
  list.length = 0;
}

const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: () => ({ cancel: () => undefined }),
  soon: (fire) => void soon.push(fire),
};

const schedule = (fire: () => void): void => void later.push(fire);

/** A path whose peer answers READs, WRITEs and FLUSHes. */
class Echo implements PathTransport {
  events: TransportEvents | null = null;
  readonly localAddress = '';
  readonly remoteAddress = '';
  readonly remotePort = 0;
  readonly cipher = null;
  private readonly answers = Buffer.alloc(2 * DEPTH * (HEADER_BYTES + IO_BYTES));
  private filled = 0;
  private dones: (() => void)[] = [];

  send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void {
    for (let at = start; at < start + lengthBytes; ) {
      const op = buffer[at]!;
      buffer.copy(this.answers, this.filled, at, at + HEADER_BYTES);
      this.answers[this.filled] = op | ANSWER;
      this.answers.writeUInt16BE(STATUS.OK, this.filled + 2);
      this.filled += HEADER_BYTES + (op === OP.READ ? IO_BYTES : 0);
      at += HEADER_BYTES + (op === OP.WRITE ? IO_BYTES : 0);
    }
    this.dones.push(done);
  }

  /** Answers everything that was sent so far, in one event. */
  answer(): void {
    const { filled, dones } = this;
    this.filled = 0;
    this.dones = [];
    for (const done of dones) done();
    if (filled > 0) this.events?.onBytes(this.answers, 0, filled);
  }

  startTls(): void {
    throw new Error('The echo has no TLS');
  }

  destroy(): void {
    this.filled = 0;
  }

  end(): void {
    this.filled = 0;
  }
}

/** The program's end of an NBD connection: each reply leads to one more request of the next turn. */
class Program implements StreamTransport {
  done = 0;
  waiting = 0;
  private readonly sents: (() => void)[] = [];
  private readonly replyBytes: number;
  private readonly type: number;
  private readonly requests: Buffer;
  private seed = 1;

  constructor(type: number) {
    this.type = type;
    this.replyBytes = SIMPLE_REPLY_BYTES + (type === COMMAND.READ ? IO_BYTES : 0);
    this.requests = Buffer.alloc(DEPTH * (REQUEST_HEADER_BYTES + (type === COMMAND.WRITE ? IO_BYTES : 0)));
  }

  write(_bytes: Buffer, _start: number, lengthBytes: number, sent: () => void): void {
    this.waiting += lengthBytes / this.replyBytes;
    this.sents.push(sent);
  }

  /** Sends requests in place of the replies, and returns their bytes. */
  next(count = this.waiting): Buffer {
    this.done += this.waiting;
    this.waiting = 0;
    for (const sent of this.sents.splice(0)) sent();
    const { requests } = this;
    let at = 0;
    for (let index = 0; index < count; index++) {
      this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
      requests.writeUInt32BE(MAGIC.REQUEST, at);
      requests.writeUInt16BE(0, at + 4);
      requests.writeUInt16BE(this.type, at + 6);
      requests.writeUInt32BE(0, at + 16);
      requests.writeUInt32BE(((this.seed >>> 8) % (VOLUME_BYTES / IO_BYTES)) * IO_BYTES, at + 20);
      requests.writeUInt32BE(IO_BYTES, at + 24);
      at += REQUEST_HEADER_BYTES + (this.type === COMMAND.WRITE ? IO_BYTES : 0);
    }
    return requests.subarray(0, at);
  }

  cork(): void {
    // All writes of a turn count as one.
  }

  uncork(): void {
    // See `cork`.
  }

  pause(): void {
    throw new Error('The program must never have to wait');
  }

  resume(): void {
    throw new Error('The program must never have to wait');
  }

  end(): void {
    throw new Error('The connection must not end');
  }

  destroy(): void {
    throw new Error('The connection must not be closed');
  }

  isPeerGone(): boolean {
    return false;
  }
}

function trunkOver(paths: readonly Echo[]): Trunk {
  const events = {
    sessionBegan: () => undefined,
    allQuiet: () => undefined,
    listChanged: () => undefined,
    interfacesReported: () => undefined,
    replaced: () => undefined,
    ended: () => undefined,
  };
  const trunk = new Trunk(clock, { heartbeatMs: 1000, suspectMs: 200, deadMs: 3000 }, events);
  const pools = { bodies: new BufferPool(MIB), outputs: new OutputPool() };
  const handler = {
    bodyBegins: () => undefined,
    frame: () => undefined,
    received: () => undefined,
    drained: () => undefined,
    closed: () => undefined,
  };
  const challenge = { version: 1, features: [], server: 'big-9', serverid: 1, instance: 'instance', nonce: NOTHING };
  for (const [index, path] of paths.entries()) {
    const welcome = { session: Buffer.alloc(16), path: index, slots: SLOTS, windowBytes: WINDOW_BYTES, interfaces: [], generation: 1 };
    const observer = {
      latencies: { read: new Histogram(), write: new Histogram() },
      pathSuspect: () => undefined,
      pathDown: () => undefined,
    };
    const connection = new Connection(path, pools, handler);
    if (index === 0) trunk.begin(connection, welcome, NOTHING, challenge, observer);
    else trunk.join(connection, welcome, [], observer);
  }
  return trunk;
}

/** Nanoseconds of processor time for each request. */
function measure(type: number, pathCount: number): number {
  const paths = Array.from({ length: pathCount }, () => new Echo());
  const trunk = trunkOver(paths);
  const attachment = new Attachment('volume', 0, false, TAKE.NO, new ReplayLog(LOG_BYTES, slabs, null));
  trunk.addAttachment(attachment);
  const facts = { handle: 1, id: '', sizeBytes: VOLUME_BYTES, blockSizeBytes: 4096, readonly: false, shared: false, canDiscard: true };
  attachment.opened({ ...facts, identity: 'identity', life: 'life' });
  const target = new SingleTarget(attachment, trunk);
  const volume = new Volume({ name: 'volume', namespaceid: 1 }, target, clock, 'forever', () => undefined, null);
  const budget = new MemoryBudget({ limitBytes: 64 * MIB, reserveBytes: 64 * MIB, smallBytes: MIB }, schedule);
  const pools = { submissions: new Submissions(schedule), data: new DataBuffers(), batches: new BatchPool(), budget, schedule };
  const program = new Program(type);
  const fails = (thrown: unknown): void => {
    throw thrown;
  };
  const events = { serving: () => undefined, finished: () => undefined, broken: fails, failed: fails, elsewhere: () => undefined };
  const connection = new NbdConnection(program, { list: () => [] }, pools, events);
  connection.adopt({ volume, isStructured: false, contexts: [], mayUseAnyRange: true }, NOTHING, NOTHING);
  program.next(0);
  let before = process.cpuUsage();
  let from = 0;
  let count = DEPTH;
  while (program.done < REQUESTS) {
    const requests = program.next(count);
    if (from === 0 && program.done > REQUESTS / 4) [from, before] = [program.done, process.cpuUsage()];
    connection.receive(requests, 0, requests.length);
    runAll(soon);
    for (const path of paths) {
      path.answer();
      runAll(soon);
    }
    runAll(later);
    count = program.waiting;
  }
  const { user, system } = process.cpuUsage(before);
  attachment.log?.clear();
  return ((user + system) * 1000) / (program.done - from);
}

const [only, paths = '1'] = process.argv.slice(2);
for (const [what, type] of [
  ['reads', COMMAND.READ],
  ['writes', COMMAND.WRITE],
] as const) {
  if (only !== undefined && only !== what) continue;
  measure(type, Number(paths));
  const rounds = Array.from({ length: ROUNDS }, () => measure(type, Number(paths))).sort((one, other) => one - other);
  process.stdout.write(`${what}: ${rounds[0]!.toFixed(0)} ns a request, median ${rounds[ROUNDS >> 1]!.toFixed(0)}\n`);
}
