// The file system of a pool, mounted by the kernel of a simulated machine: a page cache over the shared disk. Changes are dirty until they
// are written back, at random times or by a sync. The mount outlives the processes of its server, and dies with the machine. A write-back
// that the storage refuses loses its pages, although reads still show them; each descriptor gets the error once. Invariant: at most one
// write of each page is under way.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { SimProcess } from '../base/sim-clock.ts';
import type { DiskClient, LinkedMachine, SharedDisk } from './shared-disk.ts';

/** An open file, with the number of the last error that was reported to it. */
export interface FarmFile {
  readonly id: string;
  told: number;
}

interface Sync {
  readonly from: number;
  readonly to: number;
  readonly versions: Uint32Array;
  readonly done: () => void;
}

/** The cached pages of one volume. A page is one sector. */
class Pages {
  readonly content: Buffer;
  readonly cached: Uint8Array;
  /**
   * For each page: `changed` counts its changes, `written` the changes whose write has ended, and `underWay` the changes that the current
   * write includes; 0: there is no current write.
   */
  readonly changed: Uint32Array;
  readonly written: Uint32Array;
  readonly underWay: Uint32Array;
  errors = 0;
  /** Number of reads of the disk that are under way. During a read, no page is evicted. */
  reads = 0;
  readonly syncs = new Set<Sync>();

  constructor(sectors: number) {
    this.content = Buffer.alloc(sectors * SECTOR_BYTES);
    this.cached = new Uint8Array(sectors);
    this.changed = new Uint32Array(sectors);
    this.written = new Uint32Array(sectors);
    this.underWay = new Uint32Array(sectors);
  }

  isDirty(page: number): boolean {
    return this.changed[page]! > Math.max(this.written[page]!, this.underWay[page]!);
  }

  /** Whether the page is neither dirty nor being written. */
  isIdle(page: number): boolean {
    return this.changed[page] === this.written[page];
  }
}

export interface MountPorts {
  readonly disk: SharedDisk;
  readonly machine: LinkedMachine;
  /** Runs the kernel of the machine. */
  readonly kernel: SimProcess;
  readonly random: SeededRandom;
  /** Mean time between two write-backs, ms. */
  readonly writeBackMs: number;
}

const EVICT_CHANCE = 0.1;

export class FarmMount {
  readonly client: DiskClient;
  /** The file system has shut down: everything fails until it is mounted again. */
  hasFailed = false;
  /** Open files, which keep the file system from being unmounted. */
  readonly files = new Set<FarmFile>();
  ledger: string;
  private readonly ports: MountPorts;
  private readonly volumes = new Map<string, Pages>();
  /** One function for each operation under way; all are called when all I/O of the device fails. */
  private readonly cuts = new Set<() => void>();
  private isCut = false;
  private isOver = false;
  private whenIdle: (() => void) | null = null;

  constructor(client: DiskClient, ledger: string, ports: MountPorts) {
    this.client = client;
    this.ledger = ledger;
    this.ports = ports;
    this.writeBackLater();
  }

  open(id: string): FarmFile {
    const file = { id, told: this.pagesOf(id).errors };
    this.files.add(file);
    return file;
  }

  close(file: FarmFile): void {
    this.files.delete(file);
  }

  isCached(id: string, from: number, to: number): boolean {
    return !this.pagesOf(id).cached.subarray(from, to).includes(0);
  }

  /** Copies cached pages. Returns false after a failure of the file system. */
  copy(id: string, from: number, to: number, target: Buffer, offset: number): boolean {
    if (this.hasFailed) return false;
    this.pagesOf(id).content.copy(target, offset, from * SECTOR_BYTES, to * SECTOR_BYTES);
    return true;
  }

  /** Reads pages, from the disk if they are not cached. Calls `done` with false if that fails. */
  read(id: string, from: number, to: number, target: Buffer, offset: number, done: (isFine: boolean) => void): void {
    if (this.hasFailed || this.isCached(id, from, to)) return done(this.copy(id, from, to, target, offset));
    const pages = this.pagesOf(id);
    const found = Buffer.alloc((to - from) * SECTOR_BYTES);
    pages.reads++;
    this.device(
      () => this.ports.disk.read(this.client, id, from, found),
      (isFine) => {
        pages.reads--;
        if (!isFine) return done(false);
        for (let page = from; page < to; page++) {
          if (pages.cached[page] === 1) continue;
          found.copy(pages.content, page * SECTOR_BYTES, (page - from) * SECTOR_BYTES, (page - from + 1) * SECTOR_BYTES);
          pages.cached[page] = 1;
        }
        done(this.copy(id, from, to, target, offset));
      },
    );
  }

  /** Changes pages in the cache. Returns false after a failure of the file system. */
  write(id: string, from: number, to: number, source: Buffer, offset: number): boolean {
    if (this.hasFailed) return false;
    const pages = this.pagesOf(id);
    source.copy(pages.content, from * SECTOR_BYTES, offset, offset + (to - from) * SECTOR_BYTES);
    for (let page = from; page < to; page++) {
      pages.cached[page] = 1;
      pages.changed[page]!++;
    }
    return true;
  }

  /** Writes what was changed before the call. Calls `done` with false if the file gets an error that it has not got yet. */
  sync(file: FarmFile, from: number, to: number, done: (isFine: boolean) => void): void {
    const pages = this.pagesOf(file.id);
    const end = (): void => {
      const isFine = !this.hasFailed && file.told === pages.errors;
      file.told = pages.errors;
      done(isFine);
    };
    if (this.hasFailed) return end();
    const sync: Sync = { from, to: Math.min(to, pages.changed.length), versions: pages.changed.slice(), done: end };
    pages.syncs.add(sync);
    this.goOn(file.id, pages, sync);
  }

  /** Replaces the ledger durably. Calls `done` with false if that fails, and the file system has then failed. */
  replaceLedger(text: string | null, done: (isFine: boolean) => void): void {
    if (this.hasFailed) return done(false);
    this.device(
      () => this.ports.disk.writeLedger(this.client, text),
      (isFine) => {
        if (isFine && text !== null) this.ledger = text;
        // The log of the file system cannot be written.
        if (!isFine) this.fail();
        done(isFine && !this.hasFailed);
      },
    );
  }

  fail(): void {
    this.hasFailed = true;
    for (const pages of this.volumes.values()) this.syncsGoOn('', pages);
  }

  /** Makes all I/O of the device fail at once. What was sent to the storage may still be executed. */
  cut(): void {
    this.isCut = true;
    for (const cut of [...this.cuts]) cut();
  }

  /** Writes everything that is dirty, and ends the mount. All files must be closed. */
  unmount(done: () => void): void {
    this.whenIdle = done;
    for (const [id, pages] of this.volumes) this.writeDirty(id, pages, 0, pages.cached.length, 1);
    this.checkIdle();
  }

  /** The machine has died. */
  died(): void {
    this.isOver = true;
    this.ports.disk.unmounted(this.client);
  }

  /** Whether a page of this volume may differ from the disk. */
  hasUnwritten(id: string): boolean {
    const pages = this.pagesOf(id);
    return pages.changed.some((_count, page) => !pages.isIdle(page));
  }

  private pagesOf(id: string): Pages {
    let pages = this.volumes.get(id);
    if (pages === undefined) {
      pages = new Pages(this.ports.disk.blocksOf(id).length / SECTOR_BYTES);
      this.volumes.set(id, pages);
    }
    return pages;
  }

  /** Sends an operation to the device; `done` gets false if the storage has refused it, or if the device was cut. */
  private device(execute: () => boolean, done: (isFine: boolean) => void): void {
    const { disk, machine, kernel } = this.ports;
    let isDone = false;
    const end = (isFine: boolean): void => {
      if (isDone) return;
      isDone = true;
      this.cuts.delete(cut);
      done(isFine);
      this.checkIdle();
    };
    const cut = (): void => void kernel.after(0, () => end(false));
    this.cuts.add(cut);
    if (this.isCut) cut();
    else disk.send(machine, kernel, execute, end);
  }

  private checkIdle(): void {
    if (this.whenIdle === null || this.cuts.size > 0) return;
    const isDirty = [...this.volumes.values()].some((pages) => pages.changed.some((_count, page) => pages.isDirty(page)));
    if (isDirty && !this.hasFailed && !this.isCut) return;
    const done = this.whenIdle;
    this.whenIdle = null;
    this.isOver = true;
    this.ports.disk.unmounted(this.client);
    done();
  }

  private writeBackLater(): void {
    const { kernel, random, writeBackMs } = this.ports;
    kernel.after(random.unit() * 2 * writeBackMs, () => {
      if (this.isOver) return;
      for (const [id, pages] of this.volumes) {
        this.writeDirty(id, pages, 0, pages.cached.length, random.pick([0.3, 1]));
        for (let page = 0; page < pages.cached.length && pages.reads === 0; page++)
          if (pages.isIdle(page) && random.chance(EVICT_CHANCE)) pages.cached[page] = 0;
      }
      this.writeBackLater();
    });
  }

  /** Begins to write runs of dirty pages, each run with the given chance. */
  private writeDirty(id: string, pages: Pages, from: number, to: number, chance: number): void {
    if (this.hasFailed) return;
    for (let page = from; page < to; page++) {
      if (!pages.isDirty(page) || pages.underWay[page]! > 0) continue;
      let end = page + 1;
      while (end < to && pages.isDirty(end) && pages.underWay[end] === 0) end++;
      if (this.ports.random.chance(chance)) this.writeRun(id, pages, page, end);
      page = end - 1;
    }
  }

  private writeRun(id: string, pages: Pages, from: number, to: number): void {
    const source = Buffer.from(pages.content.subarray(from * SECTOR_BYTES, to * SECTOR_BYTES));
    for (let page = from; page < to; page++) pages.underWay[page] = pages.changed[page]!;
    this.device(
      () => this.ports.disk.write(this.client, id, from, source),
      (isFine) => {
        if (!isFine) pages.errors++;
        for (let page = from; page < to; page++) {
          pages.written[page] = pages.underWay[page]!;
          pages.underWay[page] = 0;
        }
        this.syncsGoOn(id, pages);
        if (this.whenIdle !== null) this.writeDirty(id, pages, 0, pages.cached.length, 1);
      },
    );
  }

  private syncsGoOn(id: string, pages: Pages): void {
    for (const sync of [...pages.syncs]) this.goOn(id, pages, sync);
  }

  private goOn(id: string, pages: Pages, sync: Sync): void {
    const { from, to, versions } = sync;
    let isDone = true;
    for (let page = from; page < to && !this.hasFailed; page++) {
      if (pages.written[page]! >= versions[page]!) continue;
      isDone = false;
      if (pages.underWay[page] === 0) this.writeDirty(id, pages, page, to, 1);
    }
    if (isDone || this.hasFailed) {
      pages.syncs.delete(sync);
      this.ports.kernel.after(0, sync.done);
    }
  }
}
