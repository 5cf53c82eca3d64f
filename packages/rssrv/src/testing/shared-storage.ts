// A shared storage in memory, and servers with pools on this storage, for tests of farms. Each call of a server is a message: the storage
// executes it at any later moment, or never, and the answer arrives at any later moment. Invariant: the storage executes no write of a
// fenced client.

import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { SharedDiskConfig } from '@rsio/common/config/schema/types';
import type { Engine, Sight, StorageClient } from '../farm/engine.ts';
import type { FarmRecord, Note } from '../farm/farm-record.ts';
import { SharedPool } from '../farm/shared-pool.ts';

interface Message {
  readonly from: FarmServer;
  /** Executes the call at the storage. Returns a function that delivers the answer. */
  readonly execute: () => () => void;
}

/** A write that the storage has executed. */
export interface ExecutedWrite {
  readonly client: string;
  readonly generation: number;
}

export class SharedStorage {
  record: FarmRecord | null;
  readonly notes = new Map<string, Note>();
  readonly fenced = new Set<string>();
  readonly writes: ExecutedWrite[] = [];
  /** The highest generation that has mounted the file system. */
  mountedBy = 0;
  readonly servers: FarmServer[] = [];
  diskBytes = 1_000;
  fileSystemBytes = 1_000;
  /** True while no fence can be proven. */
  isFenceBroken = false;
  private names = 0;
  readonly random: SeededRandom;
  readonly messages: Message[] = [];
  readonly answers: { readonly to: FarmServer; readonly deliver: () => void }[] = [];

  constructor(record: FarmRecord | null, random: SeededRandom) {
    this.record = record;
    this.random = random;
  }

  newName(): string {
    return `client-${this.names++}`;
  }

  /** Executes one message, or delivers one answer, chosen at random. */
  async stir(): Promise<void> {
    const ready = this.answers.filter(({ to }) => to.isRunning);
    const heard = this.messages.filter(({ from }) => !from.isCutOff);
    if (ready.length > 0 && (heard.length === 0 || this.random.chance(0.5))) {
      const one = this.random.pick(ready);
      this.answers.splice(this.answers.indexOf(one), 1);
      if (one.to.isAlive) one.deliver();
    } else if (heard.length > 0) {
      const one = this.random.pick(heard);
      this.messages.splice(this.messages.indexOf(one), 1);
      this.answers.push({ to: one.from, deliver: one.execute() });
    }
    await settled();
  }
}

/** Lets all promises settle, except those that wait for an event of the test. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await Promise.resolve();
}

/** A server with one shared pool, its mount and its client of the storage. */
export class FarmServer {
  readonly name: string;
  /** The clock of the current process. */
  clock = new FakeClock();
  readonly storage: SharedStorage;
  isAlive = true;
  isStopped = false;
  isCutOff = false;
  /** The mount in the kernel of this server, which outlives its process; null if nothing is mounted. */
  mounted: FakeClient | null = null;
  /** True while the volumes of the pool are served. */
  isServing = false;
  /** How many of the next mounts fail. */
  failingMounts = 0;
  /** True while a job keeps the pool at this server. */
  isBusy = false;
  readonly events: string[] = [];
  private readonly clients: FakeClient[] = [];
  pool: SharedPool;
  private config: SharedDiskConfig;

  constructor(name: string, storage: SharedStorage, config: SharedDiskConfig) {
    this.name = name;
    this.storage = storage;
    this.config = config;
    this.pool = this.newPool();
    storage.servers.push(this);
  }

  configure(config: SharedDiskConfig): void {
    this.config = config;
    this.pool.configure(config);
  }

  get isRunning(): boolean {
    return !this.isStopped || !this.isAlive;
  }

  /** Ends the process. Its mount stays in the kernel. */
  kill(): void {
    this.isAlive = false;
    this.isServing = false;
  }

  /** Starts a new process. */
  boot(): void {
    this.isAlive = true;
    this.isStopped = false;
    this.clock = new FakeClock();
    this.pool = this.newPool();
    void this.pool.start();
  }

  /** Sends a call to the storage. The answer never arrives at an earlier process of this server. */
  call<T>(execute: () => T): Promise<T> {
    const { pool } = this;
    return new Promise((resolve, reject) => {
      const late = this.clock.after(5_000, () => reject(new RsError('E_STORAGE', 'the storage does not answer')));
      this.storage.messages.push({
        from: this,
        execute: () => {
          let outcome: { readonly value: T } | { readonly error: unknown };
          try {
            outcome = { value: execute() };
          } catch (error) {
            outcome = { error };
          }
          return () => {
            if (pool !== this.pool) return;
            late.cancel();
            if ('value' in outcome) resolve(outcome.value);
            else reject(outcome.error);
          };
        },
      });
    });
  }

  /** A write to the file system that is mounted here, by a volume or by the file system itself. */
  write(): void {
    const client = this.mounted;
    if (client === null) return;
    this.storage.messages.push({
      from: this,
      execute: () => {
        if (!client.isOver && !this.storage.fenced.has(client.name))
          this.storage.writes.push({ client: client.name, generation: client.generation });
        return () => undefined;
      },
    });
  }

  private newPool(): SharedPool {
    const { storage, name, clock } = this;
    const note = (what: string): void => void this.events.push(what);
    const engine: Engine = {
      kind: 'fake',
      prepare: async () => undefined,
      look: () => this.call((): Sight => ({ record: storage.record, notes: new Map(storage.notes) })),
      swap: (seen, next) =>
        this.call(() => {
          if ((storage.record?.version ?? 0) !== (seen?.version ?? 0)) return false;
          storage.record = next;
          return true;
        }),
      post: (one) => this.call(() => void storage.notes.set(name, one)),
      connect: (generation) =>
        this.call(() => {
          const client = new FakeClient(this, storage.newName(), generation);
          this.clients.push(client);
          return client;
        }),
      fence: (writer) =>
        this.call(() => {
          if (storage.isFenceBroken) throw new RsError('E_FENCE', `${writer.client} is not proven to be fenced`);
          storage.fenced.add(writer.client);
        }),
      clear: () =>
        this.call(() => {
          if (this.mounted !== null) throw new RsError('E_STORAGE', 'its device is mounted');
          for (const client of this.clients.splice(0)) client.isOver = true;
        }),
      close: async () => undefined,
    };
    const pool: SharedPool = new SharedPool('fast', this.config, {
      clock,
      server: name,
      engine,
      random: () => storage.random.unit(),
      load: () => (this.isServing ? 7 : 0),
      log: { info: note, warn: note, error: note },
      mount: {
        mount: (device) =>
          this.call(() => {
            const client = FakeClient.byDevice.get(device)!;
            if (this.failingMounts-- > 0) throw new RsError('E_POOL', 'wrong fs type');
            if (client.isOver || storage.fenced.has(client.name)) throw new RsError('E_POOL', 'I/O error');
            this.mounted = client;
            storage.mountedBy = Math.max(storage.mountedBy, client.generation);
            storage.writes.push({ client: client.name, generation: client.generation });
          }),
        // All writes that the mount has sent are executed or refused before the unmount ends.
        unmount: () =>
          this.call(() => {
            if (this.mounted !== null) this.mounted.isOver = true;
            this.mounted = null;
          }),
        refuseCopies: async () => undefined,
        grow: () =>
          this.call(() => {
            if (this.mounted === null || storage.fenced.has(this.mounted.name)) throw new RsError('E_POOL', 'I/O error');
            storage.fileSystemBytes = storage.diskBytes;
          }),
        probe: async () => {
          if (this.mounted === null) throw new RsError('E_POOL', 'nothing is mounted');
        },
      },
      came: async () => {
        if (pool === this.pool && this.isAlive) this.isServing = true;
      },
      leave: async (isLost) => {
        if (!isLost && this.isBusy) throw new RsError('E_BUSY', 'Job 7 uses pool fast');
        if (pool === this.pool) this.isServing = false;
      },
    });
    return pool;
  }
}

class FakeClient implements StorageClient {
  static readonly byDevice = new Map<string, FakeClient>();
  readonly name: string;
  readonly generation: number;
  readonly hasEnded = false;
  /** True after the unmount, when no write of the mount is pending. */
  isOver = false;
  private readonly server: FarmServer;

  constructor(server: FarmServer, name: string, generation: number) {
    this.server = server;
    this.name = name;
    this.generation = generation;
  }

  open(): Promise<string> {
    FakeClient.byDevice.set(this.name, this);
    return this.server.call(() => this.name);
  }

  grow(): Promise<number> {
    return this.server.call(() => this.server.storage.diskBytes);
  }

  async cut(): Promise<void> {
    this.isOver = true;
  }

  async close(): Promise<void> {
    this.isOver = true;
  }
}
