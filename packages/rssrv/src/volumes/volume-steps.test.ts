// Makes random changes of a few volumes among others, as commands for pool volumes do: each is committed, undone or refused. Compares the
// served volumes with a plain list. A volume that has the id or the file of another one is refused, however the set came about.

import fs from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { expect, test } from 'vitest';
import { at, file, idOf, links, MIB, start, useVolumes, volumes } from '../testing/changed-volumes.ts';
import type { VolumePlan } from './volume-plan.ts';

useVolumes();

const ID = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

/** Numbers of the tests, which are reproducible. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const listed = (): unknown[] => volumes.served.map(({ name, id, sizeBytes, readonly }) => [name, id, sizeBytes, readonly]);
const expected = (all: readonly ServerVolumeConfig[], unserved: ReadonlySet<string | null>): unknown[] =>
  all.flatMap(({ name, id, sizeBytes, readonly }) => (unserved.has(id) ? [] : [[name, id, sizeBytes, readonly]]));

test.each([1, 2, 3])('changes of some volumes leave the others, their order and what they claim, %i', async (seed) => {
  const below = random(seed);
  let count = 0;
  const fresh = (changes: Partial<ServerVolumeConfig> = {}): ServerVolumeConfig => {
    const number = count++;
    return file(`v${number}`, { id: ID(number), ...changes });
  };
  let all: readonly ServerVolumeConfig[] = [fresh(), fresh(), fresh()];
  const suspended = new Set<string | null>();
  await start(...all);

  const step = async (plan: Partial<VolumePlan>, next: readonly ServerVolumeConfig[]): Promise<void> => {
    const change = await volumes.prepare({ added: [], retried: [], kept: [], removed: [], isPartial: true, ...plan }, next);
    const before = volumes.served;
    expect(listed()).toEqual(expected(all, suspended));
    if (below(4) === 0) await change.undo();
    else {
      const other = all[below(all.length)];
      // A volume may be suspended while a change of another one is prepared.
      if (below(4) === 0 && other !== undefined && next.includes(other) && !(plan.kept ?? []).includes(other)) {
        volumes.suspend(other.id ?? '', 'a test');
        suspended.add(other.id);
      }
      const isSuspended = suspended.size > 0;
      change.commit();
      await change.finish();
      all = next;
      if (!isSuspended) expect(change.isListChanged).toBe(!isDeepStrictEqual(before, volumes.served));
    }
    expect(listed()).toEqual(expected(all, suspended));
  };

  const refused = async (volume: ServerVolumeConfig, why: RegExp): Promise<void> => {
    const [before, open] = [volumes.served, links()];
    const plan = { added: [volume], retried: [], kept: [], removed: [], isPartial: true } as const;
    await expect(volumes.prepare(plan, [...all, volume])).rejects.toThrow(why);
    expect([volumes.served, links()]).toEqual([before, open]);
  };

  for (let turn = 0; turn < 120; turn++) {
    const one = all[below(all.length)];
    switch (below(7)) {
      case 0: {
        const added = fresh();
        await step({ added: [added] }, [...all, added]);
        break;
      }
      case 1: {
        const path = at(`ro${below(3)}.img`);
        if (!fs.existsSync(path)) fs.writeFileSync(path, Buffer.alloc(MIB));
        const added = fresh({ path, readonly: true, type: 'file' });
        await step({ added: [added] }, [...all, added]);
        break;
      }
      case 2:
        if (one !== undefined) await refused(fresh({ path: one.path }), /is already volume/);
        break;
      case 3:
        if (one !== undefined) await refused(fresh({ id: one.id }), new RegExp(`it has id .*, which volume ${one.name} has`));
        break;
      case 4: {
        if (one === undefined || one.readonly || suspended.has(one.id)) break;
        const grown = { ...one, sizeBytes: (one.sizeBytes ?? 0) + (below(3) === 0 ? 0 : 4096) };
        await step({ kept: [grown] }, all.with(all.indexOf(one), grown));
        break;
      }
      case 5: {
        const removed = all.filter((volume) => !suspended.has(volume.id) && below(6) === 0);
        await step(
          { removed },
          all.filter((volume) => !removed.includes(volume)),
        );
        // The id and the file of a removed volume are free. The readonly files stay for readonly volumes.
        const [gone] = removed;
        if (gone === undefined || gone.readonly || all.includes(gone) || all.some(({ path }) => path === gone.path)) break;
        const again = { ...fresh(), id: gone.id, path: gone.path };
        await step({ added: [again] }, [...all, again]);
        break;
      }
      default:
        for (const id of suspended) volumes.suspend(id ?? '', null);
        suspended.clear();
        expect(listed()).toEqual(expected(all, suspended));
    }
    for (const { id, name } of all) {
      expect(volumes.nameOf(id ?? '')).toBe(name);
      if (!suspended.has(id)) expect(idOf(name)).toBe(id);
    }
  }
});

test('a volume that is served from another file while its short file is measured is not cut again', async () => {
  const [before, now] = [file('db', { id: ID(1) }), file('other', { name: 'db', id: ID(1) })];
  await start(before);
  const plan = { added: [], retried: [now], kept: [], removed: [before], isPartial: true } as const;
  const change = await volumes.prepare(plan, [now]);
  fs.truncateSync(at('db.img'), 0);
  const cutting = volumes.cut(ID(1));
  change.commit();
  expect(await cutting).toMatch(/db\.img/);
  await change.finish();
  expect(listed()).toEqual([['db', ID(1), MIB, false]]);
});
