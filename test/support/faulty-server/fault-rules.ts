// Implements the faults that the server for tests injects into a volume's operations: delay, pause, throttle and failure. This module is
// pure: it reaches the clock, the random numbers and the file system only through ports. Invariant: a fault calls the callback `passed`
// once for each operation. `passed` gets null if the operation may proceed, or an errno if it must fail.

import type { DelayRule, ErrorRule, FaultyOperation } from './volume-faults.ts';
import type { Clock } from '@rsio/base/lib/clock';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { TEST_PAUSE_POLL_MS } from './limits.ts';

export type FaultOperation = Exclude<FaultyOperation, 'any'>;
export type Passed = (errno: string | null) => void;
/**
 * Decides whether an operation proceeds or fails, and then calls `passed`, immediately or later. A flush has no range, so its position and
 * length are 0.
 */
export type Fault = (operation: FaultOperation, positionBytes: number, lengthBytes: number, passed: Passed) => void;

export interface FaultPorts {
  readonly clock: Clock;
  /** Returns a random number, uniformly distributed in [0, 1). */
  readonly random: () => number;
  readonly isThere: (file: string) => boolean;
}

/** Delays each operation by the sum of the delays of all matching rules. */
export function delay(rules: readonly DelayRule[], { clock, random, isThere }: FaultPorts): Fault {
  return (operation, _positionBytes, _lengthBytes, passed) => {
    const fitting = rules.filter((rule) => isFor(rule, operation) && isOn(rule, isThere));
    const delayMs = fitting.reduce((sumMs, { minMs, maxMs }) => sumMs + minMs + random() * (maxMs - minMs), 0);
    if (delayMs === 0) passed(null);
    else clock.after(delayMs, () => passed(null));
  };
}

/**
 * Fails every operation to which a rule applies. If several rules fail the same operation, the first rule determines the errno. After an
 * injected flush failure, all later flushes fail until the volume is opened again. The class FlushGate does the same for real storage,
 * because a failed flush does not show which writes were lost.
 */
export function failure(rules: readonly ErrorRule[], { isThere }: FaultPorts): Fault {
  const met = rules.map(() => 0);
  let flushErrno: string | null = null;
  return (operation, positionBytes, lengthBytes, passed) => {
    let errno = operation === 'flush' ? flushErrno : null;
    for (const [index, rule] of rules.entries()) {
      if (!isFor(rule, operation) || !isWithin(rule.sectors, positionBytes, lengthBytes) || !isOn(rule, isThere)) continue;
      const count = (met[index] ?? 0) + 1;
      met[index] = count;
      if (count % (rule.every ?? 1) === 0) errno ??= rule.errno;
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

/**
 * Limits reads and writes to the given rate. Each read or write waits until all earlier reads and writes would have ended at that
 * rate.
 */
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

function isFor(rule: { readonly operation: FaultyOperation }, operation: FaultOperation): boolean {
  return rule.operation === 'any' || rule.operation === operation;
}

function isOn({ whileFile }: { readonly whileFile?: string }, isThere: (file: string) => boolean): boolean {
  return whileFile === undefined || isThere(whileFile);
}

function isWithin(sectors: readonly [number, number] | undefined, positionBytes: number, lengthBytes: number): boolean {
  if (sectors === undefined) return true;
  const [first, last] = sectors;
  return positionBytes < (last + 1) * SECTOR_BYTES && positionBytes + lengthBytes > first * SECTOR_BYTES;
}
