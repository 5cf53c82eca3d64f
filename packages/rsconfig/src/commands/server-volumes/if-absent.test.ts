// Tests `volume create --if-absent`: a repeated command succeeds if the same volume exists, and names each difference of another volume.
// test/integration/hypervisors.test.ts runs it from a playbook of Ansible.

import { RsError } from '@rsio/base/lib/errors';
import { volume } from '@rsio/api/testing/server-views';
import { expect, test } from 'vitest';
import { run } from '../../testing/rsconfig-run.ts';
import { asked, BIG_8, DOWN, GIB, machine, serve, useServerVolumes } from '../../testing/server-volumes-scene.ts';

useServerVolumes();

const EXISTS = (): never => {
  throw new RsError('E_EXISTS', 'Volume db@0 exists already: choose another name');
};
type Changes = Parameters<typeof volume>[0];

function having(changes: Changes) {
  const shown = volume({ name: 'db', sizeBytes: 20 * GIB, pool: 'fast', clients: null, takeOver: null, ...changes });
  return machine('big-9', { 'volume-create': EXISTS, 'volume-show': () => ({ volume: shown, snapshots: [] }) });
}

test('creates a volume that does not exist', async () => {
  await serve();
  expect(await run('volume create db --size 20g --if-absent')).toEqual({
    code: 0,
    out: 'osl:db@0 created in pool fast of server big-9, 20.0G\n',
    err: '',
  });
  expect(JSON.parse((await run('volume create db --size 20g --if-absent --json')).out)).toMatchObject({ existed: false });
});

test('says that the same volume exists, and attaches it', async () => {
  await serve([having({})]);
  const { code, out } = await run('volume create db --size 20g --pool fast --if-absent --attach');
  expect({ code, out }).toEqual({
    code: 0,
    out: 'osl:db@0 exists already in pool fast of server big-9, 20.0G\nosl:db@0 attached /dev/av0/db\n',
  });
  expect(JSON.parse((await run('volume create db --size 20g --if-absent --json')).out)).toMatchObject({
    existed: true,
    volume: { name: 'db', sizeBytes: 20 * GIB },
  });
});

test('without --if-absent, a volume that exists is an error', async () => {
  await serve([having({})]);
  const { code, err } = await run('volume create db --size 20g');
  expect([code, err.includes('exists already: choose another name [E_EXISTS]')]).toEqual([1, true]);
});

test.each<[string, Changes, string, string]>([
  ['size', { sizeBytes: 20 * GIB + 512 }, '', `its size is 20.0G (${20 * GIB + 512} bytes) and not 20.0G (${20 * GIB} bytes)`],
  ['block size', { blockSizeBytes: 4096 }, '', 'its block size is 4096 and not 512'],
  ['mode', { shared: true }, '', 'its mode is shared and not exclusive'],
  ['mode', {}, '--read-only', 'its mode is exclusive and not read-only'],
  ['allocation', { thick: false }, '--thick', 'its allocation is thin and not thick'],
  ['list of clients', { clients: ['venus'] }, '--clients big-6', 'its list of clients is venus and not big-6'],
  ['pool', {}, '--pool slow', 'it is not in pool slow'],
])('another %s is named, and nothing is attached', async (_, changes, options, difference) => {
  await serve([having(changes)]);
  const { code, out, err } = await run(`volume create db --size 20g --if-absent --attach ${options}`.trim());
  expect([code, out]).toEqual([1, '']);
  expect(err).toContain(`osl:db@0 exists and is another volume than the wanted one: ${difference}; choose another name [E_EXISTS]`);
});

test('a server that does not answer may have the volume: nothing is created', async () => {
  await serve([BIG_8, DOWN]);
  const { code, err } = await run('volume create db --size 20g --if-absent');
  expect([code, err.includes('E_NO_PATH')]).toEqual([1, true]);
  expect(asked.some((one) => one.includes('volume-create'))).toBe(false);
});
