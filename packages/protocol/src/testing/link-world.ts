// Measures the effect of path selection: runs a dispatcher in virtual time over links with given rates. Simulated users keep a fixed number
// of requests in flight. The simulation encodes no frames and copies no data. Each direction of a link serves its requests one after
// another, and a link can be stalled. Invariant: all results depend only on the given numbers, never on real time.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { Histogram } from '@rsio/base/structures/histogram';
import { Attachment } from '../client/attachment.ts';
import { Dispatcher } from '../client/dispatcher.ts';
import { judgePath, quietSinceMs } from '../client/paths/path-verdict.ts';
import { PathLoad } from '../client/paths/path-load.ts';
import type { Path } from '../client/paths/path.ts';
import { Request, type RequestEvents, segmentBytes } from '../client/requests/request.ts';
import { WINDOW_BYTES } from '../link/limits.ts';
import { ANSWER, OP } from '../wire/frames.ts';
import { emptyHeader, type Header } from '../wire/header.ts';
import { STATUS } from '../wire/status.ts';
import { OPEN_ANSWER } from './trunk-scene.ts';
import { TAKE } from '../wire/messages.ts';

const SLOTS = 256;
const FRAME_BYTES = 80;
const TICK_MS = 50;
const TIMES = { heartbeatMs: 1000, suspectMs: 200, deadMs: 3000 };
const NOTHING = Buffer.alloc(0);

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/** Runs events in virtual time, the earliest event first. */
class Agenda {
  nowMs = 0;
  private order = 0;
  private readonly heap: Event[] = [];

  at(atMs: number, fire: () => void): void {
    const { heap } = this;
    const event = { atMs, order: this.order++, fire };
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  runUntil(endMs: number): void {
    while (this.heap.length > 0 && this.heap[0]!.atMs <= endMs) {
      const event = this.pop();
      this.nowMs = event.atMs;
      event.fire();
    }
    this.nowMs = endMs;
  }

  private pop(): Event {
    const { heap } = this;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(one: Event, other: Event): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

/** One direction of a link. A request waits for its turn, is transmitted, and then travels to the other end. */
class Lane {
  bytesPerMs: number;
  stillUntilMs = 0;
  private readonly agenda: Agenda;
  private readonly latencyMs: number;
  private readonly waiting: { readonly bytes: number; readonly arrived: () => void }[] = [];
  private isBusy = false;

  constructor(agenda: Agenda, bytesPerMs: number, latencyMs: number) {
    this.agenda = agenda;
    this.bytesPerMs = bytesPerMs;
    this.latencyMs = latencyMs;
  }

  send(bytes: number, arrived: () => void): void {
    this.waiting.push({ bytes, arrived });
    if (!this.isBusy) this.serve();
  }

  private serve(): void {
    const next = this.waiting.shift();
    this.isBusy = next !== undefined;
    if (next === undefined) return;
    const doneMs = Math.max(this.agenda.nowMs, this.stillUntilMs) + next.bytes / this.bytesPerMs;
    this.agenda.at(doneMs, () => {
      this.agenda.at(this.agenda.nowMs + this.latencyMs, next.arrived);
      this.serve();
    });
  }
}

/** The thread of the program at one end of the links. The thread handles all waiting input of one path before it turns to the next path. */
class Processor {
  /** Time in ms that the thread needs for one request. */
  requestMs = 0;
  /** Time in ms for which other programs use the processor before each batch. */
  awayMs: () => number = () => 0;
  private readonly agenda: Agenda;
  private readonly waiting = new Map<number, (() => void)[]>();
  private isBusy = false;

  constructor(agenda: Agenda) {
    this.agenda = agenda;
  }

  take(path: number, work: () => void): void {
    const batch = this.waiting.get(path);
    if (batch === undefined) this.waiting.set(path, [work]);
    else batch.push(work);
    if (!this.isBusy) this.serve();
  }

  private serve(): void {
    const next = this.waiting.entries().next();
    this.isBusy = next.done !== true;
    if (next.done === true) return;
    const [path, batch] = next.value;
    this.waiting.delete(path);
    this.agenda.at(this.agenda.nowMs + this.awayMs() + batch.length * this.requestMs, () => {
      for (const work of batch) work();
      this.serve();
    });
  }
}

/** The dispatcher's view of a path, together with its link. */
export class ModelPath {
  readonly number: number;
  readonly load: PathLoad;
  readonly there: Lane;
  readonly back: Lane;
  isSuspect = false;
  queuedBytes = 0;
  requests = 0;
  resent = 0;
  hedged = 0;
  probed = 0;
  dropped = 0;
  receivingSlot = -1;
  waitingSinceMs: number | null = null;
  lastProofMs = 0;
  readonly heartbeatMs = TIMES.heartbeatMs;
  readonly connection = { closed: false };
  bodyBytes = 0;
  private readonly world: LinkWorld;

  constructor(world: LinkWorld, number: number, bytesPerMs: number, latencyMs: number) {
    this.world = world;
    this.number = number;
    this.there = new Lane(world.agenda, bytesPerMs, latencyMs);
    this.back = new Lane(world.agenda, bytesPerMs, latencyMs);
    this.load = new PathLoad(SLOTS, 0, { read: new Histogram(), write: new Histogram() });
  }

  get quietSinceMs(): number {
    return quietSinceMs(this);
  }

  get lastReceivedMs(): number {
    return this.lastProofMs;
  }

  get lastHeardMs(): number {
    return this.lastProofMs;
  }

  get lastMovedMs(): number {
    return 0;
  }

  get roundTripMs(): number | null {
    return this.load.tripMs;
  }

  send(request: Request, slot: number, seq: number, _handle: number, nowMs: number): void {
    if (this.load.requests === 0) this.waitingSinceMs = nowMs;
    this.load.sent(request, slot, nowMs);
    this.requests++;
    this.bodyBytes += request.bodyBytes;
    const { op, lba, count, bodyBytes } = request;
    const header: Header = { ...emptyHeader(), op: op | ANSWER, handle: STATUS.OK, slot, seq, lba, count };
    this.there.send(FRAME_BYTES + (op === OP.WRITE ? bodyBytes : 0), () => {
      const answer = (): void => {
        this.back.send(FRAME_BYTES + (op === OP.READ ? bodyBytes : 0), () => {
          this.world.client.take(this.number, () => this.world.answered(this, header));
        });
      };
      this.world.server.take(this.number, () => this.world.agenda.at(this.world.agenda.nowMs + this.world.storageMs, answer));
    });
  }

  answered(slot: number): number {
    this.load.answered(slot, this.world.agenda.nowMs);
    if (this.load.requests === 0) this.waitingSinceMs = null;
    return this.world.agenda.nowMs - this.load.sentAtMs(slot);
  }

  takeParts(): Buffer[] {
    return [];
  }

  ping(): void {
    const saidMs = this.world.agenda.nowMs;
    const isAlone = this.load.requests === 0;
    const ponged = (): void => {
      const { nowMs } = this.world.agenda;
      this.load.ponged(nowMs - saidMs, isAlone, nowMs);
      this.world.proved(this);
    };
    this.there.send(FRAME_BYTES, () => {
      this.world.server.take(this.number, () => this.back.send(FRAME_BYTES, () => this.world.client.take(this.number, ponged)));
    });
  }
}

/** Keeps `depth` I/Os of `bytes` bytes in flight. Splits each I/O into segments in the same way as a volume. */
export class ModelUser implements RequestEvents {
  bytesDone = 0;
  tripsMs: number[] = [];
  longestGapMs = 0;
  private lastMs = 0;
  private readonly world: LinkWorld;
  private readonly op: number;
  private readonly bytes: number;
  private readonly left = new Map<Request, { left: number; readonly startMs: number }>();

  constructor(world: LinkWorld, op: number, bytes: number, depth: number) {
    this.world = world;
    this.op = op;
    this.bytes = bytes;
    for (let index = 0; index < depth; index++) this.submit();
  }

  reset(): void {
    this.bytesDone = 0;
    this.tripsMs = [];
    this.longestGapMs = 0;
    this.lastMs = this.world.agenda.nowMs;
  }

  requestDone(request: Request): void {
    const io = this.left.get(request)!;
    this.left.delete(request);
    if (--io.left > 0) return;
    const { nowMs } = this.world.agenda;
    this.bytesDone += this.bytes;
    this.tripsMs.push(nowMs - io.startMs);
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastMs);
    this.lastMs = nowMs;
    this.submit();
  }

  private submit(): void {
    const most = segmentBytes(this.bytes, this.world.paths.length);
    const io = { left: Math.ceil(this.bytes / most), startMs: this.world.agenda.nowMs };
    for (let at = 0; at < this.bytes; at += most) {
      const bodyBytes = Math.min(most, this.bytes - at);
      const lba = this.world.nextLba(bodyBytes);
      const count = bodyBytes / SECTOR_BYTES;
      const request = new Request();
      request.op = this.op;
      request.lba = lba;
      request.count = count;
      request.bodyBytes = bodyBytes;
      request.events = this;
      request.attachment = this.world.attachment;
      this.left.set(request, io);
      this.world.dispatcher.add(request);
    }
    this.world.pumpSoon();
  }
}

export class LinkWorld {
  readonly agenda = new Agenda();
  readonly client = new Processor(this.agenda);
  readonly server = new Processor(this.agenda);
  readonly dispatcher = new Dispatcher();
  readonly attachment = new Attachment('oracle', 0, false, TAKE.NO, null);
  readonly paths: ModelPath[];
  storageMs = 0.02;
  private lba = 0;
  private isPumping = false;

  /** `mbits`: rate of each link in either direction, in Mbit/s. */
  constructor(mbits: readonly number[], latencyMs = 0.05) {
    this.paths = mbits.map((mbit, index) => new ModelPath(this, index + 1, bytesPerMs(mbit), latencyMs));
    this.dispatcher.restart(SLOTS, WINDOW_BYTES, '', false);
    this.dispatcher.attachments.push(this.attachment);
    this.attachment.setReachable(true);
    this.attachment.opened(OPEN_ANSWER);
    this.tick();
  }

  run(ms: number): void {
    this.agenda.runUntil(this.agenda.nowMs + ms);
  }

  /** Returns a position on the volume that no other request in flight uses. */
  nextLba(bytes: number): number {
    const at = this.lba;
    this.lba = (this.lba + bytes / SECTOR_BYTES) % 2 ** 30;
    return at;
  }

  pumpSoon(): void {
    if (this.isPumping) return;
    this.isPumping = true;
    this.agenda.at(this.agenda.nowMs, () => {
      this.isPumping = false;
      this.dispatcher.send(this.trunkPaths, this.agenda.nowMs);
    });
  }

  answered(path: ModelPath, header: Header): void {
    this.proved(path);
    this.dispatcher.answer(path as unknown as Path, header, NOTHING, 0, this.trunkPaths);
    this.pumpSoon();
  }

  proved(path: ModelPath): void {
    path.lastProofMs = this.agenda.nowMs;
    if (!path.isSuspect) return;
    path.isSuspect = false;
    this.dispatcher.findResends(this.trunkPaths);
    this.pumpSoon();
  }

  private get trunkPaths(): readonly Path[] {
    return this.paths as unknown as Path[];
  }

  private tick(): void {
    const { nowMs } = this.agenda;
    for (const path of this.paths) {
      if (judgePath(path, this.paths, TIMES, nowMs) === 'suspect') {
        path.isSuspect = true;
        this.dispatcher.findResends(this.trunkPaths);
      }
      const isInDoubt = this.paths.some((other) => other.isSuspect || nowMs - other.quietSinceMs >= TIMES.suspectMs / 2);
      if (nowMs % TIMES.heartbeatMs < TICK_MS || isInDoubt) path.ping();
    }
    this.pumpSoon();
    this.agenda.at(nowMs + TICK_MS, () => this.tick());
  }
}

/** Payload rate of a link with packets of 1500 bytes. */
export function bytesPerMs(mbit: number): number {
  return mbit * 117;
}
