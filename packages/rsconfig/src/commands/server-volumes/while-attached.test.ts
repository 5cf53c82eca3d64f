// Tests a command that attaches a volume for its own use, even if rsiod restarts while the command runs. Invariant: the volume is detached
// afterwards, or the command says that it is still attached.

import { RsError } from '@rsio/common/lib/errors';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import { expect, test } from 'vitest';
import { RESTART_WAIT_MS, WAIT_POLL_MS } from '../../limits.ts';
import { contextOf } from '../../testing/context.ts';
import { attachment } from '../../testing/views.ts';
import { whileAttached } from './while-attached.ts';

test.each([
  ['comes back', 3, []],
  ['stays away', Number.POSITIVE_INFINITY, ['osl:db@0 is still attached: rsiod is not running; rsconfig -d osl:db@0 detaches it']],
])('rsiod ends while the command runs, and %s', async (_, failures, said) => {
  const clock = new FakeClock();
  const notes: string[] = [];
  let [tries, isDetached] = [0, false];
  const context = contextOf({
    clock,
    note: (sentence) => notes.push(sentence),
    call: async (method) => {
      const outcome = { volume: 'osl:db@0', done: true, already: false, device: null, error: null };
      if (method === 'local') return { attachments: [attachment({ namespace: 'osl', name: 'db', universe: 0 })] };
      if (method === 'detach' && tries++ < failures) throw new RsError(tries === 1 ? 'E_RESET' : 'E_NOT_RUNNING', 'rsiod is not running');
      isDetached ||= method === 'detach';
      return { outcomes: [outcome] };
    },
  });
  const working = whileAttached(context, 'db', { isReadonly: false, server: null }, () => Promise.reject(new Error('rsiod was killed')));
  const failed = expect(working).rejects.toThrow('rsiod was killed');
  for (let waitedMs = 0; waitedMs <= RESTART_WAIT_MS; waitedMs += WAIT_POLL_MS) {
    await new Promise(setImmediate);
    clock.advance(WAIT_POLL_MS);
  }
  await failed;
  expect([notes, isDetached]).toEqual([said, said.length === 0]);
});
