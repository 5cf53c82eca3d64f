// Records what has arrived of a pull, one note at a time. Invariants: a note that fails ends the pull, and its error is the error of the pull.
// When the pull is over, no note is in progress.

import { assert } from '@rsio/base/lib/assert';
import { type RsError, toRsError } from '@rsio/base/lib/errors';

export class ArrivalNotes {
  private readonly note: (positionBytes: number, leftBytes: number) => Promise<void>;
  private readonly cancel = new AbortController();
  private readonly stopping: AbortSignal;
  private last: Promise<void> = Promise.resolve();
  private highestBytes = 0;
  private readonly failures: RsError[] = [];

  constructor(note: (positionBytes: number, leftBytes: number) => Promise<void>, stopping: AbortSignal) {
    this.note = note;
    this.stopping = stopping;
  }

  /** Records a position, which is not lower than the one before. */
  add(positionBytes: number, leftBytes: number): void {
    assert(positionBytes >= this.highestBytes, 'What has arrived of a pull becomes less');
    this.highestBytes = positionBytes;
    this.last = this.last
      .then(() => (this.failures.length === 0 ? this.note(positionBytes, leftBytes) : undefined))
      .catch((thrown: unknown) => {
        this.failures.push(toRsError(thrown));
        this.cancel.abort();
      });
  }

  /** Executes a pull. Throws the error of a note, or of the pull. */
  async around(pull: (cancel: AbortSignal) => Promise<void>): Promise<void> {
    const stop = (): void => this.cancel.abort();
    this.stopping.addEventListener('abort', stop);
    if (this.stopping.aborted) stop();
    const pulled = await pull(this.cancel.signal).then(
      () => null,
      (thrown: unknown) => toRsError(thrown),
    );
    this.stopping.removeEventListener('abort', stop);
    await this.last;
    const error = this.failures[0] ?? pulled;
    if (error !== null) throw error;
  }
}
