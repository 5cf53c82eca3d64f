// Punches holes, zeroes ranges and finds extents. Node lacks these kernel calls, so one perl child per process makes them
// (helpers/ranges.pl). The child is started when the first file is attached and exits after the last one is detached. While it is
// unavailable (no perl, an unknown architecture, or killed because it did not answer), every answer is LOST, and backends use their
// fallbacks. It is restarted on demand after a growing delay. Invariant: there is only one child at a time, even while a killed one hangs
// in the storage.

import type { Clock } from '@rsio/common/lib/clock';
import { EXTENTS_PER_ANSWER_MAX } from '@rsio/protocol/wire/limits';
import { helperFile } from '../../sys/helper-files.ts';
import type { IoEnd } from '../io/positioned-io.ts';
import { RANGE_HELPER_RETRY_MAX_MS, RANGE_HELPER_RETRY_MS, RANGE_HELPER_TIMEOUT_MS } from './limits.ts';
import { LineProcess } from './line-process.ts';

import util from 'node:util';

/** Pseudo errno: the helper has exited, and none of the operations that it was asked for is running. */
export const LOST = 'LOST';

/** `found`: pairs (bytes, 0 for data or 1 for a hole) that begin at the requested position and may cover less than requested. */
export type RangeExtents = (errno: string | null, found: readonly number[]) => void;

export interface RangeHelperPorts {
  readonly clock: Clock;
  /** Called, for logging, when the helper becomes unusable. `retryMs`: minimum time until a restart; null if it is never restarted. */
  readonly onLost: (reason: string, retryMs: number | null) => void;
  /** Called when the helper can be used again. */
  readonly onBack?: () => void;
  /** The program to run. Default: `perl` in PATH. */
  readonly command?: string;
  readonly architecture?: string;
}

/** The errno (EBADF) with which the helper answers if it has not opened the file. */
const UNKNOWN_FILE = 9;

type Numbers = (errno: string | null, values: readonly number[]) => void;

export class RangeHelper {
  private readonly ports: RangeHelperPorts;
  private child: LineProcess | null = null;
  /** Number of each attached file -> words of the line with which the helper opens the file. */
  private readonly files = new Map<number, readonly (string | number)[]>();
  private losses = 0;
  /** Time at which the current child was started. No other child is started before `notBeforeMs`. */
  private startedMs = 0;
  private notBeforeMs = 0;
  private isLost = false;
  private attached = 0;
  private lastId = 0;

  constructor(ports: RangeHelperPorts) {
    this.ports = ports;
  }

  /**
   * Passes the file behind the descriptor `fd` of this process to the helper. `canPunch`: true or false if this is known (block devices),
   * otherwise `probe`. Resolves with null if the helper cannot be used.
   */
  async attach(fd: number, writable: boolean, canPunch: boolean | 'probe'): Promise<RangeFile | null> {
    const id = ++this.lastId;
    this.attached++;
    // The path below /proc leads to the same file even if the file's name now belongs to another file.
    const words = [
      'open',
      id,
      `/proc/${process.pid}/fd/${fd}`,
      writable ? 'writable' : 'readonly',
      canPunch === 'probe' ? 'probe' : canPunch && writable ? 'known' : 'none',
    ];
    return new Promise((resolve) => {
      this.ask(words, (errno, [punch, extents]) => {
        if (errno === null) {
          this.files.set(id, words);
          resolve(new RangeFile(this, id, punch === 1, extents === 1));
        } else {
          this.detached(id);
          resolve(null);
        }
      });
    });
  }

  /** Used by RangeFile only. `answer` is never called before this returns. */
  ask(words: readonly (string | number)[], answer: Numbers): void {
    const child = this.started();
    if (child === null) {
      setImmediate(answer, LOST, []);
      return;
    }
    child.ask(words.join(' '), (line) => {
      if (line === null) {
        answer(LOST, []);
        return;
      }
      this.recovered();
      const [errno = 0, ...values] = line.split(' ').map(Number);
      // The helper does not know the file, because it could not reopen the file after a restart.
      if (errno === UNKNOWN_FILE) answer(LOST, []);
      else answer(errno === 0 ? null : util.getSystemErrorName(-errno), values);
    });
  }

  /** Used by RangeFile only. */
  get nowMs(): number {
    return this.ports.clock.monotonicMs();
  }

  /** Used by RangeFile only. Removes a file that was detached. */
  detached(id: number): void {
    this.files.delete(id);
    this.attached--;
    if (this.attached > 0) return;
    this.child?.end();
    this.child = null;
  }

  private started(): LineProcess | null {
    if (this.child !== null && (this.child.isAlive || !this.child.isGone)) return this.child.isAlive ? this.child : null;
    const { clock } = this.ports;
    if (clock.monotonicMs() < this.notBeforeMs) return null;
    const args = rangeScriptArguments(this.ports.architecture ?? process.arch, process.pid);
    if (args === null) {
      this.notBeforeMs = Number.POSITIVE_INFINITY;
      this.isLost = true;
      this.ports.onLost(`no system call numbers for ${this.ports.architecture ?? process.arch}`, null);
      return null;
    }
    this.startedMs = clock.monotonicMs();
    const child = new LineProcess({
      command: this.ports.command ?? 'perl',
      args,
      timeoutMs: RANGE_HELPER_TIMEOUT_MS,
      clock,
      onLost: (reason) => this.onLineProcessLost(reason),
    });
    this.child = child;
    for (const words of this.files.values()) child.ask(words.join(' '), (line) => (line === null ? undefined : this.recovered()));
    return child;
  }

  private onLineProcessLost(reason: string): void {
    const nowMs = this.ports.clock.monotonicMs();
    if (nowMs - this.startedMs >= RANGE_HELPER_RETRY_MAX_MS) this.losses = 0;
    const retryMs = Math.min(RANGE_HELPER_RETRY_MS * 2 ** this.losses, RANGE_HELPER_RETRY_MAX_MS);
    this.losses++;
    this.notBeforeMs = nowMs + retryMs;
    this.isLost = true;
    this.ports.onLost(reason, retryMs);
  }

  private recovered(): void {
    if (!this.isLost) return;
    this.isLost = false;
    this.ports.onBack?.();
  }
}

/** One attached file. Positions and lengths are in bytes. No method calls its callback before it returns. */
export class RangeFile {
  private readonly helper: RangeHelper;
  private readonly id: number;
  readonly canPunch: boolean;
  readonly canExtents: boolean;

  constructor(helper: RangeHelper, id: number, canPunch: boolean, canExtents: boolean) {
    this.helper = helper;
    this.id = id;
    this.canPunch = canPunch;
    this.canExtents = canExtents;
  }

  get nowMs(): number {
    return this.helper.nowMs;
  }

  /** Punches a hole, which reads as zeros. */
  punch(positionBytes: number, lengthBytes: number, end: IoEnd): void {
    this.helper.ask(['punch', this.id, positionBytes, lengthBytes], end);
  }

  /** Zeroes a range that stays allocated. */
  zero(positionBytes: number, lengthBytes: number, end: IoEnd): void {
    this.helper.ask(['zero', this.id, positionBytes, lengthBytes], end);
  }

  extents(positionBytes: number, lengthBytes: number, done: RangeExtents): void {
    this.helper.ask(['extents', this.id, positionBytes, positionBytes + lengthBytes, EXTENTS_PER_ANSWER_MAX], done);
  }

  /** Resolves when the helper has closed the file. */
  detach(): Promise<void> {
    return new Promise((resolve) => {
      this.helper.ask(['close', this.id], () => {
        this.helper.detached(this.id);
        resolve();
      });
    });
  }
}

/** System call numbers of the supported architectures. */
const CALLS: Readonly<Record<string, { readonly fallocate: number; readonly prctl: number }>> = {
  x64: { fallocate: 285, prctl: 157 },
  arm64: { fallocate: 47, prctl: 167 },
};

/** Arguments for perl, or null if the system call numbers of this architecture are unknown. */
export function rangeScriptArguments(architecture: string, parentPid: number): readonly string[] | null {
  const calls = CALLS[architecture];
  if (calls === undefined) return null;
  return [helperFile('ranges.pl'), String(parentPid), String(calls.fallocate), String(calls.prctl)];
}
