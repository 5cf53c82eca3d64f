// Makes all servers of a namespace say what its file says, and shows what differs from it. Invariants: no output contains a key; a server
// that was not reached is never shown as equal to the file.

import { merged, olderText } from '@rsio/api/manage/namespace-spread';
import { APPLIED_FILE, NAMESPACE_SHOWN, type NamespaceShown, restNotes } from '@rsio/api/rssrv/namespace-methods';
import { JSON_OPTION, printJson, WAIT_OPTION } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { warningSentences } from '@rsio/common/config/load-config';
import { loadNamespace } from '@rsio/common/config/load-namespace';
import { list, object, orNull, text } from '@rsio/base/lib/shape';
import { escapeControls } from '@rsio/base/lib/printable';
import { formatTime } from '@rsio/base/log/log-line';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { type Poll, unfinishedMessage, waitUntil } from '../../cli/waiting.ts';
import { INVENTORY_WAIT_MS } from '../../limits.ts';
import { doorOf, PLACE_OPTIONS, PLACE_SYNOPSIS } from '../server-volumes/door.ts';
import { askAll, placesOf } from '../server-volumes/servers.ts';
import { checkEncrypted, PLAIN_OPTION, placesOfNamespace, SPREAD, type Spread, spread, spreadJson } from './spread.ts';

export const APPLY = defineCommand({
  call: { by: 'words', words: 'apply' },
  synopsis: 'apply FILE [--plan] [--prune | --part] [--wait[=T]] [--plain]',
  summary: 'makes all servers say what the file of the namespace says',
  details: `FILE says what all servers of a namespace have in common: clients with keys,
rights and limits, peers, and settings of [namespace] (rsio-namespace(5)). Each
server changes its rssrvcfg as a whole or not at all, and the command prints a
line for each change. A server that is away is named: give the command again
when it is back, or give --wait. A client whose key differs has both keys until
it uses the new one at all servers; the command, given again, then ends the old
one. What a server has beyond FILE stays without --prune. The client needs the
right admin at each server. The exit code is 0 only if every server has done it.

With --part, FILE is about some clients and peers only, such as one that another
program has made. The file that was applied before stays the one that rsconfig
drift compares with.`,
  options: {
    plan: { kind: 'flag', help: 'only say what would change' },
    prune: { kind: 'flag', help: 'also remove clients and peers that FILE does not name' },
    part: { kind: 'flag', help: 'FILE does not say what else the servers have' },
    wait: WAIT_OPTION,
    ...PLAIN_OPTION,
    json: JSON_OPTION,
  },
  json: SPREAD,
  operands: { min: 1, max: 1 },
  completes: 'files',
  run: async (context, { plan, prune, part, wait, plain, json }, [file = '']) => {
    if (part && prune) throw usageError('--prune belongs to a whole file: leave out --part');
    const { text: content, hash, wanted, warnings } = loadNamespace(file, part);
    for (const sentence of warningSentences(warnings)) context.note(sentence);
    const order = { text: content, plan, part, clients: 'any' as const, prune, endKeys: null, hash: part ? null : hash };
    const give = async (): Promise<Spread[]> => {
      const places = await placesOfNamespace(context, wanted.namespaceid, file);
      if (!plain) await checkEncrypted(context, places);
      return spread(context, places, order);
    };
    let done = await give();
    if (wait !== null && !plan && awayOf(done).length > 0) {
      const poll = async (): Promise<Poll<null>> => {
        const places = await placesOfNamespace(context, wanted.namespaceid, file);
        const isBack = places.some(({ server, isConnected }) => isConnected && awayOf(done).includes(server));
        if (isBack) done = afterBoth(done, await give());
        return { value: null, waitsFor: awayOf(done).map((server) => `server ${server}`) };
      };
      const { how } = await waitUntil(context, wait, poll);
      if (how !== 'done') context.note(unfinishedMessage(how, wait, 'the servers below are as the file says, except those that are away'));
    }
    const code = done.every(({ error }) => error === null) ? 0 : 1;
    if (json) return printJson(context, spreadJson(done)) ?? code;
    showSpread(context, done);
    if (plan && code === 0) context.note('Nothing was changed: rsconfig apply without --plan does it');
    return code;
  },
});

/** What each server has done in both rounds. */
function afterBoth(first: readonly Spread[], now: readonly Spread[]): Spread[] {
  return now.map((one) => {
    const before = first.find(({ place }) => place.namespace === one.place.namespace && place.server === one.place.server);
    return before === undefined ? one : merged(before, one);
  });
}

function awayOf(done: readonly Spread[]): string[] {
  return done.filter(({ error }) => error?.code === 'E_NO_PATH').map(({ place }) => place.server);
}

/** Shows what each server has changed. */
export function showSpread({ out, note }: Pick<CommandContext, 'note' | 'out'>, done: readonly Spread[]): void {
  for (const { place, answer, error } of done) {
    const { server } = place;
    if (answer === null) note(`${server}: ${error?.message ?? 'no answer'}`);
    else if (answer.changes.length === 0) out(`${server}: nothing to change\n`);
    else for (const sentence of answer.changes) out(`${server}: ${escapeControls(sentence)}\n`);
  }
  for (const { place, answer } of done)
    for (const sentence of restNotes(answer?.extra ?? [], answer?.secondKeys ?? [])) note(`${place.server}: ${sentence}`);
  if (awayOf(done).length > 0) note('Give the same command again when the servers that are away are back');
}

export const DRIFT = defineCommand({
  call: { by: 'words', words: 'drift' },
  synopsis: `drift ${PLACE_SYNOPSIS}`,
  summary: 'says which servers differ from the file of the namespace',
  details: `The command compares each server with the file that was applied there last, and
the servers with one another: a server that was away has an older generation.
The client needs the right admin at each server. The exit code is 0 only if all
servers answer, have the same file, and differ from it in nothing.`,
  options: { ...PLACE_OPTIONS, json: JSON_OPTION },
  json: object({
    servers: list(
      object({
        ...NAMESPACE_SHOWN.form.fields,
        namespace: text(),
        applied: orNull(APPLIED_FILE, 'null: no file was applied, or the server does not answer'),
        error: orNull(text(), 'Why the server does not answer or tell'),
        isOlder: orNull(text(), 'Why its file is not the newest one; null: it is'),
      }),
    ),
  }),
  run: async (context, { server, namespace, json }) => {
    doorOf(context, { server, namespace });
    const places = await placesOf(context, { server, namespace });
    const asked = await askAll(context, places, 'namespace-show', {}, INVENTORY_WAIT_MS);
    const rows = asked.map(({ place, result, error }) => ({
      namespace: place.namespace,
      ...(result ?? { server: place.server, namespaceid: 0, applied: null, drift: [], extra: [], secondKeys: [] }),
      error: error?.message ?? null,
      isOlder: olderText(
        result,
        asked.filter((other) => other.place.namespace === place.namespace).map((other) => other.result),
      ),
    }));
    const isEqual = rows.every(
      ({ applied, drift, extra, error, isOlder }) =>
        applied !== null && drift.length + extra.length === 0 && error === null && isOlder === null,
    );
    const code = isEqual ? 0 : 1;
    if (json) return printJson(context, { servers: rows }) ?? code;
    context.out(driftTable(rows));
    for (const name of new Set(rows.map((row) => row.namespace))) {
      const known = rows.filter((row) => row.namespace === name && row.error === null);
      if (known.length > 0 && known.every(({ applied }) => applied === null))
        context.note(`No file of namespace ${name} was applied yet: rsconfig apply FILE applies one (rsio-namespace(5))`);
    }
    for (const row of rows) {
      for (const sentence of row.drift) context.note(`${row.server}: applying the file again: ${sentence}`);
      for (const sentence of restNotes(row.extra, row.secondKeys)) context.note(`${row.server}: ${sentence}`);
      if (row.isOlder !== null) context.note(`${row.server}: ${row.isOlder}`);
      if (row.error !== null) context.note(`${row.server}: ${row.error}`);
    }
    return code;
  },
});

interface Row extends NamespaceShown {
  readonly namespace: string;
  readonly error: string | null;
}

function driftTable(rows: readonly Row[]): string {
  const cells = rows.map(({ namespace, server, applied, drift, extra, error }) => [
    `${namespace}/${server}`,
    applied === null ? '-' : String(applied.generation),
    applied?.hash ?? '-',
    applied === null ? '-' : formatTime(applied.atMs),
    applied?.by ?? '-',
    error === null && applied !== null ? String(drift.length + extra.length) : '-',
  ]);
  return toText(alignColumns(['SERVER', '>GENERATION', 'FILE', 'APPLIED', 'BY', '>DIFFERENCES'], cells));
}
