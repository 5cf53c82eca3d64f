// Passes descriptors from the listener to a worker, over a separate socket beside the channel. A message on the channel names the
// descriptors by their tag. The listener sends this message after the descriptors, so that the descriptors arrive first. Invariants: `pass`
// closes the sender's copies; descriptors that a worker does not take are discarded and closed.

import { sleep } from '@rsio/base/lib/waiting';
import { closeSync } from 'node:fs';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { PASS_RETRY_MS, PASS_WAIT_MS } from './limits.ts';
import type { SystemCalls } from './system-calls.ts';

/** The listener's end of the socket to one worker. */
export class DescriptorSender {
  private readonly calls: SystemCalls;
  private readonly clock: Clock;
  private socket: number | null;
  private lastTag = 0;
  private isWaiting = false;

  constructor(calls: SystemCalls, clock: Clock, socket: number) {
    this.calls = calls;
    this.clock = clock;
    this.socket = socket;
  }

  /**
   * Sends the descriptors and closes this process's copies, even after an error. Resolves with the tag of the descriptors. Throws E_SYSTEM
   * if the worker has exited, or has read no descriptors for PASS_WAIT_MS. If a worker reads nothing, at most one call waits at a time, so
   * that this process keeps few descriptors open.
   */
  async pass(descriptors: readonly number[]): Promise<number> {
    try {
      return await this.lend(descriptors);
    } finally {
      closeAll(descriptors);
    }
  }

  /**
   * Sends the descriptors like `pass`, but does not close this process's copies. The caller must keep the copies open until the promise has
   * settled.
   */
  async lend(descriptors: readonly number[]): Promise<number> {
    const tag = ++this.lastTag;
    try {
      if (!this.trySend(tag, descriptors)) await this.sendLater(tag, descriptors);
      return tag;
    } catch (thrown) {
      throw new RsError('E_SYSTEM', `Cannot pass files to the server process: ${toRsError(thrown).message}`, {}, thrown);
    }
  }

  close(): void {
    if (this.socket !== null) closeAll([this.socket]);
    this.socket = null;
  }

  private async sendLater(tag: number, descriptors: readonly number[]): Promise<void> {
    if (this.isWaiting) throw new Error('it takes none at present');
    this.isWaiting = true;
    try {
      const endMs = this.clock.monotonicMs() + PASS_WAIT_MS;
      do {
        if (this.clock.monotonicMs() > endMs) throw new Error(`it has taken none for ${PASS_WAIT_MS / 1_000} s`);
        await sleep(this.clock, PASS_RETRY_MS);
      } while (!this.trySend(tag, descriptors));
    } finally {
      this.isWaiting = false;
    }
  }

  private trySend(tag: number, descriptors: readonly number[]): boolean {
    if (this.socket === null) throw new Error('it has exited');
    return this.calls.send(this.socket, tag, descriptors);
  }
}

/** The worker's end of the socket. */
export class DescriptorReceiver {
  private readonly calls: SystemCalls;
  private readonly socket: number;
  /** Maps each tag to the descriptors that were received with it and have not been taken yet. */
  private readonly received = new Map<number, readonly number[]>();

  constructor(calls: SystemCalls, socket: number) {
    this.calls = calls;
    this.socket = socket;
  }

  /**
   * Returns the descriptors with this tag. The caller must close the descriptors. Throws EMFILE if this process had too few free
   * descriptors.
   */
  take(tag: number): readonly number[] {
    for (let next = this.calls.receive(this.socket); next !== null; next = this.calls.receive(this.socket)) {
      this.received.set(next.tag, next.descriptors);
    }
    const descriptors = this.received.get(tag) ?? [];
    this.received.delete(tag);
    if (descriptors.length > 0) return descriptors;
    throw Object.assign(new Error('The server process has received no files'), { code: 'EMFILE' });
  }

  /** Closes the unneeded descriptors with this tag. */
  discard(tag: number): void {
    try {
      closeAll(this.take(tag));
    } catch {
      // No descriptors with this tag have arrived, so there is nothing to close.
    }
  }
}

/** Closes descriptors. Never throws. */
export function closeAll(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) {
    try {
      closeSync(descriptor);
    } catch {
      // Ignore the error: a descriptor that cannot be closed is closed already.
    }
  }
}
