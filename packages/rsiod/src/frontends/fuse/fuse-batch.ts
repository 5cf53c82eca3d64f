// Sends replies and reads requests of all raw devices, many in one system call. All replies of an event-loop turn are sent together at the
// end of the turn. If a reply were sent alone, the kernel would switch to the waiting program, and that program would then send its next
// requests one by one. Waiting requests are read several at a time. Invariants: each reply is sent, unless its device is closed first;
// after `flush`, the batch uses no descriptor of a device until the device adds another reply, so that the device may close its descriptor.

import os from 'node:os';
import { FUSE_BATCH_BYTES, FUSE_BATCH_REPLY_BYTES, FUSE_DRAIN_MAX, FUSE_READS_AT_ONCE, FUSE_REPLIES_AT_ONCE } from '../limits.ts';
import type { FuseBuffers } from './fuse-buffers.ts';
import { type KernelAio, systemAio } from './kernel-aio.ts';

const { ENODEV, ENOENT } = os.constants.errno;

export interface BatchDevice {
  /** The descriptor of /dev/fuse. The descriptor must be non-blocking (O_NONBLOCK). */
  readonly fd: number;
  /** False while the device does not take requests; the batch then reads nothing from it. */
  readonly isTaking: boolean;
  /** Passes one request to the device, as FuseDeviceOptions.receive does. */
  received(bytes: Buffer, lengthBytes: number): boolean;
  /** Writes one reply in a separate system call, and reports errors. Does nothing if the device has been closed. */
  replyAlone(bytes: Buffer, start: number, end: number): void;
}

export class FuseBatch {
  private readonly aio: KernelAio;
  private readonly buffers: FuseBuffers;
  private readonly schedule: (fire: () => void) => void;
  private readonly fire = (): void => {
    this.isScheduled = false;
    this.flush();
  };
  private readonly bytes = Buffer.allocUnsafeSlow(FUSE_BATCH_BYTES);
  /** For each collected reply: its device, and the position in `bytes` at which the reply ends. */
  private readonly owners: BatchDevice[] = [];
  private readonly ends = new Uint32Array(FUSE_REPLIES_AT_ONCE);
  private isScheduled = false;
  private isFlushing = false;
  /** The buffers for reading, which contain no request after `read`. */
  private readonly slots: Buffer[] = [];
  private readonly lengths = new Int32Array(FUSE_READS_AT_ONCE);

  constructor(aio: KernelAio, buffers: FuseBuffers, schedule: (fire: () => void) => void = setImmediate) {
    this.aio = aio;
    this.buffers = buffers;
    this.schedule = schedule;
  }

  /** Returns null if this machine has no asynchronous I/O; each device then makes separate system calls. */
  static ofMachine(buffers: FuseBuffers): FuseBatch | null {
    const aio = systemAio(Math.max(FUSE_REPLIES_AT_ONCE, FUSE_READS_AT_ONCE));
    return aio === null ? null : new FuseBatch(aio, buffers);
  }

  get waiting(): number {
    return this.owners.length;
  }

  /**
   * Copies a reply into the batch, which is sent by the end of the turn. Returns false if the device must write the reply itself, because
   * the reply is long or because the batch was full and has just been sent.
   */
  add(device: BatchDevice, bytes: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (length > FUSE_BATCH_REPLY_BYTES || this.isFlushing) return false;
    const at = this.startOf(this.owners.length);
    if (this.owners.length === FUSE_REPLIES_AT_ONCE || at + length > FUSE_BATCH_BYTES) {
      // The flush may have closed the device, so this reply is not added.
      this.flush();
      return false;
    }
    bytes.copy(this.bytes, at, start, end);
    this.ends[this.owners.length] = at + length;
    this.owners.push(device);
    if (!this.isScheduled) {
      this.isScheduled = true;
      this.schedule(this.fire);
    }
    return true;
  }

  /** Sends all replies. If the kernel refuses a reply, the device may be closed and may call `flush` again during this call. */
  flush(): void {
    const { owners } = this;
    const [first] = owners;
    if (first === undefined || this.isFlushing) return;
    this.isFlushing = true;
    if (owners.length === 1) first.replyAlone(this.bytes, 0, this.startOf(1));
    else this.sendAll();
    owners.length = 0;
    this.isFlushing = false;
  }

  private sendAll(): void {
    const { owners, bytes, aio } = this;
    const count = owners.length;
    for (let index = 0; index < count; index++)
      aio.prepareWrite(index, owners[index]?.fd ?? -1, bytes, this.startOf(index), this.startOf(index + 1));
    const results = aio.execute(count);
    for (let index = 0; index < count; index++) {
      const [start, end, result] = [this.startOf(index), this.startOf(index + 1), results[index]];
      // ENOENT: the kernel has abandoned the request. ENODEV: the device has been unmounted. After any other error, the reply is written
      // once more, because a request without an answer would hang. If the kernel had already accepted the reply, it refuses the copy.
      if (result !== end - start && result !== -ENOENT && result !== -ENODEV) owners[index]?.replyAlone(bytes, start, end);
    }
  }

  /** Reads at most FUSE_DRAIN_MAX requests that wait in the kernel, and passes them to the device. */
  read(device: BatchDevice): void {
    const { slots, lengths, aio, buffers } = this;
    for (let taken = 0; taken < FUSE_DRAIN_MAX && device.isTaking; taken += FUSE_READS_AT_ONCE) {
      for (let index = 0; index < FUSE_READS_AT_ONCE; index++) aio.prepareRead(index, device.fd, (slots[index] ??= buffers.takeLarge()));
      // The results are copied, because answering the first request may call `execute` again, which overwrites them.
      const results = aio.execute(FUSE_READS_AT_ONCE);
      for (let index = 0; index < FUSE_READS_AT_ONCE; index++) lengths[index] = results[index] ?? 0;
      let arrived = 0;
      for (let index = 0; index < FUSE_READS_AT_ONCE; index++) {
        const [slot, length] = [slots[index], lengths[index] ?? 0];
        // EAGAIN: no more requests. The next regular read reports any other error.
        if (slot === undefined || length <= 0) continue;
        arrived++;
        if (device.received(slot, length)) slots[index] = buffers.takeLarge();
      }
      if (arrived < FUSE_READS_AT_ONCE) return;
    }
  }

  private startOf(index: number): number {
    return index === 0 ? 0 : (this.ends[index - 1] ?? 0);
  }
}
