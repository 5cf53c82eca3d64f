// Tests what hosts store with a volume (the config string, the mask list, reservations), with a host that shares no code with the gate.
// aoe-engine.test.ts tests the commands that the gate executes.

import { beforeEach, describe, expect, it } from 'vitest';
import { AOE_CHANGE_MS, AOE_MACS_MAX } from '../limits.ts';
import { EngineScene } from './testing/engine-scene.ts';
import { ataOf, config, configOf, HOST, mask, maskOf, OTHER, readSectors, reserve, reservedOf } from './testing/raw-initiator.ts';

let scene: EngineScene;

beforeEach(() => {
  scene = new EngineScene();
  scene.add(0);
});

describe('config string', () => {
  const READ = 0;
  const [TEST, PREFIX, SET, FORCE] = [1, 2, 3, 4];

  it('is set once, and by force again; it is stored before the answer', async () => {
    expect(configOf(await scene.askOne(config(SET, 'abc'))).text).toBe('abc');
    expect(scene.kept.map((notes) => notes.config.toString())).toEqual(['abc']);
    expect(await scene.askOne(config(SET, 'abd'))).toMatchObject({ flags: 'RE', error: 4 });
    // A host whose answer was lost repeats its command.
    expect(configOf(await scene.askOne(config(SET, 'abc'))).text).toBe('abc');
    expect(configOf(await scene.askOne(config(FORCE, 'x'))).text).toBe('x');
    expect(configOf(await scene.askOne(config(READ))).text).toBe('x');
    expect(configOf(await scene.askOne(config(FORCE, ''))).text).toBe('');
    expect(scene.kept.map((notes) => notes.config.toString())).toEqual(['abc', 'x', '']);
  });

  it('is tested as a whole and by its beginning; who fails the test gets no answer', async () => {
    await scene.ask(config(SET, 'abc'));
    expect(configOf(await scene.askOne(config(TEST, 'abc'))).text).toBe('abc');
    expect(configOf(await scene.askOne(config(PREFIX, 'ab'))).text).toBe('abc');
    expect(configOf(await scene.askOne(config(PREFIX, ''))).text).toBe('abc');
    for (const one of [config(TEST, 'ab'), config(TEST, ''), config(PREFIX, 'abcd'), config(PREFIX, 'b')])
      expect(await scene.ask(one)).toEqual([]);
  });

  it('has up to 1,024 bytes of any kind', async () => {
    const text = '\0\xff'.repeat(512);
    expect(configOf(await scene.askOne(config(SET, text))).text).toBe(text);
  });

  it('a change that cannot be stored is refused, logged, and not made', async () => {
    scene.storageFails = true;
    expect(await scene.askOne(config(SET, 'abc'))).toMatchObject({ flags: 'RE', error: 3 });
    expect(scene.warnings).toEqual(['a change by a host was not stored: disk full']);
    expect(configOf(await scene.askOne(config(READ))).text).toBe('');
  });

  it('changes are made one at a time, and not too often', async () => {
    scene.give(config(FORCE, 'a'));
    scene.give(config(FORCE, 'b'));
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    scene.give(config(FORCE, 'c'));
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    expect(scene.replies().map((reply) => configOf(reply).text)).toEqual(['a']);
    scene.clock.advance(AOE_CHANGE_MS);
    expect(configOf(await scene.askOne(config(FORCE, 'c'))).text).toBe('c');
  });
});

describe('mask list', () => {
  const [READ, EDIT] = [0, 1];
  const [NONE, ADD, DELETE] = [0, 1, 2];

  it('is empty at first, and then only hosts in it get answers', async () => {
    expect(maskOf(await scene.askOne(mask(READ, [])))).toEqual({ error: 0, macs: [] });
    expect(
      maskOf(
        await scene.askOne(
          mask(EDIT, [
            [NONE, OTHER],
            [ADD, HOST],
            [ADD, HOST],
          ]),
        ),
      ),
    ).toEqual({ error: 0, macs: [HOST] });
    expect(scene.kept.map(({ masks }) => masks)).toEqual([[0x0200_0000_0001]]);
    expect(await scene.ask(readSectors(0, 1, { from: OTHER }))).toEqual([]);
    expect(await scene.ask(config(0, '', { from: OTHER, shelf: 0xffff, slot: 0xff }))).toEqual([]);
    expect(await scene.ask(mask(EDIT, [[ADD, OTHER]], { from: OTHER }))).toEqual([]);
    expect(await scene.ask(readSectors(0, 1))).toHaveLength(1);
    expect(maskOf(await scene.askOne(mask(EDIT, [[DELETE, HOST]])))).toEqual({ error: 0, macs: [] });
    expect(await scene.ask(readSectors(0, 1, { from: OTHER }))).toHaveLength(1);
  });

  it('a wrong directive is named, and those before it count', async () => {
    expect(
      maskOf(
        await scene.askOne(
          mask(EDIT, [
            [ADD, HOST],
            [3, OTHER],
            [ADD, OTHER],
          ]),
        ),
      ),
    ).toEqual({ error: 2, macs: [HOST] });
  });

  it('is bounded', async () => {
    const many = Array.from(
      { length: AOE_MACS_MAX + 1 },
      (_, index) => [ADD, index === 0 ? HOST : `02:00:00:00:01:${(index + 16).toString(16)}`] as const,
    );
    const { error, macs } = maskOf(await scene.askOne(mask(EDIT, many)));
    expect([error, macs.length]).toEqual([3, AOE_MACS_MAX]);
  });
});

describe('reservations', () => {
  const [READ, SET, FORCE] = [0, 1, 2];

  it('keep other hosts from reading and from changing, but not from looking', async () => {
    expect(reservedOf(await scene.askOne(reserve(SET, [HOST])))).toEqual([HOST]);
    expect(scene.kept.map(({ reserved }) => reserved)).toEqual([[0x0200_0000_0001]]);
    const from = OTHER;
    expect(await scene.askOne(readSectors(0, 1, { from }))).toMatchObject({ flags: 'RE', error: 6 });
    expect(await scene.askOne(config(4, 'x', { from }))).toMatchObject({ flags: 'RE', error: 6 });
    expect(await scene.askOne(mask(1, [[1, OTHER]], { from }))).toMatchObject({ flags: 'RE', error: 6 });
    expect(await scene.askOne(reserve(SET, [OTHER], { from }))).toMatchObject({ flags: 'RE', error: 6 });
    expect(configOf(await scene.askOne(config(0, '', { from }))).text).toBe('');
    expect(reservedOf(await scene.askOne(reserve(READ, [], { from })))).toEqual([HOST]);
    expect(ataOf(await scene.askOne(readSectors(0, 1))).status).toBe(0x40);
  });

  it('are taken by force, and released with an empty list', async () => {
    await scene.ask(reserve(SET, [HOST]));
    expect(reservedOf(await scene.askOne(reserve(FORCE, [OTHER], { from: OTHER })))).toEqual([OTHER]);
    expect(await scene.askOne(readSectors(0, 1))).toMatchObject({ error: 6 });
    expect(reservedOf(await scene.askOne(reserve(SET, [], { from: OTHER })))).toEqual([]);
    expect(await scene.askOne(readSectors(0, 1))).toMatchObject({ error: 0 });
  });
});
