// Holes, zeroed ranges and extents: what the kernel can do and Node cannot ask for, through one perl child per process
// (helpers/ranges.pl), started when the first file is attached and ended when the last one is detached.
// Leaves what to do without it to the backend: everything here answers LOST while the helper cannot help (no perl, an unknown
// architecture, killed because it did not answer). One that was lost is started anew when it is needed, after a while that grows.
// Invariant: there is one at a time, also while a killed one hangs in the storage.

import util from 'node:util';
import type { Clock } from '@rsio/common/lib/clock';
import { EXTENTS_PER_ANSWER_MAX } from '@rsio/protocol/wire/limits';
import { RANGE_HELPER_RETRY_MAX_MS, RANGE_HELPER_RETRY_MS, RANGE_HELPER_TIMEOUT_MS } from './limits.ts';
import { LineProcess } from './line-process.ts';
import type { IoEnd } from '../common/positioned-io.ts';
import { rangeScriptArguments } from './range-script.ts';

/** Stands in for an errno: the helper is gone, and nothing asked of it is running any more. */
export const LOST = 'LOST';

/** `found`: pairs (bytes, 0 data or 1 hole) from the asked position on; may cover less than asked for. */
export type RangeExtents = (errno: string | null, found: readonly number[]) => void;

export interface RangeHelperPorts {
  readonly clock: Clock;
  /** The helper cannot be used for `retryMs` at least: for the log. Null: never. */
  readonly onLost: (reason: string, retryMs: number | null) => void;
  /** It can be used again. */
  readonly onBack?: () => void;
  /** Default `perl`, found by PATH. */
  readonly command?: string;
  readonly architecture?: string;
}

/** What the helper answers about a file that it has not opened (EBADF). */
const UNKNOWN_FILE = 9;

type Numbers = (errno: string | null, values: readonly number[]) => void;

export class RangeHelper {
  private readonly ports: RangeHelperPorts;
  private child: LineProcess | null = null;
  /** Files that are attached, by number: the question that opens each. */
  private readonly files = new Map<number, readonly (string | number)[]>();
  private losses = 0;
  /** Since when there is one, or before when none is started. */
  private startedMs = 0;
  private notBeforeMs = 0;
  private isLost = false;
  private attached = 0;
  private lastId = 0;

  constructor(ports: RangeHelperPorts) {
    this.ports = ports;
  }

  /**
   * Gives the helper the file behind the descriptor `fd` of this process. `canPunch`: true or false where it is known (block
   * devices), else `probe`. Null: the helper cannot be used.
   */
  async attach(fd: number, writable: boolean, canPunch: boolean | 'probe'): Promise<RangeFile | null> {
    const id = ++this.lastId;
    this.attached++;
    // By way of /proc it is this very file, also when its name means another one by now.
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

  /** For RangeFile only. `answer` is never called before this returns. */
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
      // It does not know the file: one that was started anew could not open it.
      if (errno === UNKNOWN_FILE) answer(LOST, []);
      else answer(errno === 0 ? null : util.getSystemErrorName(-errno), values);
    });
  }

  /** For RangeFile only. */
  get nowMs(): number {
    return this.ports.clock.monotonicMs();
  }

  /** For RangeFile only: one file less. */
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

/** One attached file. Positions and lengths in bytes; nothing calls back before it returns. */
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

  /** Makes a hole, which reads as zeros. */
  punch(positionBytes: number, lengthBytes: number, end: IoEnd): void {
    this.helper.ask(['punch', this.id, positionBytes, lengthBytes], end);
  }

  /** Makes zeros that stay allocated. */
  zero(positionBytes: number, lengthBytes: number, end: IoEnd): void {
    this.helper.ask(['zero', this.id, positionBytes, lengthBytes], end);
  }

  extents(positionBytes: number, lengthBytes: number, done: RangeExtents): void {
    this.helper.ask(['extents', this.id, positionBytes, positionBytes + lengthBytes, EXTENTS_PER_ANSWER_MAX], done);
  }

  /** Resolves when the helper has the file open no more. */
  detach(): Promise<void> {
    return new Promise((resolve) => {
      this.helper.ask(['close', this.id], () => {
        this.helper.detached(this.id);
        resolve();
      });
    });
  }
}
