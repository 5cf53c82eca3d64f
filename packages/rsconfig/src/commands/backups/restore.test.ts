// Tests that `rsconfig restore` refuses a volume that other clients may use during the restore. Invariant: the command detaches the volume
// that it has attached. Complete backups and restores are in test/interop/backup.test.ts. Rules: G29.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { expect, test } from 'vitest';
import { writeBackup } from '../../testing/backup-folder.ts';
import { contextOf } from '../../testing/context.ts';
import { attachment } from '../../testing/views.ts';
import { RESTORE } from './restore.ts';

// Regression: a shared volume was restored while another client had attached it, and that client then read blocks that it had not written.
test('a shared volume is not restored, because other clients may have it, and is detached again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-restore-'));
  const file = writeBackup(folder, 'db@monday.qcow2', 'm1', null, null);
  const called: string[] = [];
  const context = contextOf({
    call: async (method) => {
      called.push(method);
      if (method === 'local') return { attachments: [attachment({ shared: true })], awaited: [] };
      return { ticket: 't', outcome: { volume: 'osl:oracle@0', done: true, already: false, device: null, error: null } };
    },
  });
  const options = { yes: true, verify: false, unproven: false, json: false };
  await expect(RESTORE.run(context, options, [file, 'oracle'])).rejects.toThrow(
    'osl:oracle@0 is shared, so that other clients may use it meanwhile: rsconfig volume set osl:oracle@0 shared=no, restore it',
  );
  expect(called).toEqual(['order-attach', 'local', 'order-detach']);
  await removeFolder(folder);
});
