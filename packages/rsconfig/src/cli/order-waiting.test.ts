// Tests --wait of the commands about servers' volumes: which errors lead to a repeated request, the ids of that request, and when the wait
// ends. The waiting itself is tested in waiting.test.ts.

import { RsError, type ErrorCode } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { contextOf } from '../testing/context.ts';
import { WAIT_POLL_MS } from '../limits.ts';
import { ordered } from './order-waiting.ts';

const WAIT_MS = 10_000;

function scene(codes: readonly ErrorCode[]) {
  const clock = new FakeClock();
  const notes: string[] = [];
  const tried: string[] = [];
  let ids = 0;
  const context = contextOf({
    clock,
    newId: () => `id-${++ids}`,
    note: (sentence) => void notes.push(sentence),
    waiting: { progress: null, onStop: () => () => undefined },
  });
  const order = (waitMs: number | null) =>
    ordered(context, waitMs, async ({ newId }) => {
      tried.push(`${newId()} ${newId()}`);
      const code = codes[tried.length - 1];
      if (code !== undefined) throw new RsError(code, 'Not now');
      return 'made';
    });
  const pass = async (times: number): Promise<void> => {
    for (let time = 0; time < times; time++) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(WAIT_POLL_MS);
    }
  };
  return { notes, order, pass, tried };
}

test('what may pass by itself is tried again with the same ids until it is done', async () => {
  const { order, pass, tried } = scene(['E_BUSY', 'E_NO_PATH', 'E_RESET']);
  const made = order(WAIT_MS);
  await pass(4);
  expect(await made).toBe('made');
  expect(tried).toEqual(Array.from({ length: 4 }, () => 'id-1 id-2'));
});

test('another error ends it at once, as does any error without --wait', async () => {
  const wrong = scene(['E_EXISTS']);
  await expect(wrong.order(WAIT_MS)).rejects.toMatchObject({ code: 'E_EXISTS' });
  const plain = scene(['E_BUSY']);
  await expect(plain.order(null)).rejects.toMatchObject({ code: 'E_BUSY' });
  expect([wrong.tried.length, plain.tried.length]).toEqual([1, 1]);
});

test('when the time is over, the last error is told', async () => {
  const { notes, order, pass } = scene(Array.from({ length: 100 }, () => 'E_BUSY' as const));
  const failed = expect(order(WAIT_MS)).rejects.toMatchObject({ code: 'E_BUSY', message: 'Not now' });
  await pass(WAIT_MS / WAIT_POLL_MS + 2);
  await failed;
  expect(notes).toEqual([expect.stringContaining('Timed out after 10 s: the order may still be executed')]);
});
