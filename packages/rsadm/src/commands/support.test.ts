// Tests the parts of `support`, with a fake rssrv. test/integration/support.test.ts tests the archive.

import { execFileSync } from 'node:child_process';
import { snapshot, volume } from '@rsio/api/testing/server-views';
import { systemClock } from '@rsio/base/lib/clock';
import { misfit } from '@rsio/base/lib/shape';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { needPrograms } from '@rsio/base/testing/needs';
import { expect, test } from 'vitest';
import { useAdmScene } from '../testing/adm-scene.ts';
import { SUPPORT } from './support.ts';

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

test('the archive has the snapshots of the volumes that have some, and the audit as far as one answer goes', async (context) => {
  needPrograms(context, 'tar', 'gzip');
  await scene.serve({
    audit: () => ({ entries: [], isWhole: true }),
    'volume-list': () => ({ volumes: [volume({ name: 'plain' }), volume({ snapshots: 1 })], removed: [] }),
    'volume-show': () => ({ volume: volume({ snapshots: 1 }), snapshots: [snapshot({ snapshot: 'monday' })] }),
  });
  const clock = Object.assign(new FakeClock(), {
    after: (ms: number, fire: () => void) => systemClock.after(ms, fire),
    soon: (fire: () => void) => systemClock.soon(fire),
  });
  const { code, out } = await scene.run(['support', '--to', scene.root, '--json'], null, clock);
  const answer = JSON.parse(out) as { readonly path: string };
  expect([code, misfit(SUPPORT.json!, answer)]).toEqual([0, null]);
  const archive = answer.path.replace('ROOT', scene.root);
  const file = `${answer.path.replace(/^.*\/(.*)\.tar\.gz$/, '$1')}/state/snapshots.json`;
  expect(execFileSync('tar', ['-xzOf', archive, file], { encoding: 'utf8' })).toContain('"monday"');
  expect(scene.asked).toContainEqual(['audit', expect.objectContaining({ limit: 1_000 })]);
  expect(scene.asked.filter(([method]) => method === 'volume-show')).toEqual([['volume-show', { name: 'oracle', universe: 0 }]]);
});
