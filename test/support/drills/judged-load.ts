// I/O of a drill on an NBD export, and the judge of this I/O. Lanes write and read back in mixed sizes, and every second lane also flushes.
// Each lane has its own region, so that the last acknowledged content of every sector is known. The drill makes the faults. fio is a second
// load at the same time. Invariant: a lane has one request in flight, and each read must return the last acknowledged write.

import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { RsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { NbdClient } from '../io/nbd-client.ts';
import type { Host } from '../hosts/host.ts';
import { Gaps } from './gaps.ts';

const LANES = 8;
const LANES_OF_CONNECTION = 4;
const LANE_SECTORS = 1024;
const IO_SECTORS_MAX = 64;
/** Of a hundred I/Os of a lane, READS are reads and FLUSHES are flushes. The remaining I/Os are writes. */
const READS = 30;
const FLUSHES = 4;
const FIELD_BYTES = 8;
const BREACHES_MAX = 20;
const EIO = 5;

export const JUDGED_BYTES = LANES * LANE_SECTORS * SECTOR_BYTES;

export interface JudgeOptions {
  /** Position of the region that only this load uses. The region has JUDGED_BYTES. */
  readonly beginBytes: number;
  readonly flushes: boolean;
  /** Pause of a lane after each answer, so that the load takes no processor from concurrent tests; default: no pause. */
  readonly pauseMs?: number;
}

export class JudgedLoad {
  /** Sentences about contents that a read should not have returned. */
  readonly breaches: string[] = [];
  /** Errors of I/O. The first error of a lane ends the lane. */
  readonly errors: string[] = [];
  /** Number of flushes that were answered EIO. Only failing storage causes this error. */
  flushErrors = 0;
  readonly gaps = new Gaps();
  answered = 0;
  readonly flushes: boolean;
  private readonly beginBytes: number;
  private readonly pauseMs: number;
  /** For each sector: number of the last acknowledged write; 0: no write was acknowledged. */
  private readonly stamps = new Float64Array(LANES * LANE_SECTORS);
  private lastStamp = 0;
  private isStopping = false;
  private readonly ended: Promise<unknown>;

  private constructor(connections: readonly NbdClient[], { beginBytes, flushes, pauseMs = 0 }: JudgeOptions) {
    this.beginBytes = beginBytes;
    this.pauseMs = pauseMs;
    this.flushes = flushes;
    const lanes = Array.from({ length: LANES }, (_, lane) => {
      const nbd = connections[Math.floor(lane / LANES_OF_CONNECTION)]!;
      return this.run(nbd, lane * LANE_SECTORS, flushes && lane % 2 === 0);
    });
    this.ended = Promise.all(lanes).then(() => Promise.all(connections.map((nbd) => nbd.close())));
  }

  /** Aborting `signal` ends the connections, so that requests in flight fail. */
  static async start(host: Host, exportName: string, options: JudgeOptions, signal: AbortSignal): Promise<JudgedLoad> {
    const connections: NbdClient[] = [];
    while (connections.length < LANES / LANES_OF_CONNECTION) {
      connections.push(await NbdClient.open(host.rsiodPaths.nbdSocket, exportName, signal));
    }
    return new JudgedLoad(connections, options);
  }

  get writes(): number {
    return this.lastStamp;
  }

  /** Resolves when all requests in flight have been answered. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await this.ended;
  }

  /** Called when a flush has failed with this error. Returns true if the error is EIO. After EIO, the lane continues. */
  flushFailed(error: unknown): boolean {
    if (!(error instanceof RsError) || error.context['errno'] !== EIO) return false;
    this.flushErrors++;
    return true;
  }

  /** Expects that the whole region, as `read` returns it, has the acknowledged content. Must be called only after `stop`. */
  async compare(where: string, read: (offset: number, lengthBytes: number) => Promise<Buffer> | Buffer): Promise<void> {
    const stepSectors = LANE_SECTORS;
    for (let sector = 0; sector < this.stamps.length; sector += stepSectors) {
      const bytes = await read(this.offsetOf(sector), stepSectors * SECTOR_BYTES);
      this.check(where, sector, bytes);
    }
  }

  private async run(nbd: NbdClient, first: number, flushes: boolean): Promise<void> {
    while (!this.isStopping) {
      const dice = randomInt(100);
      const sector = first + randomInt(LANE_SECTORS - IO_SECTORS_MAX);
      const sectors = randomInt(1, IO_SECTORS_MAX + 1);
      const isFlush = flushes && dice < FLUSHES;
      try {
        if (isFlush) await nbd.flush();
        else if (dice >= 100 - READS) this.check('read', sector, await nbd.read(this.offsetOf(sector), sectors * SECTOR_BYTES));
        else await this.write(nbd, sector, sectors);
      } catch (error) {
        if (isFlush && this.flushFailed(error)) continue;
        this.errors.push((error as Error).message);
        return;
      }
      this.answered++;
      this.gaps.answered(performance.now());
      if (this.pauseMs > 0) await sleep(this.pauseMs);
    }
  }

  private async write(nbd: NbdClient, sector: number, sectors: number): Promise<void> {
    const stamp = ++this.lastStamp;
    const data = Buffer.allocUnsafe(sectors * SECTOR_BYTES);
    for (let index = 0; index < sectors; index++) fillSector(data, index, sector + index, stamp);
    await nbd.write(this.offsetOf(sector), data);
    this.stamps.fill(stamp, sector, sector + sectors);
  }

  private check(where: string, sector: number, bytes: Buffer): void {
    for (let index = 0; index * SECTOR_BYTES < bytes.length; index++) {
      const at = sector + index;
      const wanted = Buffer.alloc(SECTOR_BYTES);
      const stamp = this.stamps[at]!;
      if (stamp > 0) fillSector(wanted, 0, at, stamp);
      const found = bytes.subarray(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES);
      if (found.equals(wanted)) continue;
      if (this.breaches.length >= BREACHES_MAX) return;
      this.breaches.push(`${where}: sector ${at} has write ${found.readBigUInt64BE()}, acknowledged was ${stamp}`);
    }
  }

  private offsetOf(sector: number): number {
    return this.beginBytes + sector * SECTOR_BYTES;
  }
}

/** Fills a sector with the numbers of the write and of the sector, alternating. */
function fillSector(data: Buffer, index: number, sector: number, stamp: number): void {
  const begin = index * SECTOR_BYTES;
  data.writeBigUInt64BE(BigInt(stamp), begin);
  data.writeBigUInt64BE(BigInt(sector), begin + FIELD_BYTES);
  for (let bytes = 2 * FIELD_BYTES; bytes < SECTOR_BYTES; bytes *= 2) data.copy(data, begin + bytes, begin, begin + bytes);
}
