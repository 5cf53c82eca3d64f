// The commands about volumes. rssrv decides whether a change is permitted, and makes it. Invariant: each command that changes something
// sends an id with its request, so that the request is never executed twice; removing a volume needs the person's consent.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { type ManagedVolumeView, SERVER_METHODS } from '@rsio/common/control/server-methods';
import { parseWhole, quoteText } from '@rsio/common/lib/units';
import { formatTime } from '@rsio/common/log/log-line';
import { type AdmContext, defineCommand, usageError } from '../cli/context.ts';
import { clientsOf, poolNameOf, sizeOf, type VolumeName, volumeName } from '../cli/values.ts';
import { NO_VOLUME, removedTable, shownSize, volumeDetails, volumesTable, volumeText } from '@rsio/common/manage/server-tables';

const COMPLETES_VOLUMES = `"\${ask[@]}" volume list | tail -n +2 | cut -d' ' -f1`;

export const VOLUME_LIST = defineCommand({
  call: { by: 'words', words: 'volume list' },
  synopsis: 'volume list [--pool P] [--removed]',
  summary: 'lists volumes and the clients that hold them',
  options: {
    pool: { kind: 'text', value: 'P', help: 'only the volumes of this pool' },
    removed: { kind: 'flag', help: 'the removed volumes that can be restored' },
    json: JSON_OPTION,
  },
  json: SERVER_METHODS['volume-list'].result,
  run: async (context, { pool, removed, json }) => {
    const answer = await context.call('volume-list', { pool: pool === null ? null : poolNameOf('--pool', pool) });
    if (json) return printJson(context, answer);
    const list = removed ? answer.removed : answer.volumes;
    if (list.length === 0)
      context.note(removed ? 'No removed volume can be restored' : pool === null ? NO_VOLUME : `No volume in pool ${pool}`);
    else context.out(removed ? removedTable(answer.removed, context.clock.wallMs()) : volumesTable(answer.volumes));
    return undefined;
  },
});

export const VOLUME_SHOW = defineCommand({
  call: { by: 'words', words: 'volume show' },
  synopsis: 'volume show NAME',
  summary: 'shows everything about a volume',
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['volume-show'].result,
  operands: { min: 1, max: 1 },
  completes: COMPLETES_VOLUMES,
  run: async (context, { json }, [name = '']) => {
    const answer = await context.call('volume-show', volumeName(name));
    if (json) return printJson(context, answer);
    context.out(volumeDetails(answer.volume));
    return undefined;
  },
});

export const VOLUME_CREATE = defineCommand({
  call: { by: 'words', words: 'volume create' },
  synopsis: 'volume create NAME --size SIZE [--pool P] [--clients LIST]\n[--thick] [--read-only] [--shared] [--block-size N]',
  summary: 'creates a volume in a pool',
  details: `The content of a new volume is zeros. Without --pool, rssrv chooses the pool
with the most room. A volume takes space only for what is written to it; with
--thick, its space is allocated at once, so that writes never lack space.`,
  options: {
    size: { kind: 'text', value: 'SIZE', help: 'size of the volume, such as 20g' },
    pool: { kind: 'text', value: 'P', help: 'pool of the volume' },
    clients: { kind: 'text', value: 'LIST', help: 'clients that may attach it, with commas; default: all' },
    thick: { kind: 'flag', help: 'allocate the space of the whole volume' },
    'read-only': { kind: 'flag', help: 'refuse writes' },
    shared: { kind: 'flag', help: 'let several clients write at the same time' },
    'block-size': { kind: 'text', value: 'N', help: 'block size that clients see: 512 (default) or 4096' },
    json: JSON_OPTION,
  },
  json: SERVER_METHODS['volume-create'].result,
  operands: { min: 1, max: 1 },
  run: async (context, { size, pool, clients, thick, shared, json, ...others }, [name = '']) => {
    if (size === null) throw usageError('No --size: give the size of the volume, such as 20g');
    const blockSizeBytes = parseWhole(others['block-size'] ?? '512');
    if (blockSizeBytes !== 512 && blockSizeBytes !== 4096)
      throw usageError(`Wrong --block-size ${quoteText(others['block-size'] ?? '')}: allowed is 512 or 4096`);
    const answer = await context.call('volume-create', {
      ...volumeName(name),
      sizeBytes: sizeOf('--size', size),
      blockSizeBytes,
      pool: pool === null ? null : poolNameOf('--pool', pool),
      thick,
      readonly: others['read-only'],
      shared,
      clients: clients === null ? null : clientsOf('--clients', clients),
      takeOver: null,
      takeOverForce: false,
      request: context.newId(),
    });
    const { volume } = answer;
    if (clients !== null) await noteUnknownClients(context, volume);
    if (json) return printJson(context, answer);
    context.out(`${volumeText(volume)} created in pool ${volume.pool ?? '-'}, ${shownSize(volume.sizeBytes)}\n`);
    if (volume.state === 'unavailable') context.note(`${volumeText(volume)} is not served: ${volume.reason ?? '-'}`);
    return undefined;
  },
});

export const VOLUME_GROW = defineCommand({
  call: { by: 'words', words: 'volume grow' },
  synopsis: 'volume grow NAME SIZE',
  summary: 'makes a volume larger, also while clients use it',
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['volume-grow'].result,
  operands: { min: 2, max: 2 },
  completes: COMPLETES_VOLUMES,
  run: async (context, { json }, [name = '', size = '']) => {
    const params = { ...volumeName(name), sizeBytes: sizeOf('SIZE', size), request: context.newId() };
    const answer = await context.call('volume-grow', params);
    if (json) return printJson(context, answer);
    context.out(`${volumeText(answer.volume)} now has ${shownSize(answer.volume.sizeBytes)}\n`);
    return undefined;
  },
});

export const VOLUME_RENAME = defineCommand({
  call: { by: 'words', words: 'volume rename' },
  synopsis: 'volume rename NAME NEW',
  summary: 'gives a volume another name; no client may hold it',
  details: `A NEW without @ is in universe 0, like every NAME.`,
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['volume-rename'].result,
  operands: { min: 2, max: 2 },
  completes: COMPLETES_VOLUMES,
  run: async (context, { json }, [name = '', to = '']) => {
    const [from, next] = [volumeName(name), volumeName(to)];
    if (volumeText(from) === volumeText(next)) throw usageError(`Volume ${volumeText(from)} already has this name: give another one`);
    const answer = await context.call('volume-rename', {
      ...from,
      newName: next.name,
      newUniverse: next.universe,
      request: context.newId(),
    });
    if (json) return printJson(context, answer);
    context.out(`${volumeText(from)} is now ${volumeText(answer.volume)}\n`);
    return undefined;
  },
});

export const VOLUME_SET = defineCommand({
  call: { by: 'words', words: 'volume set' },
  synopsis: 'volume set NAME KEY=VALUE...',
  summary: 'changes settings of a volume',
  details: `The keys are readonly, shared, clients, take-over, take-over-force and
same-content. They have the same meaning as in a section [volume] of
rssrvcfg(5).`,
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['volume-set'].result,
  operands: { min: 2, max: 7 },
  completes: COMPLETES_VOLUMES,
  run: async (context, { json }, [name = '', ...settings]) => {
    const answer = await context.call('volume-set', { ...volumeName(name), settings, request: context.newId() });
    if (settings.some((setting) => setting.startsWith('clients='))) await noteUnknownClients(context, answer.volume);
    if (json) return printJson(context, answer);
    context.out(volumeDetails(answer.volume));
    return undefined;
  },
});

export const VOLUME_REMOVE = defineCommand({
  call: { by: 'words', words: 'volume remove' },
  synopsis: 'volume remove NAME [--yes]',
  summary: 'removes a volume; no client may hold it',
  details: `A removed volume is kept for a day. Until then, rsadm volume restore brings it
back with its content. On a terminal, the command asks; elsewhere it needs
--yes.`,
  options: { yes: { kind: 'flag', help: 'do not ask' }, json: JSON_OPTION },
  json: SERVER_METHODS['volume-remove'].result,
  operands: { min: 1, max: 1 },
  completes: COMPLETES_VOLUMES,
  run: async (context, { yes, json }, [name = '']) => {
    const volume = volumeName(name);
    if (!yes && !(await consents(context, volume))) {
      context.note('Nothing was removed');
      return 1;
    }
    const answer = await context.call('volume-remove', { ...volume, request: context.newId() });
    if (json) return printJson(context, answer);
    const until = formatTime(answer.removed.untilMs);
    context.out(`${volumeText(volume)} removed; until ${until}, rsadm volume restore ${name} brings it back\n`);
    return undefined;
  },
});

export const VOLUME_RESTORE = defineCommand({
  call: { by: 'words', words: 'volume restore' },
  synopsis: 'volume restore NAME',
  summary: 'brings back a removed volume with its content',
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['volume-restore'].result,
  operands: { min: 1, max: 1 },
  completes: `"\${ask[@]}" volume list --removed | tail -n +2 | cut -d' ' -f1`,
  run: async (context, { json }, [name = '']) => {
    const answer = await context.call('volume-restore', { ...volumeName(name), request: context.newId() });
    if (json) return printJson(context, answer);
    context.out(`${volumeText(answer.volume)} restored in pool ${answer.volume.pool ?? '-'}\n`);
    return undefined;
  },
});

async function consents({ ask, call }: AdmContext, name: VolumeName): Promise<boolean> {
  if (ask === null) throw usageError('Removing needs consent: give --yes');
  const { volume } = await call('volume-show', name);
  const answer = await ask(`Remove volume ${volumeText(volume)}, ${shownSize(volume.sizeBytes)}, from pool ${volume.pool ?? '-'}? [y/N] `);
  return /^y(es)?$/i.test(answer.trim());
}

/** A misspelt client is no error, because a client may be added later. */
async function noteUnknownClients({ call, note }: AdmContext, volume: ManagedVolumeView): Promise<void> {
  const { clients } = await call('client-list', {});
  const unknown = volume.clients?.filter((name) => !clients.some((client) => client.name === name)) ?? [];
  if (unknown.length > 0)
    note(`${volumeText(volume)} is for ${unknown.join(', ')}, not listed in [clients]: rsadm client add NAME lets a client connect`);
}
