// Executes the methods about volumes. PoolVerbs makes the changes. Invariants: changes and reloads are made one at a time; each change is
// logged with the name of its asker.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import type { VOLUME_METHODS } from '@rsio/api/rssrv/volume-methods';
import { RsError } from '@rsio/base/lib/errors';
import type { Asker } from '../pools/asker.ts';
import { type CreateRequest, volumeText } from '../pools/catalogue.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import { parseLimits, parseSettings } from '../pools/settings.ts';
import type { ScheduleRunner } from '../snapshots/schedule-runner.ts';
import type { Inventory } from './inventory.ts';
import type { LoggedChanges } from './logged-changes.ts';
import { removedView } from './server-views.ts';

export function volumeHandlers(
  changes: LoggedChanges,
  inventory: Inventory,
  verbs: PoolVerbs,
  schedules: ScheduleRunner,
  asker: Asker,
): HandlersOf<typeof VOLUME_METHODS> {
  return {
    // For a client that does not see everything, the list is filtered here. If a pool is unknown, the error of `inventory.list` names all
    // pools, and only an administrator may know these names.
    'volume-list': async ({ pool }) => (asker.seesAll ? inventory.list(pool) : ofPool(await inventory.list(null), pool)),
    'volume-show': (name) => inventory.show(name),
    'volume-create': ({ request, ...params }) =>
      changes.change('created', params, () => verbs.create(createRequest(params), asker, request)),
    'volume-grow': ({ name, universe, sizeBytes, pool, mirror, request }) =>
      changes.change('grown', { name, universe }, () => verbs.grow({ name, universe }, sizeBytes, asker, request, pool, mirror)),
    'volume-rename': ({ name, universe, newName, newUniverse, request }) =>
      changes.change(`renamed from ${volumeText({ name, universe })}`, { name: newName, universe: newUniverse }, () =>
        verbs.rename({ name, universe }, { name: newName, universe: newUniverse }, asker, request),
      ),
    'volume-set': async ({ name, universe, settings, request }) => {
      const parsed = parseSettings(settings);
      const changed = await changes.change('changed', { name, universe }, () => verbs.set({ name, universe }, parsed, asker, request));
      if (parsed.schedule !== undefined) void schedules.look();
      return changed;
    },
    'volume-annotate': ({ name, universe, note, request }) =>
      changes.change('annotated', { name, universe }, () => verbs.set({ name, universe }, { note }, asker, request)),
    'volume-remove': async ({ name, universe, request }) => {
      const found = await changes.found('removed', { name, universe }, () => verbs.remove({ name, universe }, asker, request));
      const pool = inventory.catalogue.pools.find((one) => one.name === found.pool.name) ?? found.pool;
      const removed = pool.removed.get(found.manifest.id);
      if (removed === undefined) throw new RsError('E_INTERNAL', `Volume ${name} was removed, and is not among the removed volumes`);
      return { removed: removedView(pool, removed, verbs.ages.times(pool, removed)) };
    },
    'volume-restore': ({ name, universe, request }) =>
      changes.change('restored', { name, universe }, () => verbs.restore({ name, universe }, asker, request)),
    'volume-purge': async ({ name, universe, id, olderMs }) => {
      const volume = name === null ? null : { name, universe };
      const what = `removed volumes, which ${changes.by} deletes for good`;
      const { purged, left } = await changes.run(() => verbs.purgeRemoved({ volume, id, olderMs }, asker), what);
      for (const one of purged) changes.note('deleted for good', one);
      return { purged: purged.map(({ pool, ...one }) => removedView(pool, one, verbs.ages.times(pool, one))), left };
    },
  };
}

function ofPool(
  { volumes, removed }: ServerMethods['volume-list']['result'],
  wanted: string | null,
): ServerMethods['volume-list']['result'] {
  const isWanted = ({ pool }: { readonly pool: string | null }): boolean => wanted === null || pool === wanted;
  return { volumes: volumes.filter(isWanted), removed: removed.filter(isWanted) };
}

function createRequest(params: Omit<ServerMethods['volume-create']['params'], 'request'>): CreateRequest {
  const { blockSizeBytes, pools = null, chunkBytes = null, settings = [], ...others } = params;
  if (blockSizeBytes !== 512 && blockSizeBytes !== 4096)
    throw new RsError('E_USAGE', `Wrong block size ${blockSizeBytes}: allowed is 512 or 4096`);
  return { ...others, blockSizeBytes, pools, chunkBytes, ...parseLimits(settings) };
}
