// Tests what mount and umount refuse before they touch anything, and what a mount that fails asks of rsiod: the attachment belongs to the
// directory, ends with the failure, and is never ended if it never was. test/integration/mounts.test.ts has real mounts.

import { mkdirSync, realpathSync } from 'node:fs';
import path from 'node:path';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { expect, it } from 'vitest';
import { MountRecords } from '../../mounts/mount-records.ts';
import { root, run, serveControl, useRsconfig } from '../../testing/rsconfig-run.ts';
import { attachment } from '../../testing/views.ts';

useRsconfig();

it.each([
  [['mount', 'db@monday'], 'rsconfig mount needs a directory'],
  [['mount', 'a b', '/'], 'a b is not the name of a volume or snapshot'],
  [['mount', 'db@monday', '/', '--partition', '0'], 'Wrong --partition 0: give a number, such as 1'],
  [['mount', 'db@monday', '/', '--partition', 'x'], 'Wrong --partition x'],
  [['mount', 'db@monday', '/no/such'], 'There is no directory /no/such (ENOENT): mkdir /no/such'],
  [['mount', 'db@monday', '/etc/passwd'], '/etc/passwd is no directory'],
  [['mount', 'db@monday', '/proc'], 'is mounted at /proc: give another directory'],
  [['mount', 'db@monday', '/etc'], '/etc is not empty, and the mount would hide '],
  [['mount', './none.qcow2', '/mnt'], 'There is no backup ./none.qcow2'],
  [['umount', '/proc'], 'Nothing at /proc is of rsconfig mount'],
])('refuses %j', async (words, said) => {
  const { code, err } = await run(words);
  expect(err).toContain(said);
  expect(code).not.toBe(0);
});

it('lists nothing if nothing was mounted, without rsiod', async () => {
  expect(await run('mount')).toMatchObject({ code: 0, out: '', err: 'rsconfig: rsconfig has mounted nothing\n' });
  expect(JSON.parse((await run('mount --json')).out)).toEqual({ mounts: [] });
});

const LABEL = 'osl:db@0@monday';

async function failedMount(
  attached: Partial<AttachOutcome>,
): Promise<{ readonly err: string; readonly asked: unknown[]; readonly owner: string }> {
  const asked: unknown[] = [];
  const outcome = { volume: LABEL, done: true, already: false, device: null, error: null };
  await serveControl({
    attach: async (params) => {
      asked.push(['attach', params]);
      return { outcomes: [{ ...outcome, ...attached }] };
    },
    detach: async (params) => {
      asked.push(['detach', params]);
      return { outcomes: [outcome] };
    },
    local: async () => ({ attachments: [attachment({ name: 'db@monday', id: 's1', blockDevice: 'nbd+unix:///x' })], awaited: [] }),
  });
  const directory = path.join(root, 'empty');
  mkdirSync(directory);
  const { code, err } = await run(['mount', 'db@monday', directory]);
  expect(code).not.toBe(0);
  expect((await run('mount --json')).out).toBe('{\n  "mounts": []\n}\n');
  return { err, asked, owner: `rsconfig mount ${realpathSync(directory)}` };
}

it('detaches for its directory alone if a later step fails', async () => {
  const { err, asked, owner } = await failedMount({});
  expect(err).toContain(`${LABEL} has no block device here: set device = block in rscltcfg`);
  expect(asked).toEqual([
    ['attach', { names: ['db@monday'], readOnly: true, server: null, take: 'no', owner }],
    ['detach', { names: [LABEL], force: false, owner }],
  ]);
});

it('detaches nothing if nothing was attached', async () => {
  const { err, asked } = await failedMount({ done: false, error: { code: 'E_IN_USE', message: 'It is attached read-write' } });
  expect(err).toContain(`${LABEL} is attached read-write`);
  expect(asked).toHaveLength(1);
});

it('a detach of what is mounted names the mount, and other refusals stay', async () => {
  const records = new MountRecords(path.join(root, 'run/rsio/rsiod/mounts.json'));
  const error = { code: 'E_IN_USE', message: 'It is in use by process 27224 (qemu-nbd): end that first, or use --force' } as const;
  const outcome = { done: false, already: false, device: null, error };
  await serveControl({ detach: async ({ names }) => ({ outcomes: names.map((volume) => ({ ...outcome, volume })) }) });
  const unmade = { volumeId: 's1', folder: null, server: null, device: null, backingFile: null, partition: null };
  await records.put({ directory: '/mnt/tue', source: LABEL, type: 'ext4', journal: 'clean', ...unmade });
  expect((await run(['-d', LABEL, 'osl:log@0'])).err).toBe(
    `rsconfig: ${LABEL}: It is mounted at /mnt/tue: rsconfig umount /mnt/tue detaches it [E_IN_USE]\n` +
      `rsconfig: osl:log@0: ${error.message} [E_IN_USE]\n`,
  );
});
