// What the faults of a volume under test do to an operation on its way to the storage: it comes later, waits, or is not done at all.
// Pure: time, chance and files that switch a fault come in as ports. Leaves counting operations in and out to interfered-backend.ts.
// Invariant: each operation passes once, with null (it is done) or with the errno that is its outcome.

import type { TestDelay, TestError, TestOperation } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/common/lib/clock';
import { SECTOR_BYTES } from '@rsio/common/lib/limits';
import { TEST_PAUSE_POLL_MS } from './limits.ts';

export type FaultOperation = Exclude<TestOperation, 'any'>;
export type Passed = (errno: string | null) => void;
/** Calls `passed`, at once or later. A flush has no range: 0, 0. */
export type Fault = (operation: FaultOperation, positionBytes: number, lengthBytes: number, passed: Passed) => void;

export interface FaultPorts {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly isThere: (file: string) => boolean;
}

/** Every rule that fits adds its time. */
export function delay(rules: readonly TestDelay[], { clock, random, isThere }: FaultPorts): Fault {
  return (operation, _positionBytes, _lengthBytes, passed) => {
    const fitting = rules.filter((rule) => isFor(rule, operation) && isOn(rule, isThere));
    const delayMs = fitting.reduce((sumMs, { minMs, maxMs }) => sumMs + minMs + random() * (maxMs - minMs), 0);
    if (delayMs === 0) passed(null);
    else clock.after(delayMs, () => passed(null));
  };
}

/**
 * The first rule that is due decides. As with any storage, a flush that has failed once is never answered OK again before the volume is
 * opened anew: what was lost is not known.
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

/** Nothing passes while `file` is there. */
export function pause(file: string, { clock, isThere }: FaultPorts): Fault {
  return (_operation, _positionBytes, _lengthBytes, passed) => {
    const look = (): void => {
      if (isThere(file)) clock.after(TEST_PAUSE_POLL_MS, look);
      else passed(null);
    };
    look();
  };
}

/** Reads and writes one after the other, each when the bytes of those before it have had their time. */
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
