// Which refusals of a change of roles are waited for, and for how long.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { HAND_OVER_PATIENCE_MS, HAND_OVER_RETRY_MS } from '../limits.ts';
import { patiently } from './patiently.ts';

/** Advances the clock until the work has settled. */
async function ended<T>(clock: FakeClock, work: Promise<T>): Promise<{ value?: T; code?: string; ms: number }> {
  const beganMs = clock.monotonicMs();
  let result: { value?: T; code?: string } | null = null;
  work.then(
    (value) => (result = { value }),
    (thrown: RsError) => (result = { code: thrown.code }),
  );
  for (let turns = 0; result === null && turns < 10_000; turns++) {
    await Promise.resolve();
    await Promise.resolve();
    if (result === null) clock.advance(HAND_OVER_RETRY_MS);
  }
  return Object.assign({ ms: clock.monotonicMs() - beganMs }, result);
}

const refusal = (code: 'E_BUSY' | 'E_HELD', isPassing: boolean): RsError => new RsError(code, 'No', { isPassing });

test.each([
  ['a snapshot that is being made', refusal('E_BUSY', false)],
  ['a moment that a server copies', refusal('E_HELD', true)],
])('%s is waited for', async (_, error) => {
  let tries = 0;
  const work = (): Promise<number> => (++tries < 4 ? Promise.reject(error) : Promise.resolve(tries));
  const clock = new FakeClock();
  expect((await ended(clock, patiently(clock, work))).value).toBe(4);
});

test('a client that has the volume is not waited for, and no wait is longer than its bound', async () => {
  const quick = new FakeClock();
  expect(
    await ended(
      quick,
      patiently(quick, () => Promise.reject(refusal('E_HELD', false))),
    ),
  ).toEqual({ code: 'E_HELD', ms: 0 });
  const long = new FakeClock();
  const { code, ms } = await ended(
    long,
    patiently(long, () => Promise.reject(refusal('E_BUSY', false))),
  );
  expect([code, ms >= HAND_OVER_PATIENCE_MS, ms <= HAND_OVER_PATIENCE_MS + 2 * HAND_OVER_RETRY_MS]).toEqual(['E_BUSY', true, true]);
});
