// The cost of a client's trunk per request, without the sockets: `node bench/dist/trunk-cost.js [PATHS]...`. READs of one sector go through
// a trunk over paths in memory; the other end of each path answers at once. The program prints the least processor time of several rounds.
// To compare two checkouts, run the program alternately in both.

import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { Histogram } from '@rsio/base/structures/histogram';
import type { Clock } from '@rsio/base/lib/clock';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { HEADER_BYTES, SLOTS } from '@rsio/protocol/wire/limits';
import { Attachment } from '@rsio/protocol/client/attachment';
import { Connection } from '@rsio/protocol/link/connection';
import type { PathTransport, TransportEvents } from '@rsio/protocol/link/path-transport';
import { Request, type RequestEvents } from '@rsio/protocol/client/requests/request';
import { Trunk } from '@rsio/protocol/client/trunk';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { TAKE } from '@rsio/protocol/wire/messages';

const DEPTH = 128;
const REQUESTS = 400_000;
const ROUNDS = 7;
const NOTHING = Buffer.alloc(0);

const soon: (() => void)[] = [];

/** Time is real, but calls of `soon` run only when the bench runs them, and timers never fire. */
const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: () => ({ cancel: () => undefined }),
  soon: (fire) => void soon.push(fire),
};

function runSoon(): void {
  for (let fire = soon.shift(); fire !== undefined; fire = soon.shift()) fire();
}

/** A path whose peer answers READs. */
class Echo implements PathTransport {
  events: TransportEvents | null = null;
  readonly localAddress = '';
  readonly remoteAddress = '';
  readonly remotePort = 0;
  readonly cipher = null;
  private readonly answers = Buffer.alloc(DEPTH * (HEADER_BYTES + SECTOR_BYTES));
  private filled = 0;
  private dones: (() => void)[] = [];

  send(buffer: Buffer, start: number, lengthBytes: number, done: () => void): void {
    for (let at = start; at < start + lengthBytes; at += HEADER_BYTES) {
      buffer.copy(this.answers, this.filled, at, at + HEADER_BYTES);
      this.answers[this.filled] = OP.READ | ANSWER;
      this.answers.writeUInt16BE(STATUS.OK, this.filled + 2);
      this.filled += HEADER_BYTES + SECTOR_BYTES;
    }
    this.dones.push(done);
  }

  /** Answers all READs that were sent so far, in one event. */
  answer(): void {
    const filled = this.filled;
    this.filled = 0;
    const dones = this.dones;
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

class Load implements RequestEvents {
  done = 0;
  private readonly trunk: Trunk;

  constructor(trunk: Trunk) {
    this.trunk = trunk;
  }

  requestDone(request: Request, status: number): void {
    if (status !== STATUS.OK) throw new Error(`A READ was answered with status ${status}`);
    this.done++;
    this.trunk.submit(request);
  }
}

/** Nanoseconds of processor time for each request. */
function measure(pathCount: number): number {
  const events = {
    sessionBegan: () => undefined,
    allQuiet: () => undefined,
    listChanged: () => undefined,
    interfacesReported: () => undefined,
    replaced: () => undefined,
    ended: () => undefined,
  };
  const trunk = new Trunk(clock, { heartbeatMs: 1000, suspectMs: 200, deadMs: 3000 }, events);
  const pools = { bodies: new BufferPool(1 << 20), outputs: new OutputPool() };
  const handler = {
    bodyBegins: () => undefined,
    frame: () => undefined,
    received: () => undefined,
    drained: () => undefined,
    closed: () => undefined,
  };
  const paths = Array.from({ length: pathCount }, () => new Echo());
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
  const attachment = new Attachment('volume', 0, false, TAKE.NO, null);
  trunk.addAttachment(attachment);
  const volume = { handle: 1, id: '', sizeBytes: 1 << 30, blockSizeBytes: SECTOR_BYTES, readonly: false, shared: false, canDiscard: true };
  attachment.opened({ ...volume, identity: 'identity', life: 'life' });
  const load = new Load(trunk);
  const target = Buffer.alloc(SECTOR_BYTES);
  for (let index = 0; index < DEPTH; index++) {
    const fields = { op: OP.READ, lba: index, count: 1, bodyBytes: SECTOR_BYTES, buffer: target, events: load, attachment };
    trunk.submit(Object.assign(new Request(), fields satisfies Partial<Request>));
  }
  runSoon();
  const before = process.cpuUsage();
  while (load.done < REQUESTS) {
    for (const path of paths) {
      path.answer();
      runSoon();
    }
  }
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / load.done;
}

for (const pathCount of process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1, 2, 8]) {
  measure(pathCount);
  const rounds = Array.from({ length: ROUNDS }, () => measure(pathCount)).sort((one, other) => one - other);
  process.stdout.write(`${pathCount} paths: ${rounds[0]!.toFixed(0)} ns a request, median ${rounds[ROUNDS >> 1]!.toFixed(0)}\n`);
}
