// Tests what `support --list` says, without and with rssrv. test/integration/support.test.ts tests the archive.

import { expect, test } from 'vitest';
import { useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();

test('lists what goes into the archive, asks rssrv nothing, and makes no file', async () => {
  await scene.serve();
  const { code, out, err } = await scene.run(['support', '--list']);
  expect({ code, err, asked: scene.asked }).toEqual({ code: 0, err: '', asked: [] });
  expect(out.split('\n').map((line) => line.split(' ')[0])).toEqual(
    [
      'FILE',
      'versions.txt',
      ...['figures', 'mounts', 'space', 'network', 'disks', 'daemon'].map((one) => `machine/${one}.txt`),
      'rssrvcfg.txt',
      ...['daemon', 'pool-list', 'farm-show', 'peer-list', 'volume-list', 'replication-list', 'job-list', 'client-list', 'namespace-show'],
      ...['interface-list', 'stats', 'events', 'readiness', 'audit', 'witness-list', 'change-show', 'snapshots'],
      'rssrv.log',
      'metrics.txt',
      '',
    ].map((name) => (/^[a-z-]+$/.test(name) ? `state/${name}.json` : name)),
  );
  expect(out).not.toMatch(/.{121}/);
});

test('lists as JSON, also without a configuration', async () => {
  scene.write('[nonsense');
  const { out } = await scene.run(['support', '--list', '--json']);
  expect(JSON.parse(out)).toMatchObject({
    path: null,
    sizeBytes: null,
    parts: expect.arrayContaining([expect.objectContaining({ file: 'rssrvcfg.txt' })]),
  });
  expect((await scene.run(['support', 'x'])).code).toBe(2);
});
