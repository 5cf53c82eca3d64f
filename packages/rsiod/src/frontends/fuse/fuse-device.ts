// Reads requests from the FUSE descriptor of one raw device, and writes the replies to the same descriptor. If a Node pipe handle accepts
// the descriptor, epoll reports when requests arrive. Node does not document pipe handles for such descriptors, so every step is checked.
// Without epoll, one read is always pending, which occupies a thread of the thread pool. The descriptor may come from an earlier process.
// Under load, a batch reads and writes for all devices. Invariants: if the session keeps a buffer, the next read uses a new buffer; after
// `close`, no request is passed on and nothing is written to the descriptor.

import { closeSync, openSync, read, readSync, writeSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { FUSE_DRAIN_MAX } from '../limits.ts';
import type { BatchDevice, FuseBatch } from './fuse-batch.ts';
import type { FuseBuffers } from './fuse-buffers.ts';
import { writeResend } from './fuse-codec.ts';
import { REPLY_HEADER_BYTES } from './fuse-constants.ts';
import type { FusePort } from './fuse-session.ts';

const DEVICE = '/dev/fuse';

/** Opens /dev/fuse for a raw device that will be mounted. Throws E_SYSTEM. */
export function openFuse(): number {
  try {
    return openSync(DEVICE, 'r+');
  } catch (thrown) {
    throw new RsError(
      'E_SYSTEM',
      `${DEVICE} cannot be opened (${errnoName(thrown) ?? 'unknown'}): load the module fuse, or use device = nbd-socket`,
    );
  }
}

export interface FuseDeviceOptions {
  readonly buffers: FuseBuffers;
  /**
   * The batch of this process, which is used only together with epoll. If `batch` is null, each request and each reply needs a separate
   * system call.
   */
  readonly batch: FuseBatch | null;
  /** Called for each request. `bytes` begins with the request. Returns true if the session keeps the buffer. */
  readonly receive: (bytes: Buffer, lengthBytes: number) => boolean;
  /** Returns true while more than one request is being executed, which suggests that further requests wait in the kernel. */
  readonly isBusy: () => boolean;
  /** Called after the device has been unmounted or its FUSE connection has been aborted. Called at most once, and never after `close`. */
  readonly gone: (reason: string) => void;
  /** True if the device may use epoll. The default is true. */
  readonly usesPoll?: boolean;
}

export class FuseDevice implements FusePort, BatchDevice {
  private readonly options: FuseDeviceOptions;
  readonly fd: number;
  private buffer: Buffer;
  private socket: Socket | null = null;
  private isReading = false;
  private isPaused = false;
  private isClosed = false;

  /** `fd` is the descriptor of /dev/fuse with which the raw device was mounted. The FuseDevice becomes the owner of the descriptor. */
  constructor(fd: number, options: FuseDeviceOptions) {
    this.fd = fd;
    this.options = options;
    this.buffer = options.buffers.takeLarge();
  }

  /** Starts to receive. Call `start` after the mount, because the kernel refuses earlier reads. */
  start(): void {
    this.socket = this.options.usesPoll === false ? null : this.polled();
    if (this.socket === null) this.readOn();
    else this.socket.resume();
  }

  get isTaking(): boolean {
    return !this.isPaused && !this.isClosed;
  }

  /**
   * Sends a reply at once if the batch is empty and no other request is being executed. Otherwise the reply goes into the batch, because
   * more replies are likely to follow in this event-loop turn.
   */
  reply(bytes: Buffer, start: number, end: number): void {
    if (this.isClosed) return;
    const batch = this.socket === null ? null : this.options.batch;
    const waits = batch !== null && (batch.waiting > 0 || this.options.isBusy()) && batch.add(this, bytes, start, end);
    if (!waits) this.replyAlone(bytes, start, end);
  }

  replyAlone(bytes: Buffer, start: number, end: number): void {
    if (this.isClosed) return;
    try {
      writeSync(this.fd, bytes, start, end - start);
    } catch (thrown) {
      // ENOENT: the kernel has abandoned the request. ENODEV: the device has been unmounted; the next read also reports the unmount.
      const errno = errnoName(thrown);
      if (errno !== 'ENOENT' && errno !== 'ENODEV') this.end(`a reply was refused: ${errno ?? String(thrown)}`);
    }
  }

  /** Makes the kernel resend requests that another process has read but not answered. Call this before `start`. Throws E_SYSTEM. */
  resend(): void {
    const bytes = Buffer.alloc(REPLY_HEADER_BYTES);
    try {
      writeSync(this.fd, bytes, 0, writeResend(bytes));
    } catch (thrown) {
      throw new RsError('E_SYSTEM', `The kernel does not send unanswered requests again (${errnoName(thrown) ?? String(thrown)})`);
    }
  }

  pause(): void {
    this.isPaused = true;
    this.socket?.pause();
  }

  resume(): void {
    this.isPaused = false;
    if (this.socket !== null) this.socket.resume();
    else if (!this.isClosed) this.readOn();
  }

  /** Closes the descriptor. Once all copies of the descriptor are closed, the kernel fails all unanswered requests and all later ones. */
  close(): void {
    this.options.batch?.flush();
    this.release();
  }

  /** Passes a request to the session. Returns true if the session keeps the buffer. */
  received(bytes: Buffer, lengthBytes: number): boolean {
    return !this.isClosed && this.options.receive(bytes, lengthBytes);
  }

  private end(reason: string): void {
    this.options.batch?.flush();
    if (this.release()) this.options.gone(reason);
  }

  /** Closes the descriptor. The batch must have no unsent replies of this device. Returns false if the descriptor is already closed. */
  private release(): boolean {
    if (this.isClosed) return false;
    this.isClosed = true;
    if (this.socket !== null) this.socket.destroy();
    // A pending read uses the buffer and the descriptor until the device is unmounted; `haveRead` then releases both.
    else if (!this.isReading) closeSync(this.fd);
    if (this.socket !== null || !this.isReading) this.options.buffers.giveBack(this.buffer);
    return true;
  }

  private take(lengthBytes: number): void {
    if (this.received(this.buffer, lengthBytes)) this.buffer = this.options.buffers.takeLarge();
  }

  private polled(): Socket | null {
    const handle = pollHandle(this.fd);
    if (handle === null) return null;
    const onread = {
      buffer: () => this.buffer,
      callback: (lengthBytes: number): boolean => {
        this.take(lengthBytes);
        if (this.options.isBusy()) this.drain();
        return !this.isPaused;
      },
    };
    const socket = new Socket({ handle, manualStart: true, allowHalfOpen: true, onread } as ConstructorParameters<typeof Socket>[0]);
    socket.on('error', (error) => this.end(errnoName(error) ?? error.message));
    socket.on('end', () => this.end('end of input'));
    return socket;
  }

  /**
   * Reads further requests that have arrived. Without `drain`, each event-loop turn would take only one request, and the trunk would send
   * requests one at a time.
   */
  private drain(): void {
    const { batch } = this.options;
    if (batch === null) this.drainAlone();
    else batch.read(this);
  }

  /** The last read finds no request and throws an exception; without a stack trace, the exception is cheap. */
  private drainAlone(): void {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    try {
      for (let count = 0; count < FUSE_DRAIN_MAX && this.isTaking; count++) {
        const lengthBytes = readSync(this.fd, this.buffer, 0, this.buffer.length, null);
        if (lengthBytes === 0) return;
        this.take(lengthBytes);
      }
    } catch (thrown) {
      // EAGAIN: no more requests. The next regular read reports any other error.
      if (errnoName(thrown) === undefined) throw thrown;
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  private readOn(): void {
    if (this.isReading || this.isPaused || this.isClosed) return;
    this.isReading = true;
    read(this.fd, this.buffer, 0, this.buffer.length, null, (error, lengthBytes) => this.haveRead(error, lengthBytes));
  }

  private haveRead(error: NodeJS.ErrnoException | null, lengthBytes: number): void {
    this.isReading = false;
    if (this.isClosed) {
      closeSync(this.fd);
      this.options.buffers.giveBack(this.buffer);
      return;
    }
    // EINTR, ENOENT: the kernel withdrew the request during the read.
    const isPassing = error === null || ['EINTR', 'ENOENT'].includes(errnoName(error) ?? '');
    if (!isPassing) {
      this.end(errnoName(error) ?? error.message);
      return;
    }
    if (error === null) this.take(lengthBytes);
    this.readOn();
  }
}

/** Returns a pipe handle for the descriptor, or null if this version of Node cannot create one. */
function pollHandle(fd: number): object | null {
  const server = createServer();
  server.on('error', () => undefined);
  server.listen(`\0rsiod-${process.pid}-${fd}`);
  const listening: unknown = Reflect.get(server, '_handle');
  server.close();
  if (typeof listening !== 'object' || listening === null) return null;
  const PipeHandle: unknown = listening.constructor;
  if (typeof PipeHandle !== 'function') return null;
  // The argument 0 requests a handle for a plain stream, not for a server or for passing descriptors.
  const handle: unknown = Reflect.construct(PipeHandle, [0]);
  if (typeof handle !== 'object' || handle === null) return null;
  const open: unknown = Reflect.get(handle, 'open');
  if (typeof open !== 'function' || typeof Reflect.get(handle, 'useUserBuffer') !== 'function') return null;
  const refused: unknown = Reflect.apply(open, handle, [fd]);
  return refused === 0 || refused === undefined ? handle : null;
}
