// Tests that the note that was seen last outlives rsapp, and that a damaged file, or the note of another application, counts as missing.
// decide.test.ts tests what follows from a note that was lost.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { expect, onTestFinished, test } from 'vitest';
import { startedNote } from '../decider/decide.ts';
import { KnownNote } from './known-note.ts';

test('the next rsapp reads what the last one has kept', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rsapp-'));
  onTestFinished(() => removeFolder(folder));
  const file = join(folder, 'run', 'note-pg');
  const known = { volumeId: 'v', note: startedNote('pg', null, 'first') };
  expect(new KnownNote(file, 'pg').read()).toBe(null);
  await new KnownNote(file, 'pg').keep(null, known);
  expect([new KnownNote(file, 'pg').read(), new KnownNote(file, 'other').read()]).toEqual([known, null]);
  for (const text of ['', '{}', '{"volumeId":"v","note":"x"}']) {
    writeFileSync(file, text);
    expect(new KnownNote(file, 'pg').read()).toBe(null);
  }
});
