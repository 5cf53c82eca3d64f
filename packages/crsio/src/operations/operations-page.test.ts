// Tests the page of all operations in both parts of crsio, with the keyboard alone.

import type { Params } from '@rsio/api/views/command-text';
import { APP_METHODS } from '@rsio/api/rsapp/app-methods';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { volume } from '@rsio/api/testing/server-views';
import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { topOf } from '../machine/machine.ts';
import { contentOf } from '../machine/update.ts';
import { answers, ServerWalker } from '../testing/server-walker.ts';
import { Walker } from '../testing/walker.ts';
import { RESULT_ROWS_MAX } from '../widgets/limits.ts';

/** Opens the form of an operation of rssrv. */
async function at(operation: string, daemon: ServerWalker['world']['daemon']): Promise<ServerWalker> {
  const walker = await ServerWalker.start({ daemon });
  await walker.choose('All operations');
  await walker.press({ text: operation });
  await walker.choose(`> ${operation} `);
  return walker;
}

test('every operation for people has a row, and a form with its parameters', async () => {
  for (const [walker, tables] of [
    [await ServerWalker.start(), [SERVER_METHODS]],
    [new Walker({ file: '' }), [CONTROL_METHODS, APP_METHODS]],
  ] as const) {
    await walker.choose('All operations');
    const { rows } = contentOf<never>(walker.state as never);
    const wanted = tables.flatMap((table) => Object.values(table).filter(({ command }) => !('calledBy' in command)));
    expect(rows).toHaveLength(wanted.length);
    for (const { params } of wanted) {
      const names = Object.entries(params as Params).flatMap(([name, { isOrderId }]) =>
        name === 'request' || isOrderId === true ? [] : [name],
      );
      if (names.length > 0) {
        await walker.press('enter');
        const form = topOf<never>(walker.state as never) as { form?: { fields: readonly { key: string }[] } };
        expect(form.form?.fields.map(({ key }) => key)).toEqual(names);
        await walker.press('escape');
      }
      await walker.press('down');
    }
  }
});

test('a change is sent after a question that names it and its object, with an id, and its answer is shown', async () => {
  const walker = await at('volume-grow', answers({ 'volume-grow': ({ name }) => ({ volume: volume({ name, reason: 'a\u001b[2J' }) }) }));
  expect(walker.words()).toContain('universe [ ] (0)');
  await walker.press({ text: 'db' }, 'tab', 'tab', { text: '20g' }, 'save');
  expect(walker.calls).toEqual([]);
  expect(walker.question()).toContain('volume-grow\n    name: db\n    sizeBytes: 20g\n');
  expect(walker.marked()).toBe('Cancel');
  await walker.choose('Do it');
  const params = { name: 'db', universe: 0, sizeBytes: 20 * 1024 ** 3, pool: null, mirror: null, request: 'id-1' };
  expect(walker.calls).toEqual([{ method: 'volume-grow', params }]);
  expect(walker.words()).toContain('Answer to volume-grow');
  expect(walker.words()).toContain('volume name: db');
  expect(walker.screen()).not.toContain('\u001b');
  await walker.press('escape');
  expect(walker.words()).toContain('Only with: volume-grow');
});

test('a wrong value is refused beside its field with what is allowed, and a missing one too', async () => {
  const walker = await at('volume-promote', answers());
  await walker.press('save');
  expect(walker.words()).toContain('! Missing volumes: needed is a list of objects with name and universe, such as oracle@1');
  await walker.press({ text: 'db@7' });
  expect(walker.words()).toContain('! wrong');
  await walker.press('save');
  expect(walker.words()).toContain('! Wrong value for volumes: allowed is a list of objects with name and universe, such as oracle@1');
  await walker.press('backspace', { text: '1 log' });
  expect(walker.words()).not.toContain('! wrong');
  expect(walker.calls).toEqual([]);
});

test('a refusal keeps the form open, and F4 lists the words of a field', async () => {
  const walker = await at(
    'client-kick',
    answers({
      'client-kick': () => {
        throw new RsError('E_UNKNOWN_CLIENT', 'No client x');
      },
    }),
  );
  await walker.press({ text: 'x' }, 'save');
  await walker.choose('Do it');
  expect(walker.question()).toBe('client-kick: No client x [E_UNKNOWN_CLIENT]');
  await walker.press('enter');
  expect(walker.words()).toContain('client-kick');
  expect(walker.words()).toContain('[x ');
  await walker.press('escape', 'down', 'enter', 'escape');
  await walker.press({ text: 'namespace-apply' }, 'enter', 'down', 'choose');
  expect(walker.screen()).toContain('> true');
});

test('a read asks nothing, a wide table becomes blocks, and rows beyond the bound are counted', async () => {
  const volumes = Array.from({ length: RESULT_ROWS_MAX + 2 }, (_, index) => volume({ name: `v${index}` }));
  const walker = await ServerWalker.start({ daemon: answers({ 'volume-list': () => ({ volumes, removed: [] }) }) });
  await walker.choose('All operations');
  await walker.press({ text: 'volume-list' }, 'enter', 'save');
  expect(walker.question()).toBeNull();
  expect(walker.words()).toContain('name: v0');
  await walker.press('end');
  expect(walker.words()).toContain('... and 2 more');
});

test('a read without parameters is asked at once; a change without any is asked for', async () => {
  const walker = await ServerWalker.start({ daemon: answers({ reload: () => ({ applied: ['volume a is served', 'b'] }) }) });
  await walker.choose('All operations');
  await walker.press({ text: 'change-show' });
  await walker.choose('change-show');
  expect(walker.question()).toContain('No answer to change-show');
  await walker.press('enter', 'escape', { text: 'reload' });
  await walker.choose('> reload ');
  await walker.choose('Do it');
  expect(walker.words()).toContain('applied: volume a is served, b');
});

test('the client asks rsiod and rsapp, and its file stays as it is', async () => {
  const walker = new Walker({
    file: '',
    daemon: { attach: () => ({ outcomes: [{ volume: 'osl:db@0', device: '/dev/rsio/db', error: null }] }) as never },
    apps: { drain: () => ({ drained: true, applications: [] }) },
  });
  await walker.choose('All operations');
  await walker.press({ text: 'attach' });
  await walker.choose('> attach ');
  await walker.press({ text: 'db, log' }, 'pagedown', 'enter');
  await walker.choose('Do it');
  expect(walker.calls).toEqual([
    { method: 'attach', params: { names: ['db', 'log'], readOnly: false, server: null, take: 'no', owner: 'person' } },
  ]);
  expect(walker.words()).toContain('osl:db@0 /dev/rsio/db -');
  await walker.press('escape', 'escape', { text: 'drain' });
  await walker.choose('rsapp drain');
  await walker.press('pagedown', 'enter');
  await walker.choose('Do it');
  expect(walker.appCalls).toEqual([{ method: 'drain', params: { end: false } }]);
  expect(walker.words()).toContain('drained: yes');
  expect(walker.world.file).toBe('');
});
