// Executes the method that gives a client another name in the pools: as owner, in lists of clients, and as maker of snapshots; and in rssrvcfg
// afterwards, unless rsadm does that. Invariants: a client that could write gets no other name, because its holds, fence and jobs are kept by the name. A pool
// that cannot be changed prevents the whole change, before it begins. Told twice, it changes nothing.

import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import { printIni } from '@rsio/common/config/reader/ini-document';
import { hasClient, renameClient } from '@rsio/common/config/rssrvcfg-edit';
import type { HandlersOf } from '@rsio/common/control/control-server';
import type { CLIENT_NAME_METHODS } from '@rsio/api/rssrv/client-methods';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { plural } from '@rsio/base/lib/units';
import type { Asker } from '../pools/asker.ts';
import { type Found, type PoolState, volumeText } from '../pools/catalogue.ts';
import type { Manifest } from '../pools/disk/manifest.ts';
import { POOL_CHANGE_MS } from '../pools/limits.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import type { SnapshotRecord } from '../pools/snapshots/snapshot-record.ts';
import { SnapshotFiles } from '../pools/snapshots/snapshot-files.ts';
import type { Fences } from '../volumes/fences.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import type { LoggedChanges } from './logged-changes.ts';
import type { NamespaceFiles, NamespacePorts } from './namespace/namespace-handlers.ts';

export interface RenamePorts {
  readonly fences: Pick<Fences, 'has'>;
  readonly holds: Pick<Holds, 'heldBy'>;
  readonly sessions: { isThere(node: string): boolean };
}

/** Edits rssrvcfg, and remembers which clients have other names there. */
export type RenameFile = Pick<NamespacePorts, 'document' | 'check' | 'change'> & Pick<NamespaceFiles, 'wasRenamed' | 'renamed'>;

/** `jobsOf` returns the ids of the jobs of a client that have not ended. */
export function clientNameHandlers(
  changes: Pick<LoggedChanges, 'run' | 'note' | 'by'>,
  verbs: PoolVerbs,
  ports: RenamePorts,
  jobsOf: (node: string) => readonly string[],
  file: RenameFile,
  asker: Asker,
): HandlersOf<typeof CLIENT_NAME_METHODS> {
  const edit = (name: string, to: string) => (document: IniDocument) => renameClient(document, name, to);
  return {
    'client-rename': async ({ name, to, file: isWhole, plan }) => {
      asker.needs('admin', 'rename clients');
      const document = isWhole ? file.document() : null;
      // The pools have the new name before the file has it, and a shared pool may have come here since.
      // Asked first, because it throws if what the server remembers of names cannot be used; afterwards, the pools would have the new name alone.
      const wasRenamed = document !== null && file.wasRenamed(name, to);
      const isDone = document !== null && !hasClient(document, name) && hasClient(document, to) && wasRenamed;
      if (document !== null && !isDone) await file.check(printIni(edit(name, to)(document)));
      const checked = (): void => {
        for (const one of isDone ? [name] : [name, to]) checkIdle(one, ports, jobsOf(one));
        checkPools(verbs, name);
      };
      checked();
      const found = plan
        ? { volumes: [], snapshots: 0 }
        : await changes.run(async () => {
            checked();
            return renameInPools(verbs, name, to);
          }, `client ${name}, which is being renamed by ${changes.by}`);
      for (const one of found.volumes) changes.note(`client ${name} is ${to} now`, one);
      if (isWhole && !isDone && !plan) await inFile(file, name, to, edit(name, to), asker.by);
      const { states } = verbs.pools;
      return {
        name,
        to,
        volumes: found.volumes.length,
        snapshots: found.snapshots,
        held: ports.holds.heldBy(name).length,
        elsewhere: states.filter(isElsewhere).map((pool) => pool.name),
        pools: states.filter(({ trouble }) => trouble === null).map((pool) => pool.name),
        changes: plan
          ? []
          : [
              `client ${name} is ${to} now: ${plural(found.volumes.length, 'volume')} and ${plural(found.snapshots, 'snapshot')} of pools named it`,
            ],
      };
    },
  };
}

/** Throws the error of the change. The pools have the new name then, and the order, given again, finishes it. */
async function inFile(file: RenameFile, name: string, to: string, edit: (document: IniDocument) => IniDocument, by: string): Promise<void> {
  try {
    await file.renamed(name, to);
    await file.change(edit, by);
  } catch (thrown) {
    const { code, message, context } = toRsError(thrown);
    throw new RsError(code, `The pools name ${to} now, and rssrvcfg still ${name}: give the order again. ${message}`, context, thrown);
  }
}

/** A shared pool that another server may own. */
function isElsewhere({ trouble, isShared, ownership }: PoolState): boolean {
  return trouble !== null && isShared && ownership === null;
}

/** Throws E_IN_USE unless the client has no session, hold, fence and job, all of which would stay with its old name. */
function checkIdle(name: string, { fences, holds, sessions }: RenamePorts, jobs: readonly string[]): void {
  const held = holds.heldBy(name).length;
  const facts: readonly (readonly [isSo: boolean, why: string])[] = [
    [fences.has(name), `is fenced: rsadm client unfence ${name} lets it in again`],
    [held > 0, `holds ${plural(held, 'volume')}: detach there (rsconfig -d), or, if it cannot come back, rsadm client release ${name}`],
    [jobs.length > 0, `has open jobs (${jobs.join(', ')}): wait for them, or cancel them (rsadm jobs cancel)`],
    [sessions.isThere(name), 'is connected: stop rsiod there (rsconfig stop)'],
  ];
  const why = facts.find(([isSo]) => isSo)?.[1];
  if (why !== undefined) throw new RsError('E_IN_USE', `Client ${name} ${why}`, { client: name });
}

/** Returns the manifest with the new name; the manifest itself if it does not name the client. */
function withClient(manifest: Manifest, name: string, to: string): Manifest {
  const renamed = (one: string): string => (one === name ? to : one);
  const all = (names: readonly string[] | null): string[] | null => (names === null ? null : [...new Set(names.map(renamed))]);
  const { owner, clients, takeOver, managers } = manifest;
  if (owner !== name && ![clients, takeOver, managers].some((one) => one?.includes(name) === true)) return manifest;
  return {
    ...manifest,
    owner: owner === null ? null : renamed(owner),
    clients: all(clients),
    takeOver: all(takeOver),
    ...(managers === undefined ? {} : { managers: all(managers) }),
  };
}

/** Throws E_POOL if a pool of this server cannot be changed now, and E_IN_USE if the client is a server that replicates. */
function checkPools(verbs: PoolVerbs, name: string): void {
  for (const pool of verbs.pools.states) {
    if (pool.trouble !== null && !isElsewhere(pool))
      throw new RsError('E_POOL', `Client ${name} keeps its name, because pool ${pool.name} cannot be changed now: ${pool.trouble}`, {
        pool: pool.name,
      });
    if (pool.trouble === null) for (const manifest of pool.volumes.values()) checkReplication(manifest, name);
  }
}

async function renameInPools(verbs: PoolVerbs, name: string, to: string): Promise<{ volumes: Found[]; snapshots: number }> {
  const usable = verbs.pools.states.filter(({ trouble }) => trouble === null);
  const changed: Found[] = [];
  let snapshots = 0;
  for (const pool of usable) {
    for (const manifest of pool.volumes.values()) {
      const next = withClient(manifest, name, to);
      if (next !== manifest) changed.push(await verbs.replace({ pool, manifest }, next));
    }
    for (const removed of pool.removed.values()) {
      const next = withClient(removed.manifest, name, to);
      if (next === removed.manifest) continue;
      await verbs.onDisk(pool, POOL_CHANGE_MS, (files) => files.replaceRemoved(next));
      verbs.pools.remove(pool, { ...removed, manifest: next });
      changed.push({ pool, manifest: next });
    }
    for (const [id, { list }] of pool.snapshots)
      for (const record of list.filter(({ creator }) => creator === name)) {
        const next: SnapshotRecord = { ...record, creator: to };
        await verbs.onDisk(pool, POOL_CHANGE_MS, (files) => new SnapshotFiles(files).rewrite(next));
        verbs.pools.putSnapshots(pool, id, (all) => ({ ...all, list: all.list.map((one) => (one.id === next.id ? next : one)) }));
        snapshots += 1;
      }
  }
  return { volumes: changed, snapshots };
}

function checkReplication(manifest: Manifest, name: string): void {
  const { replication, follower } = manifest;
  const text = volumeText(manifest);
  const why =
    replication?.order?.to === name
      ? `is the server of a replication of volume ${text}: end it first (rsadm volume replicate ${text} --end)`
      : follower?.wanted?.node === name
        ? `hands volume ${text} over in an exchange of roles: wait for it, or end it (rsadm volume reverse ${text} --cancel)`
        : null;
  if (why !== null) throw new RsError('E_IN_USE', `Client ${name} ${why}`, { client: name });
}
