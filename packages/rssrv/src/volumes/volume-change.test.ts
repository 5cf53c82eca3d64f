// Changes the set of volumes on real files. Tests sizes, truncated files, files that belong to pools, and which locks and descriptors are
// kept and released. The oracles are the file system and flock(1). volume-change-undone.test.ts tests changes that fail, volume-ids.test.ts
// tests ids, and volume-plan.test.ts tests the decisions. Rules: H5, N5 in docs/GUARANTEES.md.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { describe, expect, test } from 'vitest';
import type { VolumeChange } from './volume-change.ts';
import {
  MIB,
  at,
  configured,
  file,
  heldIds,
  idOf,
  isLocked,
  links,
  logged,
  memory,
  names,
  reload,
  restart,
  start,
  useVolumes,
  volumes,
} from '../testing/changed-volumes.ts';

useVolumes();

describe('applied', () => {
  test('volumes are added and removed, in the order of the file, and locked while they are served', async () => {
    await start(file('a'), file('b'));
    const change = await reload(memory('m'), file('b'), file('c'));
    expect(change.isListChanged).toBe(true);
    expect(names()).toEqual(['m', 'b', 'c']);
    expect(['a.img', 'b.img', 'c.img'].map(isLocked)).toEqual([false, true, true]);
    expect(fs.statSync(at('a.img')).size, 'what goes keeps its file').toBe(MIB);
    await reload(file('b'));
    expect(links()).toEqual([at('b.img')]);
    expect(fs.readdirSync(at('shm'))).toEqual([]);
  });

  test('an unchanged file changes nothing', async () => {
    await start(file('a'), memory('m'));
    const [before, text] = [volumes.served, fs.readFileSync(at('volumes.json'), 'utf8')];
    const change = await reload(file('a'), memory('m'));
    expect({ list: change.isListChanged, grown: change.grown }).toEqual({ list: false, grown: [] });
    expect(volumes.served).toEqual(before);
    expect(fs.readFileSync(at('volumes.json'), 'utf8')).toBe(text);
  });

  test.each([file, memory])('a larger size keeps the content, adds zeros, and is reported', async (kind) => {
    await start(kind('a'));
    const { path: storage, id } = volumes.served[0]!;
    fs.writeFileSync(storage ?? '', 'content', { flag: 'r+' });
    const change = await reload(kind('a', { sizeBytes: 3 * MIB }));
    expect(change.grown).toEqual([{ id, sizeBytes: 3 * MIB }]);
    expect(volumes.served).toMatchObject([{ id, sizeBytes: 3 * MIB, path: storage }]);
    const content = fs.readFileSync(storage ?? '');
    expect([content.length, content.subarray(0, 8).toString()]).toEqual([3 * MIB, 'content\0']);
    expect(logged).toContain(`Volume a has grown from ${MIB} to ${3 * MIB} bytes`);
  });

  test('a volume without a configured size grows with its file', async () => {
    fs.writeFileSync(at('a.img'), Buffer.alloc(MIB));
    const a = file('a', { sizeBytes: null });
    await start(a);
    fs.truncateSync(at('a.img'), 2 * MIB + 100);
    expect((await reload(a)).grown).toEqual([{ id: idOf('a'), sizeBytes: 2 * MIB }]);
  });

  test('a file that grew by less than a block is served without its end, with a warning', async () => {
    fs.writeFileSync(at('a.img'), Buffer.alloc(4096));
    const without = file('a', { sizeBytes: null, blockSizeBytes: 4096 });
    await start(without);
    fs.truncateSync(at('a.img'), 2 * 4096 + 100);
    logged.length = 0;
    await reload(without);
    expect(volumes.served[0]?.sizeBytes).toBe(2 * 4096);
    expect(logged.join()).toContain('has 8292 bytes, not a multiple of the block size 4096, and its last 100 bytes are not served');
  });

  test('shared, blocksize and clients are applied on the same descriptor', async () => {
    await start(file('a'));
    const before = links();
    await reload(file('a', { shared: true, blockSizeBytes: 4096, clients: ['big-2'] }));
    expect(volumes.served).toMatchObject([{ shared: true, blockSizeBytes: 4096, clients: ['big-2'] }]);
    expect(links()).toEqual(before);
  });

  test('readonly and back stays on the same file, whose lock follows; also by another path to it', async () => {
    await start(file('a'));
    const shared = (): number | null => spawnSync('flock', ['-n', '-s', at('a.img'), 'true']).status;
    expect(shared()).toBe(1);
    await reload(file('a', { readonly: true }));
    expect([shared(), volumes.served[0]?.readonly]).toEqual([0, true]);
    fs.symlinkSync('a.img', at('alias'));
    await reload(file('a', { path: at('alias') }));
    expect([shared(), volumes.served[0]]).toEqual([1, expect.objectContaining({ readonly: false, path: at('alias') })]);
    expect(links()).toEqual([at('a.img')]);
  });

  test('a renamed volume is another volume on the same file', async () => {
    await start(file('a'));
    const id = idOf('a');
    await reload(file('b', { path: at('a.img') }));
    expect(names()).toEqual(['b']);
    expect(idOf('b')).not.toBe(id);
    expect(isLocked('a.img')).toBe(true);
  });

  test('a volume that could not be opened is tried again at each reload', async () => {
    const lost = file('lost', { path: at('no/lost.img') });
    await start(lost, file('a'));
    expect([names(), volumes.failures.map(({ name }) => name)]).toEqual([['a'], ['lost']]);
    await reload(lost, file('a', { sizeBytes: 2 * MIB }));
    expect(volumes.failures).toHaveLength(1);
    fs.mkdirSync(at('no'));
    await reload(lost, file('a', { sizeBytes: 2 * MIB }));
    expect([names(), volumes.failures]).toEqual([['lost', 'a'], []]);
  });
});

describe('truncated storage', () => {
  const { truncateSync } = fs;
  const size = (name: string): number => fs.statSync(at(`${name}.img`)).size;
  const failure = (): string => volumes.failures.map(({ error }) => error.message).join('\n');

  test('is not served until a reload finds it whole; nothing lengthens it meanwhile', async () => {
    await start(file('a'), file('b'));
    const id = idOf('a');
    truncateSync(at('a.img'), 4096);
    expect(await volumes.cut(id)).toMatch(
      /^Volume a: .*a\.img was truncated to 4096 bytes while 1048576 bytes of it were served, and it is not served until it is whole: restore/,
    );
    expect([names(), failure()]).toEqual([['b'], expect.stringContaining('a.img was truncated to 4096 bytes')]);
    expect([await volumes.cut(id), await volumes.cut('no id')]).toEqual([null, null]);
    const change = await reload(file('a', { sizeBytes: 2 * MIB }), file('b'));
    expect([names(), size('a'), change.cut, isLocked('a.img')]).toEqual([['b'], 4096, [], true]);
    truncateSync(at('a.img'), MIB);
    logged.length = 0;
    expect((await reload(file('a'), file('b'))).isListChanged).toBe(true);
    expect([names(), idOf('a'), volumes.failures]).toEqual([['a', 'b'], id, []]);
    expect(logged).toEqual([`Volume a: ${at('a.img')} is whole again and is served`]);
  });

  test('is noticed by a reload, which would have lengthened it', async () => {
    await start(file('a'), file('b', { sizeBytes: null }));
    expect(failure()).toContain('does not exist');
    fs.writeFileSync(at('b.img'), Buffer.alloc(8192));
    await reload(file('a'), file('b', { sizeBytes: null }));
    const ids = ['a', 'b'].map(idOf);
    truncateSync(at('a.img'), 4096);
    truncateSync(at('b.img'), 4096);
    const change = await reload(file('a', { sizeBytes: 2 * MIB }), file('b', { sizeBytes: null }));
    expect([change.cut, names(), size('a')]).toEqual([ids, [], 4096]);
    expect(logged.at(-1)).toContain('b.img was truncated to 4096 bytes while 8192 bytes of it were served');
  });

  test('that is whole again, but now has a smaller configured size, is not served to its holder', async () => {
    await start(file('a'));
    heldIds.add(idOf('a'));
    await restart(file('a', { sizeBytes: 4096 }));
    expect([names(), size('a')]).toEqual([[], MIB]);
    expect(failure()).toMatch(
      /^Volume a: size is less than the 1048576 bytes served before, and a client holds it: set size = 1048576, or detach/,
    );
    heldIds.clear();
    await restart(file('a', { sizeBytes: 4096 }));
    expect(names()).toEqual(['a']);
  });

  test.each([
    ['made here', null],
    ['configured', '11111111-2222-4333-8444-555555555555'],
  ])('while rssrv was stopped is not filled up with zeros for who holds it (id %s)', async (_name, id) => {
    await start(file('a', { id }));
    const held = idOf('a');
    truncateSync(at('a.img'), 4096);
    heldIds.add(held);
    await restart(file('a', { id }));
    expect([names(), size('a')]).toEqual([[], 4096]);
    expect(failure()).toMatch(/^Volume a: .* has 4096 bytes, 1048576 were served before, and a client holds it: restore its content; if/);
    fs.rmSync(at('a.img'));
    await restart(file('a', { id }));
    expect([names(), fs.existsSync(at('a.img'))]).toEqual([[], false]);
    fs.writeFileSync(at('a.img'), Buffer.alloc(MIB));
    await restart(file('a', { id }));
    const [, sameContent = ''] = /set same-content = (\S+);/.exec(failure()) ?? [];
    await restart(file('a', { id, sameContent }));
    expect([names(), idOf('a')]).toEqual([['a'], held]);
  });

  test.each([
    ['made here', null],
    ['configured', '11111111-2222-4333-8444-555555555555'],
  ])('while rssrv was stopped is not filled up with zeros, even if no client holds it (id %s)', async (_name, id) => {
    await start(file('a', { id }));
    truncateSync(at('a.img'), 4096);
    await restart(file('a', { id }));
    expect([names(), size('a')]).toEqual([[], 4096]);
    expect(failure()).toMatch(/^Volume a: .*a\.img has 4096 bytes, but the volume has 1048576: restore its content; if zeros are correct/);
    // The length that was served stays known until the file is whole.
    await restart(file('a', { id }));
    expect([names(), size('a')]).toEqual([[], 4096]);
    truncateSync(at('a.img'), MIB);
    await restart(file('a', { id }));
    expect(names()).toEqual(['a']);
    // Another file is another content, and a smaller size was asked for.
    fs.rmSync(at('a.img'));
    fs.writeFileSync(at('other'), 'x');
    fs.writeFileSync(at('a.img'), '');
    await restart(file('a', { id }));
    expect([names(), size('a')]).toEqual([['a'], MIB]);
    truncateSync(at('a.img'), 4096);
    await restart(file('a', { id, sizeBytes: 4096 }));
    expect([names(), size('a')]).toEqual([['a'], 4096]);
    expect(logged.join()).toContain('has 4096 bytes, and had 1048576 when it was last served');
  });
});

test('a file of a pool is no file of a section, whatever its name, because two servers could serve it', async () => {
  fs.mkdirSync(at('pool/volumes/id'), { recursive: true });
  fs.writeFileSync(at('pool/pool.json'), '{}');
  fs.writeFileSync(at('pool/volumes/id/data'), Buffer.alloc(MIB));
  fs.symlinkSync(at('pool/volumes/id/data'), at('link'));
  await start(file('a', { path: at('pool/volumes/id/data') }), file('b', { path: at('link') }), file('c'));
  expect(names()).toEqual(['c']);
  expect(volumes.failures.map(({ error }) => error.message)).toEqual(
    ['a', 'b'].map((name) =>
      expect.stringMatching(new RegExp(`^Volume ${name}: .* belongs to a volume of the pool in .*/pool: serve it with`)),
    ),
  );
});

describe('a partial plan', () => {
  const POOL = { name: 'fast', stamp: null, ids: ['a'], isThick: false };
  const ID = '00000000-0000-4000-8000-0000000000';
  const ofPool = (name: string, changes: Partial<ServerVolumeConfig> = {}): ServerVolumeConfig => {
    fs.closeSync(fs.openSync(at(`${name}.img`), 'a'));
    fs.truncateSync(at(`${name}.img`), MIB);
    return file(name, { type: 'file', id: `${ID}0${name.length}`, pool: POOL, ...changes });
  };
  const open = (...next: ServerVolumeConfig[]): Promise<VolumeChange> =>
    volumes.prepare({ added: [], retried: next, kept: [], removed: [], isPartial: true }, [...configured, ...next]);

  test('opens no file that an untouched volume has, and no second volume of its id', async () => {
    await start(file('db'));
    const same = await open(file('other', { path: at('db.img'), type: 'file', pool: POOL, id: `${ID}99` }));
    same.commit();
    expect([names(), volumes.failures.map(({ error }) => error.message)]).toEqual([
      ['db'],
      [expect.stringContaining('is already volume db')],
    ]);
    await restart(ofPool('one'));
    (await open(ofPool('copy', { id: `${ID}03` }))).commit();
    expect([names(), volumes.failures.map(({ error }) => error.message)]).toEqual([
      ['one'],
      [expect.stringContaining('which volume one has')],
    ]);
  });

  test('a truncation that is found meanwhile stays known', async () => {
    await start(file('db'));
    const change = await open(ofPool('one'));
    await volumes.cut(idOf('db'));
    change.commit();
    expect(names()).toEqual(['one']);
  });

  test('the id and the records of an untouched volume that is not served stay as they are', async () => {
    await start(file('db'), file('gone', { sizeBytes: null }));
    const before = fs.readFileSync(at('volumes.json'), 'utf8');
    const gone = volumes.standing(file('gone')).id;
    (await open(ofPool('one'))).commit();
    expect(volumes.standing(file('gone')).id).toBe(gone);
    expect(fs.readFileSync(at('volumes.json'), 'utf8')).toBe(before);
  });
});
