// The last step of moving one part of a volume over several pools. While the clients wait, this step copies the remaining differences, and
// then replaces the manifest in the home, which is the commit point. Before the commit point, the parts in both pools are marked as
// new (pools/repair/part-plan.ts). After any stop, the server therefore deletes those marked parts that the manifest does not name.
// Invariant: nothing is deleted before the manifest is durable.

import type { JobRecord } from '../job-record.ts';
import { LastStep, type Step, TooMuchLeft } from './last-step.ts';
import { SWITCH_DISK_MS } from '../limits.ts';
import { switchMaxBytes } from './move-plan.ts';
import { OutcomeUnknown } from './volume-switch.ts';
import type { Found, PoolState } from '../../pools/catalogue.ts';
import { type Manifest, otherParts, type PartRecord } from '../../pools/disk/manifest.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { type MovedPart, PartMoveFiles } from '../../pools/moves/part-move-files.ts';
import { placedAs } from '../../pools/snapshots/snapshot-record.ts';

export interface PartPlace {
  readonly home: Found;
  readonly index: number;
  readonly moved: MovedPart;
}

export class PartLastStep extends LastStep {
  private readonly place: PartPlace;

  constructor(place: PartPlace, ...needs: ConstructorParameters<typeof LastStep>) {
    super(...needs);
    this.place = place;
  }

  override async run(step: Step, record: JobRecord, bytesPerSecond: number): Promise<number> {
    const { pools, verbs, volumeSwitch } = this;
    const { home, index, moved } = this.place;
    const { found, target } = step;
    const { id } = home.manifest;
    const copyStamp = await this.checkFiles(step, record, home.manifest.stamps[index] ?? null);
    const ids = [...moved.snapshots.keys()];
    const carried = await pools.onDisk(target, SWITCH_DISK_MS, (files) => new PartMoveFiles(files, moved).carried());
    if (ids.some((one) => !carried.has(one))) throw new TooMuchLeft();
    const kept = pools.states.flatMap(({ snapshots }) => snapshots.get(id)?.list ?? []).filter((one) => moved.snapshots.has(one.id));
    await pools.onDisk(target, SWITCH_DISK_MS, (files) => new PartMoveFiles(files, moved).keepOnly(id, kept));
    try {
      return await volumeSwitch.run(id, `a file of it is changing to pool ${target.name}: its clients wait a moment`, async () => {
        const maxBytes = switchMaxBytes(bytesPerSecond);
        if (!(await pools.onDisk(target, SWITCH_DISK_MS, () => this.copyRest(found, target, maxBytes)))) throw new TooMuchLeft();
        try {
          return verbs.configOf(home.pool, await this.change(found.pool, target, copyStamp));
        } catch (thrown) {
          // The volume is served from its old part again, so the old part must get its old name again.
          if (!(thrown instanceof OutcomeUnknown)) await pools.settleParts();
          throw thrown;
        }
      });
    } finally {
      await pools.settleParts();
    }
  }

  protected override dataOf({ pool }: Found): string {
    return poolPaths.data(poolPaths.part(pool.path, this.place.moved.record.fileId));
  }

  /** Returns the manifest with the part in the new pool. */
  private async change(source: PoolState, target: PoolState, copyStamp: string): Promise<Manifest> {
    const { pools, verbs } = this;
    const { home, index, moved } = this.place;
    const all: readonly PartRecord[] = [moved.record, ...moved.snapshots.values()];
    await verbs.onDisk(target, SWITCH_DISK_MS, (files) => new PartMoveFiles(files, moved).install());
    for (const record of all) pools.putPart(target, { record, isNew: true });
    await verbs.onDisk(source, SWITCH_DISK_MS, (files) => files.parts.doubtAll(all.map(({ fileId }) => fileId)));
    for (const record of all) pools.putPart(source, { record: { ...record, poolId: source.identity?.id ?? '' }, isNew: true });
    const next = movedManifest(home.manifest, index, moved.record.poolId, copyStamp);
    await this.commitHome(home, next, index);
    pools.put(home.pool, next);
    pools.putSnapshots(home.pool, next.id, (snapshots) => ({ ...snapshots, list: snapshots.list.map((one) => placedAs(one, next)) }));
    await this.confirm(target, all);
    return next;
  }

  /**
   * Replaces the manifest in the home, which is the commit point. Throws OutcomeUnknown if it is unknown whether the home has the new
   * manifest.
   */
  private async commitHome({ pool }: Found, next: Manifest, index: number): Promise<void> {
    const { pools, verbs } = this;
    try {
      await verbs.onDisk(pool, SWITCH_DISK_MS, (files) => files.replaceManifest(next));
    } catch (thrown) {
      const now = pools.states.find(({ identity }) => identity?.id === pool.identity?.id);
      if (now === undefined || now.trouble !== null)
        throw new OutcomeUnknown(`Where volume ${next.name} has its files is not known, because pool ${pool.name} does not answer`);
      const there = now.volumes.get(next.id);
      if (there !== undefined && otherParts(there)[index - 1]?.poolId === otherParts(next)[index - 1]?.poolId) return;
      throw thrown;
    }
  }

  /**
   * Gives the new parts their final names, before the volume is served. The old parts are deleted later, while clients use the volume
   * again.
   */
  private async confirm(target: PoolState, all: readonly PartRecord[]): Promise<void> {
    const { pools, verbs } = this;
    const now = pools.states.find(({ name }) => name === target.name);
    const left = all.filter(({ fileId }) => now?.parts.get(fileId)?.isNew === true);
    try {
      await verbs.onDisk(target, SWITCH_DISK_MS, (files) => files.parts.confirmAll(left.map(({ fileId }) => fileId)));
    } catch {
      throw new OutcomeUnknown(`Pool ${target.name}, which has a file of the volume now, does not answer`);
    }
    for (const record of left) pools.putPart(target, { record, isNew: false });
  }
}

function movedManifest(manifest: Manifest, index: number, poolId: string, stamp: string): Manifest {
  const { layout } = manifest;
  if (layout.kind === 'simple') return manifest;
  const parts = layout.parts.map((part, at) => (at === index ? { ...part, poolId } : part));
  return { ...manifest, layout: { ...layout, parts }, stamps: manifest.stamps.with(index, stamp) };
}
