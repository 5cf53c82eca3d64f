// Faults that are injected into the operations of a volume under test: delay, pause, throttle or failure. Pure: time, random numbers and
// the files that switch faults on are ports. faulty-backend.ts counts the operations. Invariant: `passed` is called once for each
// operation, with null (execute it) or with the errno that is its result.

import type { TestDelay, TestError, TestOperation } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/common/lib/clock';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { TEST_PAUSE_POLL_MS } from './limits.ts';

export type FaultOperation = Exclude<TestOperation, 'any'>;
export type Passed = (errno: string | null) => void;
/** Calls `passed` at once or later. A flush has no range, so its position and length are 0. */
export type Fault = (operation: FaultOperation, positionBytes: number, lengthBytes: number, passed: Passed) => void;

export interface FaultPorts {
  readonly clock: Clock;
  /** A random number, uniform in [0, 1). */
  readonly random: () => number;
  readonly isThere: (file: string) => boolean;
}

/** Delays each operation by the sum of all matching rules. */
export function delay(rules: readonly TestDelay[], { clock, random, isThere }: FaultPorts): Fault {
  return (operation, _positionBytes, _lengthBytes, passed) => {
    const fitting = rules.filter((rule) => isFor(rule, operation) && isOn(rule, isThere));
    const delayMs = fitting.reduce((sumMs, { minMs, maxMs }) => sumMs + minMs + random() * (maxMs - minMs), 0);
    if (delayMs === 0) passed(null);
    else clock.after(delayMs, () => passed(null));
  };
}

/**
 * Fails an operation if a rule applies to it. If several apply, the first one decides. As with real storage, once a flush has failed, no
 * flush succeeds until the volume is opened again, because the extent of the loss is unknown.
 */
export function failure(rules: readonly TestError[], { isThere }: FaultPorts): Fault {
  const met = rules.map(() => 0);
  let flushErrno: string | null = null;
  return (operation, positionBytes, lengthBytes, passed) => {
    let errno = operation === 'flush' ? flushErrno : null;
    for (const [index, rule] of rules.entries()) {
      if (!isFor(rule, operation) || !isWithin(rule.sectors, positionBytes, lengthBytes) || !isOn(rule, isThere)) continue;
      const count = (met[index] ?? 0) + 1;
      met[index] = count;
      if (count % rule.every === 0) errno ??= rule.errno;
    }
    if (operation === 'flush') flushErrno = errno;
    passed(errno);
  };
}

/** Delays all operations while `file` exists. */
export function pause(file: string, { clock, isThere }: FaultPorts): Fault {
  return (_operation, _positionBytes, _lengthBytes, passed) => {
    const look = (): void => {
      if (isThere(file)) clock.after(TEST_PAUSE_POLL_MS, look);
      else passed(null);
    };
    look();
  };
}

/** Limits the rate of reads and writes. They pass one at a time. Each waits until the time for all earlier bytes has elapsed. */
export function throttle(bytesPerSecond: number, { clock }: FaultPorts): Fault {
  let freeMs = 0;
  return (operation, _positionBytes, lengthBytes, passed) => {
    if (operation !== 'read' && operation !== 'write') {
      passed(null);
      return;
    }
    const nowMs = clock.monotonicMs();
    const startMs = Math.max(nowMs, freeMs);
    freeMs = startMs + (lengthBytes * 1000) / bytesPerSecond;
    if (startMs === nowMs) passed(null);
    else clock.after(startMs - nowMs, () => passed(null));
  };
}

function isFor(rule: { readonly operation: TestOperation }, operation: FaultOperation): boolean {
  return rule.operation === 'any' || rule.operation === operation;
}

function isOn({ whileFile }: { readonly whileFile: string | null }, isThere: (file: string) => boolean): boolean {
  return whileFile === null || isThere(whileFile);
}

function isWithin(sectors: readonly [number, number] | null, positionBytes: number, lengthBytes: number): boolean {
  if (sectors === null) return true;
  const [first, last] = sectors;
  return positionBytes < (last + 1) * SECTOR_BYTES && positionBytes + lengthBytes > first * SECTOR_BYTES;
}
