// Adds a pool to a server: rssrv prepares its directory, and a section is added to rssrvcfg. rsadm and crsio use this module. Invariant: a
// pool is added as a whole or not at all, except that a prepared directory may remain for a second attempt.

import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import { addPool } from '@rsio/common/config/rssrvcfg-edit';
import type { ServerCall } from '../rssrv/call-server.ts';
import { changeServerFile, checkServerFile, type ServerFileContext } from './server-file.ts';

export interface NewPool {
  readonly name: string;
  readonly path: string;
  /** Value of the key `limit`, as in rssrvcfg; null for the default. */
  readonly limit: string | null;
  readonly overcommit: string | null;
  readonly reserve: string | null;
  /** The shared disk; null for a pool on a disk of the server. */
  readonly shared?: SharedDiskTexts | null;
  /** For a pool whose ledger is gone, damaged, or was never made: true if the administrator confirms that no client holds a volume of it. */
  readonly noHolders?: boolean;
}

/** Values of the keys of a shared disk, as in rssrvcfg. */
export interface SharedDiskTexts {
  readonly disk: string;
  readonly fence: string;
  readonly owners: string;
  /** Null for the default. */
  readonly takeOverAfter: string | null;
}

export interface AddedPool {
  /** False if the directory was already a pool, which has `volumes` volumes. */
  readonly isNew: boolean;
  readonly volumes: number;
  /** Reason why the pool cannot be used; null if the pool can be used, or if rssrv is not running. */
  readonly reason: string | null;
  /** False if the file system of the pool cannot clone files; null if this is unknown. */
  readonly reflink: boolean | null;
}

/** Adds the pool. Throws the errors of rssrv about the directory, and the errors of `changeServerFile`. */
export async function addPoolToServer(
  context: Omit<ServerFileContext, 'call'> & { readonly call: ServerCall },
  { name, path, limit, overcommit, reserve, shared = null, noHolders = false }: NewPool,
): Promise<AddedPool> {
  const given: readonly (readonly [string, string | null])[] = [
    ['path', path],
    ['limit', limit],
    ['overcommit', overcommit],
    ['reserve', reserve],
    ...(shared === null ? [] : sharedEntries(shared)),
  ];
  const entries = given.flatMap(([key, value]) => (value === null ? [] : [[key, value] as const]));
  // The same command again mends a pool that cannot be used; rssrv refuses it for one that can.
  const edit = (document: IniDocument): IniDocument => (hasPool(document, name, given) ? document : addPool(document, name, entries));
  // Refuse a wrong section before the directory is changed.
  checkServerFile(context, edit);
  const { isNew, volumes } =
    shared === null
      ? await context.call('pool-make', { path, noHolders })
      : { ...(await context.call('farm-make', { name, path, disk: shared.disk, fence: shared.fence, owners: shared.owners })), volumes: 0 };
  if (!(await changeServerFile(context, edit))) return { isNew, volumes, reason: null, reflink: null };
  const { pools } = await context.call('pool-list', {});
  const added = pools.find((pool) => pool.name === name);
  return { isNew, volumes, reason: added?.reason ?? null, reflink: added?.reflink ?? null };
}

function hasPool({ sections }: IniDocument, name: string, given: readonly (readonly [string, string | null])[]): boolean {
  const same = sections.find((section) => section.type === 'pool' && section.name === name);
  const keys = new Map(same?.contents.map(({ key, value }) => [key, value]));
  return same !== undefined && given.every(([key, value]) => value === null || keys.get(key) === value) && !keys.has('disk');
}

function sharedEntries({ disk, fence, owners, takeOverAfter }: SharedDiskTexts): readonly (readonly [string, string | null])[] {
  return [
    ['disk', disk],
    ['fence', fence],
    ['owners', owners],
    ['take-over-after', takeOverAfter],
  ];
}
