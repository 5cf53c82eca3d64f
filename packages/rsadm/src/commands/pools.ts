// The commands about pools. rssrv prepares the directory of a pool; the section in rssrvcfg is edited here. Invariant: a pool is added as a
// whole or not at all, except that a prepared directory may remain, which a second attempt uses.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import type { IniDocument } from '@rsio/common/config/ini/ini-document';
import { addPool } from '@rsio/common/config/rssrvcfg-edit';
import { SERVER_METHODS } from '@rsio/common/control/server-methods';
import { escapeControls } from '@rsio/common/lib/printable';
import { plural, quoteText } from '@rsio/common/lib/units';
import { defineCommand, usageError } from '../cli/context.ts';
import { changeServerFile, checkServerFile } from '@rsio/common/manage/server-file';
import { poolNameOf } from '../cli/values.ts';
import { NO_POOL, poolsTable } from '@rsio/common/manage/server-tables';

const COMPLETES_POOLS = `"\${ask[@]}" pool list | tail -n +2 | cut -d' ' -f1`;

export const POOL_LIST = defineCommand({
  call: { by: 'words', words: 'pool list' },
  synopsis: 'pool list',
  summary: 'lists pools with their space',
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['pool-list'].result,
  run: async (context, { json }) => {
    const answer = await context.call('pool-list', {});
    if (json) return printJson(context, answer);
    if (answer.pools.length === 0) context.note(NO_POOL);
    else context.out(poolsTable(answer.pools));
    return undefined;
  },
});

export const POOL_ADD = defineCommand({
  call: { by: 'words', words: 'pool add' },
  synopsis: 'pool add NAME PATH [--limit SIZE] [--reserve P%]',
  summary: 'makes a directory a pool and adds it to rssrvcfg',
  details: `PATH is an existing, empty directory, best on a file system of its own (XFS with
reflink). If it is a pool already, for example one that another server used, it
is added with all its volumes.`,
  options: {
    limit: { kind: 'text', value: 'SIZE', help: 'the most that the sizes of its volumes may add up to' },
    reserve: { kind: 'text', value: 'P%', help: 'share that thick volumes leave free; default: 5%' },
  },
  operands: { min: 2, max: 2 },
  completes: 'files',
  run: async (context, { limit, reserve }, [name = '', path = '']) => {
    if (!path.startsWith('/')) throw usageError(`Wrong PATH ${quoteText(path)}: give an absolute path`);
    const given: readonly (readonly [string, string | null])[] = [
      ['path', path],
      ['limit', limit],
      ['reserve', reserve],
    ];
    const entries = given.flatMap(([key, value]) => (value === null ? [] : [[key, value] as const]));
    const edit = (document: IniDocument): IniDocument => addPool(document, name, entries);
    // A wrong section is refused before the directory is changed.
    checkServerFile(context, edit);
    const { isNew, volumes } = await context.call('pool-make', { path });
    const isInForce = await changeServerFile(context, edit);
    if (!isNew) context.out(`${escapeControls(path)} already was a pool, with ${plural(volumes, 'volume')}\n`);
    if (!isInForce) return undefined;
    const { pools } = await context.call('pool-list', {});
    const reason = pools.find((pool) => pool.name === name)?.reason ?? null;
    if (reason === null) return undefined;
    context.note(`Pool ${name} cannot be used: ${reason}`);
    return 1;
  },
});

export const POOL_CHECK = defineCommand({
  call: { by: 'words', words: 'pool check' },
  synopsis: 'pool check NAME',
  summary: 'reads a pool, and reports what it cannot explain',
  details: `The exit code is 1 if the pool cannot be used or contains something that belongs
to no volume. The command changes nothing.`,
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['pool-check'].result,
  operands: { min: 1, max: 1 },
  completes: COMPLETES_POOLS,
  run: async (context, { json }, [name = '']) => {
    const answer = await context.call('pool-check', { name: poolNameOf('pool name', name) });
    const { reason, findings, volumes } = answer.pool;
    const lines = [...(reason === null ? [] : [`Pool ${name} cannot be used: ${reason}`]), ...findings];
    const healthy = `pool ${name}: ${plural(volumes, 'volume')}, nothing unexplained`;
    if (json) printJson(context, answer);
    else context.out(toText(lines.length === 0 ? [healthy] : lines));
    return lines.length === 0 ? 0 : 1;
  },
});
