// Tests that a changed set of volumes comes into force as a whole or not at all: a change that fails or is undone restores the disk and the
// served volumes. volume-change.test.ts tests changes that succeed. Rules: G13.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { describe, expect, test } from 'vitest';
import {
  MIB,
  at,
  directory,
  file,
  idOf,
  links,
  memory,
  names,
  prepare,
  reload,
  start,
  useVolumes,
  volumes,
} from '../testing/changed-volumes.ts';

useVolumes();

describe('a change is applied as a whole or not at all', () => {
  /** Returns the observable state: served volumes, locks, open descriptors and files. */
  function everything(): unknown {
    const files = fs.readdirSync(directory, { recursive: true, withFileTypes: true }).map((entry) => entry.name);
    const sizes = files.filter((name) => name.endsWith('.img')).map((name) => [name, fs.statSync(at(name)).size]);
    return [volumes.served, volumes.failures, files.toSorted(), sizes, links(), fs.readFileSync(at('volumes.json'), 'utf8')];
  }

  test.each<[string, (good: ServerVolumeConfig[]) => ServerVolumeConfig[], RegExp]>([
    [
      'a new volume that cannot be had',
      (good) => [...good, file('bad', { path: '/nowhere/at/all.img' })],
      /directory \/nowhere\/at does not/,
    ],
    ['a new volume on the file of another', (good) => [...good, file('twin', { path: at('a.img') })], /is already volume a/],
    ['a new volume with the id of another', (good) => [...good, file('twin', { id: idOf('a') })], /it has id .* which volume a has/],
    ['a new volume whose file is locked', (good) => [...good, file('locked')], /locked\.img is locked: stop the other/],
    [
      'a changed one that does not fit its blocks',
      () => [file('a', { blockSizeBytes: 4096, sizeBytes: MIB + 512 }), file('b')],
      /not a multiple/,
    ],
    [
      'one that goes elsewhere, where it cannot be',
      () => [file('a', { path: at('nowhere/a.img') }), file('b')],
      /directory .*\/nowhere does not/,
    ],
    [
      'one that is to be larger than a file can be',
      () => [file('a', { sizeBytes: 2 ** 53 - MIB }), file('b')],
      /cannot be grown from 1048576/,
    ],
  ])('%s', async (_what, next, sentence) => {
    fs.writeFileSync(at('locked.img'), Buffer.alloc(MIB));
    const lock = fs.openSync(at('locked.img'), 'r');
    expect(spawnSync('flock', ['-n', '9'], { stdio: ['ignore', 'ignore', 'ignore', ...Array(6).fill('ignore'), lock] }).status).toBe(0);
    await start(file('a'), file('b'));
    const before = everything();
    const good = [file('a'), file('new'), memory('m')];
    await expect(prepare(...next(good))).rejects.toMatchObject({ code: 'E_VOLUME', message: expect.stringMatching(sentence) });
    expect(everything()).toEqual(before);
    fs.closeSync(lock);
    await reload(...good);
    expect(names()).toEqual(['a', 'new', 'm']);
  });

  test('undone after everything was prepared: a changed mode, a changed path, a new volume', async () => {
    await start(file('a'), file('b'));
    const before = everything();
    const change = await prepare(file('a', { readonly: true }), file('b', { path: at('other.img') }), memory('m'));
    await change.undo();
    expect(everything()).toEqual(before);
    expect(spawnSync('flock', ['-n', '-s', at('a.img'), 'true']).status).toBe(1);
  });

  test('undone while another program has locked its file: a failure, tried again at the next reload', async () => {
    await start(file('a'));
    const change = await prepare(file('a', { readonly: true }));
    fs.renameSync(at('a.img'), at('gone.img'));
    await change.undo();
    expect([names(), volumes.failures.map(({ error }) => error.message)]).toEqual([[], [expect.stringContaining('a.img, which has its')]]);
    fs.renameSync(at('gone.img'), at('a.img'));
    await reload(file('a'));
    expect(names()).toEqual(['a']);
  });

  test('the ids cannot be stored', async () => {
    await start(file('a'));
    fs.writeFileSync(at('volumes.json'), '{');
    await expect(prepare(file('a'), file('b'))).rejects.toMatchObject({ code: 'E_SYSTEM' });
    expect([names(), fs.existsSync(at('b.img'))]).toEqual([['a'], false]);
  });
});
