// Makes followers ordinary volumes (promotion), or clones of them (drill), at the newest moment that all volumes of their replication have.
// Invariants: a promoted volume has exactly the content of that moment, and its commit point is its manifest. A promotion that was
// interrupted goes on with the moment with which it began. Rules: T7.

import { assert } from '@rsio/base/lib/assert';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import type { Asker } from '../../pools/asker.ts';
import { checkName, checkNotBusy, checkOnce, findToChange, type Found, type VolumeName, volumeText } from '../../pools/catalogue.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import { following } from '../../pools/follower-rules.ts';
import { momentIdOf } from '../../pools/mirror-sources.ts';
import { IncomingFiles } from '../../pools/moves/incoming-files.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import { keyOf, stampOf } from '../../pools/requests/request-stamp.ts';
import type { Turn } from '../../pools/requests/turn.ts';
import { checkAllKnown } from '../../pools/source-marks.ts';
import { SnapshotFiles } from '../../pools/snapshots/snapshot-files.ts';
import { madeMs, type SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import type { SnapshotVerbs } from '../../snapshots/snapshot-verbs.ts';
import { FOLLOWER_STEP_MS } from '../limits.ts';
import { commonGroups, copiesOf } from './follower-plan.ts';

export interface Promoted {
  readonly volumes: readonly Found[];
  readonly momentMs: number;
}

interface Planned {
  readonly found: Found;
  readonly record: SnapshotRecord;
}

export class Promotion {
  private readonly verbs: PoolVerbs;
  private readonly snapshots: Pick<SnapshotVerbs, 'clone'>;

  constructor(verbs: PoolVerbs, snapshots: Pick<SnapshotVerbs, 'clone'>) {
    this.verbs = verbs;
    this.snapshots = snapshots;
  }

  /**
   * Promotes all followers of a replication. Nothing else may change them meanwhile. `also` adds to the manifest of a promoted volume, in
   * the same step; without it, the volume wants no hand-over any more. `from`: name of snapshots that were made at one moment; null: the
   * newest moment that all followers have.
   */
  async promote(
    wanted: readonly VolumeName[],
    asker: Asker,
    request: string | null,
    also: (manifest: Manifest) => Manifest = withoutWish,
    from: string | null = null,
  ): Promise<Promoted> {
    asker.needs('manage', 'promote volumes');
    const { all, group } = this.moment(wanted, asker, from);
    // A volume that an interrupted promotion has finished needs no moment any more.
    const plan = this.plan(
      all.filter(({ manifest }) => following(manifest) !== null),
      group,
    );
    for (const one of plan) await this.promoteOne(one, group, request, also);
    return this.result(all);
  }

  /** Makes a clone of each follower, or none. The clones get the names of the followers with the suffix. */
  async drill(wanted: readonly VolumeName[], suffix: string, asker: Asker, request: string | null, turn: Turn): Promise<Promoted> {
    asker.needs('manage', 'clone volumes');
    const { all, group } = this.moment(wanted, asker, null);
    const plan = this.plan(all, group);
    const made: Found[] = [];
    const clones = plan.map(({ found: { manifest }, record }, index) => {
      const { name, universe } = manifest;
      // Each clone has its own stamp, so that a repeated request finds each of them.
      const stamp =
        request === null
          ? null
          : stampOf({ node: asker.node, id: `${keyOf(request)}.${index}`, method: 'volume-drill', params: { request } });
      return { from: { name, universe, snapshot: record.name }, to: { name: `${name}${suffix}`, universe }, stamp };
    });
    // A clone that cannot be made must not leave the clones before it.
    for (const { to, stamp } of clones)
      if (this.verbs.doneBy(stamp) === null) checkName(this.verbs.catalogue, to, null, 'give another --suffix');
    const areNew = clones.map(({ stamp }) => this.verbs.doneBy(stamp) === null);
    try {
      for (const { from, to, stamp } of clones) made.push(await this.snapshots.clone(from, to, asker, stamp, turn));
    } catch (thrown) {
      const mine = made.filter((_, index) => areNew[index] === true);
      throw notDrilled(toRsError(thrown), await this.unmade(mine, asker));
    }
    return { volumes: made, momentMs: plan[0] === undefined ? 0 : madeMs(plan[0].record) };
  }

  /** Removes the clones of a drill that has failed. Returns those that it could not remove. */
  private async unmade(clones: readonly Found[], asker: Asker): Promise<readonly Found[]> {
    const left: Found[] = [];
    for (const one of clones) await this.verbs.remove({ id: one.manifest.id }, asker, null).catch(() => left.push(one));
    return left;
  }

  /**
   * Returns the followers, and the id of their replication. Throws unless they are all its followers. `isIncomplete`: a volume of the source
   * has no follower, and no pool may have it.
   */
  wholeGroup(
    wanted: readonly VolumeName[],
    asker: Asker,
  ): { readonly all: readonly Found[]; readonly replication: string; readonly isIncomplete: boolean } {
    checkOnce(wanted);
    const all = wanted.map((name) => findToChange(this.verbs.catalogue, name, asker, 'promote volumes'));
    const [first] = all;
    const mark = first?.manifest.follower;
    if (first === undefined) throw new RsError('E_USAGE', 'No volume is given: name the followers');
    for (const { manifest } of all)
      if (manifest.follower === undefined)
        throw new RsError('E_USAGE', `Volume ${volumeText(manifest)} is no follower: rsadm volume replications shows them`);
    if (mark === undefined || all.some(({ manifest }) => manifest.follower?.replication !== mark.replication))
      throw new RsError('E_USAGE', 'These followers belong to several replications: promote them one replication after the other');
    const sources = new Set(all.map(({ manifest }) => manifest.follower?.sourceId));
    const others = this.verbs.pools.states
      .flatMap(({ volumes }) => [...volumes.values()])
      .filter(({ follower }) => follower?.replication === mark.replication && !sources.has(follower.sourceId));
    if (others.length > 0)
      throw new RsError(
        'E_USAGE',
        `Volume ${others.map(volumeText).join(', ')} has the same moments as ${volumeText(first.manifest)}, and belongs to it: name all of them`,
      );
    const lacking = mark.members.filter((id) => !sources.has(id)).length;
    // A follower that no pool has any more does not keep the others from being promoted.
    if (lacking > 0) checkAllKnown(this.verbs.pools.states, `${lacking} of the ${mark.members.length} followers are not there`);
    return { all, replication: mark.replication, isIncomplete: lacking > 0 };
  }

  /** Returns the followers and the group of their newest common moment. A promotion that was interrupted names the moment. */
  private moment(
    wanted: readonly VolumeName[],
    asker: Asker,
    from: string | null,
  ): { readonly all: readonly Found[]; readonly group: string } {
    const { all } = this.wholeGroup(wanted, asker);
    if (all.every(({ manifest }) => following(manifest) === null))
      throw new RsError('E_USAGE', `${volumesText(all)} promoted already: rsadm volume replications shows the followers`);
    for (const { manifest } of all) checkWhole(manifest);
    const begun = all.find(({ manifest }) => manifest.follower?.promoted !== null)?.manifest.follower?.promoted ?? null;
    const group = begun?.group ?? (from === null ? commonGroups(copiesOf(all)).at(-1) : groupNamed(all, from));
    if (group === undefined) throw noMoment(all);
    return { all, group };
  }

  /** Returns the snapshot of the moment for each of these followers. Throws E_VOLUME, naming the follower that does not have it. */
  private plan(followers: readonly Found[], group: string): readonly Planned[] {
    return followers.map((found) => {
      const record = snapshotsOf(found).list.find((one) => momentIdOf(one) === group);
      if (record !== undefined) return { found, record };
      throw new RsError(
        'E_VOLUME',
        `Volume ${volumeText(found.manifest)} does not have the moment with which the promotion began: it was removed`,
      );
    });
  }

  /** Gives a follower the content of the snapshot. Writing the manifest is the commit point. */
  private async promoteOne(
    { found: { pool, manifest: was }, record }: Planned,
    group: string,
    request: string | null,
    also: (manifest: Manifest) => Manifest,
  ): Promise<void> {
    const { verbs } = this;
    const { follower } = was;
    if (follower === undefined || follower.promoted !== null) return;
    checkNotBusy({ pool, manifest: was });
    const promoted = { group, momentMs: madeMs(record), atMs: verbs.stamp(null).nowMs };
    await verbs.whileUnserved({ pool, manifest: was }, async () => {
      const stamp = await verbs.onDisk(pool, FOLLOWER_STEP_MS, async (files) => {
        // A later moment that was arriving may have filled the pool.
        await new IncomingFiles(files, was.id).discard();
        const snapshots = new SnapshotFiles(files);
        // Even a clone needs some blocks, and other volumes may have filled the pool.
        return files.spare.despiteFull(async () => {
          const file = await snapshots.roomForNext(was);
          return snapshots.nextIsMade('promotion', file, await snapshots.cloneData(record, file, record.sizeBytes));
        });
      });
      const manifest = also({ ...was, sizeBytes: record.sizeBytes, stamps: [stamp], follower: { ...follower, promoted }, request });
      assert(manifest.id === was.id && manifest.follower?.promoted?.group === group, 'A follower is promoted with another moment');
      await verbs.onDisk(pool, FOLLOWER_STEP_MS, (files) => files.replaceManifest(manifest));
      verbs.pools.put(pool.name, manifest);
      await verbs.onDisk(pool, FOLLOWER_STEP_MS, (files) => new SnapshotFiles(files).putNext(was.id, 'promotion'));
    });
  }

  private result(all: readonly Found[]): Promoted {
    const volumes = all.map((found) => {
      const pool = this.verbs.pools.states.find(({ name }) => name === found.pool.name) ?? found.pool;
      return { pool, manifest: pool.volumes.get(found.manifest.id) ?? found.manifest };
    });
    return { volumes, momentMs: volumes[0]?.manifest.follower?.promoted?.momentMs ?? 0 };
  }
}

/** Throws E_USAGE if an earlier release has made a volume of several files a follower: its moments are copies of one file. */
function checkWhole(manifest: Manifest): void {
  if (manifest.layout.kind === 'simple') return;
  const text = volumeText(manifest);
  throw new RsError(
    'E_USAGE',
    `Volume ${text} has several files, and its moments have one: rsadm volume clone ${text}@SNAPSHOT NEW makes a volume of a snapshot that it had before it followed`,
    { volume: text },
  );
}

/** Returns the group of the snapshots with this name. Throws E_UNKNOWN_SNAPSHOT, or E_USAGE if they are not of one moment. */
function groupNamed(all: readonly Found[], from: string): string {
  const groups = all.map((found) => {
    const record = snapshotsOf(found).list.find(({ name }) => name === from);
    if (record !== undefined) return momentIdOf(record);
    const text = volumeText(found.manifest);
    throw new RsError('E_UNKNOWN_SNAPSHOT', `Volume ${text} has no snapshot ${quoteText(from)}: volume show ${text} lists them`, {
      volume: text,
    });
  });
  const [first] = groups;
  if (first !== undefined && groups.every((one) => one === first)) return first;
  throw new RsError('E_USAGE', `The snapshots ${quoteText(from)} of these volumes were not made at one moment: name others`);
}

function notDrilled({ code, message, context }: RsError, left: readonly Found[]): RsError {
  const names = left.map(({ manifest }) => volumeText(manifest)).join(' ');
  const end = names === '' ? 'no clone is left' : `rsadm volume remove ${names} removes what is left`;
  const full = code === 'E_SPACE' || message.includes('(ENOSPC)') ? '; volume promote works on a full pool, too' : '';
  return new RsError(code, `The clones for the drill cannot be made (${message}): ${end}${full}`, context);
}

function withoutWish(manifest: Manifest): Manifest {
  if (manifest.follower === undefined) return manifest;
  const { wanted: _wanted, ...follower } = manifest.follower;
  return { ...manifest, follower };
}

function noMoment(all: readonly Found[]): RsError {
  const empty = all.find((one) => snapshotsOf(one).list.length === 0);
  const text = volumeText((empty ?? all[0]!).manifest);
  const names = all.map(({ manifest }) => volumeText(manifest)).join(' ');
  const remedy =
    empty === undefined
      ? `rsadm volume promote ${names} --from SNAPSHOT takes the content of snapshots that they have (rsadm volume show ${text})`
      : `rsadm volume remove ${text} removes it`;
  return new RsError(
    'E_VOLUME',
    `Volume ${text} has no complete moment yet: wait for the first one (rsadm volume replications); if its source is lost, ${remedy}`,
    { volume: text },
  );
}

function volumesText(all: readonly Found[]): string {
  const names = all.map(({ manifest }) => volumeText(manifest)).join(', ');
  return all.length === 1 ? `Volume ${names} is` : `Volumes ${names} are`;
}
