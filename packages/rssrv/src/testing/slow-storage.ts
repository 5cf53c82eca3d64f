// Storage in memory for tests, that outlives the processes which open it: its operations go at once or later, in any order, and take
// effect at any moment in between, as a disk's do. It watches the rules that a server process owes its storage and says each breach:
// no two overlapping changes at one time (O1), nothing of an ended process, no write after its answer was told.

import type { Clock } from '@rsio/protocol/lib/clock';
import { SECTOR_BYTES } from '@rsio/protocol/limits';
import type { SeededRandom } from '@rsio/protocol/testing/seeded-random';
import { EXTENT } from '@rsio/protocol/wire/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { Backend, BackendCapabilities, ExtentsDone, IoDone } from '../backends/backend.ts';
import { WOULD_WAIT } from '../backends/backend.ts';

export interface StorageShape {
  /** Whether an operation goes at once. */
  isFast(): boolean;
  /** Time until an operation takes effect, and from there to its end, ms. */
  effectMs(): number;
  endMs(): number;
}

interface Range {
  readonly from: number;
  readonly to: number;
}

export class SlowStorage {
  readonly content: Buffer;
  readonly breaches: string[] = [];
  /** Called for each change that takes effect: what the storage may still be told then is the test's to know. */
  onWrite: (firstSector: number, content: Buffer) => void = () => {};
  readonly changing = new Set<Range>();

  constructor(sectors: number) {
    this.content = Buffer.alloc(sectors * SECTOR_BYTES);
  }

  open(clock: Clock, shape: StorageShape, random: SeededRandom): SlowBackend {
    return new SlowBackend(this, clock, shape, random);
  }

  change(positionBytes: number, content: Buffer): void {
    content.copy(this.content, positionBytes);
    this.onWrite(positionBytes / SECTOR_BYTES, content);
  }

  begin(range: Range): void {
    for (const other of this.changing) {
      if (other.from < range.to && range.from < other.to)
        this.breaches.push(`Changes of ${range.from}..${range.to} and ${other.from}..${other.to} overlap in time`);
    }
    this.changing.add(range);
  }
}

/** One process's opening of the storage. */
export class SlowBackend implements Backend {
  readonly sizeBytes: number;
  readonly capabilities: BackendCapabilities = { type: 'memory', readonly: false, canDiscard: true, canZeroFast: true, canExtents: true };
  running = 0;
  private readonly storage: SlowStorage;
  private readonly clock: Clock;
  private readonly shape: StorageShape;
  private readonly random: SeededRandom;
  private readonly pending = new Set<() => void>();
  private isKilled = false;
  private whenIdle: (() => void) | null = null;

  constructor(storage: SlowStorage, clock: Clock, shape: StorageShape, random: SeededRandom) {
    this.storage = storage;
    this.sizeBytes = storage.content.length;
    this.clock = clock;
    this.shape = shape;
    this.random = random;
  }

  /** The process dies: of what was begun some takes effect now, the rest never, and nobody is told. */
  kill(): void {
    for (const effect of this.pending) if (this.random.chance(0.5)) effect();
    this.pending.clear();
    this.isKilled = true;
    this.storage.changing.clear();
  }

  tryRead(target: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    this.checkAlive();
    if (!this.shape.isFast()) return WOULD_WAIT;
    this.storage.content.copy(target, offset, positionBytes, positionBytes + lengthBytes);
    return STATUS.OK;
  }

  tryWrite(source: Buffer, offset: number, lengthBytes: number, positionBytes: number): Status | typeof WOULD_WAIT {
    this.checkAlive();
    if (!this.shape.isFast()) return WOULD_WAIT;
    const range = rangeOf(positionBytes, lengthBytes);
    this.storage.begin(range);
    this.storage.change(positionBytes, source.subarray(offset, offset + lengthBytes));
    this.storage.changing.delete(range);
    return STATUS.OK;
  }

  read(target: Buffer, offset: number, lengthBytes: number, positionBytes: number, done: IoDone): void {
    this.later(() => this.storage.content.copy(target, offset, positionBytes, positionBytes + lengthBytes), done);
  }

  write(source: Buffer, offset: number, lengthBytes: number, positionBytes: number, _fua: boolean, done: IoDone): void {
    this.changeLater(positionBytes, lengthBytes, () => source.subarray(offset, offset + lengthBytes), done);
  }

  flush(done: IoDone): void {
    this.later(() => undefined, done);
  }

  discard(positionBytes: number, lengthBytes: number, done: IoDone): void {
    this.changeLater(positionBytes, lengthBytes, () => Buffer.alloc(lengthBytes), done);
  }

  zero(positionBytes: number, lengthBytes: number, _keepAllocated: boolean, _fua: boolean, done: IoDone): void {
    this.changeLater(positionBytes, lengthBytes, () => Buffer.alloc(lengthBytes), done);
  }

  extents(_positionBytes: number, lengthBytes: number, done: ExtentsDone): void {
    this.later(
      () => undefined,
      (status) => done(status, [lengthBytes / SECTOR_BYTES, EXTENT.DATA]),
    );
  }

  async close(): Promise<void> {
    if (this.running === 0) return;
    await new Promise<void>((resolve) => {
      this.whenIdle = resolve;
    });
  }

  private changeLater(positionBytes: number, lengthBytes: number, content: () => Buffer, done: IoDone): void {
    const range = rangeOf(positionBytes, lengthBytes);
    this.storage.begin(range);
    this.later(
      () => this.storage.change(positionBytes, content()),
      (status) => {
        this.storage.changing.delete(range);
        done(status);
      },
    );
  }

  /** `effect` runs at some time before the end, and `done` at the end; neither after the process was killed. */
  private later(effect: () => void, done: IoDone): void {
    this.checkAlive();
    this.running++;
    this.pending.add(effect);
    this.clock.after(this.shape.effectMs(), () => {
      if (this.isKilled) return;
      this.pending.delete(effect);
      effect();
      this.clock.after(this.shape.endMs(), () => {
        if (this.isKilled) return;
        this.running--;
        done(STATUS.OK);
        if (this.running === 0) this.whenIdle?.();
      });
    });
  }

  private checkAlive(): void {
    if (this.isKilled) this.storage.breaches.push('An ended process began something');
  }
}

function rangeOf(positionBytes: number, lengthBytes: number): Range {
  return { from: positionBytes / SECTOR_BYTES, to: (positionBytes + lengthBytes) / SECTOR_BYTES };
}
