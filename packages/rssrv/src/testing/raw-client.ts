// A client for tests of a real session. The client needs no handshake, can send requests with any slot, seq and flags, and records the
// frames that it receives.

import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryLink } from '@rsio/protocol/testing/memory-transport';
import { Connection } from '@rsio/protocol/link/connection';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { ANSWER, frameName, OP } from '@rsio/protocol/wire/frames';
import { bodyLengthBytes, type Header } from '@rsio/protocol/wire/header';
import { OpenAnswer, OpenRequest, type ServerInterface } from '@rsio/protocol/wire/messages';
import type { Backend, IoDone } from '../storage/io/backend.ts';
import { WOULD_WAIT } from '../storage/io/backend.ts';
import type { ThrottleReport } from '../volumes/throttle/throttle-messages.ts';
import type { CloneRequest } from '../snapshots/hold-messages.ts';
import type { RecordPorts } from '../session/record-ioctls.ts';
import { Session } from '../session/session.ts';
import type { ListenerPorts } from '../session/session-admin.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';

export interface Tag {
  readonly slot: number;
  readonly seq: number;
}

/** Storage whose operations end only when the test calls `finish`. `begun` lists the operations in the order in which they began. */
export class HeldStorage {
  readonly begun: string[] = [];
  readonly waiting: IoDone[] = [];
  isClosed = false;
  /** If `isFast` is true, the storage executes READs at once, and also WRITEs without FUA. */
  isFast = false;
  /** Called when the storage has executed a WRITE at once. */
  whenTried: () => void = () => undefined;
  fill = 0;

  readonly backend: Backend = {
    sizeBytes: 1 << 20,
    capabilities: { type: 'memory', readonly: false, canDiscard: true, canZeroFast: true, canExtents: true },
    tryRead: (target, offset, lengthBytes) => {
      if (!this.isFast) return WOULD_WAIT;
      this.begun.push('READ');
      target.fill(this.fill, offset, offset + lengthBytes);
      return 0;
    },
    tryWrite: () => {
      if (!this.isFast) return WOULD_WAIT;
      this.begun.push('WRITE');
      this.whenTried();
      return 0;
    },
    read: (target, offset, lengthBytes, _positionBytes, done) => {
      const { fill } = this;
      this.hold('READ', (status) => {
        target.fill(fill, offset, offset + lengthBytes);
        done(status);
      });
    },
    write: (_source, _offset, _lengthBytes, _positionBytes, _fua, done) => this.hold('WRITE', done),
    flush: (done) => this.hold('FLUSH', done),
    discard: (_positionBytes, _lengthBytes, done) => this.hold('DISCARD', done),
    zero: (_positionBytes, _lengthBytes, _keep, _fua, done) => this.hold('ZERO', done),
    extents: (_positionBytes, _lengthBytes, done) => this.hold('EXTENTS', (status) => done(status, [1, 0])),
    close: async () => {
      this.isClosed = true;
    },
  };

  /** Ends the oldest operation. */
  finish(status = 0): void {
    this.waiting.shift()?.(status as 0);
  }

  private hold(name: string, done: IoDone): void {
    this.begun.push(name);
    this.waiting.push(done);
  }
}

export const AT = { name: 'if0', address: '127.45.0.10', port: 5000 };

export class RawPath {
  readonly connection: Connection;
  /** Received frames as text, such as `WRITE answer 1/1 status 0`. */
  readonly heard: string[] = [];
  readonly bodies: Buffer[] = [];
  closedReason: string | null = null;

  constructor(link: MemoryLink) {
    this.connection = new Connection(
      link.client,
      { bodies: new BufferPool(0), outputs: new OutputPool() },
      {
        bodyBegins: () => {},
        frame: (header, body, offset) => this.frame(header, Buffer.from(body.subarray(offset, offset + bodyLengthBytes(header)))),
        received: () => {},
        drained: () => {},
        closed: (reason) => {
          this.closedReason = reason;
        },
      },
    );
  }

  io(op: number, { slot, seq }: Tag, lba = 0, count = op === OP.FLUSH ? 0 : 1, handle = 1, flags = 0): void {
    const { encoder } = this.connection;
    const bodyBytes = op === OP.WRITE ? count * 512 : 0;
    encoder.beginIo(bodyBytes);
    encoder.endIo(op, flags, handle, slot, seq, lba, count, bodyBytes);
    encoder.flush();
  }

  message(op: number, { slot, seq }: Tag, body: Buffer, handle = 0, aux = 0): void {
    this.connection.encoder.message(op, 0, handle, slot, seq, aux, body);
    this.connection.encoder.flush();
  }

  private frame(header: Header, body: Buffer): void {
    if (header.op === OP.WELCOME || header.op === OP.PING) return;
    const isAnswer = (header.op & ANSWER) !== 0;
    this.heard.push(`${frameName(header.op)} ${isAnswer ? `${header.slot}/${header.seq} status ${header.handle}` : header.aux}`);
    this.bodies.push(body);
  }
}

export class SessionScene {
  readonly clock = new FakeClock();
  readonly storage = new HeldStorage();
  readonly pools = { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() };
  readonly released: string[] = [];
  /** Volumes for which the session reported a failed sync. */
  readonly lost: string[] = [];
  /** Volumes for which the session reported truncated storage. */
  readonly cut: string[] = [];
  /** Lines of the log. */
  readonly logged: string[] = [];
  /** Numbers of paths that the session reported. */
  readonly pathCounts: number[] = [];
  readonly quiet: (number | null)[] = [];
  /** Reasons with which the session asked to be ended. */
  readonly ends: string[] = [];
  /** Numbers of the moments for which the session reported that it executes no change. */
  readonly held: number[] = [];
  /** Reports of the session about shares of limits. */
  readonly throttled: ThrottleReport[] = [];
  /** Requests of the session to clone chunks. */
  readonly clones: { readonly request: CloneRequest; answer(isCloned: boolean): void }[] = [];
  /** Answers the session's looks at the owner of a shared pool. */
  looked: () => Promise<boolean> = () => Promise.resolve(true);
  /** Answers the session's questions about the age of the listener's last look. */
  lookAge: () => Promise<number | null> = () => Promise.resolve(0);
  readonly session: Session;
  /** The listener's answer to ADMIN. */
  admin: ListenerPorts['admin'] = () => Promise.resolve({ answer: 0, totalBytes: 2, part: 'e30=' });
  /** Properties in which the volume differs from the default volume of the scene. */
  volumeChanges: Partial<ServedVolume> = {};
  /** The listener's answers to RECORD_READ and RECORD_WRITE. */
  record: RecordPorts['askRecord'] = () => Promise.resolve(null);
  /** The listener's answer to VOTE. */
  vote: ListenerPorts['vote'] = () => Promise.resolve({ voted: 0, sentence: '', voter: null, promise: null, stored: null, replica: null });

  constructor() {
    const say = (line: string): void => void this.logged.push(line);
    const log = { debug: () => {}, info: say, warn: say, error: say, child: () => log };
    const volume = {
      name: 'oracle',
      universe: 0,
      id: 'id',
      type: 'memory',
      path: null,
      sizeBytes: 1 << 20,
      blockSizeBytes: 512,
      readonly: false,
      shared: false,
      clients: null,
      takeOver: null,
      takeOverForce: false,
    } as const;
    this.session = new Session(Buffer.alloc(16), [AT], 1, {
      clock: this.clock,
      log,
      pools: this.pools,
      pathsChanged: (count) => this.pathCounts.push(count),
      quietChanged: (quietMs) => this.quiet.push(quietMs),
      clientEnds: (sentence) => this.ends.push(sentence),
      look: () => this.looked(),
      lookAge: () => this.lookAge(),
      list: () => Promise.resolve({ generation: 1, interfaces: [], volumes: [] }),
      grant: () => {
        const granted = { ...volume, ...this.volumeChanges };
        return Promise.resolve({
          granted: true,
          volume: granted,
          readonly: granted.readonly,
          identity: 'identity',
          incarnation: 'life',
          epoch: 1,
        });
      },
      admin: (request) => this.admin(request),
      vote: (request) => this.vote(request),
      settle: () => Promise.resolve({ isSettled: true }),
      release: async (volumeId) => {
        this.released.push(volumeId);
      },
      waitsForSpace: () => undefined,
      throttled: (report) => this.throttled.push(report),
      held: (number) => this.held.push(number),
      askRecord: (ask) => this.record(ask),
      askNodes: () => Promise.resolve(null),
      askSnapshot: () => Promise.resolve(null),
      clone: (request) => new Promise((resolve) => this.clones.push({ request, answer: (isCloned) => resolve({ isCloned }) })),
      openBackend: () => Promise.resolve(this.storage.backend),
      lost: (volumeId) => this.lost.push(volumeId),
      cut: (volumeId) => this.cut.push(volumeId),
    });
  }

  /** Adds a proven connection to the session. */
  admit(link: MemoryLink, changes: Partial<Parameters<Session['admit']>[1]> = {}): void {
    this.session.admit(link.server, {
      welcomeKey: '00',
      tls: null,
      transcript: '00',
      arrivedAt: AT,
      digest: false,
      dead: [],
      mayRevoke: false,
      mayAdminister: false,
      mayVote: false,
      ...changes,
    });
  }

  /** Makes a path to the session. `cipher` is the cipher of a path that is already encrypted; null for a plain path. */
  path(dead: readonly number[] = [], arrivedAt: ServerInterface = AT, revoke = true, admin = true, cipher: string | null = null): RawPath {
    const link = new MemoryLink(this.clock);
    link.server.cipher = cipher;
    this.admit(link, { arrivedAt, dead, mayRevoke: revoke, mayAdminister: admin, mayVote: admin });
    return new RawPath(link);
  }

  /** Delivers all frames in transit and lets pending promises run. */
  async turn(): Promise<void> {
    for (let times = 0; times < 3; times++) {
      this.clock.advance(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Opens the volume over `path` in slot 255. The handle is 1. */
  async open(path: RawPath): Promise<void> {
    path.message(OP.OPEN, { slot: 255, seq: 1 }, OpenRequest.encode({ name: 'oracle', universe: 0, readonly: false }));
    await this.turn();
    const { handle } = OpenAnswer.decode(path.bodies[0]!, 0, path.bodies[0]!.length);
    if (handle !== 1) throw new Error(`The first handle is ${handle}`);
    path.heard.length = 0;
    path.bodies.length = 0;
  }
}
