// Tests triggers with real programs: their input on stdin, a refusal, a program that hangs or leaves children behind, the order of
// programs, events that arrive faster than programs run, and a program that another user could have written.

import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TriggerConfig } from '../config/schema/types.ts';
import { type Clock, systemClock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TRIGGER_EVENT_EACH_MS, TRIGGER_EVENTS_AT_ONCE, TRIGGER_EVENTS_MAX, TRIGGER_SNAPSHOTS_MAX } from './limits.ts';
import { programRunner, type RunProgram } from './run-program.ts';
import { Triggers } from './triggers.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let root: string;
let logged: string[];
const WANTED = { snapshots: [{ name: 'db', universe: 0, snapshot: 'a' }], by: 'big-2', isScheduled: false };
const stillWanted = (): void => undefined;
const EVENT = { number: 1, atMs: 5, object: 'pool fast', from: 'ready', to: 'unavailable', reason: 'x' };

beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'rsio-trigger-'));
  logged = [];
});

afterEach(() => removeFolder(root));

function program(name: string, on: TriggerConfig['on'], script: string, timeoutMs = 60_000): TriggerConfig {
  const run = path.join(root, name);
  writeFileSync(run, `#!/bin/sh\n${script}\n`);
  chmodSync(run, 0o755);
  return { name, on, run, timeoutMs, line: 1 };
}

function triggersOf(triggers: readonly TriggerConfig[], run?: RunProgram, clock: Clock = systemClock): Triggers {
  const write = (text: string): void => void logged.push(text);
  return new Triggers({
    clock,
    log: { info: write, warn: write },
    daemon: 'rssrv',
    machine: () => ({ server: 'big-9' }),
    triggers: () => triggers,
    ...(run === undefined ? {} : { run }),
  });
}

const said = (): object[] =>
  readFileSync(path.join(root, 'said'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);

test('programs around a snapshot get it as JSON, one after the other', async () => {
  const save = `cat >> ${root}/said; echo note`;
  const triggers = triggersOf([program('one', 'snapshot-before', save), program('two', 'snapshot-after', save)]);
  await expect(triggers.around(WANTED, stillWanted, async () => 7)).resolves.toBe(7);
  const facts = { server: 'big-9', snapshots: [{ volume: 'db', universe: 0, snapshot: 'a' }], by: 'big-2', isScheduled: false };
  expect(said()).toEqual([
    { event: 'snapshot-before', trigger: 'one', ...facts },
    { event: 'snapshot-after', trigger: 'two', ...facts, isMade: true, error: null },
  ]);
  expect(logged).toEqual(['Trigger one: note', 'Trigger two: note']);
});

test('a program refuses a snapshot by its exit code, and the programs after it hear of it', async () => {
  const triggers = triggersOf([
    program('no', 'snapshot-before', 'echo not now >&2; exit 3'),
    program('never', 'snapshot-before', `touch ${root}/said`),
    program('after', 'snapshot-after', `cat >> ${root}/said`),
  ]);
  let isMade = false;
  const asked = triggers.around(WANTED, stillWanted, async () => (isMade = true));
  await expect(asked).rejects.toThrow(`No snapshot was made, because trigger no (${root}/no) failed: its exit code is 3`);
  expect([isMade, said()]).toEqual([false, [expect.objectContaining({ isMade: false, event: 'snapshot-after' })]]);
  expect(logged[0]).toBe('Trigger no: not now');
});

test('a snapshot that fails is told to the programs after it, and the failure of one of these changes nothing', async () => {
  const triggers = triggersOf([program('after', 'snapshot-after', `cat >> ${root}/said; exit 1`)]);
  await expect(triggers.around(WANTED, stillWanted, () => Promise.reject(new Error('no room')))).rejects.toThrow('no room');
  expect(said()).toEqual([expect.objectContaining({ isMade: false, error: 'no room' })]);
  await expect(triggers.around(WANTED, stillWanted, async () => 1)).resolves.toBe(1);
});

test('a program that does not end is killed with its children', async () => {
  const clock = new FakeClock();
  const hang = program('hang', 'snapshot-before', `sleep 1000 & echo $! > ${root}/child; wait`);
  const ended = programRunner(clock)(hang.run, '{}', 10_000);
  let child = 0;
  while (child === 0) {
    await new Promise((resolve) => setImmediate(resolve));
    child = pidIn(path.join(root, 'child'));
  }
  clock.advance(10_000);
  // The clock of the test no longer advances, so that the wait ends only when the program ends.
  const pump = setInterval(() => clock.advance(0), 5);
  await expect(ended).resolves.toMatchObject({ failure: 'it did not end within 10s' });
  clearInterval(pump);
  // The kernel ends a killed process only when it runs next.
  await vi.waitFor(() => expect(stateOf(child)).toMatch(/^[ZX]?$/), { timeout: 10_000, interval: 5 });
});

function pidIn(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8').trim());
  } catch {
    return 0;
  }
}

function stateOf(pid: number): string {
  try {
    return /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}

test('much output is cut, and input that is not read hurts nobody', async () => {
  const loud = program('loud', 'event', 'yes | head -c 100000; exit 0');
  const { failure, output } = await programRunner(systemClock)(loud.run, 'x'.repeat(1_000_000), 60_000);
  expect([failure, output.length]).toEqual([null, 4_096]);
  await expect(programRunner(systemClock)(path.join(root, 'none'), '', 1_000)).resolves.toMatchObject({
    failure: expect.stringContaining('ENOENT'),
  });
});

test('a program that others can write is not started', async () => {
  const open = program('open', 'snapshot-before', `touch ${root}/said`);
  chmodSync(open.run, 0o777);
  await expect(triggersOf([open]).around(WANTED, stillWanted, async () => 1)).rejects.toThrow('can be written by other users');
});

test('of equal events that wait, the newest starts the programs, once, and says how many there were', async () => {
  const inputs: string[] = [];
  const ends: (() => void)[] = [];
  const slow: RunProgram = async (_file, input) => {
    inputs.push(input);
    await new Promise<void>((resolve) => void ends.push(resolve));
    return { failure: null, output: '' };
  };
  const triggers = triggersOf([program('slow', 'event', '')], slow);
  for (let number = 1; number <= 100; number++) triggers.event({ ...EVENT, number, to: number % 2 === 0 ? 'up' : 'down' });
  for (let round = 0; round < 3; round++) await vi.waitFor(() => (expect(ends).toHaveLength(round + 1), ends[round]?.()));
  const seen = inputs.map((input) => JSON.parse(input) as { number: number; repeated: number });
  expect(seen.map(({ number, repeated }) => [number, repeated])).toEqual([
    [1, 0],
    [100, 49],
    [99, 48],
  ]);
});

test('events that come too fast are lost and counted, and snapshots that wait are bounded', async () => {
  let release: () => void = () => undefined;
  const inputs: string[] = [];
  const slow: RunProgram = async (_file, input) => {
    inputs.push(input);
    await new Promise<void>((resolve) => (release = resolve));
    return { failure: null, output: '' };
  };
  const triggers = triggersOf([program('slow', 'event', ''), program('before', 'snapshot-before', '')], slow);
  for (let number = 1; number <= TRIGGER_EVENTS_MAX + 5; number++) triggers.event({ ...EVENT, number, object: `pool fast${number}` });
  while (inputs.length < TRIGGER_EVENTS_MAX + 1) {
    release();
    await Promise.resolve();
  }
  expect(logged).toEqual(['4 events did not start their triggers, because the programs are too slow']);
  expect(JSON.parse(inputs[1] ?? '')).toMatchObject({ event: 'event', object: 'pool fast2', number: 2, lost: 4 });
  const all = Array.from({ length: TRIGGER_SNAPSHOTS_MAX + 1 }, () => triggers.around(WANTED, stillWanted, async () => 1));
  await expect(all.at(-1)).rejects.toMatchObject({ code: 'E_LIMIT' });
});

// Regression: after a client requested many snapshots and disconnected, the administrator's programs were still started for each snapshot.
test('no program is started for an asker that has gone, and its snapshots take no place from others', async () => {
  const inputs: string[] = [];
  const ends: (() => void)[] = [];
  const slow: RunProgram = async (_file, input) => {
    inputs.push(input);
    await new Promise<void>((resolve) => void ends.push(resolve));
    return { failure: null, output: '' };
  };
  const triggers = triggersOf([program('before', 'snapshot-before', '')], slow);
  const first = triggers.around(WANTED, stillWanted, async () => 'first');
  await vi.waitFor(() => expect(ends).toHaveLength(1));
  let hasGone = false;
  const wanted = (): void => {
    if (hasGone) throw new RsError('E_NO_SESSION', 'gone');
  };
  const queued = Array.from({ length: TRIGGER_SNAPSHOTS_MAX - 1 }, () => triggers.around(WANTED, wanted, async () => 'queued'));
  const outcomes = Promise.allSettled(queued);
  await expect(triggers.around(WANTED, stillWanted, async () => 'later')).rejects.toMatchObject({ code: 'E_LIMIT' });
  hasGone = true;
  const later = triggers.around(WANTED, stillWanted, async () => 'later');
  expect((await outcomes).map(({ status }) => status)).toEqual(queued.map(() => 'rejected'));
  const left = triggers.around(WANTED, wanted, async () => 'left').catch(({ code }: RsError) => code);
  ends[0]?.();
  await vi.waitFor(() => expect(ends).toHaveLength(2));
  ends[1]?.();
  expect([await first, await later, await left, inputs.length]).toEqual(['first', 'later', 'E_NO_SESSION', 2]);
});

test('the programs of events are started at a bounded rate, and what happens meanwhile is told by the next one', async () => {
  const clock = new FakeClock();
  const inputs: string[] = [];
  const quick: RunProgram = async (_file, input) => {
    inputs.push(input);
    return { failure: null, output: '' };
  };
  const triggers = triggersOf([program('quick', 'event', '')], quick, clock);
  const storm = async (): Promise<void> => {
    for (let number = 1; number <= 2 * TRIGGER_EVENTS_AT_ONCE; number++) {
      triggers.event({ ...EVENT, number });
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await storm();
  expect(inputs).toHaveLength(TRIGGER_EVENTS_AT_ONCE);
  clock.advance(TRIGGER_EVENT_EACH_MS);
  await new Promise((resolve) => setImmediate(resolve));
  expect([inputs.length, JSON.parse(inputs.at(-1) ?? '')]).toMatchObject([TRIGGER_EVENTS_AT_ONCE + 1, { number: 256, repeated: 127 }]);
  expect(clock.timersPending).toBe(0);
});

test('the log says that snapshots wait while a program takes long, once, and nothing of one that was fast', async () => {
  const clock = new FakeClock();
  const ends: (() => void)[] = [];
  const slow: RunProgram = async () => {
    await new Promise<void>((resolve) => void ends.push(resolve));
    return { failure: null, output: '' };
  };
  const triggers = triggersOf([program('slow', 'snapshot-before', '')], slow, clock);
  const made = triggers.around(WANTED, stillWanted, async () => 1);
  await vi.waitFor(() => expect(ends).toHaveLength(1));
  clock.advance(4_999);
  expect(logged).toEqual([]);
  clock.advance(40_000);
  expect(logged).toEqual([`Trigger slow: ${root}/slow has run for 5s, and the snapshot and those after it wait: it is killed after 1m`]);
  ends[0]?.();
  await expect(made).resolves.toBe(1);
  expect(clock.timersPending).toBe(0);
});
