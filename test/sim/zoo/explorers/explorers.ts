// Small worlds for the zoo. Most explorers run one part of a mirror alone (the decider of memberships, the data path, the copier, the
// intent map), with replicas and users in memory. Other explorers run a session with late copies, a trunk whose READs are abandoned, the
// syncs of a volume, a farm, or a replication. A mutant names one of these explorers if the simulator finds it late or not at all. The seed and the options determine
// a world. Invariant: all worlds run production code, so that a mutant has the same effect as in the simulator.

import { whenAssertionFails } from '@rsio/base/lib/assert';
import { beyondLife } from '@rsio/protocol/testing/mirror-beyond-lives';
import { live } from '@rsio/protocol/testing/mirror-copy-lives';
import { momentViolationOf, violationOf } from '@rsio/protocol/testing/mirror-data-worlds';
import { repairLife } from '@rsio/protocol/testing/mirror-repair-lives';
import { nameLife } from '@rsio/rssrv/testing/name-lives';
import { replicationLife } from '@rsio/rssrv/testing/replication-lives';
import { mirrorSourceLife } from '@rsio/rssrv/testing/mirror-source-lives';
import { consentLife } from '@rsio/rssrv/testing/consent-lives';
import { orderLife } from '@rsio/rssrv/testing/order-lives';
import { roleLife } from '@rsio/rssrv/testing/role-lives';
import { seedLife } from '@rsio/rssrv/testing/seed-lives';
import { walk } from '@rsio/rssrv/testing/intent-scene';
import { runFarmSeed } from '../../farm/farm-world.ts';
import { adminWorld } from './admin-worlds.ts';
import { ageWorld } from './age-worlds.ts';
import { backupWorld } from './backup-worlds.ts';
import { claimWorld } from './claim-worlds.ts';
import { copiedSourceWorld } from './copied-source-worlds.ts';
import { dataProcessWorld } from './data-process-worlds.ts';
import { gatePairWorld } from './gate-pair-worlds.ts';
import { gateWorld } from './gate-worlds.ts';
import { givenUpWorld } from './given-up-worlds.ts';
import { limitedSeed } from './limited-seeds.ts';
import { ownerWorld } from './owner-worlds.ts';
import { recordWorld } from './record-worlds.ts';
import { rereadWorld } from './reread-worlds.ts';
import { lostPageWorld } from './lost-page-worlds.ts';
import { lostWriteWorld } from './lost-write-worlds.ts';
import { keyWorld } from './key-worlds.ts';
import { listWorld } from './list-worlds.ts';
import { namespaceWorld } from './namespace-worlds.ts';
import { syncWorld } from './sync-worlds.ts';
import { replacedWorld } from './replaced-worlds.ts';
import { sharedLogWorld } from './shared-log-worlds.ts';
import { takeWorld } from './take-worlds.ts';
import { voteWorld } from './vote-worlds.ts';
import { digestWorld } from '../promises/digest-worlds.ts';
import { damageWorld } from '../promises/damage-worlds.ts';
import { fenceWorld } from '../promises/fence-worlds.ts';
import { ANY, type WalkOptions, World } from '../../../mirrors/world.ts';

/**
 * `walks`: the walks of test/mirrors. `data`: the data path. `copies`: the copier. `repairs`: comparisons with repairs. `beyond`: a replica
 * whose volume is larger than the mirror. `maps`: the intent map of a replica. `limits`: seeds with limits. `moments`: the data path with
 * snapshots. `rereads`: a session and late copies of READs. `given-up`: a trunk whose READs are abandoned while they are answered. `syncs`:
 * the syncs that a server makes without a request. `claims`: votes at a server with a replica, while revocations hang. `votes`: all kinds of
 * votes at such a server. `takes`: servers that take a shared pool. `keys`: servers whose shared disk has reservations.
 * `replaced`: a client that another instance replaces. `shared-logs`: a client of a shared volume. `admin`:
 * commands of clients. `lists`: announcements of changed volumes. `namespaces`: files of the namespace at three servers. `digests`: frames with flipped bits. `fences`: fenced
 * clients. `damages`: damaged files of state.
 * `lost-writes`: holders and claims of a mirror, while machines crash. `copied-sources`: a piece that is copied from storage that loses
 * content. `data-processes`: the listener, with clients that have several data processes. `gates`: a gate whose process stands still at
 * times. `gate-pairs`: two gates of one volume. `records`: the gate record of a volume that changes its holder. `farms`: several servers
 * over a shared disk. `names`: schedules of volumes that change their names. `replications`: two servers, one of which has followers of
 * volumes of the other. `roles`: the same servers, which change their roles. `consents`: the same servers, of which one may come back from
 * an old image. `mirror-sources`: the same servers, of which one stands for all servers of a mirror. `orders`: the same servers, at which people give any order. `owners`: who has an attachment. `backups`: damaged chains of
 * backups. `ages`: removed volumes under clocks that jump.
 */
export type Explorer =
  | 'walks'
  | 'data'
  | 'copies'
  | 'repairs'
  | 'beyond'
  | 'maps'
  | 'limits'
  | 'moments'
  | 'rereads'
  | 'given-up'
  | 'lost-pages'
  | 'lost-writes'
  | 'claims'
  | 'votes'
  | 'takes'
  | 'keys'
  | 'replaced'
  | 'admin'
  | 'digests'
  | 'fences'
  | 'damages'
  | 'lists'
  | 'namespaces'
  | 'shared-logs'
  | 'copied-sources'
  | 'syncs'
  | 'data-processes'
  | 'gates'
  | 'gate-pairs'
  | 'records'
  | 'farms'
  | 'names'
  | 'replications'
  | 'roles'
  | 'consents'
  | 'mirror-sources'
  | 'orders'
  | 'seeds'
  | 'owners'
  | 'backups'
  | 'ages';

/** A mutant that passes this many worlds has survived. A world of an explorer takes milliseconds. */
const EXPLORED_MAX = 3000;
/** As above, for lives of replications. A life takes up to a second, because it has real folders. */
const REPLICATIONS_MAX = 300;

/** Returns the number of worlds in which a mutant is hunted. */
export function exploredMax(explorer: Explorer): number {
  return ['names', 'replications', 'roles', 'consents', 'mirror-sources', 'orders', 'seeds'].includes(explorer)
    ? REPLICATIONS_MAX
    : EXPLORED_MAX;
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. A failed assertion is a fault, whatever it has failed. */
export async function explore(explorer: Explorer, options: Partial<WalkOptions>, seed: number): Promise<string | null> {
  const assertions: string[] = [];
  whenAssertionFails(({ stack }) => void assertions.push(`An assertion: ${stack}`));
  try {
    return (await faultOf(explorer, options, seed)) ?? assertions[0] ?? null;
  } finally {
    whenAssertionFails(null);
  }
}

async function faultOf(explorer: Explorer, options: Partial<WalkOptions>, seed: number): Promise<string | null> {
  try {
    if (explorer === 'walks') return new World(seed, { ...ANY, ...options }).walk();
    if (explorer === 'given-up') return givenUpWorld(seed);
    if (explorer === 'lost-pages') return lostPageWorld(seed);
    if (explorer === 'lost-writes') return await lostWriteWorld(seed);
    if (explorer === 'copied-sources') return copiedSourceWorld(seed);
    if (explorer === 'claims') return await claimWorld(seed);
    if (explorer === 'votes') return await voteWorld(seed);
    if (explorer === 'takes') return await takeWorld(seed);
    if (explorer === 'keys') return await keyWorld(seed);
    if (explorer === 'replaced') return await replacedWorld(seed);
    if (explorer === 'shared-logs') return await sharedLogWorld(seed);
    if (explorer === 'admin') return await adminWorld(seed);
    if (explorer === 'lists') return await listWorld(seed);
    if (explorer === 'namespaces') return await namespaceWorld(seed);
    if (explorer === 'digests') return digestWorld(seed);
    if (explorer === 'fences') return await fenceWorld(seed);
    if (explorer === 'damages') return await damageWorld(seed);
    if (explorer === 'syncs') return syncWorld(seed);
    if (explorer === 'data-processes') return await dataProcessWorld(seed);
    if (explorer === 'gates') return gateWorld(seed);
    if (explorer === 'records') return await recordWorld(seed);
    if (explorer === 'gate-pairs') return await gatePairWorld(seed);
    if (explorer === 'farms') return (await runFarmSeed(seed, { isHunt: true })).breaches[0] ?? null;
    if (explorer === 'names') return await nameLife(seed);
    if (explorer === 'replications') return await replicationLife(seed);
    if (explorer === 'roles') return await roleLife(seed);
    if (explorer === 'consents') return await consentLife(seed);
    if (explorer === 'mirror-sources') return await mirrorSourceLife(seed);
    if (explorer === 'orders') return await orderLife(seed);
    if (explorer === 'seeds') return await seedLife(seed);
    if (explorer === 'owners') return ownerWorld(seed);
    if (explorer === 'backups') return await backupWorld(seed);
    if (explorer === 'ages') return await ageWorld(seed);
    if (explorer === 'rereads') return await rereadWorld(seed);
    if (explorer === 'limits') return await limitedSeed(seed);
    if (explorer === 'moments') return await momentViolationOf(seed, () => undefined);
    if (explorer === 'maps') return await walk(seed);
    if (explorer === 'beyond') return beyondLife(seed);
    if (explorer === 'repairs') return repairLife(seed);
    return explorer === 'data' ? await violationOf(seed) : live(seed);
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
