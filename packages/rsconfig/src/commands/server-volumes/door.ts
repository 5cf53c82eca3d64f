// The door of rsconfig (manage/volumes/door.ts): it chooses the server, and reaches it through rsiod. Invariant: a volume that is attached here
// is not removed.

import type { OptionSpec } from '@rsio/common/cli/command';
import { RsError } from '@rsio/base/lib/errors';
import { text } from '@rsio/base/lib/shape';
import type { Purpose, VolumeDoor, VolumeProgram, VolumeTarget } from '@rsio/api/manage/volumes/door';
import { type CommandContext, usageError } from '../../cli/context.ts';
import { findRemoved, findVolume, serversFor } from './find.ts';
import { type PlaceFilter, placesOf } from './servers.ts';

/** Names without the namespace, because bash splits words at a colon. */
const NAMES = `tail -n +2 | cut -d' ' -f1 | sed 's/^[^:]*://'`;

export const PROGRAM: VolumeProgram = {
  program: 'rsconfig',
  place: { namespace: text(), server: text() },
  completesVolumes: `"\${ask[@]}" volume list | ${NAMES}`,
  completesRemoved: `"\${ask[@]}" volume list --removed | ${NAMES}`,
  jobs: 'volume jobs',
};

export const PLACE_OPTIONS = {
  server: { kind: 'text', value: 'S', help: 'use only server S' },
  namespace: { kind: 'text', value: 'N', help: 'use only servers of namespace N' },
} as const satisfies Readonly<Record<string, OptionSpec>>;

export const PLACE_SYNOPSIS = '[--server S] [--namespace N]';

export function doorOf(context: CommandContext, filter: PlaceFilter): VolumeDoor {
  const { server, namespace } = filter;
  if (server === '') throw usageError('--server is empty: give the name of a server');
  if (namespace === '') throw usageError('--namespace is empty: give the name of a namespace');
  return {
    ...context,
    local: null,
    find: async (name, purpose) => notAttached(context, await findVolume(context, name, filter, purpose), purpose),
    findRemoved: (name) => findRemoved(context, name, filter),
    choose: (name, wanted) => serversFor(context, name, filter, wanted),
  };
}

/** Returns `target` if the command may continue. Throws E_IN_USE if `purpose` is `remove` and the volume is attached on this machine. */
async function notAttached(context: CommandContext, target: VolumeTarget, purpose: Purpose): Promise<VolumeTarget> {
  if (purpose !== 'remove') return target;
  const { name, universe } = target.volume;
  const namespace = target.place['namespace'] ?? null;
  const { attachments, awaited } = await context.call('local', {});
  const ids = [...attachments, ...awaited]
    .filter((one) => one.namespace === namespace && one.name === name && one.universe === universe)
    .map(({ id }) => id);
  if (ids.length === 0) return target;
  const places = await placesOf(context, { namespace, server: null });
  const [listed] = places
    .filter(({ server, isConnected }) => server === target.server && isConnected)
    .flatMap((place) => place.listed.filter((one) => one.name === name && one.universe === universe));
  // The volume may be removed if the server's list shows that the volume only has the same name: it is neither the attached volume nor a
  // replica of the attached mirror. A volume that the server does not list may be the attached volume.
  if (listed !== undefined && !ids.includes(listed.id) && (listed.mirror === null || !ids.includes(listed.mirror))) return target;
  const label = target.label(target.volume);
  throw new RsError('E_IN_USE', `${label} is attached here: detach it first (rsconfig -d ${label})`);
}
