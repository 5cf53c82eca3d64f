// I/O that continues while a test changes the network: it repeatedly writes new content to one export and reads it back. Invariant: the
// first error or difference ends the I/O, and the next call of a method throws this error.

import type { Host } from '../../hosts/host.ts';
import { NbdIo } from '../../io/nbd-io.ts';
import { waitFor } from '../../programs/wait-for.ts';

/** Large enough that rsiod cuts each I/O into segments for all paths. */
const BYTES = 1024 * 1024;
const PLACES = 8;
const PROGRESS_MS = 10_000;

export class SteadyIo {
  private readonly nbd: NbdIo;
  private readonly ended: Promise<void>;
  private rounds = 0;
  private isOver = false;
  private failure: Error | undefined;

  private constructor(nbd: NbdIo) {
    this.nbd = nbd;
    this.ended = this.go();
  }

  /** Begins I/O on an attached volume of at least 8 MiB, such as `osl/oracle`. */
  static async begin(host: Host, name: string): Promise<SteadyIo> {
    return new SteadyIo(await NbdIo.open(host.rsiodPaths.nbdSocket, name));
  }

  /** Resolves when `rounds` more writes and reads are done. Throws the error or difference that has ended the I/O, if there is one. */
  async progress(rounds = 4): Promise<void> {
    const target = this.rounds + rounds;
    await waitFor(() => this.failure !== undefined || this.rounds >= target, PROGRESS_MS, `I/O makes ${rounds} rounds more`);
    if (this.failure !== undefined) throw this.failure;
  }

  /** Ends the I/O. Throws the error or difference that ended the I/O earlier, if there is one. */
  async end(): Promise<void> {
    this.isOver = true;
    await this.ended;
    this.nbd.close();
    if (this.failure !== undefined) throw this.failure;
  }

  private async go(): Promise<void> {
    try {
      while (!this.isOver) {
        await this.nbd.verify((this.rounds % PLACES) * BYTES, BYTES);
        this.rounds += 1;
      }
    } catch (error) {
      this.failure = error instanceof Error ? error : new Error(String(error));
    }
  }
}
