// The backend with which a process of a simulated server uses a volume of the mounted pool, in place of the file backend. Operations run at
// once or later, in any order. A process may be killed at any moment, and its open files then close. FLUSHes go through the production gate.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { type Backend, type BackendCapabilities, type ExtentsDone, type IoDone, WOULD_WAIT } from '@rsio/rssrv/storage/io/backend';
import { FlushGate } from '@rsio/rssrv/storage/io/flush-gate';
import { SyncedWrites } from '@rsio/rssrv/storage/io/synced-writes';
import type { SimProcess } from '../base/sim-clock.ts';
import type { FarmFile, FarmMount } from './farm-mount.ts';

export interface BackendShape {
  /** Share of the operations that run at once. */
  readonly fast: number;
  /** Longest time in ms until an operation takes effect, and also longest time from its effect until its end. */
  readonly effectMs: number;
  readonly lateMs: number;
  readonly lateChance: number;
}

export class FarmBackend implements Backend {
  readonly sizeBytes: number;
  readonly capabilities: BackendCapabilities = { type: 'file', readonly: false, canDiscard: false, canZeroFast: false, canExtents: false };
  private readonly mount: FarmMount;
  private readonly file: FarmFile;
  private readonly synced: FarmFile;
  private readonly process: SimProcess;
  private readonly random: SeededRandom;
  private readonly shape: BackendShape;
  private readonly gate: FlushGate;
  private readonly syncedWrites = new SyncedWrites();
  private running = 0;
  private whenIdle: (() => void) | null = null;

  constructor(mount: FarmMount, id: string, sizeBytes: number, process: SimProcess, random: SeededRandom, shape: BackendShape) {
    this.mount = mount;
    this.sizeBytes = sizeBytes;
    this.process = process;
    this.random = random;
    this.shape = shape;
    this.file = mount.open(id);
    this.synced = mount.open(id);
    process.ends.add({ processResumed: () => undefined, processKilled: () => this.closeFiles() });
    this.gate = new FlushGate(
      (end) =>
        this.later(() => mount.sync(this.file, 0, sizeBytes / SECTOR_BYTES, (isFine) => this.endLater(() => end(isFine ? null : 'EIO')))),
      (end) => end(),
      () => undefined,
      (call) => void process.after(0, call),
    );
  }

  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    const [from, to] = pagesOf(positionBytes, lengthBytes);
    if (!this.random.chance(this.shape.fast) || !this.mount.isCached(this.file.id, from, to)) return WOULD_WAIT;
    return statusOf(this.mount.copy(this.file.id, from, to, target, offset));
  }

  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    if (!this.random.chance(this.shape.fast)) return WOULD_WAIT;
    return statusOf(this.mount.write(this.file.id, ...pagesOf(positionBytes, lengthBytes), source, offset));
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    const [from, to] = pagesOf(positionBytes, lengthBytes);
    // A killed process frees its memory, so that no read may write into this memory afterwards.
    const found = Buffer.alloc(lengthBytes);
    this.later(() =>
      this.mount.read(this.file.id, from, to, found, 0, (isFine) =>
        this.endLater(() => {
          found.copy(target, offset);
          done(statusOf(isFine));
        }),
      ),
    );
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, fua: boolean, done: IoDone): void {
    const [from, to] = pagesOf(positionBytes, lengthBytes);
    const ended = (errno: string | null): void => done(statusOf(errno === null));
    const end = fua ? this.syncedWrites.begin(ended) : ended;
    const endLater = (isFine: boolean): void => this.endLater(() => end(isFine ? null : 'EIO'));
    this.later(() => {
      const isFine = this.mount.write(this.file.id, from, to, source, offset);
      if (isFine && fua) this.mount.sync(this.synced, from, to, endLater);
      else endLater(isFine);
    });
  }

  flush(done: IoDone): void {
    this.running++;
    this.gate.flush((status) => {
      done(status);
      this.left();
    });
  }

  discard(_positionBytes: number, _lengthBytes: number, done: IoDone): void {
    this.later(() => this.endLater(() => done(STATUS.OK)));
  }

  zero(_positionBytes: number, _lengthBytes: number, _keepAllocated: boolean, _fua: boolean, done: IoDone): void {
    this.later(() => this.endLater(() => done(STATUS.UNSUPPORTED)));
  }

  extents(_positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    this.later(() => this.endLater(() => done(STATUS.OK, [lengthBytes / SECTOR_BYTES, EXTENT.DATA])));
  }

  async close(): Promise<void> {
    if (this.running > 0)
      await new Promise<void>((resolve) => {
        this.whenIdle = resolve;
      });
    this.closeFiles();
  }

  private closeFiles(): void {
    this.mount.close(this.file);
    this.mount.close(this.synced);
  }

  private later(begin: () => void): void {
    this.running++;
    const { random, shape } = this;
    const maxMs = random.chance(shape.lateChance) ? shape.lateMs : shape.effectMs;
    this.process.after(random.unit() * maxMs, begin);
  }

  private endLater(done: () => void): void {
    this.process.after(this.random.unit() * this.shape.effectMs, () => {
      done();
      this.left();
    });
  }

  private left(): void {
    this.running--;
    if (this.running > 0 || this.whenIdle === null) return;
    this.whenIdle();
  }
}

function pagesOf(positionBytes: number, lengthBytes: number): [from: number, to: number] {
  return [positionBytes / SECTOR_BYTES, (positionBytes + lengthBytes) / SECTOR_BYTES];
}

function statusOf(isFine: boolean): Status {
  return isFine ? STATUS.OK : STATUS.IO_ERROR;
}
