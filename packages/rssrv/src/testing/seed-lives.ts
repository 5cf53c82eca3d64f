// Random lives of followers that get content that was carried to their server: of any age, at any time before the first moment, also again.
// The source makes newer moments meanwhile, pulls are cut, and servers crash at any step on disk. Invariant: the seed of the life determines
// what happens. A snapshot of a follower is a moment of its source, whatever was carried. Rules: T2, T3, T11.

import { toRsError } from '@rsio/base/lib/errors';
import { FollowerVerbs } from '../replication/followers/follower-verbs.ts';
import { snapshotsOf } from '../snapshots/snapshot-rules.ts';
import { lived } from './replication-lives.ts';
import { SITE_BLOCK_BYTES } from './site-blocks.ts';
import { MINUTE_MS, type TwoSites, Violation } from './two-sites.ts';
import { volumeIn, writeVolume } from './volume-content.ts';

const CARRIED = { name: 'carried', universe: 0 };
const CARRIED_BLOCKS = 4;
const WRITES = 4;
const EVENTS_MIN = 4;
const EVENTS_MAX = 14;
/** A server that gets carried content crashes at a step below this number. */
const SEED_STEPS = 6;
/** A pull is cut after at most this number of blocks. */
const CUT_BLOCKS = 2;

/** Returns a violation, or null. */
export function seedLife(seed: number): Promise<string | null> {
  return lived(seed, async (sites) => {
    await sites.open();
    await sites.target.scene.create({ ...CARRIED, sizeBytes: CARRIED_BLOCKS * SITE_BLOCK_BYTES });
    for (let left = WRITES; left > 0; left--) sites.write();
    // The followers are made, and nothing arrives.
    sites.cutAfter = 0;
    await sites.work();
    for (let left = EVENTS_MIN + sites.random(EVENTS_MAX - EVENTS_MIN); left > 0; left--) {
      await event(sites, sites.random(12));
      sites.checkMoments();
    }
    await sites.settle();
  });
}

function event(sites: TwoSites, number: number): Promise<unknown> | void {
  if (number < 2) return carry(sites);
  if (number < 4) return sites.write();
  if (number < 8) return pullInPart(sites);
  if (number === 8) return sites.workThroughCrashes();
  return number < 11 ? newer(sites) : sites.later(MINUTE_MS);
}

/** The source makes a moment that is newer than the one which is pulled. Clients have written before. */
async function newer(sites: TwoSites): Promise<void> {
  sites.clock.advance(MINUTE_MS);
  sites.write();
  await sites.late();
}

/** Lets a pull go on for some blocks. */
async function pullInPart(sites: TwoSites): Promise<void> {
  sites.cutAfter = 1 + sites.random(CUT_BLOCKS);
  await sites.work();
  if (sites.random(3) === 0) await sites.restartTarget();
}

/** Gives the follower other content, a part of which may be that of the source. */
async function carry(sites: TwoSites): Promise<void> {
  const { random, target } = sites;
  await sites.quiet();
  const all = sites.followers();
  const follower = all.find((one) => snapshotsOf(one).list.length === 0) ?? all[0];
  const own = sites.contents().get(follower?.manifest.follower?.sourceId ?? '') ?? Buffer.alloc(0);
  const content = Buffer.alloc(CARRIED_BLOCKS * SITE_BLOCK_BYTES);
  own.copy(content);
  for (let block = 0; block < CARRIED_BLOCKS; block++)
    if (random(2) === 0) content.fill(250 + random(3), block * SITE_BLOCK_BYTES, (block + 1) * SITE_BLOCK_BYTES);
  writeVolume(target.scene, CARRIED.name, content);
  if (follower === undefined) return;
  const hasMoment = snapshotsOf(follower).list.length > 0;
  target.stepsLeft = random(2) === 0 ? random(SEED_STEPS) : 0;
  try {
    await new FollowerVerbs(target.scene.verbs).seed(follower, volumeIn(target.scene, CARRIED.name));
    if (hasMoment) throw new Violation(`Follower ${follower.manifest.name} begins again although it has a moment`);
  } catch (thrown) {
    if (thrown instanceof Violation) throw thrown;
    if (!hasMoment && !target.hasCrashed) throw new Violation(`Carried content is refused: ${toRsError(thrown).message}`);
  }
  await sites.restartCrashed();
}
