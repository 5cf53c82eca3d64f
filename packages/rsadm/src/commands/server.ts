// Implements the commands `reload` and `ready-to-restart`; status.ts implements `status`.
// Invariant: the commands themselves change nothing; rssrv applies the file, and judges whether it may be restarted.

import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { escapeControls } from '@rsio/base/lib/printable';
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

export const READY_TO_RESTART = defineCommand({
  call: { by: 'words', words: 'ready-to-restart' },
  synopsis: 'ready-to-restart',
  summary: 'says whether this server may be restarted now',
  details: `The exit code is 0 if the server is ready, and 1 if not. A server is not ready
while a mirror has all its writes on this server alone, no other server would
take a shared pool that it serves, a job is open, a change is in progress, or a
client has not yet sent again what the storage may have lost. Clients of the
other volumes wait during a restart, as always, and get no error. To restart the
servers of a namespace one after the other, see rsconfig servers.`,
  options: { json: JSON_OPTION },
  json: SERVER_METHODS.readiness.result,
  run: async (context, { json }) => {
    const answer = await context.call('readiness', {});
    const { server, isReady, reasons, warnings } = answer;
    const code = isReady ? 0 : 1;
    if (json) return printJson(context, answer) ?? code;
    context.out(`${escapeControls(server)} ${isReady ? 'may be restarted' : 'must not be restarted now'}\n`);
    for (const { text } of reasons) context.out(`${escapeControls(text)}\n`);
    for (const warning of warnings) context.note(warning);
    return code;
  },
});
