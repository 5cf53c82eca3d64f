// Tests what the rollback of a mirror writes, and the error if the rollback fails. Real daemons are tested in
// test/integration/mirror-snapshots.test.ts.

import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { attachment } from '../../testing/views.ts';
import { contextOf } from '../../testing/context.ts';
import { rollBackMirror, writeBack } from './mirror-rollback.ts';

const BLOCK = 4096;
const ASKED = { label: 'osl:db@0', volume: { name: 'db', universe: 0 }, snapshot: 'x', snapshotId: 'x-id' };
const views = {
  mirror: attachment({ name: 'db' }),
  from: attachment({ name: 'db@x' }),
  changed: attachment({ name: 'db@before-rollback-1' }),
};

/** Makes the exports of a rollback. `failsAt`: the number of the write that fails. */
function scene(failsAt: number, changed: readonly number[], source = Buffer.alloc(3 * BLOCK, 1)) {
  const content = Buffer.alloc(4 * BLOCK, 9);
  const contexts: (string | null)[] = [];
  let [writes, closed] = [0, 0];
  const write = (at: number, data: Buffer): Promise<void> => {
    if (++writes === failsAt) return Promise.reject(new RsError('E_NO_PATH', 'No path'));
    data.copy(content, at);
    return Promise.resolve();
  };
  const open = async ({ name }: { readonly name: string }, context: string | null) => {
    contexts.push(context);
    if (name === 'db@before-rollback-1' && failsAt === 0) throw new RsError('E_SYSTEM', 'No such export');
    return {
      sizeBytes: name === 'db@x' ? source.length : content.length,
      read: async (at: number, length: number) => source.subarray(at, at + length),
      status: async () => Array.from({ length: 4 }, (_, index) => ({ lengthBytes: BLOCK, flags: changed.includes(index) ? 1 : 0 })),
      write,
      writeZeros: (at: number, length: number) => write(at, Buffer.alloc(length)),
      flush: () => Promise.resolve(),
      close: () => void closed++,
    };
  };
  const run = (withChanges = true) =>
    writeBack(() => undefined, open, ASKED, 'before-rollback-1', { ...views, changed: withChanges ? views.changed : null });
  return { content, contexts, run, closed: () => closed };
}

const blocks = (content: Buffer): number[] => [0, 1, 2, 3].map((index) => content[index * BLOCK]!);

test('what differs is written, and zeros where the snapshot ended', async () => {
  const { content, contexts, run, closed } = scene(-1, [1, 3]);
  await run();
  expect(blocks(content)).toEqual([9, 1, 9, 0]);
  expect(contexts).toEqual([null, 'rsio:changed-since:x-id', null]);
  expect(closed()).toBe(3);
});

test('without a server that has both snapshots, everything is written', async () => {
  const { content, run } = scene(-1, []);
  await run(false);
  expect(blocks(content)).toEqual([1, 1, 1, 0]);
});

test('an error before the first write does not speak of a mixture, and one after it names the remedy', async () => {
  const early = scene(0, [1]);
  await expect(early.run()).rejects.toThrow(/^No such export$/);
  expect(early.closed()).toBe(1);
  const late = scene(2, [0, 1, 2]);
  await expect(late.run()).rejects.toMatchObject({
    code: 'E_VOLUME',
    message:
      'osl:db@0 may be a mixture of its content before and of x, because its roll back has ended early: No path. ' +
      'rsconfig volume rollback osl:db@0@x completes it, and @before-rollback-1 has the content before',
  });
});

// Regression: with --wait, the second attempt used the id of the first attempt's snapshot, and servers refused it.
test('each attempt makes a snapshot of its own', async () => {
  const ids: unknown[] = [];
  const view = attachment({ name: 'db' });
  const label = `${view.namespace}:db@${view.universe}`;
  const context = contextOf({
    call: async (method, params) => {
      if (method === 'order-attach' || method === 'order-detach')
        return { ticket: 't', outcome: { volume: label, done: true, already: false, device: null, error: null } };
      if (method === 'local') return { attachments: [view] };
      ids.push((params as { id: unknown }).id);
      throw new RsError('E_BUSY', 'Not now');
    },
  });
  const asked = { ...ASKED, namespace: view.namespace, label, servers: ['big-9'] };
  for (let attempt = 0; attempt < 2; attempt++) await expect(rollBackMirror(context, asked)).rejects.toMatchObject({ code: 'E_BUSY' });
  expect(new Set(ids).size).toBe(2);
});
