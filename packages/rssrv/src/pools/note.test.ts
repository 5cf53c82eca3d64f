// Tests the note of a volume: it is on disk, leaves no other setting changed, and is one line. The pools are on disk.

import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { checkedParams } from '@rsio/common/control/control-server';
import { expect, test } from 'vitest';
import { DB, directory, open, pictureOf, usePoolDirectory } from '../testing/pool-directory.ts';
import { LOCAL_ASKER } from './asker.ts';

usePoolDirectory();

test('a note is written and removed, and changes nothing else', async () => {
  const scene = await open();
  const { manifest } = await scene.create({ clients: ['big-2'] });
  const noted = await scene.verbs.set(DB, { note: 'ledger' }, LOCAL_ASKER, null);
  expect(noted.manifest).toEqual({ ...manifest, note: 'ledger' });
  const changed = await scene.verbs.set(DB, { readonly: true }, LOCAL_ASKER, null);
  expect(changed.manifest.note).toBe('ledger');
  expect(await pictureOf(directory)).toContain('ledger');
  const removed = await scene.verbs.set(DB, { note: '' }, LOCAL_ASKER, null);
  expect(removed.manifest).toEqual({ ...manifest, readonly: true });
});

test.each(['two\nlines', 'a\u001b[2J', 'x'.repeat(201)])('%j is no note', (note) => {
  const { params } = SERVER_METHODS['volume-annotate'];
  expect(() => checkedParams('volume-annotate', params, { name: 'db', note })).toThrow('one line of at most 200 characters');
  expect(() => checkedParams('volume-annotate', params, { name: 'db', note: 'of the ledger, 2026' })).not.toThrow();
});
