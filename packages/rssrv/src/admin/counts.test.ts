// Tests values that only the metrics count: events by kind, take-overs, and the CPU time of processes that start and end. All other metrics
// come from the control interface, and test/integration/metrics.test.ts tests them.

import { expect, test } from 'vitest';
import { EventCounts } from './event-counts.ts';
import { WorkerUsage } from './worker-usage.ts';

test('events are counted by what they are about, and no name becomes a kind', () => {
  const counts = new EventCounts();
  const change = { from: '-', to: 'x' };
  for (const object of ['client big-2', 'volume a@0', 'volume b@0', 'my-name', 'constructor', '']) counts.note({ object, ...change });
  expect(Object.fromEntries([...counts.byKind].filter(([, count]) => count > 0))).toEqual({ client: 1, volume: 2, other: 3 });
});

test('a take-over has a holder before and after; an incarnation names itself', () => {
  const counts = new EventCounts();
  counts.note({ object: 'volume a@0', from: 'held by big-2', to: 'held by venus' });
  counts.note({ object: 'volume a@0', from: '-', to: 'created' });
  counts.note({ object: 'volume a@0', from: '-', to: 'new incarnation' });
  expect([counts.takeOvers, counts.incarnations]).toEqual([1, 1]);
});

test('the CPU time of all processes never decreases', () => {
  const seconds = new Map([
    [1, 10],
    [2, 5],
  ]);
  const usage = new WorkerUsage((pid) => {
    const cpuSeconds = seconds.get(pid);
    return cpuSeconds === undefined ? undefined : { cpuSeconds, memoryBytes: 100 };
  });
  expect(usage.look([1, 2])).toEqual({ cpuSeconds: 15, memoryBytes: 200 });
  seconds.delete(1);
  expect(usage.look([1, 2]), 'it is just ending').toEqual({ cpuSeconds: 15, memoryBytes: 100 });
  expect(usage.look([2])).toEqual({ cpuSeconds: 15, memoryBytes: 100 });
  seconds.set(2, 1);
  expect(usage.look([2]), 'another process has its pid').toEqual({ cpuSeconds: 16, memoryBytes: 100 });
});
