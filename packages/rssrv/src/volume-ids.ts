// The id of each volume: the configured one, or one made at its first start and kept in volumes.json, so that a volume stays
// the same volume over restarts. Invariant: an id is used only after it is durable, and a file that cannot be understood is
// never replaced: clients would take old volumes for new ones.

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ServerVolumeConfig } from '@rsio/protocol/config/types';
import { replaceFile } from '@rsio/protocol/lib/durable-file';
import { errnoName, RsError } from '@rsio/protocol/lib/errors';

const FORMAT_VERSION = 1;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** `oracle@0`: how a volume is called where its universe matters. */
export function volumeKey(volume: { readonly name: string; readonly universe: number }): string {
  return `${volume.name}@${volume.universe}`;
}

/**
 * Ids (lower case) by volumeKey; missing ones are made and written to `file`, which is touched only when a volume needs it.
 * Throws E_SYSTEM naming `file` when it cannot be read, understood or written.
 */
export async function volumeIds(file: string, volumes: readonly ServerVolumeConfig[]): Promise<ReadonlyMap<string, string>> {
  const ids = new Map<string, string>();
  const unnamed: string[] = [];
  for (const volume of volumes) {
    if (volume.id === null) unnamed.push(volumeKey(volume));
    else ids.set(volumeKey(volume), volume.id.toLowerCase());
  }
  if (unnamed.length === 0) return ids;
  const kept = await readIds(file);
  const before = kept.size;
  for (const key of unnamed) {
    const id = kept.get(key) ?? randomUUID();
    kept.set(key, id);
    ids.set(key, id);
  }
  if (kept.size > before) await writeIds(file, kept);
  return ids;
}

async function readIds(file: string): Promise<Map<string, string>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    const errno = errnoName(thrown);
    if (errno === 'ENOENT') return new Map();
    throw new RsError('E_SYSTEM', `${file} cannot be read (${errno}): see that rssrv may read it`, { file, errno }, thrown);
  }
  return parseIds(file, text);
}

function parseIds(file: string, text: string): Map<string, string> {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (thrown) {
    throw damaged(file, 'it is no JSON', thrown);
  }
  if (typeof content !== 'object' || content === null || !('version' in content)) throw damaged(file, 'it has no version');
  const { version } = content;
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) throw damaged(file, 'its version is no number from 1 on');
  if (version > FORMAT_VERSION) {
    throw new RsError(
      'E_SYSTEM',
      `${file} has format ${version}, this rssrv knows up to ${FORMAT_VERSION}: run the newer rssrv that wrote it`,
      { file, version },
    );
  }
  const volumes: unknown = 'volumes' in content ? content.volumes : undefined;
  if (typeof volumes !== 'object' || volumes === null || Array.isArray(volumes)) throw damaged(file, 'it has no volumes');
  const ids = new Map<string, string>();
  for (const [key, id] of Object.entries(volumes)) {
    if (typeof id !== 'string' || !UUID.test(id)) throw damaged(file, `the id of ${key} is no UUID`);
    ids.set(key, id);
  }
  return ids;
}

function damaged(file: string, what: string, cause?: unknown): RsError {
  return new RsError(
    'E_SYSTEM',
    `${file}, which keeps the ids of the volumes, is damaged (${what}): restore it, or give each volume its old id in rssrvcfg and remove the file`,
    { file },
    cause,
  );
}

async function writeIds(file: string, ids: ReadonlyMap<string, string>): Promise<void> {
  const content = { version: FORMAT_VERSION, volumes: Object.fromEntries([...ids].toSorted(([a], [b]) => (a < b ? -1 : 1))) };
  try {
    await replaceFile(file, `${JSON.stringify(content, null, 2)}\n`);
  } catch (thrown) {
    const errno = errnoName(thrown);
    throw new RsError('E_SYSTEM', `${file} cannot be written (${errno}): see that rssrv may write there`, { file, errno }, thrown);
  }
}
