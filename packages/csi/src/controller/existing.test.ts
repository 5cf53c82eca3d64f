// Tests that CreateVolume, CreateSnapshot and CreateVolumeGroupSnapshot answer OK for a name that exists only if the object is what the call
// wants. Each pair of content sources is tried with a complete volume, with a volume that a killed driver has left, and with a running copy.
// Rules: G45.

import { describe, expect, test } from 'vitest';
import type { CsiClient } from '../testing/csi-client.ts';
import { BLOCK_SHARED, controllerOver, controllerScene, hurriedClock, newVolume } from '../testing/csi-scene.ts';
import { FakeRsiod } from '../testing/fake-rsiod.ts';
import { GIB } from '../testing/fake-servers.ts';
import { unfinishedNameOf } from '../product/ids.ts';

const SOURCES = ['empty', 'snapshot a of one', 'snapshot b of one', 'snapshot a of two', 'volume one', 'volume two'] as const;
type SourceName = (typeof SOURCES)[number];
const STEPS_MAX = 40;

interface World {
  readonly rsiod: FakeRsiod;
  readonly contents: Readonly<Record<SourceName, object>>;
}

async function world(): Promise<World> {
  const rsiod = new FakeRsiod();
  const client = controllerOver(rsiod);
  const volume = async (name: string): Promise<string> =>
    (await client.call('Controller', 'CreateVolume', newVolume(name))).volume.volumeId as string;
  const snapshot = async (sourceVolumeId: string, name: string): Promise<string> =>
    (await client.call('Controller', 'CreateSnapshot', { sourceVolumeId, name })).snapshot.snapshotId as string;
  const [one, two] = [await volume('one'), await volume('two')];
  const [a, b, c] = [await snapshot(one, 'a'), await snapshot(one, 'b'), await snapshot(two, 'c')];
  const of = (volumeContentSource: object): object => ({ volumeContentSource });
  return {
    rsiod,
    contents: {
      empty: {},
      'snapshot a of one': of({ snapshot: { snapshotId: a } }),
      'snapshot b of one': of({ snapshot: { snapshotId: b } }),
      'snapshot a of two': of({ snapshot: { snapshotId: c } }),
      'volume one': of({ volume: { volumeId: one } }),
      'volume two': of({ volume: { volumeId: two } }),
    },
  };
}

function create(client: Pick<CsiClient, 'call'>, changes: object): Promise<unknown> {
  return client.call('Controller', 'CreateVolume', newVolume('new', changes));
}

const PAIRS = SOURCES.flatMap((has) => SOURCES.filter((asked) => asked !== has).map((asked) => [has, asked] as const));

describe.each(PAIRS)('a volume %s, asked for as %s:', (has, asked) => {
  test('a complete one is refused, and stays', async () => {
    const { rsiod, contents } = await world();
    const { client } = await controllerScene(rsiod);
    await create(client, contents[has]);
    const before = rsiod.server.named('new')?.view;
    expect(await client.refusal('Controller', 'CreateVolume', newVolume('new', contents[asked]))).toBe('ALREADY_EXISTS');
    expect(rsiod.server.named('new')?.view).toEqual(before);
    await create(client, contents[has]);
  });

  test('one that a killed driver has left is refused at each step, or the call gets its own content', async () => {
    let refusals = 0;
    for (let at = 0; at < STEPS_MAX; at++) {
      const { rsiod, contents } = await world();
      rsiod.kills.revive(at);
      await create(controllerOver(rsiod), contents[has]).catch(() => undefined);
      const wasKilled = rsiod.kills.isDead;
      rsiod.kills.revive(null);
      const left = rsiod.server.named('new') ?? rsiod.server.named(unfinishedNameOf('new'));
      const { client } = await controllerScene(rsiod);
      const status = await client.refusal('Controller', 'CreateVolume', newVolume('new', contents[asked]));
      expect(status, `step ${at}`).toBe(left === null ? 'OK' : 'ALREADY_EXISTS');
      if (left !== null) refusals++;
      if (!wasKilled) break;
    }
    expect(refusals).toBeGreaterThan(0);
  });
});

test('a running copy of another source is refused, and its own call goes on', async () => {
  const { rsiod, contents } = await world();
  const { client } = await controllerScene(rsiod, hurriedClock());
  rsiod.server.holdsJobs = true;
  const status = (source: SourceName): Promise<string> => client.refusal('Controller', 'CreateVolume', newVolume('new', contents[source]));
  expect(await status('volume one')).toBe('ABORTED');
  expect(await status('volume two')).toBe('ALREADY_EXISTS');
  rsiod.server.holdsJobs = false;
  rsiod.server.finishJobs();
  expect(await status('volume two')).toBe('ALREADY_EXISTS');
  expect(await status('volume one')).toBe('OK');
});

test('another pool, space, access, server or kind under the same name is refused', async () => {
  const rsiod = new FakeRsiod(['big-8', 'big-9']);
  const { client } = await controllerScene(rsiod);
  const status = (name: string, parameters: object, changes: object = {}): Promise<string> =>
    client.refusal('Controller', 'CreateVolume', newVolume(name, { parameters: { server: 'big-9', ...parameters }, ...changes }));
  expect(await status('one', { pool: 'slow', thick: 'yes' })).toBe('OK');
  expect(await status('one', { pool: 'slow', thick: 'yes' })).toBe('OK');
  expect(await status('one', { thick: 'yes' })).toBe('OK');
  expect(await status('one', { pool: 'fast', thick: 'yes' })).toBe('ALREADY_EXISTS');
  expect(await status('one', { pool: 'slow' })).toBe('ALREADY_EXISTS');
  expect(await status('one', { server: 'big-8', pool: 'slow', thick: 'yes' })).toBe('ALREADY_EXISTS');
  expect(rsiod.servers.get('big-8')?.volumes).toEqual([]);
  expect(await status('shared', {}, { volumeCapabilities: [BLOCK_SHARED] })).toBe('OK');
  expect(await status('shared', {})).toBe('ALREADY_EXISTS');
  const mirror = { parameters: { servers: 'big-8,big-9' } };
  expect(await client.refusal('Controller', 'CreateVolume', newVolume('one', mirror))).toBe('ALREADY_EXISTS');
  expect(await client.refusal('Controller', 'CreateVolume', newVolume('db', mirror))).toBe('OK');
  expect(await status('db', {})).toBe('ALREADY_EXISTS');
});

test('a mirror of a person, or with another witness or pool, is refused and stays as it is', async () => {
  const rsiod = new FakeRsiod(['pi-1', 'pi-2', 'pi-3']);
  const { client } = await controllerScene(rsiod);
  const status = (name: string, parameters: object): Promise<string> =>
    client.refusal('Controller', 'CreateVolume', newVolume(name, { parameters: { servers: 'pi-1,pi-2', ...parameters } }));
  rsiod.mirrors.create('another', { name: 'own', sizeBytes: GIB, servers: ['pi-1', 'pi-2'], witness: null });
  expect(await status('own', {})).toBe('ALREADY_EXISTS');
  expect(rsiod.servers.get('pi-1')?.named('own')?.view.clients).toBe(null);
  expect(await status('db', { witness: 'pi-3' })).toBe('OK');
  expect(await status('db', { witness: 'pi-3' })).toBe('OK');
  expect(await status('db2', {})).toBe('OK');
  expect(await status('db2', { witness: 'pi-3' })).toBe('ALREADY_EXISTS');
  expect(await status('db', { witness: 'pi-3', pool: 'absent' })).toBe('ALREADY_EXISTS');
});

test('the name of a snapshot that was exchanged for another is still seen, and a group is one set of volumes', async () => {
  const rsiod = new FakeRsiod();
  const { client } = await controllerScene(rsiod);
  const ids: string[] = [];
  for (const name of ['one', 'two', 'three'])
    ids.push((await client.call('Controller', 'CreateVolume', newVolume(name))).volume.volumeId as string);
  const [one = '', two = '', three = ''] = ids;
  const snapshot = (sourceVolumeId: string, name: string): Promise<string> =>
    client.refusal('Controller', 'CreateSnapshot', { sourceVolumeId, name });
  expect([await snapshot(one, 'a'), await snapshot(two, 'b')]).toEqual(['OK', 'OK']);
  const { entries } = await client.call('Controller', 'ListSnapshots', { sourceVolumeId: one });
  await client.call('Controller', 'DeleteSnapshot', { snapshotId: entries[0].snapshot.snapshotId });
  expect(await snapshot(one, 'c')).toBe('OK');
  expect(await snapshot(two, 'c')).toBe('ALREADY_EXISTS');
  const group = (name: string, sourceVolumeIds: string[]): Promise<string> =>
    client.refusal('GroupController', 'CreateVolumeGroupSnapshot', { name, sourceVolumeIds });
  expect(await group('g', [one, two, three])).toBe('OK');
  expect(await group('g', [one, two, three])).toBe('OK');
  expect(await group('g', [one, two])).toBe('ALREADY_EXISTS');
  expect(await group('h', [one])).toBe('OK');
  expect(await group('h', [two, three])).toBe('ALREADY_EXISTS');
  expect(await group('h', [one, three])).toBe('ALREADY_EXISTS');
});

test('a server of an earlier release, which does not tell the source of a volume, is named, and nothing is to be removed', async () => {
  const { rsiod, contents } = await world();
  const { client } = await controllerScene(rsiod);
  await create(client, contents['snapshot a of one']);
  const stored = rsiod.server.named('new')!;
  const { origin: _origin, ...older } = stored.view;
  stored.view = older;
  const asked = client.call('Controller', 'CreateVolume', newVolume('new', contents['snapshot a of one']));
  await expect(asked).rejects.toMatchObject({ status: 'UNAVAILABLE', message: expect.stringMatching(/upgrade rssrv there$/) as string });
});
