// A middleman on one of two paths flips, drops, repeats and cuts bytes while fio writes and verifies over both paths. fio must see no
// changed data and no error, and the path must come back after the middleman has left. `npm run drill -- middleman` does the same for longer, and
// prints figures. Rules: G22.

import { expect, it } from 'vitest';
import { MEDDLINGS } from '../support/faults/meddler.ts';
import { ENCRYPTED } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needFio } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';
import { MiddlemanScene, type WayName } from '../support/scenes/middleman-scene.ts';

const SEED = 19;
const DEADLINE_MS = 15_000;
const LONGER_THAN_TEST_SECONDS = 120;
const EVERY_BYTES = 400_000;

const hosts = useHosts();

it('a middleman flips, drops, replays and cuts on one path: no changed data, no error, and both paths are back', async (context) => {
  needFio(context);
  const scene = await MiddlemanScene.begin(hosts, { defaults: ENCRYPTED, seconds: LONGER_THAN_TEST_SECONDS, seed: SEED });
  // The middleman is on each path only twice, because a third death within a minute would put the path on probation.
  for (const [index, kind] of MEDDLINGS.entries()) {
    const path = index % 2;
    const way: WayName = index < 2 ? 'toServer' : 'toClient';
    const before = await scene.deaths();
    const [meddler] = scene.meddle(path, { kinds: [kind], everyBytes: EVERY_BYTES, max: 1 }, [way]);
    const dies = async (): Promise<boolean> => (await scene.deaths())[path] === (before[path] ?? 0) + 1;
    await scene.until(dies, DEADLINE_MS, `Path ${path} dies of a ${kind} ${way}`);
    expect([meddler?.counts[kind], meddler?.total]).toEqual([1, 1]);
    expect((await scene.deaths())[1 - path]).toBe(before[1 - path]);
    await scene.untilWriting(100);
    await scene.heal();
  }
  report('a middleman, four kinds', { ...(await scene.judged()), deaths: (await scene.deaths()).join(' ') });
});
