// The work of a well-behaved client: several connections to rsiod's NBD socket write and read back without pause, each in its own region.
// The load counts operations and keeps the first error. The caller starts the daemons and sets the duration.

import { NbdIo } from '../../support/io/nbd-io.ts';

const PROGRAMS = 4;
const PIECE_BYTES = 64 * 1024;
const REGION_PIECES = 16;

export interface GoodSums {
  pieces: number;
  /** The first error or difference. Null: no error and no difference has occurred. */
  error: string | null;
  slowestMs: number;
}

export class GoodLoad {
  private readonly programs: readonly NbdIo[];
  private readonly running: Promise<unknown>;
  private sums: GoodSums = { pieces: 0, error: null, slowestMs: 0 };
  private isOver = false;

  private constructor(programs: readonly NbdIo[]) {
    this.programs = programs;
    this.running = Promise.all(programs.map((program, index) => this.work(program, index)));
  }

  /** Begins the work. `volume`: name of a volume of at least 4 MiB. */
  static async begin(nbdSocket: string, volume: string): Promise<GoodLoad> {
    const programs = await Promise.all(Array.from({ length: PROGRAMS }, () => NbdIo.open(nbdSocket, volume)));
    return new GoodLoad(programs);
  }

  /** Returns the sums of the I/O since the last call. */
  take(): GoodSums {
    const taken = this.sums;
    this.sums = { pieces: 0, error: null, slowestMs: 0 };
    return taken;
  }

  async end(): Promise<void> {
    this.isOver = true;
    await this.running;
    for (const program of this.programs) program.close();
  }

  private async work(program: NbdIo, index: number): Promise<void> {
    for (let piece = 0; !this.isOver; piece = (piece + 1) % REGION_PIECES) {
      const startMs = performance.now();
      try {
        await program.verify((index * REGION_PIECES + piece) * PIECE_BYTES, PIECE_BYTES);
      } catch (error) {
        this.sums.error ??= (error as Error).message;
        return;
      }
      this.sums.pieces++;
      this.sums.slowestMs = Math.max(this.sums.slowestMs, performance.now() - startMs);
    }
  }
}
