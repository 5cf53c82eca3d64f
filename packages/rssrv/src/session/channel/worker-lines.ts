// Writes the lines of a worker to the log of the listener. The process writes records as JSON to a pipe that this module reads; the process
// has no descriptor of the log. Invariants: each line names its process. Only level, text, path, volume and error of a record are used, so
// that a process can make no event and no line of the audit trail. Long lines are cut. A process that logs too much has to wait.

import type { Readable } from 'node:stream';
import { cleanText } from '@rsio/protocol/wire/guards';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { LOG_LEVELS, type Log, type LogLevel } from '@rsio/base/log/log';
import { RateBucket } from '@rsio/base/structures/rate-bucket';
import { WORKER_LINE_MAX_BYTES, WORKER_LINE_PATH_MAX_CHARS, WORKER_LOG_BURST_MS, WORKER_LOG_BYTES_PER_S } from '../limits.ts';

const LINE_END = 0x0a;

/** The fields of a record that the listener logs. */
export interface WorkerRecord {
  readonly level: LogLevel;
  readonly text: string;
  readonly path: string | null;
  readonly fields: { readonly volume?: string; readonly error?: object };
}

/**
 * Returns the fields that the listener logs. A line that is not a record, for example a message of a dying process, is logged as an error.
 */
export function workerRecord(line: string): WorkerRecord {
  const given = parsed(line);
  const { level, msg, path, volume, error } = given ?? {};
  const known = LOG_LEVELS.find((one) => one === level);
  if (known === undefined || typeof msg !== 'string')
    return { level: 'error', text: cleanText(line, WORKER_LINE_MAX_BYTES), path: null, fields: {} };
  return {
    level: known,
    text: cleanText(msg, WORKER_LINE_MAX_BYTES),
    path: typeof path === 'string' ? cleanText(path, WORKER_LINE_PATH_MAX_CHARS) : null,
    fields: {
      ...(typeof volume === 'string' ? { volume: cleanText(volume, WORKER_LINE_PATH_MAX_CHARS) } : {}),
      ...(typeof error === 'object' && error !== null ? { error } : {}),
    },
  };
}

export class WorkerLines {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly pid: number;
  private readonly streams: readonly Readable[];
  private readonly bucket: RateBucket;
  private timer: Timer | null = null;
  private leftOut = 0;
  private hasExited = false;

  /** `streams` are the pipe of the process's log, and its stderr, to which a dying process writes. */
  constructor(clock: Clock, log: Log, pid: number, streams: readonly Readable[]) {
    this.clock = clock;
    this.log = log;
    this.pid = pid;
    this.streams = streams;
    this.bucket = new RateBucket(clock.monotonicMs() - WORKER_LOG_BURST_MS);
    this.bucket.set(WORKER_LOG_BYTES_PER_S, WORKER_LOG_BURST_MS, clock.monotonicMs() - WORKER_LOG_BURST_MS);
    for (const stream of streams) this.follow(stream);
  }

  /**
   * Must be called when the process has exited. Reads the rest of the streams without waiting, and leaves out lines that exceed the
   * permitted rate.
   */
  exited(): void {
    this.hasExited = true;
    this.resume();
  }

  close(): void {
    this.timer?.cancel();
    if (this.leftOut > 0)
      this.log.warn(`Server process ${this.pid}: ${this.leftOut} bytes of its log were left out, because it logged too much`);
  }

  private follow(stream: Readable): void {
    let held: Buffer = Buffer.alloc(0);
    // True while the rest of a cut line is skipped.
    let isCut = false;
    const emit = (bytes: Buffer): void => {
      if (bytes.length > 0 && !isCut) this.write(bytes.toString());
      isCut = false;
    };
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => {
      if (this.hasExited && !this.bucket.hasAny(this.clock.monotonicMs())) {
        this.leftOut += chunk.length;
        return;
      }
      this.bucket.take(chunk.length);
      let rest = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      for (let end = rest.indexOf(LINE_END); end !== -1; end = rest.indexOf(LINE_END)) {
        emit(rest.subarray(0, Math.min(end, WORKER_LINE_MAX_BYTES)));
        rest = rest.subarray(end + 1);
      }
      if (rest.length > WORKER_LINE_MAX_BYTES) {
        emit(rest.subarray(0, WORKER_LINE_MAX_BYTES));
        isCut = true;
        rest = Buffer.alloc(0);
      }
      held = Buffer.from(rest);
      this.waitIfTooFast();
    });
    stream.on('end', () => emit(held));
  }

  private waitIfTooFast(): void {
    const waitMs = this.bucket.waitMs(this.clock.monotonicMs());
    if (waitMs === 0 || this.hasExited || this.timer !== null) return;
    for (const stream of this.streams) stream.pause();
    this.timer = this.clock.after(waitMs, () => this.resume());
  }

  private resume(): void {
    this.timer?.cancel();
    this.timer = null;
    for (const stream of this.streams) stream.resume();
  }

  private write(line: string): void {
    const { level, text, path, fields } = workerRecord(line);
    const place = `process-${this.pid}${path === null ? '' : ` ${path}`}`;
    this.log.child({ path: place, pid: this.pid })[level](text, fields);
  }
}

function parsed(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}
