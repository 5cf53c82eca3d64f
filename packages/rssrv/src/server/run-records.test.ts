// Tests incarnations over restarts. Also tests that a new listener first ends the workers and helpers of an old listener, and no other
// process. Real processes of other programs stand in for workers; test/integration/kill-combinations.test.ts has real workers.

import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { startTicksOf } from '@rsio/base/daemon/process-facts';
import { needPrograms } from '@rsio/base/testing/needs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RunRecords } from './run-records.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { unsealed } from '@rsio/base/testing/unsealed';

const UNTIL = { timeout: 60_000, interval: 5 };
let directory = '';
let children: ChildProcess[] = [];
let left: number[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-'));
  [children, left] = [[], []];
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const pid of left) if (startTicksOf(pid) !== undefined) process.kill(pid, 'SIGKILL');
  await removeFolder(directory);
});

const file = (): string => path.join(directory, 'records.json');

/** The records of a listener that has just started. */
async function started(): Promise<RunRecords> {
  const records = new RunRecords(file(), 'boot');
  await records.endOldWorkers(systemClock, { warn: () => undefined });
  return records;
}

/** Starts a process that stands in for a worker. The process starts another process, which stands in for a helper. */
async function workerWith(helper: string): Promise<{ worker: number; helper: number; kill: () => void }> {
  const child = spawn('sh', ['-c', `${helper} & echo $!; read -r line`], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  children.push(child);
  const pid = await new Promise<number>((resolve) => child.stdout.once('data', (text: Buffer) => resolve(Number(text))));
  left.push(pid);
  return { worker: child.pid ?? 0, helper: pid, kill: () => void child.kill('SIGKILL') };
}

test('an incarnation continues over clean ends; an unclean end starts a new one, of a worker for its volumes, of a listener for all', async () => {
  const first = await started();
  await first.workerStarted(process.pid);
  await first.workerEnded(process.pid, []);
  const [a, b] = [first.incarnationOf('a'), first.incarnationOf('b')];
  const second = await started();
  expect([second.incarnationOf('a'), second.incarnationOf('b')]).toEqual([a, b]);
  await second.workerEnded(1, ['a']);
  expect(second.incarnationOf('a')).not.toBe(a);
  expect(second.incarnationOf('b')).toBe(b);
  const { worker } = await workerWith('true');
  await second.workerStarted(worker);
  const third = await started();
  expect([a, second.incarnationOf('a')]).not.toContain(third.incarnationOf('a'));
  expect(third.incarnationOf('b')).not.toBe(b);
});

test('after RUN was cleared every incarnation is new, although the counts restart within the same boot', async () => {
  const first = await started();
  await first.workerStarted(process.pid);
  await first.workerEnded(process.pid, []);
  fs.rmSync(file());
  expect((await started()).incarnationOf('a')).not.toBe(first.incarnationOf('a'));
});

test('leftover workers are ended, also stopped ones', async () => {
  const { worker } = await workerWith('true');
  const records = await started();
  await records.workerStarted(worker);
  process.kill(worker, 'SIGSTOP');
  await started();
  expect(startTicksOf(worker)).toBeUndefined();
});

test('a helper without its worker is ended and waited for, so that none of its operations happens later', async (context) => {
  needPrograms(context, 'perl');
  const { worker, helper, kill } = await workerWith('exec perl -e "sleep 60"');
  const records = await started();
  await records.workerStarted(worker);
  await vi.waitUntil(() => fs.readFileSync(`/proc/${helper}/comm`, 'utf8') === 'perl\n', UNTIL);
  process.kill(helper, 'SIGSTOP');
  kill();
  await vi.waitUntil(() => startTicksOf(worker) === undefined, UNTIL);
  expect(startTicksOf(helper)).toBeDefined();
  await started();
  expect(startTicksOf(helper)).toBeUndefined();
});

test('an unrelated process with the number of an old worker is not touched, nor are its children', async (context) => {
  needPrograms(context, 'perl');
  const { worker, helper } = await workerWith('exec perl -e "sleep 60"');
  const records = await started();
  await records.workerStarted(worker);
  const text = unsealed(fs.readFileSync(file(), 'utf8'));
  fs.writeFileSync(file(), text.replace(/"startTime":"\d+"/, '"startTime":"1"'));
  await started();
  expect([startTicksOf(worker), startTicksOf(helper)]).not.toContain(undefined);
});
