// Tests ids of volumes over reloads, restarts and kills: an id never names different content, and an unchanged volume keeps its id. The
// oracles are the file of ids and the served volumes. Rules: G13, G15.

import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  MIB,
  at,
  directory,
  file,
  heldIds,
  idOf,
  logged,
  memory,
  nextServer,
  prepare,
  reload,
  restart,
  start,
  useVolumes,
  volumes,
} from '../testing/changed-volumes.ts';

useVolumes();

describe('ids', () => {
  test('a section that is removed and restored is the same volume', async () => {
    await start(file('a'), file('b'));
    const id = idOf('a');
    await reload(file('b'));
    await restart(file('b'));
    await reload(file('b'), file('a'));
    expect(idOf('a')).toBe(id);
  });

  test('another location is another volume, at a reload and at a start, and its former id is reported', async () => {
    await start(file('a'));
    const first = idOf('a');
    await reload(file('a', { path: at('other.img') }));
    const second = idOf('a');
    expect(second).not.toBe(first);
    expect(logged).toContainEqual(expect.stringContaining(`it gets a new id, because its content may differ; set id = ${first}`));
    await restart(memory('a'));
    expect([first, second]).not.toContain(idOf('a'));
    await reload(file('a', { id: first }));
    expect(idOf('a')).toBe(first);
  });

  test('while a client holds it, a moved volume keeps its id, with a warning', async () => {
    await start(file('a'));
    const id = idOf('a');
    heldIds.add(id);
    await restart(file('a', { path: at('moved.img') }));
    expect(volumes.failures[0]?.error.message, 'an empty one is not its content').toContain('moved.img, which has its content, is missing');
    fs.renameSync(at('a.img'), at('moved.img'));
    await restart(file('a', { path: at('moved.img') }));
    expect(idOf('a')).toBe(id);
    expect(logged).toContainEqual(expect.stringMatching(/^Volume a has moved from .*a\.img to .*moved\.img, and its holder/));
  });

  test('a location in volumes.json is printed without control characters', async () => {
    const id = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';
    fs.writeFileSync(at('volumes.json'), JSON.stringify({ version: 1, volumes: { 'a@0': id }, places: { [id]: '/x\u001b[2J' } }));
    await start(file('a'));
    expect(logged).toContainEqual(expect.stringContaining('has moved from /x\\x1b[2J to'));
  });

  test('a deleted file is not recreated silently', async () => {
    await start(file('a'));
    const id = idOf('a');
    await volumes.close();
    fs.renameSync(at('a.img'), at('away'));
    await restart(file('a'));
    expect(volumes.failures[0]?.error.message).toMatch(
      /^Volume a: \S+a\.img, which has its content, is missing: restore it \(is its file system mounted\?\), or create an empty file/,
    );
    fs.renameSync(at('away'), at('a.img'));
    await reload(file('a'));
    expect(idOf('a')).toBe(id);
  });

  test('a served volume keeps its id, also after the file of ids was removed', async () => {
    await start(file('a'));
    const id = idOf('a');
    fs.rmSync(at('volumes.json'));
    await reload(file('a'), file('b'));
    expect(idOf('a')).toBe(id);
    await restart(file('a'));
    expect(idOf('a')).toBe(id);
  });

  // The start after a kill begins with the files that the killed rssrv has left.
  test('after a kill between any two steps the next start serves, and no id names two contents', async () => {
    await start(file('a'), file('b'));
    const ids = new Map(volumes.served.map(({ name, id }) => [name, id]));
    const next = [file('a', { sizeBytes: 2 * MIB }), file('b', { path: at('other.img') }), file('c')];
    const states: string[] = [];
    // Each step of a change leaves different files. The test therefore records the state of the files whenever it differs between two
    // event-loop turns, because a kill at this point would leave this state.
    const look = setInterval(() => {
      const images = fs.readdirSync(directory).filter((name) => name.endsWith('.img') || name === 'volumes.json');
      const state = JSON.stringify(
        images.map((name) => [name, name.endsWith('.img') ? fs.statSync(at(name)).size : fs.readFileSync(at(name), 'utf8')]),
      );
      if (states.at(-1) !== state) states.push(state);
    });
    const change = await prepare(...next);
    clearInterval(look);
    await change.undo();
    await volumes.close();
    expect(states.length).toBeGreaterThan(1);
    for (const state of states) {
      for (const name of ['other.img', 'c.img']) fs.rmSync(at(name), { force: true });
      for (const [name, content] of JSON.parse(state) as [string, number | string][]) {
        if (typeof content === 'string') fs.writeFileSync(at(name), content);
        else fs.writeFileSync(at(name), Buffer.alloc(content));
      }
      nextServer();
      await volumes.open({ volumes: next });
      expect(volumes.failures).toEqual([]);
      expect(volumes.served).toMatchObject([{ sizeBytes: 2 * MIB }, { path: at('other.img') }, { name: 'c' }]);
      expect([idOf('a'), new Set(volumes.served.map(({ id }) => id)).size]).toEqual([ids.get('a'), 3]);
      expect([...ids.values()]).not.toContain(idOf('c'));
      expect(idOf('b')).not.toBe(ids.get('b'));
      await volumes.close();
    }
  });
});
