// Compares random changes of volumes and snapshots with a model, with restarts and failing steps (property test). The model has the content
// of each volume and snapshot. After each change, the state of the server must equal the disk, and no snapshot may have changed (P2). A
// failed step leaves the state before or after the change. The environment variable RUNS sets the number of sequences, and SEED sets the
// seed.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LOCAL_ASKER } from '../pools/asker.ts';
import type { CreateRequest } from '../pools/catalogue.ts';
import { NO_SNAPSHOTS } from '../pools/snapshots/snapshot-scan.ts';
import { PoolScene } from '../testing/pool-scene.ts';
import { snapshotContent, volumeContent, writeVolume } from '../testing/volume-content.ts';
import { WHOLE_TURN } from '../testing/whole-turn.ts';

const RUNS = Number(process.env['RUNS'] ?? 20);
const SEED = Number(process.env['SEED'] ?? 20);
const STEP_BYTES = 4096;

type Order =
  | { readonly verb: 'write' | 'grow' | 'remove' | 'restore'; readonly volume: string }
  | { readonly verb: 'rename' | 'clone'; readonly volume: string; readonly nth: number; readonly to: string }
  | { readonly verb: 'snapshot'; readonly volumes: readonly string[]; readonly name: string }
  | { readonly verb: 'drop' | 'rollback'; readonly volume: string; readonly nth: number }
  | { readonly verb: 'restart' };

const NAMES = ['a', 'b', 'c'];
const POOLS = ['fast', 'slow'];
/** A volume of one file, and two kinds of volumes of several files, whose homes are in different pools. */
const LAYOUTS: readonly Partial<CreateRequest>[] = [
  { pool: 'fast' },
  { pools: ['fast', 'slow'] },
  { pools: ['slow', 'fast'], chunkBytes: STEP_BYTES },
];
const name = fc.constantFrom(...NAMES);
const nth = fc.nat({ max: 3 });
const order: fc.Arbitrary<Order> = fc.oneof(
  fc.record({
    verb: fc.constantFrom('write' as const, 'write' as const, 'grow' as const, 'remove' as const, 'restore' as const),
    volume: name,
  }),
  fc.record({ verb: fc.constantFrom('rename' as const, 'clone' as const), volume: name, nth, to: name }),
  fc.record({
    verb: fc.constant('snapshot' as const),
    volumes: fc.subarray(NAMES, { minLength: 1 }),
    name: fc.constantFrom('x', 'y', 'z'),
  }),
  fc.record({ verb: fc.constantFrom('drop' as const, 'rollback' as const), volume: name, nth }),
  fc.record({ verb: fc.constant('restart' as const) }),
);
/** Pairs of an order and the number of the step that fails during this order; 0 if no step fails. */
const orders = fc.array(fc.tuple(order, fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 20 }))), {
  minLength: 10,
  maxLength: 40,
});

/** Returns the content on disk as texts such as `volume a: 1 2 0` and `a@x: 1 2`, with the first byte of each block. */
function contents(scene: PoolScene): string[] {
  const runs = (content: Buffer): string => {
    const blocks = Array.from({ length: content.length / STEP_BYTES }, (_, index) => content[index * STEP_BYTES]);
    return blocks.join(' ');
  };
  return scene.pools.states
    .flatMap(({ volumes, snapshots }) =>
      [...volumes.values()].flatMap(({ id, name: volume }) => [
        `${volume}: ${runs(volumeContent(scene, volume))}`,
        ...(snapshots.get(id) ?? NO_SNAPSHOTS).list.map((one) => `${volume}@${one.name}: ${runs(snapshotContent(scene, volume, one))}`),
      ]),
    )
    .toSorted();
}

/** Returns content whose blocks have different first bytes. */
function blocks(sizeBytes: number, seed: number): Buffer {
  const content = Buffer.alloc(sizeBytes);
  for (let index = 0; index < sizeBytes / STEP_BYTES; index++)
    content.fill((seed * 7 + index) % 250, index * STEP_BYTES, (index + 1) * STEP_BYTES);
  return content;
}

function hasTrouble(scene: PoolScene): boolean {
  return scene.pools.states.some(({ trouble }) => trouble !== null);
}

function snapshotOf(scene: PoolScene, volume: string, index: number): string {
  const pool = scene.pools.states.find(({ volumes }) => [...volumes.values()].some((one) => one.name === volume));
  const found = [...(pool?.volumes.values() ?? [])].find((one) => one.name === volume);
  const list = pool?.snapshots.get(found?.id ?? '')?.list ?? [];
  return list[index % Math.max(1, list.length)]?.name ?? 'none';
}

function execute(scene: PoolScene, one: Order): Promise<unknown> {
  const at = (volume: string) => ({ name: volume, universe: 0 });
  const snapshot = 'nth' in one ? { ...at(one.volume), snapshot: snapshotOf(scene, one.volume, one.nth) } : null;
  switch (one.verb) {
    case 'grow': {
      const size = [...scene.served.values()].find((volume) => volume.name === one.volume)?.sizeBytes ?? 0;
      return scene.verbs.grow(at(one.volume), size + STEP_BYTES, LOCAL_ASKER, null);
    }
    case 'remove':
      return scene.verbs.remove(at(one.volume), LOCAL_ASKER, null);
    case 'restore':
      return scene.verbs.restore(at(one.volume), LOCAL_ASKER, null);
    case 'rename':
      return scene.verbs.rename(at(one.volume), at(one.to), LOCAL_ASKER, null);
    case 'snapshot':
      return scene.snapshots.snapshot(
        one.volumes.map((volume) => ({ ...at(volume), snapshot: one.name })),
        LOCAL_ASKER,
        null,
        WHOLE_TURN,
      );
    case 'clone':
      return scene.snapshots.clone(snapshot!, at(one.to), LOCAL_ASKER, null, WHOLE_TURN);
    case 'drop':
      return scene.snapshots.remove(snapshot!, LOCAL_ASKER, null);
    case 'rollback':
      return scene.snapshots.rollback(snapshot!, LOCAL_ASKER, null);
    case 'write':
    case 'restart':
      return Promise.resolve();
  }
}

test('every order of changes keeps all contents, with restarts and steps that fail', async () => {
  const seen = { made: 0, refused: 0, failed: 0, failedAndMade: 0 };
  const property = fc.asyncProperty(orders, async (list) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-snapshots-'));
    let [nowMs, value, fails] = [1_000_000_000_000, 0, 0];
    const reached = (): void => {
      if (fails > 0 && --fails === 0) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    };
    const open = (): Promise<PoolScene> =>
      PoolScene.open(directory, { clock: { ...systemClock, wallMs: () => nowMs++ }, reached, names: POOLS });
    let scene = await open();
    try {
      for (const [index, volume] of NAMES.entries()) await scene.create({ name: volume, sizeBytes: STEP_BYTES, ...LAYOUTS[index] });
      for (const [one, failing] of list) {
        if (one.verb === 'restart' || hasTrouble(scene)) {
          await scene.pools.close();
          scene = await open();
        }
        const before = contents(scene);
        if (one.verb === 'write') {
          const written = [...scene.served.values()].find((volume) => volume.name === one.volume);
          if (written !== undefined) writeVolume(scene, one.volume, blocks(written.sizeBytes ?? 0, ++value));
          // A write to one volume must change no other file.
          const changed = contents(scene).filter((line) => !before.includes(line));
          expect(changed.every((line) => line.startsWith(`${one.volume}: `)) && changed.length < 2).toBe(true);
        }
        if (one.verb === 'restart' || one.verb === 'write') continue;
        fails = failing;
        const outcome = await execute(scene, one).then(
          () => 'made' as const,
          (thrown: { code?: string }) => (thrown.code === 'E_POOL' ? ('failed' as const) : ('refused' as const)),
        );
        const wasFailing = failing > 0 && fails === 0;
        fails = 0;
        seen[outcome]++;
        if (hasTrouble(scene)) {
          await scene.pools.close();
          scene = await open();
        }
        const after = contents(scene);
        if (outcome === 'refused') expect(after).toEqual(before);
        if (outcome === 'failed' && after.join() !== before.join()) seen.failedAndMade++;
        if (outcome === 'failed') expect(wasFailing).toBe(true);
        check(one, before, after, outcome === 'made');
        // The state of the server must equal the disk.
        const picture = scene.picture();
        expect(picture).not.toMatch(/finding|pending/);
        expect(await PoolScene.picture(directory, { clock: systemClock, names: POOLS })).toBe(picture);
        expect(scene.served.size).toBe(scene.pools.states.reduce((sum, { volumes }) => sum + volumes.size, 0));
      }
    } finally {
      fails = 0;
      await scene.pools.close();
      await removeFolder(directory);
    }
  });
  await fc.assert(property, { numRuns: RUNS, seed: SEED });
  expect([seen.made > 75, seen.refused > 75, seen.failed > 12, seen.failedAndMade > 2], JSON.stringify(seen)).toEqual([
    true,
    true,
    true,
    true,
  ]);
});

/** Checks the contents after a change that was made or may have been made. */
function check(one: Order, before: readonly string[], after: readonly string[], isMade: boolean): void {
  const gone = before.filter((line) => !after.includes(line));
  const come = after.filter((line) => !before.includes(line));
  if (!isMade && gone.length + come.length === 0) return;
  const contentOf = (lines: readonly string[], key: string): string | undefined =>
    lines.find((line) => line.startsWith(`${key}: `))?.slice(key.length + 2);
  switch (one.verb) {
    case 'snapshot':
      expect(gone).toEqual([]);
      expect(come.toSorted()).toEqual(one.volumes.map((volume) => `${volume}@${one.name}: ${contentOf(before, volume)}`).toSorted());
      break;
    case 'drop':
      expect([come, gone.length]).toEqual([[], 1]);
      expect(gone[0]).toMatch(new RegExp(`^${one.volume}@`));
      break;
    case 'clone':
      expect(gone).toEqual([]);
      expect(come).toHaveLength(1);
      expect(before.some((line) => line.startsWith(`${one.volume}@`) && line.endsWith(come[0]!.slice(1)))).toBe(true);
      break;
    case 'rollback': {
      const kept = come.filter((line) => line.startsWith(`${one.volume}@before-rollback-`));
      expect(kept.map((line) => line.replace(/^.*?: /, ''))).toEqual([contentOf(before, one.volume)]);
      const now = contentOf(after, one.volume) ?? '';
      const isSnapshot = before.some((line) => line.startsWith(`${one.volume}@`) && now.startsWith(line.replace(/^.*?: /, '')));
      expect(isSnapshot && /^(\d+ ?)*$/.test(now)).toBe(true);
      break;
    }
    default:
      // Every order that is not listed above leaves the snapshots unchanged. A snapshot disappears only if its volume is removed or
      // renamed.
      for (const line of gone.filter((text) => text.includes('@'))) expect(one.verb === 'remove' || one.verb === 'rename', line).toBe(true);
  }
}
