// Tests that each request is executed exactly once (C4). The tests repeat a request before, during and after the execution, after a
// restart, by other askers and with other parameters. No change begins for an asker that is no longer connected. An answer waits for the
// journal. crash.test.ts tests a crash between commit and journal. After such a crash, the manifest shows that the change was made. Rules:
// A2, A3, G17.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ChangeQueue } from '../../admin/change-queue.ts';
import { Journal } from './journal.ts';
import { JOURNAL_ANSWER_MAX_BYTES, JOURNAL_HOLD_MS } from '../limits.ts';
import type { AskedRequest } from './request-stamp.ts';
import { type Execution, gated, LOCAL_WAITER, Requests, type Waiter } from './requests.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let folder = '';
let file = '';
let clock: FakeClock;
let requests: Requests;
let journal: Journal | null = null;
let made: string[];

async function restart(): Promise<void> {
  await journal?.close();
  journal = new Journal(file, { warn: (text: string) => expect(text).toBe('') });
  await journal.load();
  requests = new Requests(journal, clock);
}

beforeEach(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rsio-requests-'));
  file = path.join(folder, 'requests.journal');
  clock = new FakeClock();
  made = [];
  await restart();
});

afterEach(async () => {
  await journal?.close();
  journal = null;
  await removeFolder(folder);
});

const asked = (changes: Partial<AskedRequest> = {}): AskedRequest => ({
  node: 'big-2',
  id: 'id',
  method: 'grow',
  params: { size: 1 },
  ...changes,
});

/** Returns work that makes a change whose result differs at each execution. */
const change =
  (what = 'made') =>
  (execution: Execution): Promise<unknown> => {
    execution.begin();
    made.push(what);
    return Promise.resolve({ change: made.length });
  };

const refusal = (code: 'E_SPACE' | 'E_SYSTEM' | 'E_TIMEOUT' | 'E_POOL' | 'E_BUSY') => (execution: Execution) => {
  execution.begin();
  made.push(code);
  return Promise.reject(new RsError(code, 'No', { free: made.length }));
};

test('a repeated request is answered as before, also after a restart, and is not executed again', async () => {
  const first = await requests.execute(asked(), LOCAL_WAITER, change());
  const second = await requests.execute(asked(), LOCAL_WAITER, change());
  await restart();
  const third = await requests.execute(asked(), LOCAL_WAITER, change());
  expect([first, second, third, made]).toEqual([{ change: 1 }, { change: 1 }, { change: 1 }, ['made']]);
});

test('a refusal after the beginning is answered again, although the request would succeed now', async () => {
  await expect(requests.execute(asked(), LOCAL_WAITER, refusal('E_SPACE'))).rejects.toMatchObject({
    code: 'E_SPACE',
    context: { free: 1 },
  });
  await restart();
  await expect(requests.execute(asked(), LOCAL_WAITER, change())).rejects.toMatchObject({ code: 'E_SPACE', context: { free: 1 } });
  expect(made).toEqual(['E_SPACE']);
});

test.each(['E_SYSTEM', 'E_TIMEOUT', 'E_POOL'] as const)('%s leaves the outcome open, so the repeated request looks again', async (code) => {
  await expect(requests.execute(asked(), LOCAL_WAITER, refusal(code))).rejects.toMatchObject({ code });
  expect(await requests.execute(asked(), LOCAL_WAITER, change())).toEqual({ change: 2 });
});

test('E_BUSY says to try again, so the repeated request is tried again, also after a restart', async () => {
  await expect(requests.execute(asked(), LOCAL_WAITER, refusal('E_BUSY'))).rejects.toMatchObject({ code: 'E_BUSY' });
  await restart();
  expect(await requests.execute(asked(), LOCAL_WAITER, change())).toEqual({ change: 2 });
  expect(await requests.execute(asked(), LOCAL_WAITER, change())).toEqual({ change: 2 });
  expect(made).toEqual(['E_BUSY', 'made']);
});

test('what was refused before the beginning is executed when it is asked for again', async () => {
  const refuse = () => Promise.reject(new RsError('E_RIGHTS', 'No'));
  await expect(requests.execute(asked(), LOCAL_WAITER, refuse)).rejects.toMatchObject({ code: 'E_RIGHTS' });
  expect(await requests.execute(asked(), LOCAL_WAITER, change())).toEqual({ change: 1 });
});

test.each([
  ['method', { method: 'remove' }],
  ['parameters', { params: { size: 2 } }],
])('one id with another %s is E_USAGE, in progress and later', async (_what, other) => {
  const first = requests.execute(asked(), LOCAL_WAITER, change());
  await expect(requests.execute(asked(other), LOCAL_WAITER, change())).rejects.toMatchObject({ code: 'E_USAGE' });
  await first;
  await expect(requests.execute(asked(other), LOCAL_WAITER, change())).rejects.toMatchObject({ code: 'E_USAGE' });
  expect(made).toEqual(['made']);
});

test('the same id of another client, or of a local program, is another request', async () => {
  for (const node of ['big-2', 'venus', null]) await requests.execute(asked({ node }), LOCAL_WAITER, change(String(node)));
  expect(made).toEqual(['big-2', 'venus', 'null']);
});

test('a request in progress that arrives again joins', async () => {
  let end: (() => void) | null = null;
  const slow = async (execution: Execution): Promise<unknown> => {
    execution.begin();
    made.push('slow');
    await new Promise<void>((resolve) => (end = resolve));
    return made.length;
  };
  const first = requests.execute(asked(), LOCAL_WAITER, slow);
  await turns();
  const second = requests.execute(asked(), LOCAL_WAITER, change('again'));
  expect(end).not.toBeNull();
  end!();
  expect([await first, await second, made]).toEqual([1, 1, ['slow']]);
});

test('nothing is begun for an asker that has gone or does not wait any more; one that came back waits', async () => {
  const gone: Waiter = { untilMs: 1_000_000, isThere: () => false };
  const late: Waiter = { untilMs: 5, isThere: () => true };
  const good: Waiter = { untilMs: 1_000_000, isThere: () => true };
  clock.advance(10);
  await expect(requests.execute(asked(), gone, change())).rejects.toMatchObject({ code: 'E_NO_SESSION' });
  await expect(requests.execute(asked(), late, change())).rejects.toMatchObject({
    code: 'E_TIMEOUT',
    context: { isOutcomeUnknown: false },
  });
  expect(made).toEqual([]);
  const [first, second] = [requests.execute(asked(), gone, change()), requests.execute(asked(), good, change())];
  expect([await first, await second, made]).toEqual([{ change: 1 }, { change: 1 }, ['made']]);
});

test('a wrong id is refused', async () => {
  for (const id of ['', 'a b', 'ä', 'x'.repeat(65)])
    await expect(requests.execute(asked({ id }), LOCAL_WAITER, change())).rejects.toMatchObject({ code: 'E_USAGE' });
});

test('an answer that is too long to remember is an error, the first time and again', async () => {
  const long = async (execution: Execution): Promise<unknown> => {
    await change()(execution);
    return 'x'.repeat(JOURNAL_ANSWER_MAX_BYTES);
  };
  for (let times = 0; times < 2; times++)
    await expect(requests.execute(asked(), LOCAL_WAITER, long)).rejects.toMatchObject({ code: 'E_LIMIT' });
  expect(made.length).toBe(1);
});

test('without a journal that can be written, the answer says that the change was made, and no further change is made', async () => {
  fs.mkdirSync(file);
  await expect(requests.execute(asked(), LOCAL_WAITER, change())).rejects.toThrow(
    'The change was made, and its answer could not be recorded',
  );
  await expect(requests.execute(asked({ id: 'next' }), LOCAL_WAITER, change())).rejects.toMatchObject({ code: 'E_SYSTEM' });
  expect(made).toEqual(['made']);
  fs.rmdirSync(file);
  expect(await requests.execute(asked(), LOCAL_WAITER, change())).toEqual({ change: 1 });
  expect(made).toEqual(['made']);
});

test('the rights are checked when the turn has come, and the next change waits for the journal, but not for ever', async () => {
  const queue = new ChangeQueue();
  let mayChange = true;
  let open: (() => void) | null = null;
  const before = queue.run(() => new Promise<void>((resolve) => (open = resolve)), 'a change by command');
  const work = (execution: Execution): Promise<unknown> =>
    gated(
      queue,
      execution,
      () => {
        if (!mayChange) throw new RsError('E_RIGHTS', 'No');
      },
      clock,
    ).run(async () => made.push('made'));
  const refused = requests.execute(asked(), LOCAL_WAITER, work);
  await Promise.resolve();
  mayChange = false;
  open!();
  await before;
  await expect(refused).rejects.toMatchObject({ code: 'E_RIGHTS' });
  expect(made).toEqual([]);
  mayChange = true;
  // The first change is made, but the work that computes its answer hangs.
  const hangs = requests.execute(asked({ id: 'hangs' }), LOCAL_WAITER, async (execution) => {
    await work(execution);
    return new Promise(() => undefined);
  });
  void hangs;
  await turns();
  let isNext = false;
  const next = queue.run(async () => (isNext = true), 'a change by command');
  await turns();
  expect([made, isNext]).toEqual([['made'], false]);
  clock.advance(JOURNAL_HOLD_MS);
  await next;
  expect(isNext).toBe(true);
});

async function turns(): Promise<void> {
  for (let times = 0; times < 20; times++) await new Promise((resolve) => setImmediate(resolve));
}

test('what is done aside is not begun for an asker that has gone, and the repeated request is tried again', async () => {
  let isThere = true;
  const waiter = { untilMs: Number.POSITIVE_INFINITY, isThere: () => isThere };
  const queue = new ChangeQueue(clock);
  const make = (execution: Execution): Promise<unknown> =>
    gated(queue, execution, () => undefined, clock).run(async (turn) => {
      isThere = made.length > 0;
      made.push('begun');
      await turn.aside(async () => void made.push('copied'));
      return 'made';
    });
  await expect(requests.execute(asked(), waiter, make)).rejects.toMatchObject({ code: 'E_NO_SESSION' });
  expect(made).toEqual(['begun']);
  isThere = true;
  expect(await requests.execute(asked(), waiter, make)).toBe('made');
  expect(made).toEqual(['begun', 'begun', 'copied']);
});

test('work before a turn is refused when the asker has gone, or may not ask any more', async () => {
  let [isThere, mayAsk] = [true, true];
  const outcomes: string[] = [];
  const attempt = (changes: { checkWanted(): void }): void => {
    try {
      changes.checkWanted();
      outcomes.push('wanted');
    } catch (thrown) {
      outcomes.push((thrown as RsError).code);
    }
  };
  await requests.execute(asked(), { untilMs: Number.POSITIVE_INFINITY, isThere: () => isThere }, async (execution) => {
    const check = (): void => {
      if (!mayAsk) throw new RsError('E_RIGHTS', 'no');
    };
    const changes = gated(new ChangeQueue(clock), execution, check, clock);
    attempt(changes);
    mayAsk = false;
    attempt(changes);
    [mayAsk, isThere] = [true, false];
    attempt(changes);
    return 1;
  });
  expect(outcomes).toEqual(['wanted', 'E_RIGHTS', 'E_NO_SESSION']);
});
