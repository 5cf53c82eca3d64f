// Reads the sections [pool NAME] (folders for volumes that commands manage) and [rights] (what clients may do with volumes) of rssrvcfg.
// rssrvcfg.ts reads the other sections. Invariant: a client has at most one line in [rights], and a wrong line gives no rights.

import { posix } from 'node:path';
import { isName, NAME_ALLOWED, parseSize, quoteText } from '@rsio/base/lib/units';
import { CLIENTS_MAX, OWNERS_MAX, POOLS_MAX } from '../schema/limits.ts';
import { type Findings, Uniques } from './findings.ts';
import type { IniContent, IniSection } from './ini-document.ts';
import { type IoLimits, isLimitKey, limitAllowed, type LimitKey, limitsField, NO_IO_LIMITS, withLimit } from '../schema/io-limits.ts';
import { SCHEMA } from '../schema/schema.ts';
import type { SectionReader } from './section-reader.ts';
import { type ClientRights, CLIENT_ROLES, type ClientRole, type PoolConfig, type SharedDiskConfig } from '../schema/types.ts';

const schema = SCHEMA.rssrvcfg;

export function readPools(readers: readonly SectionReader<(typeof schema)['pool']['keys']>[], findings: Findings): readonly PoolConfig[] {
  const beyond = readers[POOLS_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${readers.length} pools: allowed are at most ${POOLS_MAX}`);
  const uniques = new Uniques(findings);
  const pools: PoolConfig[] = [];
  for (const reader of readers) {
    uniques.claim(`name ${reader.name}`, reader.line, `pool name ${quoteText(reader.name)}`, 'give each pool a name of its own');
    const path = reader.value('path');
    if (path === null) continue;
    uniques.claim(
      `path ${posix.normalize(path).replace(/\/+$/, '')}`,
      reader.lineOf('path'),
      `pool path ${quoteText(path)}`,
      'give each pool a directory of its own',
    );
    const shared = readShared(reader, findings);
    const disk = reader.value('disk');
    if (disk !== null)
      uniques.claim(
        `disk ${JSON.stringify(disk)}`,
        reader.lineOf('disk'),
        `disk of pool ${quoteText(reader.name)}`,
        'give each pool a disk of its own',
      );
    const [limitBytes, reserve, overcommit] = [reader.value('limit'), reader.value('reserve'), reader.value('overcommit')];
    pools.push({ name: reader.name, path, limitBytes, reserve, overcommit, shared, line: reader.line });
  }
  return pools;
}

/** Returns the shared disk of a pool; null if the pool has none. */
function readShared(reader: SectionReader<(typeof schema)['pool']['keys']>, findings: Findings): SharedDiskConfig | null {
  const keys = ['fence', 'fence-self', 'owners', 'take-over-after'] as const;
  const pool = `pool ${quoteText(reader.name)}`;
  if (!reader.isSet('disk')) {
    for (const key of keys)
      if (reader.isSet(key)) findings.problem(reader.lineOf(key), `Key ${key} of ${pool} needs the key disk: add it, or remove ${key}`);
    return null;
  }
  for (const key of ['fence', 'owners'] as const)
    if (!reader.isSet(key)) findings.problem(reader.line, `No ${key} in ${pool}, which has a disk: add "${key} = ..."`);
  const [disk, fence, owners] = [reader.value('disk'), reader.value('fence'), reader.value('owners')];
  if (disk === null || fence === null || owners === null) return null;
  if (owners.length > OWNERS_MAX)
    findings.problem(reader.lineOf('owners'), `${owners.length} owners of ${pool}: allowed are at most ${OWNERS_MAX}`);
  const path = reader.value('path');
  if (path !== null && (posix.normalize(path) !== path || path.endsWith('/')))
    findings.problem(
      reader.lineOf('path'),
      `Path ${quoteText(path)} of ${pool}, where its disk is mounted, has dots or extra slashes: remove them`,
    );
  const isFitting = fence.kind === 'none' || (disk.kind === 'rbd') === (fence.kind === 'rbd');
  if (!isFitting)
    findings.problem(
      reader.lineOf('fence'),
      `fence = ${fence.kind} of ${pool} does not fit its disk: ${disk.kind === 'rbd' ? 'use rbd or none' : 'use reservation, command: or none'}`,
    );
  const fencesSelf = reader.value('fence-self');
  if (fencesSelf && fence.kind !== 'command')
    findings.problem(reader.lineOf('fence-self'), `fence-self = yes of ${pool} needs fence = command:PROGRAM: remove fence-self`);
  return { disk, fence, fencesSelf, owners, takeOverMs: reader.value('take-over-after') };
}

/** `pools`: the names of the configured pools. `clients`: the names of the configured clients. */
export function readRights(
  section: IniSection | undefined,
  pools: readonly string[],
  clients: readonly string[],
  findings: Findings,
): readonly ClientRights[] {
  const contents = section?.contents ?? [];
  const beyond = contents[CLIENTS_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${contents.length} lines in [rights]: allowed are at most ${CLIENTS_MAX}`);
  const uniques = new Uniques(findings);
  const rights: ClientRights[] = [];
  for (const content of contents) {
    const line = readRightsLine(content, findings);
    if (line === null) continue;
    uniques.claim(line.name, content.line, `client ${line.name} in [rights]`, 'give each client one line');
    for (const pool of line.pools ?? []) {
      if (!pools.includes(pool))
        findings.problem(
          content.line,
          `Client ${line.name} in [rights] may use pool ${quoteText(pool)}: there is no section [pool ${pool}]`,
        );
    }
    if (!clients.includes(line.name)) findings.warn(content.line, `Client ${line.name} in [rights] is not listed in [clients]`);
    rights.push(line);
  }
  return rights;
}

/** Reads a line of [rights]. The pools that it names are not looked for. */
export function readRightsLine({ text, line }: Pick<IniContent, 'text' | 'line'>, findings: Findings): ClientRights | null {
  const form = schema.rights.lines;
  const [name = '', role = '', ...settings] = text.trim().split(/\s+/);
  const wrong = (what: string): null => {
    findings.problem(line, `${what}: allowed is ${form}`);
    return null;
  };
  if (!isName(name)) return wrong(`Wrong client name ${quoteText(name)} in [rights], NAME being ${NAME_ALLOWED}`);
  if (!isRole(role)) return wrong(`Client ${name} in [rights] has the right ${quoteText(role)}`);
  let [pools, limitBytes]: [readonly string[] | null, number | null] = [null, null];
  let limits = NO_IO_LIMITS;
  for (const setting of settings) {
    const [, key = '', value = ''] = /^([a-z]+)=(.+)$/.exec(setting) ?? [];
    if (isLimitKey(key)) {
      const changed = limitOrNull(limits, key, value);
      if (changed === null) return wrong(`Client ${name} in [rights] has ${quoteText(setting)}, where ${limitAllowed(key)} is needed`);
      limits = changed;
      continue;
    }
    if (role !== 'manage' || (key !== 'pool' && key !== 'limit')) return wrong(`Client ${name} in [rights] has ${quoteText(setting)}`);
    if (key === 'pool') {
      pools = value.split(',');
    } else {
      const bytes = sizeOrNull(value);
      if (bytes === null) return wrong(`Client ${name} in [rights] has limit ${quoteText(value)}`);
      limitBytes = bytes;
    }
  }
  return { name, role, pools, limitBytes, ...limitsField(limits), line };
}

function isRole(word: string): word is ClientRole {
  return (CLIENT_ROLES as readonly string[]).includes(word);
}

function limitOrNull(limits: IoLimits, key: LimitKey, value: string): IoLimits | null {
  try {
    return withLimit(limits, key, value);
  } catch {
    return null;
  }
}

function sizeOrNull(text: string): number | null {
  try {
    return parseSize(text);
  } catch {
    return null;
  }
}
