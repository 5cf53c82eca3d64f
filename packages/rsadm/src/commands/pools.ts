// The commands about pools. rssrv prepares the directory of a pool; the section in rssrvcfg is edited here. Invariant: a pool is added as a
// whole or not at all. After a failure, only the prepared directory may remain; a second attempt uses it.

import { changeServerSection, removeServerSection } from '@rsio/common/config/rssrvcfg-edit';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { plural, quoteText } from '@rsio/base/lib/units';
import { assignmentsOf } from '@rsio/common/cli/assignments';
import { type AdmContext, defineCommand, usageError } from '../cli/context.ts';
import { firstColumnOf } from '@rsio/api/manage/derived';
import { addPoolToServer, type SharedDiskTexts } from '@rsio/api/manage/pool-addition';
import { withoutReflink } from '@rsio/api/manage/volumes/create';
import { changeServerFile, checkServerFile } from '@rsio/api/manage/server-file';
import { volumeText } from '@rsio/api/views/server-tables';

/** At most this many uses of a pool are named in the refusal of its removal. */
const USES_SHOWN_MAX = 5;

const COMPLETES_POOLS = firstColumnOf('pool list');

export const POOL_ADD = defineCommand({
  call: { by: 'words', words: 'pool add' },
  synopsis:
    'pool add NAME PATH [--limit SIZE] [--overcommit P] [--reserve P%]\n[--no-holders] [--disk DISK --fence FENCE --owners A,B]\n[--take-over-after T]',
  summary: 'makes a directory a pool and adds it to rssrvcfg',
  details: `PATH is an existing, empty directory, preferably on a separate file system (XFS
with reflink). If PATH already is a pool, for example one that another server
used, the pool is added with all its volumes, and their holders keep them. The
command also mends a pool of this server whose pool.json is empty or damaged.

If the ledger of a pool is gone or damaged, or if only earlier releases on
another server have used it, the pool does not name the holders of its volumes.
Then --no-holders is needed. Give it only if all clients that held a volume of
the pool have ended: a client that still has unwritten data would lose it.
Clients that only this ledger kept fenced are not fenced any more.

With --disk, the pool is on a disk that several servers reach, and one of these
servers owns the pool at a time. The command makes a file system on the disk,
which must be empty, and rssrv mounts it at PATH. Then give the same command on
each owner.
DISK is rbd:POOL/IMAGE or the path of a device. FENCE stops the writes of an
earlier owner: rbd, reservation, command:PROGRAM, or none. OWNERS are the names
of the servers, the preferred one first. See rsadm farm --help.`,
  options: {
    limit: { kind: 'text', value: 'SIZE', help: 'maximum sum of the sizes of its volumes' },
    overcommit: { kind: 'text', value: 'P', help: 'promises beyond its space: allow, warn or refuse' },
    reserve: { kind: 'text', value: 'P%', help: 'share of the file system to keep free; default: 5%' },
    disk: { kind: 'text', value: 'DISK', help: 'shared disk of the pool' },
    fence: { kind: 'text', value: 'FENCE', help: 'how an earlier owner is stopped' },
    owners: { kind: 'text', value: 'A,B', help: 'servers that may own the pool' },
    'take-over-after': { kind: 'text', value: 'T', help: 'how long the owner may be silent, or never; default: 10s' },
    'no-holders': { kind: 'flag', help: 'no client still holds a volume of the pool' },
  },
  operands: { min: 2, max: 2 },
  completes: 'files',
  run: async (context, { limit, overcommit, reserve, 'no-holders': noHolders, ...given }, [name = '', path = '']) => {
    if (!path.startsWith('/')) throw usageError(`Wrong PATH ${quoteText(path)}: give an absolute path`);
    const shared = sharedOf(given);
    if (shared !== null && noHolders) throw usageError('--no-holders is for pools without --disk');
    const { isNew, volumes, reason, reflink } = await addPoolToServer(context, {
      name,
      path,
      limit,
      overcommit,
      reserve,
      shared,
      noHolders,
    });
    if (shared !== null) {
      context.out(`Pool ${name} ${isNew ? 'was made' : 'is there'} on ${escapeControls(shared.disk)}; rsadm farm shows who owns it\n`);
      return undefined;
    }
    if (!isNew) context.out(`${escapeControls(path)} already was a pool, with ${plural(volumes, 'volume')}\n`);
    if (reflink === false) context.note(withoutReflink(name));
    if (reason === null) return undefined;
    context.note(`Pool ${name} cannot be used: ${reason}`);
    return 1;
  },
});

/** Throws E_USAGE if some of the options of a shared disk are missing. */
function sharedOf(given: Readonly<Record<'disk' | 'fence' | 'owners' | 'take-over-after', string | null>>): SharedDiskTexts | null {
  const { disk, fence, owners, 'take-over-after': takeOverAfter } = given;
  if (disk !== null && fence !== null && owners !== null) return { disk, fence, owners, takeOverAfter };
  if (disk === null && fence === null && owners === null && takeOverAfter === null) return null;
  throw usageError('A shared disk needs --disk, --fence and --owners');
}

export const POOL_SET = defineCommand({
  call: { by: 'words', words: 'pool set' },
  synopsis: 'pool set NAME KEY=VALUE...',
  summary: 'changes settings of a pool',
  details: `The keys are limit, overcommit and reserve, and for a shared pool also owners
and take-over-after; they have the same meaning as in a section [pool] of
rssrvcfg(5). KEY= without a value restores the default. Give the new owners on
the server that serves the pool, and then the same list on the others.`,
  options: {},
  operands: { min: 2, max: 6 },
  completes: COMPLETES_POOLS,
  run: async (context, _, [name = '', ...settings]) => {
    const changes = assignmentsOf(settings, 'rsadm');
    if (changes.some(([key]) => key === 'path')) throw usageError('A pool keeps its path: remove the pool, and add it at the other path');
    const kept = changes.find(([key]) => key === 'disk' || key === 'fence');
    if (kept !== undefined) throw usageError(`A pool keeps its ${kept[0]}: remove the pool, and add it again`);
    await changeServerFile(context, (document) => changeServerSection(document, 'pool', name, changes));
    return undefined;
  },
});

export const POOL_REMOVE = defineCommand({
  call: { by: 'words', words: 'pool remove' },
  synopsis: 'pool remove NAME [--force]',
  summary: 'takes a pool out of rssrvcfg; its volumes stay on disk',
  details: `The command is refused while a client holds a volume of the pool, and, without
--force, while mirrors, images or replications need one. Later, rsadm pool add
brings the pool back with all its volumes, here or on another server.`,
  options: { force: { kind: 'flag', help: 'also while mirrors, images or replications need its volumes' } },
  operands: { min: 1, max: 1 },
  completes: COMPLETES_POOLS,
  run: async (context, { force }, [name = '']) => {
    let keys = new Map<string | null, string>();
    checkServerFile(context, (document) => removeServerSection(document, 'pool', name));
    const uses = force ? [] : await usesOf(context, name);
    if (uses.length > 0) {
      const shown = `${uses.slice(0, USES_SHOWN_MAX).join(', ')}${uses.length > USES_SHOWN_MAX ? ', ...' : ''}`;
      throw new RsError('E_IN_USE', `Pool ${name} is in use: ${shown}: end that first, or give --force: its volumes stay on disk`, {
        pool: name,
      });
    }
    await changeServerFile(context, (document) => {
      const section = document.sections.find((one) => one.type === 'pool' && one.name === name);
      keys = new Map(section?.contents.map(({ key, value }) => [key, value]));
      return removeServerSection(document, 'pool', name);
    });
    const path = keys.get('path') ?? '';
    const disk = keys.get('disk');
    // Without its disk, the directory of a shared pool is empty, and would become another pool.
    const options = disk === undefined ? '' : ` --disk ${disk} --fence '${keys.get('fence')}' --owners '${keys.get('owners')}'`;
    context.out(
      `The volumes stay ${escapeControls(disk === undefined ? `in ${path}` : `on ${disk}`)}; ` +
        `rsadm pool add ${name} ${escapeControls(path + options)} brings them back\n`,
    );
    return undefined;
  },
});

/** Returns what needs the volumes of a pool beyond the clients that hold them. Without rssrv, nothing is known, and the list is empty. */
async function usesOf(context: AdmContext, pool: string): Promise<readonly string[]> {
  try {
    const { volumes } = await context.call('volume-list', { pool: null });
    const { replications } = await context.call('replication-list', {});
    const own = volumes.filter((one) => one.pool === pool);
    const isOwn = (name: string | null, universe: number | null): boolean =>
      own.some((one) => one.name === name && one.universe === universe);
    return [
      ...own.filter(({ mirror }) => mirror !== null).map((one) => `${volumeText(one)} is a replica of a mirror`),
      ...volumes
        .filter((one) => one.pool !== pool && one.image !== null && isOwn(one.image.name, one.image.universe))
        .map((one) => `${volumeText(one)} is an image of ${one.image?.name ?? ''}@${one.image?.universe ?? 0}`),
      ...replications
        .flatMap(({ direction, peer, volumes: members }) => members.map((one) => ({ ...one, direction, peer })))
        .filter(({ name, universe }) => isOwn(name, universe))
        .map((one) => `${volumeText(one)} is ${one.direction === 'out' ? 'replicated to' : 'a follower of'} ${one.peer}`),
    ];
  } catch (thrown) {
    if (toRsError(thrown).code === 'E_NOT_RUNNING') return [];
    throw thrown;
  }
}
