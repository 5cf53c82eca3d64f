// Punches holes, zeroes ranges and finds extents. Node.js cannot make these system calls, so each process has a perl child that makes
// them (helpers/ranges.pl). The child is started when the first file is attached, and it exits after the last file has been detached. If
// perl is missing, the architecture is unknown, or the child has failed, every operation fails with LOST, and backends use their
// fallbacks. A new child is started after a delay that grows with each failure. Invariants: a killed child is replaced only after it has
// exited. While a file is attached, a child that has ended is replaced even if no operation is waiting, because the child also marks the
// files (storage/locks/).

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { EXTENTS_PER_ANSWER_MAX } from '@rsio/protocol/wire/limits';
import { closeAll } from '../../machine/descriptor-passing.ts';
import type { SystemCalls } from '../../machine/system-calls.ts';
import { helperFile } from '../../machine/helper-files.ts';
import type { IoEnd } from '../io/positioned-io.ts';
import { RANGE_HELPER_RETRY_MAX_MS, RANGE_HELPER_RETRY_MS, RANGE_HELPER_TIMEOUT_MS } from '../limits.ts';
import { LineProcess } from './line-process.ts';

import util from 'node:util';

/** Pseudo errno for an operation that is not running because the helper is unavailable. */
export const LOST = 'LOST';

/**
 * `found`: a list of pairs (length in bytes; 0 for data or 1 for a hole). The first pair begins at the requested position. The list may
 * cover less than the requested range.
 */
export type RangeExtents = (errno: string | null, found: readonly number[]) => void;

export interface RangeHelperPorts {
  readonly clock: Clock;
  /**
   * Called when the helper becomes unusable; `reason` is for the log. `retryMs`: minimum time until a restart; null if the helper will
   * never be restarted.
   */
  readonly onLost: (reason: string, retryMs: number | null) => void;
  readonly onBack?: () => void;
  /**
   * How this process passes descriptors to a helper that may not open paths. If `passing` is undefined, the helper opens the files of this
   * process by their paths in /proc.
   */
  readonly passing?: HelperPassing;
  /** The program to run. If `command` is undefined, `perl` in PATH is run. */
  readonly command?: string;
  readonly architecture?: string;
}

/** How a confined process passes descriptors to its helper, which may not open files. */
export interface HelperPassing {
  readonly calls: Pick<SystemCalls, 'socketPair' | 'send'>;
  /** The text of the helper program. This process has read the text before it gave up its rights. */
  readonly script: string;
}

/** The errno EBADF, with which the helper reports that the file is not open. */
const UNKNOWN_FILE = 9;

interface AttachedFile {
  readonly words: readonly (string | number)[];
  /** The descriptor by which this process has the file open. */
  readonly fd: number;
}

type Numbers = (errno: string | null, values: readonly number[]) => void;

export class RangeHelper {
  private readonly ports: RangeHelperPorts;
  private child: LineProcess | null = null;
  /** The attached files, each with the command that makes the helper open it. */
  private readonly files = new Map<number, AttachedFile>();
  /** This process's end of the socket that passes descriptors to the helper. */
  private socket: number | null = null;
  private losses = 0;
  private startedMs = 0;
  private notBeforeMs = 0;
  private isLost = false;
  private attached = 0;
  private lastId = 0;
  private replacement: Timer | null = null;

  constructor(ports: RangeHelperPorts) {
    this.ports = ports;
  }

  /**
   * Makes the helper open the file to which the descriptor `fd` of this process refers. `canPunch`: for a block device, whether holes can
   * be punched; `probe` if the helper must find out. Resolves with null if the helper cannot be used.
   */
  async attach(fd: number, writable: boolean, canPunch: boolean | 'probe'): Promise<RangeFile | null> {
    const id = ++this.lastId;
    this.attached++;
    // The path below /proc refers to the open file itself, even if another file now has the file's name.
    const words = [
      'open',
      id,
      this.ports.passing === undefined ? `/proc/${process.pid}/fd/${fd}` : '-',
      writable ? 'writable' : 'readonly',
      canPunch === 'probe' ? 'probe' : canPunch && writable ? 'known' : 'none',
    ];
    return new Promise((resolve) => {
      const opened: Numbers = (errno, [punch, extents]) => {
        if (errno === null) {
          this.files.set(id, { words, fd });
          resolve(new RangeFile(this, id, punch === 1, extents === 1));
        } else {
          this.detached(id);
          resolve(null);
        }
      };
      this.ask(words, opened, () => this.pass(fd));
    });
  }

  /** Sends a command to the helper. Only RangeFile calls this. `answer` is never called before `ask` returns. */
  ask(words: readonly (string | number)[], answer: Numbers, before?: () => void): void {
    const child = this.started();
    if (child === null) {
      setImmediate(answer, LOST, []);
      return;
    }
    const answered = (line: string | null): void => {
      if (line === null) {
        answer(LOST, []);
        return;
      }
      this.recovered();
      const [errno = 0, ...values] = line.split(' ').map(Number);
      // EBADF means that the restarted helper could not reopen the file.
      if (errno === UNKNOWN_FILE) answer(LOST, []);
      else answer(errno === 0 ? null : util.getSystemErrorName(-errno), values);
    };
    child.ask(words.join(' '), answered, before);
  }

  /** Only RangeFile calls `ask`, `isOff` and `detached`. */
  /** True from a failure of the helper process until its restart. During this time, holes cannot be punched. */
  get isOff(): boolean {
    return this.isLost;
  }

  get nowMs(): number {
    return this.ports.clock.monotonicMs();
  }

  /**
   * Only RangeFile calls this. Removes a detached file, and ends the child if no other file is attached. The next `attach` starts a
   * new child without waiting for the old child to exit. A new child is safe, because the old child has answered every punch and zero.
   */
  detached(id: number): void {
    this.files.delete(id);
    this.attached--;
    if (this.attached > 0) return;
    this.replacement?.cancel();
    this.replacement = null;
    this.child?.end();
    this.child = null;
    this.closeSocket();
  }

  private started(): LineProcess | null {
    if (this.child !== null && (this.child.isAlive || !this.child.isGone)) return this.child.isAlive ? this.child : null;
    const { clock, passing } = this.ports;
    if (clock.monotonicMs() < this.notBeforeMs) return null;
    const args = rangeScriptArguments(this.ports.architecture ?? process.arch, process.pid, passing !== undefined);
    if (args === null) {
      this.notBeforeMs = Number.POSITIVE_INFINITY;
      this.isLost = true;
      this.ports.onLost(`no system call numbers for ${this.ports.architecture ?? process.arch}`, null);
      return null;
    }
    this.startedMs = clock.monotonicMs();
    const inherited = this.newSocket();
    const child = new LineProcess({
      command: this.ports.command ?? 'perl',
      args,
      inherited,
      ...(passing === undefined ? {} : { preamble: `${passing.script}\n__END__\n` }),
      timeoutMs: RANGE_HELPER_TIMEOUT_MS,
      clock,
      onLost: (reason) => this.onLineProcessLost(reason),
    });
    closeAll(inherited);
    this.child = child;
    for (const { words, fd } of this.files.values()) {
      const answered = (line: string | null): void => (line === null ? undefined : this.recovered());
      child.ask(words.join(' '), answered, () => this.pass(fd));
    }
    return child;
  }

  /** Makes the socket to a new helper. Returns the helper's end, or an empty list if the helper opens files itself. */
  private newSocket(): readonly number[] {
    this.closeSocket();
    const { passing } = this.ports;
    if (passing === undefined) return [];
    try {
      const [ours, theirs] = passing.calls.socketPair();
      this.socket = ours;
      return [theirs];
    } catch {
      // If this process has no free descriptors, the helper gets no socket. A helper without a socket receives no files, and answers each
      // line with an error.
      return [];
    }
  }

  private closeSocket(): void {
    if (this.socket !== null) closeAll([this.socket]);
    this.socket = null;
  }

  /** Passes the descriptor for the next line. If the descriptor cannot be passed, the helper answers that line with an error. */
  private pass(fd: number): void {
    try {
      if (this.socket !== null) this.ports.passing?.calls.send(this.socket, 0, [fd]);
    } catch {
      // The helper has exited. No helper is running to which the descriptor could be passed.
    }
  }

  private onLineProcessLost(reason: string): void {
    const nowMs = this.ports.clock.monotonicMs();
    if (nowMs - this.startedMs >= RANGE_HELPER_RETRY_MAX_MS) this.losses = 0;
    const retryMs = Math.min(RANGE_HELPER_RETRY_MS * 2 ** this.losses, RANGE_HELPER_RETRY_MAX_MS);
    this.losses++;
    this.notBeforeMs = nowMs + retryMs;
    this.isLost = true;
    this.ports.onLost(reason, retryMs);
    this.replaceAfter(retryMs);
  }

  /** Starts a new child for the attached files after the delay, but not before the old child has exited. */
  private replaceAfter(delayMs: number): void {
    this.replacement?.cancel();
    this.replacement = null;
    if (this.files.size === 0) return;
    this.replacement = this.ports.clock.after(delayMs, () => {
      this.replacement = null;
      // The killed child has not exited yet.
      if (this.started() === null) this.replaceAfter(RANGE_HELPER_RETRY_MS);
    });
  }

  private recovered(): void {
    if (!this.isLost) return;
    this.isLost = false;
    this.ports.onBack?.();
  }
}

/** A file that is attached to the helper. Positions and lengths are in bytes. All callbacks are called asynchronously. */
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

  /** Punches a hole, which frees the space of the range. Reads of the hole return zeros. */
  punch(positionBytes: number, lengthBytes: number, end: IoEnd): void {
    this.helper.ask(['punch', this.id, positionBytes, lengthBytes], end);
  }

  /** Zeroes a range and keeps it allocated. */
  zero(positionBytes: number, lengthBytes: number, end: IoEnd): void {
    this.helper.ask(['zero', this.id, positionBytes, lengthBytes], end);
  }

  extents(positionBytes: number, lengthBytes: number, done: RangeExtents): void {
    this.helper.ask(['extents', this.id, positionBytes, positionBytes + lengthBytes, EXTENTS_PER_ANSWER_MAX], done);
  }

  /** Resolves when the helper has closed the file or is unavailable. */
  detach(): Promise<void> {
    return new Promise((resolve) => {
      this.helper.ask(['close', this.id], () => {
        this.helper.detached(this.id);
        resolve();
      });
    });
  }
}

const CALLS: Readonly<Record<string, { readonly fallocate: number; readonly prctl: number; readonly recvmsg: number }>> = {
  x64: { fallocate: 285, prctl: 157, recvmsg: 47 },
  arm64: { fallocate: 47, prctl: 167, recvmsg: 212 },
};

/**
 * Arguments for perl, or null if the system call numbers of this architecture are unknown. `isPassed`: true if the helper receives files
 * over descriptor 3 and its program over its input.
 */
export function rangeScriptArguments(architecture: string, parentPid: number, isPassed: boolean): readonly string[] | null {
  const calls = CALLS[architecture];
  if (calls === undefined) return null;
  const numbers = [parentPid, calls.fallocate, calls.prctl, ...(isPassed ? [calls.recvmsg] : [])];
  return [isPassed ? '-' : rangeScript(), ...numbers.map(String)];
}

/** Returns the path of the helper program. */
export function rangeScript(): string {
  return helperFile('ranges.pl');
}
