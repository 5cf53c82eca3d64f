// A server in memory: proves connections as the listener does, hands them to the session's process after a while, and can end that
// process as a kill, as an orderly end, or with the listener itself. It keeps rule S9: a new session begins only when of the old one
// every socket is closed, everything begun has ended, and sockets on their way to it are closed unread.

import { wholeFrame } from '@rsio/protocol/auth/handshake-frames';
import { type Proven, type Refusal, refuseFrame, ServerHandshake, type ServerIdentity } from '@rsio/protocol/auth/handshake-server';
import type { Clock, Timer } from '@rsio/protocol/lib/clock';
import { RsError } from '@rsio/protocol/lib/errors';
import type { Log } from '@rsio/protocol/lib/log';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import type { MemoryEnd } from '@rsio/protocol/testing/memory-transport';
import type { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import { Decoder } from '@rsio/protocol/wire/decoder';
import { FEATURE } from '@rsio/protocol/wire/features';
import { STATUS } from '@rsio/protocol/wire/status';
import type { ServedVolume } from '../served-volume.ts';
import { Session } from '../session.ts';
import type { Grant } from '../session-volumes.ts';
import type { SlowBackend, SlowStorage, StorageShape } from './slow-storage.ts';

/** A clock that dies with its process. */
export class ProcessClock implements Clock {
  private readonly clock: Clock;
  private readonly timers = new Set<Timer>();
  private isKilled = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  monotonicMs(): number {
    return this.clock.monotonicMs();
  }

  wallMs(): number {
    return this.clock.wallMs();
  }

  after(delayMs: number, fire: () => void): Timer {
    if (this.isKilled) return { cancel: () => undefined };
    const timer = this.clock.after(delayMs, () => {
      this.timers.delete(timer);
      fire();
    });
    this.timers.add(timer);
    return timer;
  }

  soon(fire: () => void): void {
    this.after(0, fire);
  }

  kill(): void {
    this.isKilled = true;
    for (const timer of this.timers) timer.cancel();
  }
}

export interface ListenerPorts {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly storages: ReadonlyMap<string, SlowStorage>;
  readonly storageShape: StorageShape;
  /** Time a proven socket takes to its process, ms. */
  handOverMs(): number;
  readonly nodekey: string;
  /** Slots that a session grants. */
  readonly slots: number;
}

/** One session's process. */
export interface Process {
  readonly id: string;
  readonly secret: Buffer;
  readonly clock: ProcessClock;
  readonly session: Session;
  readonly ends: Set<MemoryEnd>;
  readonly backends: SlowBackend[];
  readonly pools: { readonly bodies: CountingBufferPool; readonly outputs: CountingOutputPool };
  /** Called when it is gone. */
  readonly whenGone: (() => void)[];
}

const NO_LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => NO_LOG };

export class MemoryListener {
  process: Process | null = null;
  readonly held = new Map<string, number>();
  private readonly ports: ListenerPorts;
  private instance = 0;
  private sessions = 0;
  private inTransition = false;
  private readonly proving = new Set<MemoryEnd>();
  private readonly bodies = new CountingBufferPool();

  constructor(ports: ListenerPorts) {
    this.ports = ports;
  }

  /** Takes a connection that nothing was read from. */
  accept(end: MemoryEnd): void {
    this.proving.add(end);
    const handshake = new ServerHandshake(this.identity, this.ports.random.bytes);
    let isChallenged = false;
    let proven: Proven | null = null;
    const answer = (frame: Buffer): void => end.send(frame, 0, frame.length, () => {});
    const refuse = (refusal: Pick<Refusal, 'code' | 'sentence'>): void => {
      answer(refuseFrame(refusal));
      end.end();
    };
    const take = (frame: Buffer): void => {
      const outcome = isChallenged
        ? handshake.onProof(frame, (session) => this.secretOf(session))
        : handshake.onHello(frame, () => this.ports.nodekey);
      isChallenged = true;
      if (outcome.kind === 'challenge') answer(outcome.frame);
      else if (outcome.kind === 'refuse') refuse(outcome);
      else proven = outcome;
    };
    const decoder = new Decoder(
      {
        bodyBegins: () => {},
        frame: (header, body, offset) => take(wholeFrame(header, body, offset)),
        malformed: (reason) => {
          throw new Error(`The client's handshake is malformed: ${reason}`);
        },
      },
      this.bodies,
    );
    end.handler = {
      onBytes: (bytes, offset, lengthBytes) => {
        decoder.push(bytes, offset, lengthBytes);
        if (proven === null) return;
        // Nothing is read from it until its process has it.
        end.handler = null;
        this.proving.delete(end);
        this.proven(end, proven, refuse);
      },
      onClosed: () => {
        decoder.stop();
        this.proving.delete(end);
      },
    };
  }

  /** The process is killed: its sockets are closed by the kernel, what it had begun has ended. */
  kill(): void {
    const { process } = this;
    if (process === null) return;
    process.clock.kill();
    for (const backend of process.backends) backend.kill();
    this.process = null;
    for (const end of process.ends) {
      end.handler = null;
      end.destroy(true);
    }
    for (const gone of process.whenGone) gone();
  }

  /** The process is told to end: it answers what it began, closes, and is gone when that is done. */
  async end(code: string, sentence: string): Promise<void> {
    const { process } = this;
    if (process === null) return;
    await process.session.end(code, sentence);
    if (this.process === process) this.kill();
  }

  /** The listener is killed, and with it every process (S10); another one starts. */
  restart(): void {
    this.instance++;
    this.inTransition = false;
    this.kill();
    for (const end of this.proving) {
      end.handler = null;
      end.destroy(true);
    }
    this.proving.clear();
  }

  private get identity(): ServerIdentity {
    const instance = this.instance.toString(16).padStart(32, '0');
    return { namespaceid: 1, server: 'server', serverid: 1, instance, serverkey: null, versions: [1], features: [FEATURE.DIGEST] };
  }

  private secretOf(session: Uint8Array): Buffer | null {
    const { process } = this;
    return process !== null && Buffer.from(session).toString('hex') === process.id ? process.secret : null;
  }

  private proven(end: MemoryEnd, proven: Proven, refuse: (refusal: Pick<Refusal, 'code' | 'sentence'>) => void): void {
    if (proven.kind === 'join') {
      this.handOver(this.process!, end, proven);
      return;
    }
    if (this.inTransition) {
      refuse({ code: 'E_DRAINING', sentence: 'The last session is just being ended' });
      return;
    }
    const { instance } = this;
    const begin = (): void => {
      if (this.instance !== instance) {
        end.destroy(true);
        return;
      }
      this.inTransition = false;
      this.process = this.start(proven.sessionSecret);
      this.handOver(this.process, end, proven);
    };
    if (this.process === null) {
      begin();
      return;
    }
    this.inTransition = true;
    this.process.whenGone.push(begin);
    void this.end('E_NO_SESSION', 'The client began a new session');
  }

  private handOver(process: Process, end: MemoryEnd, proven: Proven): void {
    const { welcomeKey, transcript, features, proof } = proven;
    process.ends.add(end);
    process.clock.after(this.ports.handOverMs(), () => {
      process.session.admit(end, {
        welcomeKey,
        transcript,
        interfaceName: 'if0',
        digest: features.includes(FEATURE.DIGEST),
        dead: proof.dead,
      });
    });
  }

  private start(secret: Buffer): Process {
    const { clock, storages, storageShape, random } = this.ports;
    const pools = { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() };
    const id = this.ports.random.bytes(16);
    const own = new ProcessClock(clock);
    const backends: SlowBackend[] = [];
    const shortly = (): Promise<void> => new Promise((resolve) => own.after(random.int(0, 20), resolve));
    this.sessions++;
    const session = new Session(
      id,
      [],
      1,
      {
        clock: own,
        log: NO_LOG,
        pools,
        pathsChanged: () => {},
        clientEnds: () => undefined,
        list: async () => {
          await shortly();
          return { generation: 1, interfaces: [], volumes: [] };
        },
        grant: async ({ name }) => {
          await shortly();
          return this.grant(name);
        },
        release: async (volumeId) => {
          await shortly();
          this.held.delete(volumeId);
        },
        openBackend: async (volume) => {
          await shortly();
          const storage = storages.get(volume.name);
          if (storage === undefined) throw new RsError('E_VOLUME', `No storage ${volume.name}`);
          const backend = storage.open(own, storageShape, random);
          backends.push(backend);
          return backend;
        },
      },
      this.ports.slots,
    );
    return { id: id.toString('hex'), secret, clock: own, session, ends: new Set(), backends, pools, whenGone: [] };
  }

  private grant(name: string): Grant {
    const storage = this.ports.storages.get(name);
    if (storage === undefined) return { granted: false, status: STATUS.UNKNOWN_VOLUME, sentence: `No volume ${name}`, holders: [] };
    this.held.set(`id-${name}`, this.sessions);
    const volume: ServedVolume = {
      name,
      universe: 0,
      id: `id-${name}`,
      type: 'memory',
      path: null,
      sizeBytes: storage.content.length,
      blockSizeBytes: 512,
      readonly: false,
      shared: false,
      clients: null,
    };
    return { granted: true, volume, readonly: false, identity: 'identity', life: 'life' };
  }
}
