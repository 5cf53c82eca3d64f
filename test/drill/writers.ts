// Random I/O on one attached volume: unaligned writes, zeros, discards and flushes in several lanes. This file keeps the expected contents
// of the volume. Invariants: no two requests in flight touch the same sector. `stop` resolves when each request is answered or its
// connection has ended.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Host } from '../support/hosts/host.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { type Contents, SECTOR_BYTES } from './contents.ts';

const LANES = 4;
const [FLUSHES, DISCARDS, ZEROS] = [0.05, 0.08, 0.12];
/** Most requests are small; some are longer than a segment of the trunk. */
const [SMALL_BYTES, LARGE_BYTES, LARGE_SHARE] = [9_000, 300_000, 0.05];
/** Longest wait for an answer. This wait is longer than any outage of the drill. */
const ANSWER_MS = 120_000;
const CONNECTED_MS = 30_000;

/** Numbers of requests that were answered OK. */
export interface Tally {
  answered: number;
}

export class Writers {
  readonly name: string;
  private readonly contents: Contents;
  private readonly tally: Tally;
  private readonly busy = new Set<number>();
  private lanes: readonly NbdIo[] = [];
  private ended: Promise<unknown> = Promise.resolve();
  private isStopped = false;
  /** Errors of requests that failed although their connection continued. */
  readonly errors: string[] = [];

  constructor(name: string, contents: Contents, tally: Tally) {
    this.name = name;
    this.contents = contents;
    this.tally = tally;
  }

  async start(client: Host, seed: number): Promise<void> {
    const open = (): Promise<NbdIo> => NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${this.name}`, ANSWER_MS);
    const first = await waitFor(open, CONNECTED_MS, `${this.name} can be opened`);
    this.lanes = [first, ...(await Promise.all(Array.from({ length: LANES - 1 }, open)))];
    this.ended = Promise.all(this.lanes.map((nbd, lane) => this.write(nbd, new SeededRandom(seed + lane))));
  }

  /** `isCut`: rsiod was killed. Requests may therefore be without an answer. */
  async stop(isCut: boolean): Promise<void> {
    this.isStopped = true;
    await this.ended;
    for (const nbd of this.lanes) nbd.close();
    if (isCut) this.errors.length = 0;
  }

  private async write(nbd: NbdIo, random: SeededRandom): Promise<void> {
    while (!this.isStopped) {
      const isLarge = random.chance(LARGE_SHARE);
      const lengthBytes = random.int(1, isLarge ? LARGE_BYTES : SMALL_BYTES);
      const offset = random.int(0, this.contents.sizeBytes - lengthBytes);
      const place = this.take(offset, lengthBytes);
      if (place === null) {
        await new Promise(setImmediate);
        continue;
      }
      try {
        await this.request(nbd, random, offset, lengthBytes);
        this.tally.answered++;
      } catch (error) {
        this.errors.push(`${this.name}: ${(error as Error).message}`);
        return;
      } finally {
        for (const sector of place) this.busy.delete(sector);
      }
    }
  }

  private async request(nbd: NbdIo, random: SeededRandom, offset: number, lengthBytes: number): Promise<void> {
    const choice = random.unit();
    if (choice < FLUSHES) return nbd.flush();
    if (choice < FLUSHES + DISCARDS) {
      this.contents.discarded(offset, lengthBytes);
      return nbd.trim(offset, lengthBytes);
    }
    const isZeros = choice < FLUSHES + DISCARDS + ZEROS;
    const data = isZeros ? Buffer.alloc(lengthBytes) : Buffer.alloc(lengthBytes, random.bytes(Math.min(lengthBytes, 64)));
    try {
      await (isZeros ? nbd.zero(offset, lengthBytes) : nbd.write(offset, data));
    } catch (error) {
      this.contents.mayHave(offset, data);
      throw error;
    }
    this.contents.wrote(offset, data);
  }

  /** Reserves the sectors of a request and returns them; null: another request has one of these sectors. */
  private take(offset: number, lengthBytes: number): readonly number[] | null {
    const first = Math.floor(offset / SECTOR_BYTES);
    const count = Math.ceil((offset + lengthBytes) / SECTOR_BYTES) - first;
    const sectors = Array.from({ length: count }, (_, index) => first + index);
    if (sectors.some((sector) => this.busy.has(sector))) return null;
    for (const sector of sectors) this.busy.add(sector);
    return sectors;
  }
}
