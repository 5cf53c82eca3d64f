// Tests how many jobs run, how many ended jobs are kept, how a job ends, is cancelled, waits and is retried, and how jobs continue after
// restarts. Some tests call only the functions of job-plan.ts, and others use Jobs with a durable list. Rules: G28.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { RsError } from '@rsio/base/lib/errors';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { JobRecord } from './job-record.ts';
import { isOpen, withoutOld } from './job-plan.ts';
import { JobEnds, Jobs, type RunningJob } from './jobs.ts';
import {
  JOB_RETRY_MS,
  JOBS_KEPT_MAX,
  JOBS_KEPT_PER_CLIENT_MAX,
  JOBS_OPEN_MAX,
  JOBS_OPEN_PER_CLIENT_MAX,
  JOBS_RUNNING_MAX,
} from './limits.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let directory: string;
let clock: FakeClock;
let logged: string[];
let running: Map<string, { readonly job: RunningJob; readonly ends: (error?: Error) => Promise<void> }>;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-jobs-'));
  clock = new FakeClock();
  [logged, running] = [[], new Map()];
});

afterEach(() => removeFolder(directory));

async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function open(): Promise<Jobs> {
  const log = {
    info: (text: string) => void logged.push(text),
    warn: (text: string) => void logged.push(text),
    error: (text: string) => void logged.push(text),
  };
  const jobs = new Jobs({
    clock,
    log,
    file: path.join(directory, 'jobs.json'),
    run: (job) =>
      new Promise((resolve, reject) => {
        const ends = (error?: Error): Promise<void> => {
          if (error === undefined) resolve();
          else reject(error);
          return settled();
        };
        running.set(job.record.id, { job, ends });
      }),
  });
  await jobs.load();
  jobs.start();
  return jobs;
}

function newJob(jobs: Jobs, changes: Partial<JobRecord> = {}): JobRecord {
  return {
    id: jobs.nextId,
    kind: 'move',
    volumeId: `v${jobs.nextId}`,
    name: 'db',
    universe: 0,
    from: 'fast',
    fromId: 'a',
    to: 'slow',
    toId: 'b',
    by: null,
    createdMs: 1,
    endedMs: null,
    state: 'waiting',
    reason: null,
    limitBytes: null,
    rounds: 0,
    doneBytes: 0,
    totalBytes: 0,
    move: null,
    ...changes,
  } as JobRecord;
}

const states = (jobs: Jobs): string[] => jobs.list.map(({ id, state }) => `${id} ${state}`);

test('a bounded number runs at once, in order, and each has an end', async () => {
  const jobs = await open();
  for (let count = 0; count < 4; count++) await jobs.add(newJob(jobs));
  await settled();
  expect([...running.keys()]).toEqual(['1', '2']);
  expect(JOBS_RUNNING_MAX).toBe(2);
  await running.get('2')!.ends();
  await running.get('1')!.ends(new RsError('E_SPACE', 'No room'));
  await vi.waitFor(() => expect(states(jobs)).toEqual(['1 failed', '2 done', '3 running', '4 running']));
  expect(jobs.find('1').reason).toBe('No room');
  expect(logged.at(-1)).toBe('Job 1, move of volume db from pool fast to pool slow, has failed: No room');
});

test('one job of a volume, and no more jobs than the bound; a refused job leaves nothing', async () => {
  const jobs = await open();
  await jobs.add(newJob(jobs, { volumeId: 'v-v-v-v-v' }));
  await expect(jobs.add(newJob(jobs, { volumeId: 'v-v-v-v-v' }))).rejects.toMatchObject({ code: 'E_BUSY' });
  for (let count = 1; count < JOBS_OPEN_MAX; count++) await jobs.add(newJob(jobs));
  await expect(jobs.add(newJob(jobs))).rejects.toMatchObject({ code: 'E_LIMIT' });
  await expect(jobs.add(newJob(jobs, { limitBytes: 1 }))).rejects.toMatchObject({ code: 'E_USAGE' });
  expect(jobs.list).toHaveLength(JOBS_OPEN_MAX);
});

test('one client takes neither all places that run nor all that wait', async () => {
  const jobs = await open();
  for (let count = 0; count < JOBS_OPEN_PER_CLIENT_MAX; count++) await jobs.add(newJob(jobs, { by: 'big-2' }));
  await expect(jobs.add(newJob(jobs, { by: 'big-2' }))).rejects.toMatchObject({ code: 'E_LIMIT' });
  await settled();
  expect([...running.keys()]).toEqual(['1']);
  const { id } = await jobs.add(newJob(jobs, { by: 'big-3' }));
  await settled();
  expect([...running.keys()]).toEqual(['1', id]);
  await running.get('1')!.ends();
  await vi.waitFor(() => expect([...running.keys()]).toEqual(['1', id, '2']));
});

test('a cancelled job hears of it, is over when it has undone what it did, and cannot be cancelled again', async () => {
  const jobs = await open();
  await jobs.add(newJob(jobs));
  await settled();
  const { job, ends } = running.get('1')!;
  await job.beforePiece(1);
  await jobs.cancel('1');
  await expect(job.beforePiece(1)).rejects.toBeInstanceOf(JobEnds);
  expect(states(jobs)).toEqual(['1 cancelling']);
  await ends(new JobEnds({ kind: 'cancelled' }));
  await vi.waitFor(() => expect(states(jobs)).toEqual(['1 cancelled']));
  await expect(jobs.cancel('1')).rejects.toMatchObject({ code: 'E_USAGE' });
  await expect(jobs.cancel('9')).rejects.toMatchObject({ code: 'E_UNKNOWN_JOB' });
});

test('a job that cannot go on says why and is tried again; cancelled meanwhile, it runs at once to clean up', async () => {
  const jobs = await open();
  await jobs.add(newJob(jobs));
  await settled();
  await running.get('1')!.ends(new JobEnds({ kind: 'waits', reason: 'pool slow cannot be used now' }));
  expect(jobs.find('1')).toMatchObject({ state: 'waiting', reason: 'pool slow cannot be used now' });
  running.clear();
  await vi.waitFor(() => expect(clock.timersPending).toBe(1));
  clock.advance(JOB_RETRY_MS - 1);
  expect(running.size).toBe(0);
  clock.advance(1);
  await vi.waitFor(() => expect(running.size).toBe(1));
  await running.get('1')!.ends(new JobEnds({ kind: 'waits', reason: 'still not' }));
  running.clear();
  await jobs.cancel('1');
  await vi.waitFor(() => expect(running.size).toBe(1));
});

test('a restart goes on with what was running and cancelled, with the same progress and limit', async () => {
  const before = await open();
  for (let count = 0; count < 3; count++) await before.add(newJob(before));
  await settled();
  const move = { copyStamp: 'c', baseStamp: null, nextStamp: 'n', positionBytes: 77 };
  running.get('1')!.job.note({ doneBytes: 5, totalBytes: 9, move });
  await running.get('1')!.job.save();
  await before.cancel('2');
  await before.limit('3', 1_000_000);
  running.clear();
  const jobs = await open();
  await settled();
  expect(states(jobs)).toEqual(['1 running', '2 cancelling', '3 waiting']);
  expect(jobs.find('1')).toMatchObject({ doneBytes: 5, totalBytes: 9, move });
  expect(jobs.find('3').limitBytes).toBe(1_000_000);
  expect(jobs.nextId).toBe('4');
});

test('a stop ends the running jobs where they are', async () => {
  const jobs = await open();
  await jobs.add(newJob(jobs));
  await settled();
  const { job, ends } = running.get('1')!;
  const stopped = jobs.stop();
  let thrown: unknown = null;
  await job.beforePiece(1).catch((error: unknown) => (thrown = error));
  await ends(thrown as Error);
  await stopped;
  expect(states(jobs)).toEqual(['1 waiting']);
});

test('the limit is kept, and a new one is in force at once', async () => {
  const jobs = await open();
  await jobs.add(newJob(jobs, { limitBytes: 1024 * 1024 }));
  await settled();
  const { job } = running.get('1')!;
  let pieces = 0;
  const copying = (async () => {
    for (;;) {
      await job.beforePiece(256 * 1024);
      pieces++;
    }
  })().catch(() => undefined);
  for (let tick = 0; tick < 20; tick++) {
    await settled();
    clock.advance(100);
  }
  expect(pieces).toBeGreaterThanOrEqual(7);
  expect(pieces).toBeLessThanOrEqual(10);
  await jobs.limit('1', 64 * 1024 * 1024);
  const before = pieces;
  for (let tick = 0; tick < 20; tick++) {
    await settled();
    clock.advance(100);
  }
  expect(pieces - before).toBeGreaterThan(15);
  await jobs.cancel('1');
  clock.advance(1_000);
  await copying;
});

test('ended jobs are kept up to the bound, the newest ones', async () => {
  const jobs = await open();
  for (let count = 0; count < JOBS_KEPT_MAX + 5; count++) {
    await jobs.add(newJob(jobs));
    await settled();
    clock.advance(10);
    await vi.waitFor(() => expect(running.has(String(count + 1))).toBe(true));
    await running.get(String(count + 1))!.ends();
    await vi.waitFor(() => expect(jobs.list.some(isOpen)).toBe(false));
  }
  expect(jobs.list.some(isOpen)).toBe(false);
  expect(jobs.list.map(({ id }) => Number(id))).toEqual(Array.from({ length: JOBS_KEPT_MAX }, (_, index) => index + 6));
});

test('the jobs of one client that have ended push those of others out of the list no more than up to its share', () => {
  const job = (id: number, by: string | null): JobRecord =>
    ({ ...newJob({ nextId: String(id) } as Jobs), by, state: 'done', endedMs: id }) as JobRecord;
  const many = Array.from({ length: JOBS_KEPT_PER_CLIENT_MAX + 3 }, (_, index) => job(index + 10, 'big-2'));
  const kept = withoutOld([job(1, null), job(2, 'venus'), ...many]).map(({ id }) => Number(id));
  expect(kept).toEqual([1, 2, ...many.slice(3).map(({ id }) => Number(id))]);
});

test('a damaged list does not keep the server from starting, and is kept', async () => {
  fs.writeFileSync(path.join(directory, 'jobs.json'), '{');
  const jobs = await open();
  expect(jobs.list).toEqual([]);
  expect(logged.join()).toMatch(
    /jobs\.json cannot be used: it is not JSON: .*; it is now .*jobs\.json\.damaged, and its jobs are not continued/,
  );
  await jobs.add(newJob(jobs));
  expect(fs.readdirSync(directory).toSorted()).toEqual(['jobs.json', 'jobs.json.damaged']);
});
