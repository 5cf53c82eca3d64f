// Tests when `restart` asks, when it joins a restart in progress, and when it reports that rsiod is not running. A list of answers, one for
// each request, replaces the daemon. A real restart is tested in test/integration/keeper.test.ts.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rsiodPaths } from '@rsio/common/config/root-paths';
import { acquirePidFile } from '@rsio/base/daemon/pid-file';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { contextOf } from '../testing/context.ts';
import { RESTART } from './daemon-lifecycle.ts';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';

/** The pid and start time of the process that answers; null if no process answers. */
type Answer = { readonly pid: number; readonly startedMs: number } | null;

const NOW_MS = 1_000_000;
const OLD = { pid: 10, startedMs: NOW_MS - 60_000 };

let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'rsio-'));
});

afterEach(() => removeFolder(root));

/**
 * Runs `restart`. Each request to the daemon gets the next answer in `answers`; after the last answer, it gets that answer again.
 * `restarts`: the errors of the restart requests; null for a request that succeeds.
 */
async function run(answers: readonly Answer[], restarts: readonly (RsError | null)[] = []) {
  const clock = new FakeClock(NOW_MS);
  const paths = rsiodPaths(root);
  let [asked, looks, out] = [0, 0, ''];
  const context = contextOf({
    clock: {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs(),
      // The pause between two polls ends immediately.
      after: (delayMs, fire) => (delayMs < 1_000 ? clock.after(0, fire) : clock.after(delayMs, fire)),
      soon: (fire) => clock.soon(fire),
    },
    paths,
    out: (text) => {
      out += text;
    },
    call: async (method) => {
      const restart = restarts[asked] ?? null;
      if (method === 'restart') asked++;
      const answer = answers[Math.min(looks, answers.length - 1)] ?? null;
      if (method === 'daemon') looks++;
      if (answer === null) throw new RsError('E_NOT_RUNNING', 'rsiod does not run');
      if (method === 'restart' && restart !== null) throw restart;
      return method === 'restart' ? {} : answer;
    },
  });
  const done = RESTART.run(context, { wait: null }, []).then(
    () => out,
    (thrown: unknown) => String(thrown),
  );
  let isOver = false;
  void done.finally(() => (isOver = true));
  for (let turn = 0; turn < 1_000 && !isOver; turn++) {
    clock.advance(1);
    await Promise.resolve();
  }
  return { said: await done, asked };
}

test('the answering process is asked once, and the restart is done when another process answers', async () => {
  expect(await run([OLD, OLD, null, null, { pid: 11, startedMs: NOW_MS + 100 }])).toEqual({
    said: 'rsiod restarted as process 11\n',
    asked: 1,
  });
});

test('a clock that was set back since rsiod started does not make it look new', async () => {
  const old = { pid: 10, startedMs: NOW_MS + 60_000 };
  expect(await run([old, old, { pid: 11, startedMs: NOW_MS + 5 }])).toEqual({ said: 'rsiod restarted as process 11\n', asked: 1 });
});

test('while no process answers and the keeper runs, the command joins the restart if the next process started after the command', async () => {
  acquirePidFile(rsiodPaths(root).pidFile, 'rsiod', process.pid);
  expect(await run([null, null, { pid: 11, startedMs: NOW_MS }])).toEqual({ said: 'rsiod restarted as process 11\n', asked: 0 });
});

test('a process that started before the command may have read the old file, so it is asked', async () => {
  acquirePidFile(rsiodPaths(root).pidFile, 'rsiod', process.pid);
  const early = { pid: 11, startedMs: NOW_MS - 1 };
  expect(await run([null, early, early, null, { pid: 12, startedMs: NOW_MS + 9 }])).toEqual({
    said: 'rsiod restarted as process 12\n',
    asked: 1,
  });
});

test('a process that ends before it answers is restarted by another command', async () => {
  acquirePidFile(rsiodPaths(root).pidFile, 'rsiod', process.pid);
  const reset = new RsError('E_RESET', 'closed');
  expect(await run([OLD, null, { pid: 11, startedMs: NOW_MS + 9 }], [reset])).toEqual({
    said: 'rsiod restarted as process 11\n',
    asked: 1,
  });
});

test('without a process, or if refused, the command fails immediately', async () => {
  expect(await run([null])).toEqual({ said: 'RsError: rsiod does not run', asked: 0 });
  const ending = new RsError('E_SHUTTING_DOWN', 'rsiod is starting or ending: try again');
  expect(await run([OLD], [ending])).toEqual({ said: `RsError: ${ending.message}`, asked: 1 });
});
