// Holes, zeroed ranges and extents: what the kernel can do and Node cannot ask for, through one perl child per process
// (range-script.ts), started when the first file is attached and ended when the last one is detached.
// Leaves what to do without it to the backend: everything here answers LOST when the helper cannot help (no perl, an unknown
// architecture, killed because it did not answer), and a lost helper is not started again.

import util from 'node:util';
import type { Clock } from '@rsio/protocol/lib/clock';
import { EXTENTS_PER_ANSWER_MAX } from '@rsio/protocol/limits';
import { RANGE_HELPER_TIMEOUT_MS } from '@rsio/protocol/lib/program-limits';
import { LineProcess } from './line-process.ts';
import type { IoEnd } from './positioned-io.ts';
import { rangeScriptArguments } from './range-script.ts';

/** Stands in for an errno: the helper is gone, and nothing asked of it is running any more. */
export const LOST = 'LOST';

/** `found`: pairs (bytes, 0 data or 1 hole) from the asked position on; may cover less than asked for. */
export type RangeExtents = (errno: string | null, found: readonly number[]) => void;

export interface RangeHelperPorts {
  readonly clock: Clock;
  /** The helper cannot be used from now on: for the log. */
  readonly onLost: (reason: string) => void;
  /** Default `perl`, found by PATH. */
  readonly command?: string;
  readonly architecture?: string;
}

type Numbers = (errno: string | null, values: readonly number[]) => void;

export class RangeHelper {
  private readonly ports: RangeHelperPorts;
  private child: LineProcess | null = null;
  private lost = false;
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
          resolve(new RangeFile(this, id, punch === 1, extents === 1));
        } else {
          this.detached();
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
      const [errno = 0, ...values] = line.split(' ').map(Number);
      answer(errno === 0 ? null : util.getSystemErrorName(-errno), values);
    });
  }

  /** For RangeFile only: one file less. */
  detached(): void {
    this.attached--;
    if (this.attached > 0) return;
    this.child?.end();
    this.child = null;
  }

  private started(): LineProcess | null {
    if (this.lost) return null;
    if (this.child !== null) return this.child;
    const args = rangeScriptArguments(this.ports.architecture ?? process.arch, process.pid);
    if (args === null) {
      this.lose(`no system call numbers for ${this.ports.architecture ?? process.arch}`);
      return null;
    }
    this.child = new LineProcess({
      command: this.ports.command ?? 'perl',
      args,
      timeoutMs: RANGE_HELPER_TIMEOUT_MS,
      clock: this.ports.clock,
      onLost: (reason) => this.lose(reason),
    });
    return this.child;
  }

  private lose(reason: string): void {
    this.lost = true;
    this.ports.onLost(reason);
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
        this.helper.detached();
        resolve();
      });
    });
  }
}
