// Makes this server say what the file of the namespace says. Invariant: no output contains a key.

import { NAMESPACE_METHODS, restNotes } from '@rsio/api/rssrv/namespace-methods';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { loadNamespace } from '@rsio/common/config/load-namespace';
import { warningSentences } from '@rsio/common/config/load-config';
import { escapeControls } from '@rsio/base/lib/printable';
import { defineCommand } from '../cli/context.ts';

export const APPLY = defineCommand({
  call: { by: 'words', words: 'apply' },
  synopsis: 'apply FILE [--plan] [--prune]',
  summary: 'makes this server say what the file of the namespace says',
  details: `FILE says what all servers of a namespace have in common: clients with keys,
rights and limits, peers, and settings of [namespace] (rsio-namespace(5)). The
command changes rssrvcfg as a whole or not at all, and prints a line for each
change. A client whose key differs has both keys until it uses the new one; the
command, given again, then ends the old one. What only this server has stays
without --prune. rsconfig apply does the same at all servers.`,
  options: {
    plan: { kind: 'flag', help: 'only say what would change' },
    prune: { kind: 'flag', help: 'also remove clients and peers that FILE does not name' },
    json: JSON_OPTION,
  },
  json: NAMESPACE_METHODS['namespace-apply'].result,
  operands: { min: 1, max: 1 },
  completes: 'files',
  run: async (context, { plan, prune, json }, [file = '']) => {
    const { text, hash, warnings } = loadNamespace(file);
    for (const sentence of warningSentences(warnings)) context.note(sentence);
    const { applied, secondKeys } = await context.call('namespace-show', {});
    const generation = applied === null ? 1 : applied.hash === hash ? applied.generation : applied.generation + 1;
    // This server is the only one that the command knows.
    const endKeys = secondKeys.filter(({ isProven }) => isProven).map(({ client }) => client);
    const answer = await context.call('namespace-apply', { text, plan, part: false, clients: 'any', prune, endKeys, generation });
    if (json) return printJson(context, answer);
    for (const sentence of answer.changes) context.out(`${escapeControls(sentence)}\n`);
    if (answer.changes.length === 0) context.note(`Nothing to change: ${answer.server} is as ${file} says`);
    else if (plan) context.note('Nothing was changed: rsadm apply without --plan does it');
    for (const sentence of restNotes(answer.extra, answer.secondKeys)) context.note(sentence);
    return undefined;
  },
});
