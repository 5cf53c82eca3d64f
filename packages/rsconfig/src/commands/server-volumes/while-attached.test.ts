// Tests a command that attaches a volume for its own use, even if rsiod ends while the command runs. Invariant: the command ends its use, or
// says that the volume is still attached. Rules: G50.

import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { contextOf } from '../../testing/context.ts';
import { attachment } from '../../testing/views.ts';
import { type Use, whileAttached } from './while-attached.ts';

const USE: Use = { as: 'overwrite', server: null, what: 'rsconfig restore' };

interface Played {
  readonly context: ReturnType<typeof contextOf>;
  readonly asked: [string, unknown][];
  readonly notes: string[];
  readonly closed: string[];
}

/** rsiod answers `order-attach` with `error`, and `order-detach` as `end` says. */
function play(error: { code: string; message: string } | null, end: RsError | null): Played {
  const played: Omit<Played, 'context'> = { asked: [], notes: [], closed: [] };
  const call = (method: string, params: unknown): Promise<unknown> => {
    played.asked.push([method, params]);
    if (method === 'local') return Promise.resolve({ attachments: [attachment({ namespace: 'osl', name: 'db', universe: 0 })] });
    if (method === 'order-detach') return end === null ? Promise.resolve({}) : Promise.reject(end);
    const outcome = { volume: 'osl:db@0', done: error === null, already: false, device: null, error };
    return Promise.resolve({ ticket: 't', outcome });
  };
  const context = contextOf({
    call,
    note: (sentence) => played.notes.push(sentence),
    closed: (method) => played.closed.push(method),
  });
  return { ...played, context };
}

test('the order says who asks, and ends before its connection', async () => {
  const { context, asked, closed } = play(null, null);
  expect(await whileAttached(context, 'db', USE, (view) => Promise.resolve(view.name))).toBe('db');
  expect(asked).toEqual([
    ['order-attach', { name: 'db', readOnly: false, alone: true, server: null, what: 'rsconfig restore' }],
    ['local', { orders: true }],
    ['order-detach', { ticket: 't' }],
  ]);
  expect(closed).toEqual(['order-attach']);
});

test('a refusal names the volume, and nothing is detached', async () => {
  const { context, asked, closed } = play({ code: 'E_IN_USE', message: 'It is attached here' }, null);
  const failed = whileAttached(context, 'db', USE, () => Promise.resolve());
  await expect(failed).rejects.toMatchObject({ code: 'E_IN_USE', message: 'osl:db@0 is attached here' });
  expect([asked.map(([method]) => method), closed]).toEqual([['order-attach'], ['order-attach']]);
});

test.each([
  ['has ended', new RsError('E_NOT_RUNNING', 'rsiod is not running'), []],
  ['closes the connection', new RsError('E_RESET', 'closed'), []],
  [
    'refuses',
    new RsError('E_NO_PATH', 'There is no path'),
    ['osl:db@0 is still attached, and rsiod goes on trying to detach it: There is no path'],
  ],
])('rsiod %s when the command ends: the error of the command counts', async (_, end, said) => {
  const { context, notes, closed } = play(null, end);
  await expect(whileAttached(context, 'db', USE, () => Promise.reject(new Error('rsiod was killed')))).rejects.toThrow('rsiod was killed');
  expect([notes, closed]).toEqual([said, ['order-attach']]);
});
