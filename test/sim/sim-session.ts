// The simulated process of one session at a server: the production Session with its ports, each of which takes a while, and the storage
// behind it. It can be killed at any moment, or told to end. Control-plane work is counted, so that the world knows when promises move.

import { SECTOR_BYTES, WORKER_DRAIN_TIMEOUT_MS, WORKER_LAST_WORDS_MS } from '@rsio/protocol/limits';
import type { VolumeEntry } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { RsError } from '@rsio/protocol/lib/errors';
import type { Log } from '@rsio/protocol/lib/log';
import type { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import type { ServedVolume } from '@rsio/rssrv/served-volume';
import { type Admission, Session } from '@rsio/rssrv/session';
import type { Grant } from '@rsio/rssrv/session-volumes';
import { SimProcess, type SimClock } from './sim-clock.ts';
import type { SimEnd } from './sim-link.ts';
import { simPools } from './sim-pools.ts';
import type { SimBackend, SimStorage } from './sim-storage.ts';

const NOBODY = '';

interface Hold {
  node: string;
  instance: number;
  epoch: number;
}

/** What the sessions of one server share. */
export interface SessionHost {
  /** Of the server. */
  readonly name: string;
  readonly random: SeededRandom;
  /** Volumes by name. */
  readonly storages: ReadonlyMap<string, SimStorage>;
  readonly holds: Map<string, Hold>;
  /** Slots that a session grants. */
  readonly slots: number;
  /** Longest time of a step of the control plane, ms. */
  readonly controlMs: number;
  /** A promise was given, or settled: the world lets promises move. */
  promised(): void;
  /** Processes that were told to end: their promises may move at every event. */
  readonly ending: Set<SimSession>;
  breach(sentence: string): void;
  /** Numbers the lives of processes, growing. */
  nextLife(): number;
}

export const NO_LOG: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => NO_LOG,
};

/** What a server says of its interfaces now. */
export interface SimList {
  readonly interfaces: readonly ServerInterface[];
  readonly generation: number;
}

export class SimSession {
  readonly id: string;
  readonly life: number;
  readonly node: string;
  /** Of the client. */
  readonly instance: number;
  readonly secret: Buffer;
  readonly process: SimProcess;
  readonly session: Session;
  readonly pools = simPools();
  /** Called when the process is gone. */
  readonly whenGone: (() => void)[] = [];
  isEnding = false;
  /** Its listener is dead: it will exit. */
  isOrphan = false;
  private readonly clock: SimClock;
  private readonly host: SessionHost;
  private readonly list: () => SimList;
  private readonly backends: SimBackend[] = [];
  /** When the listener has answered all that was asked. */
  private answeredMs = 0;

  constructor(clock: SimClock, host: SessionHost, list: () => SimList, node: string, instance: number, secret: Buffer) {
    this.clock = clock;
    this.host = host;
    this.list = list;
    this.life = host.nextLife();
    this.node = node;
    this.instance = instance;
    this.secret = secret;
    this.process = new SimProcess(clock);
    const id = host.random.bytes(16);
    this.id = id.toString('hex');
    const { interfaces, generation } = list();
    this.session = new Session(id, interfaces, generation, this.ports(), host.slots);
    this.process.whenKilled = () => this.gone();
  }

  /** A proven socket comes from the listener. */
  take(end: SimEnd, delayMs: number, admission: Admission): void {
    end.owner = this.process;
    this.process.after(delayMs, () => {
      // Closed meanwhile: whoever reads from it finds that out by itself, so it is admitted all the same.
      if (!end.isClosed) this.session.admit(end, admission);
    });
  }

  /** The server's list is another one now: its process hears of it, when it can. */
  listChanged(): void {
    this.process.after(0, () => {
      const { interfaces, generation } = this.list();
      this.session.listChanged(interfaces, generation);
    });
  }

  /** Answers what it began, closes, and is gone when that is done. */
  end(code: string, sentence: string): void {
    if (this.isEnding) return;
    this.isEnding = true;
    this.host.ending.add(this);
    this.process.after(0, () => {
      void this.session.end(code, sentence).then(() => this.process.after(WORKER_LAST_WORDS_MS, () => this.ended()));
    });
    this.clock.after(WORKER_DRAIN_TIMEOUT_MS, () => this.kill());
  }

  kill(): void {
    this.process.kill();
  }

  /** All is closed: what was lent must be back, apart from last words that are still under way. */
  private ended(): void {
    const left = this.pools.bodies.lent.size;
    if (left > 0)
      this.host.breach(`${left} body buffers of the server process of ${this.node}, life ${this.life}, are not back at its end`);
    this.kill();
  }

  private gone(): void {
    this.host.ending.delete(this);
    for (const backend of this.backends) backend.killed();
    this.pools.outputs.reclaim();
    for (const gone of this.whenGone) gone();
  }

  private ports(): ConstructorParameters<typeof Session>[3] {
    const { process, host, pools } = this;
    return {
      clock: process,
      log: NO_LOG,
      pools,
      pathsChanged: () => undefined,
      clientEnds: () => {
        if (!this.isEnding) process.after(0, () => this.end('E_SHUTTING_DOWN', 'The client has ended'));
      },
      list: () => this.asked(() => ({ ...this.list(), volumes: this.offers() })),
      grant: ({ name }) => this.asked(() => this.grant(name)),
      release: (volumeId) =>
        this.asked(() => {
          const hold = host.holds.get(volumeId);
          if (hold !== undefined) host.holds.set(volumeId, { ...hold, node: NOBODY, epoch: hold.epoch + 1 });
        }),
      openBackend: ({ name }) =>
        this.shortly(() => {
          const storage = host.storages.get(name);
          if (storage === undefined) throw new RsError('E_VOLUME', `No storage ${name}`);
          const backend = storage.open(process, this.life);
          this.backends.push(backend);
          return backend;
        }),
    };
  }

  /** A question to the listener: what is asked first is answered first. */
  private asked<T>(give: () => T): Promise<T> {
    const { clock, host } = this;
    const nowMs = clock.monotonicMs();
    this.answeredMs = Math.max(this.answeredMs, nowMs + host.random.unit() * host.controlMs);
    return this.in(this.answeredMs - nowMs, give);
  }

  /** A step of the control plane: takes a while, and is never done when the process dies meanwhile. */
  private shortly<T>(give: () => T): Promise<T> {
    return this.in(this.host.random.unit() * this.host.controlMs, give);
  }

  private in<T>(delayMs: number, give: () => T): Promise<T> {
    const { process, host } = this;
    host.promised();
    return new Promise((resolve, reject) => {
      process.after(delayMs, () => {
        host.promised();
        try {
          resolve(give());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** Each node is shown its own volumes only. */
  private offers(): VolumeEntry[] {
    const own = [...this.host.storages].filter(([name]) => name.includes(`-${this.node}-`) && name.startsWith(`${this.host.name}-`));
    return own.map(([name, { content }]) => ({
      name,
      id: name,
      universe: 0,
      sizeBytes: content.length,
      blockSizeBytes: SECTOR_BYTES,
      readonly: false,
      shared: false,
      holders: [],
    }));
  }

  /** H1, H4: one holder; a later instance of its node takes the hold over, with a new epoch. */
  private grant(name: string): Grant {
    const { host, node, instance } = this;
    const storage = host.storages.get(name);
    if (storage === undefined) return { granted: false, status: STATUS.UNKNOWN_VOLUME, sentence: `No volume ${name}`, holders: [] };
    const hold = host.holds.get(name) ?? { node, instance, epoch: 1 };
    if (hold.node !== node && hold.node !== NOBODY)
      return { granted: false, status: STATUS.HELD, sentence: `Volume ${name} is held`, holders: [] };
    if (hold.instance !== instance) hold.epoch++;
    host.holds.set(name, { ...hold, node, instance });
    const volume: ServedVolume = {
      name,
      universe: 0,
      id: name,
      type: 'memory',
      path: null,
      sizeBytes: storage.content.length,
      blockSizeBytes: 512,
      readonly: false,
      shared: false,
      clients: null,
    };
    return { granted: true, volume, readonly: false, identity: `${name}.${hold.epoch}`, life: 'life' };
  }
}
