// Implements the command `reload`; status.ts implements `status`.
// Invariant: the command itself changes nothing; rssrv applies the file.

import { SERVER_METHODS } from '@rsio/common/control/server/server-methods';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { escapeControls } from '@rsio/common/lib/printable';
import { defineCommand } from '../cli/context.ts';

export const RELOAD = defineCommand({
  call: { by: 'words', words: 'reload' },
  synopsis: 'reload',
  summary: 'makes rssrv read its configuration file again',
  options: { json: JSON_OPTION },
  json: SERVER_METHODS.reload.result,
  run: async (context, { json }) => {
    const answer = await context.call('reload', {});
    if (json) return printJson(context, answer);
    for (const sentence of answer.applied) context.out(`${escapeControls(sentence)}\n`);
    if (answer.applied.length === 0) context.note(`rssrv already uses this ${context.configFile}: nothing in it has changed`);
    return undefined;
  },
});
