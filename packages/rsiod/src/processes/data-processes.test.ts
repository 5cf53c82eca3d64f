// Data processes with fake operating-system processes: which process gets which volume, what is saved, and what happens when a process
// dies, hangs, sends wrong messages or cannot be started. Invariant: whatever happens, a label is in one process at most, and every call is
// answered.

import type { RscltConfig } from '@rsio/common/config/schema/types';
import { expect, test } from 'vitest';
import { kept, ProcessScene } from '../testing/process-scene.ts';
import {
  PROCESS_CALLS_MAX,
  PROCESS_END_MS,
  PROCESS_PAUSE_MAX_MS,
  PROCESS_QUIET_MS,
  PROCESS_HAND_OVER_MS,
  PROCESS_KILL_MS,
  PROCESS_REACH_LOOK_MS,
  PROCESS_REACH_MS,
  PROCESS_REFUSAL_MS,
  PROCESS_SILENCE_MS,
  PROCESS_START_MS,
} from './limits.ts';
import { PERSON } from '../attachments/owners.ts';
import { OWN_METHODS } from './messages.ts';

const NO_GATES = { gates: [], aoeGates: [] } as unknown as RscltConfig;
const RW = { readOnly: false, server: null, take: 'no', by: 'name', owner: PERSON } as const;
const names = (...list: string[]): string[] => list.map((name) => `osl:${name}@0`);
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};

test('volumes go to the process with the fewest, stay there, and are saved before the answer', async () => {
  const scene = await new ProcessScene(3).start();
  const outcomes = await scene.processes.attach(names('a', 'b', 'c', 'd'), RW);
  expect(outcomes.map(({ volume, done }) => `${volume} ${done}`)).toEqual(names('a', 'b', 'c', 'd').map((name) => `${name} true`));
  expect(scene.placed).toEqual({ 1: ['a', 'd'], 2: ['b'], 3: ['c'] });
  expect(scene.file?.attached.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd']);
  await scene.processes.detach(names('a', 'd'), false, null);
  await scene.processes.attach(names('b'), RW);
  expect(scene.placed).toEqual({ 1: [], 2: ['b'], 3: ['c'] });
  await scene.processes.attach(names('e'), RW);
  expect(scene.placed).toEqual({ 1: ['e'], 2: ['b'], 3: ['c'] });
});

test('two attaches of one label at the same time go to one process', async () => {
  const scene = await new ProcessScene(2).start();
  scene.running(1)!.answers = false;
  const first = scene.processes.attach(names('a'), RW);
  expect(scene.processes.has('osl:a@0')).toBe(true);
  void scene.processes.attach(names('a'), RW);
  const calls = (number: number): number => scene.running(number)!.received.filter(({ type }) => type === 'call').length;
  expect([calls(1), calls(2)]).toEqual([2, 0]);
  scene.running(1)!.exit('signal SIGKILL');
  expect((await first)[0]?.error?.code).toBe('E_SYSTEM');
  expect(scene.processes.has('osl:a@0')).toBe(false);
});

test('a volume is asked for again until its process has reached the server that offers it to the main process', async () => {
  const scene = await new ProcessScene(2).start();
  const first = scene.running(1)!;
  for (const label of names('a', 'x')) first.unreached.add(label);
  scene.unoffered.add('osl:x@0');
  const turn = async (): Promise<void> => {
    scene.clock.advance(PROCESS_REACH_LOOK_MS);
    await settle();
  };
  const attached = scene.processes.attach(names('a', 'b', 'x'), RW);
  await settle();
  await turn();
  expect(scene.placed).toEqual({ 1: [], 2: ['b'] });
  first.unreached.delete('osl:a@0');
  await turn();
  expect((await attached).map(({ volume, done }) => `${volume} ${done}`)).toEqual(['osl:a@0 true', 'osl:b@0 true', 'osl:x@0 false']);
  expect([scene.placed, scene.processes.has('osl:x@0')]).toEqual([{ 1: ['a'], 2: ['b'] }, false]);

  for (const process of scene.started) process.unreached.add('osl:c@0');
  const never = scene.processes.attach(names('c'), RW);
  for (let ms = 0; ms <= PROCESS_REACH_MS; ms += PROCESS_REACH_LOOK_MS) await turn();
  expect((await never)[0]?.error?.code).toBe('E_UNKNOWN_VOLUME');
});

test('a volume that another data process has not released yet is asked for again, until the deadline', async () => {
  const scene = await new ProcessScene(2).start();
  for (const label of names('a', 'b')) for (const process of scene.started) process.busy.add(label);
  const asked = scene.processes.attach(names('a', 'b'), RW);
  for (let ms = 0; ms <= PROCESS_REACH_MS; ms += PROCESS_REACH_LOOK_MS) {
    await settle();
    if (ms === 2 * PROCESS_REACH_LOOK_MS) for (const process of scene.started) process.busy.delete('osl:a@0');
    scene.clock.advance(PROCESS_REACH_LOOK_MS);
  }
  expect((await asked).map(({ volume, error }) => `${volume} ${error?.code ?? 'done'}`)).toEqual(['osl:a@0 done', 'osl:b@0 E_BUSY']);
  expect(scene.placed).toEqual({ 1: ['a'], 2: [] });
});

test('a process that reaches a server is reported, so that the volumes of the configuration are attached', async () => {
  const scene = await new ProcessScene(1).start();
  scene.running(1)!.say({ type: 'reached' });
  expect(scene.reached).toBe(1);
});

test('the volumes of the last run are shared out, and what was detached stays detached', async () => {
  const file = { boot: 'boot-1', attached: ['a', 'b', 'c'].map(kept), detached: ['osl:x@0 id-x'] };
  const scene = await new ProcessScene(2, file).start();
  expect(scene.placed).toEqual({ 1: ['a', 'c'], 2: ['b'] });
  expect([...scene.processes.detached]).toEqual(['osl:x@0 id-x']);
  const after = await new ProcessScene(2, { ...file, boot: 'boot-0' }).start();
  expect(after.placed).toEqual({ 1: [], 2: [] });
  expect(after.lines).toContain('Attached before the machine was booted, and not attached again for that: osl:a@0, osl:b@0, osl:c@0');
});

test('volumes whose devices would have one path are in one process, which refuses the later one', async () => {
  const scene = new ProcessScene(2, { boot: 'boot-1', attached: ['a', 'b', 'c'].map(kept), detached: [] });
  Object.assign(scene.paths, { 'osl:a@0': '/dev/av0/a', 'osl:b@0': '/dev/av0/a', 'osl:d@0': '/dev/av0/d', 'osl:e@0': '/dev/av0/d' });
  await scene.start();
  expect(scene.placed).toEqual({ 1: ['a', 'b'], 2: ['c'] });
  await scene.processes.attach(names('d', 'e'), RW);
  expect(scene.placed).toEqual({ 1: ['a', 'b'], 2: ['c', 'd', 'e'] });
  // The configuration gives the path to another volume, but the device of the attached one keeps it.
  scene.paths['osl:b@0'] = '/dev/b';
  scene.paths['osl:f@0'] = '/dev/av0/d';
  scene.paths['osl:d@0'] = '/dev/d';
  await scene.processes.attach(names('f'), RW);
  expect(scene.placed[2]).toEqual(['c', 'd', 'e', 'f']);
  await scene.processes.detach(names('d', 'e', 'f'), false, null);
  await scene.processes.attach(names('e', 'd'), RW);
  expect(scene.placed).toEqual({ 1: ['a', 'b', 'd'], 2: ['c', 'e'] });
});

test('a volume that was detached in one process and is attached in another one does not count as detached', async () => {
  const scene = await new ProcessScene(2, { boot: 'boot-1', attached: [kept('b')], detached: ['osl:a@0 id-a', 'osl:c@0 id-c'] }).start();
  await scene.processes.attach(names('a'), RW);
  expect(scene.placed).toEqual({ 1: ['b'], 2: ['a'] });
  expect([...scene.processes.detached]).toEqual(['osl:c@0 id-c']);
  expect(scene.file?.detached).toEqual(['osl:c@0 id-c']);
});

test('a process that dies is started again with its volumes; its calls fail, those of others do not', async () => {
  const scene = await new ProcessScene(2).start();
  await scene.processes.attach(names('a', 'b'), RW);
  const first = scene.running(1)!;
  first.answers = false;
  const lost = scene.processes.detach(names('a'), false, null);
  first.exit('signal SIGSEGV');
  expect((await lost)[0]?.error).toMatchObject({ code: 'E_SYSTEM' });
  expect(scene.lines.at(-1)).toContain('Data process 1 has ended (signal SIGSEGV)');
  expect(scene.processes.has('osl:a@0')).toBe(true);
  scene.clock.advance(0);
  expect(scene.placed).toEqual({ 1: ['a'], 2: ['b'] });
  expect(scene.processes.restarts).toBe(1);
  first.events.message({ type: 'attached', number: 9, content: { boot: 'boot-1', attached: [], detached: [] } });
  expect(scene.processes.has('osl:a@0')).toBe(true);
});

test('a process that dies again and again is started with longer and longer pauses, and never given up', async () => {
  const scene = await new ProcessScene(1).start();
  for (let end = 0; end < 40; end++) {
    scene.running(1)?.exit('exit code 1');
    scene.clock.advance(PROCESS_PAUSE_MAX_MS);
  }
  expect(scene.started.length).toBe(41);
  scene.running(1)?.exit('exit code 1');
  scene.clock.advance(PROCESS_PAUSE_MAX_MS - 1);
  expect(scene.running(1)).toBeUndefined();
});

test('a process that cannot be started is tried again', async () => {
  const scene = new ProcessScene(1);
  scene.startErrors.push(new Error('no memory'));
  await scene.processes.load(() => undefined);
  const started = scene.processes.start();
  await settle();
  expect(scene.lines.at(-1)).toContain('cannot be started: no memory');
  scene.clock.advance(0);
  await started;
  expect(scene.running(1)?.number).toBe(1);
});

test('a process that hangs is killed and started again; one that answers is not', async () => {
  const scene = await new ProcessScene(2).start();
  scene.running(2)!.answers = false;
  for (let ms = 0; ms < PROCESS_SILENCE_MS + PROCESS_QUIET_MS; ms += PROCESS_QUIET_MS) scene.clock.advance(PROCESS_QUIET_MS);
  scene.clock.advance(0);
  expect(scene.started.map(({ number }) => number)).toEqual([1, 2, 2]);
  expect(scene.lines.some((line) => /^Data process 2 \(pid \d+\) hangs/.test(line))).toBe(true);
});

test('a message of another form ends the process', async () => {
  const bad: object[] = [
    { type: 'nothing' },
    { type: 'attached', number: 1, content: { boot: 'b', attached: [{ name: 'a' }], detached: [] } },
    { type: 'event', object: 'volume a', from: '', to: '', reason: 'x'.repeat(20_000) },
    { type: 'answer', number: 1, result: null, error: { code: 'E_MADE_UP', message: '' } },
    { type: 'answer', number: 1, result: [], error: null },
  ];
  for (const message of bad) {
    const scene = await new ProcessScene(1).start();
    const [first] = scene.started;
    first!.say(message);
    expect([first!.isGone, scene.lines.join()], JSON.stringify(message)).toEqual([
      true,
      expect.stringContaining('of another form') as unknown,
    ]);
  }
});

test('the number of requests in progress is bounded', async () => {
  const scene = await new ProcessScene(1).start();
  scene.running(1)!.answers = false;
  const [process] = scene.processes.all;
  const calls = Array.from({ length: PROCESS_CALLS_MAX }, () => process!.call('status', {}).catch(() => undefined));
  await expect(process!.call('status', {})).rejects.toMatchObject({ code: 'E_LIMIT' });
  scene.running(1)!.exit('exit code 1');
  await Promise.all(calls);
});

test('the start goes on without a process that is not ready in time', async () => {
  const scene = new ProcessScene(2);
  await scene.start();
  const late = new ProcessScene(1);
  late.startErrors.push(...Array.from({ length: 100 }, () => new Error('no memory')));
  await late.processes.load(() => undefined);
  const waited = late.processes.start();
  await settle();
  for (let ms = 0; ms <= PROCESS_START_MS; ms += 100) late.clock.advance(100);
  await waited;
  expect(late.lines.some((line) => line.startsWith('Not every data process was ready'))).toBe(true);
});

test('at the end, a process that does not end in time is killed, none is started again, and the file keeps the volumes', async () => {
  const scene = await new ProcessScene(2).start();
  await scene.processes.attach(names('a', 'b'), RW);
  scene.running(2)!.answers = false;
  const ended = scene.processes.end(OWN_METHODS.end, 'The client is shutting down');
  await settle();
  scene.clock.advance(PROCESS_END_MS);
  await ended;
  scene.clock.advance(PROCESS_PAUSE_MAX_MS);
  expect([scene.started.length, scene.started.map(({ isGone }) => isGone)]).toEqual([2, [true, true]]);
  expect(scene.file?.attached.map(({ name }) => name)).toEqual(['a', 'b']);
});

test('a process that does not even end when it is killed delays an end and a hand-over for a bounded time', async () => {
  for (const [method, limitMs] of [
    [OWN_METHODS.end, PROCESS_END_MS],
    [OWN_METHODS.handOver, PROCESS_HAND_OVER_MS],
  ] as const) {
    const scene = await new ProcessScene(2).start();
    const stuck = scene.running(2)!;
    [stuck.answers, stuck.isUnkillable] = [false, true];
    const ended = scene.processes.end(method, '');
    await settle();
    scene.clock.advance(limitMs);
    scene.clock.advance(PROCESS_KILL_MS);
    await ended;
    expect([scene.started.length, scene.lines.at(-1)]).toEqual([
      2,
      expect.stringContaining('does not end although it was killed') as unknown,
    ]);
  }
});

test('events, refusals and obstacles come from all processes', async () => {
  const scene = await new ProcessScene(2).start();
  scene.running(2)!.say({ type: 'event', object: 'volume osl:b@0', from: 'open', to: 'waiting', reason: '' });
  expect(scene.events).toEqual(['volume osl:b@0: waiting']);
  expect(await scene.processes.refusal('stop')).toBeNull();
  scene.running(1)!.results[OWN_METHODS.refusal] = { reason: 'osl:a@0 is in use by mount point /mnt' };
  expect(await scene.processes.refusal('stop')).toBe('osl:a@0 is in use by mount point /mnt');
  await scene.processes.attach(names('a', 'b'), RW);
  scene.running(2)!.answers = false;
  const silent = scene.processes.refusal('stop');
  scene.clock.advance(PROCESS_REFUSAL_MS);
  expect(await silent).toContain('Data process 2 does not answer, and has osl:b@0: try again');
  scene.running(2)!.answers = true;
  for (const number of [1, 2]) scene.running(number)!.results[OWN_METHODS.obstacles] = { obstacles: ['no'] };
  expect(await scene.processes.obstacles(NO_GATES)).toEqual(['no']);
  scene.running(1)!.exit('exit code 1');
  expect((await scene.processes.obstacles(NO_GATES))[0]).toContain('Data process 1 does not answer');
});

test('no gate begins beside data processes, because both would serve one volume', async () => {
  const scene = await new ProcessScene(2).start();
  for (const gates of [
    { gates: [{ name: 'g' }], aoeGates: [] },
    { gates: [], aoeGates: [{ name: 'g' }] },
  ])
    expect(await scene.processes.obstacles(gates as unknown as RscltConfig)).toEqual([
      expect.stringContaining('gate g cannot begin while data processes have the volumes'),
    ]);
});
