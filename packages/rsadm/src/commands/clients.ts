// The commands about clients: who may connect, with which key and rights, and who is connected. Invariant: a key appears in the output only
// once, when it is made; no error shows a key.

import { KEY_NEW_CHARS } from '@rsio/common/config/schema/limits';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { newKey } from '@rsio/common/cli/new-key';
import { addClient, changeRights, removeClient, setRights } from '@rsio/common/config/rssrvcfg-edit';
import { object, text } from '@rsio/common/control/shape';
import { SERVER_METHODS } from '@rsio/common/control/server-methods';
import { defineCommand } from '../cli/context.ts';
import { changeServerFile } from '@rsio/common/manage/server-file';
import { clientsTable, NO_CLIENT } from '@rsio/common/manage/server-tables';

const COMPLETES_CLIENTS = `"\${ask[@]}" client list | tail -n +2 | cut -d' ' -f1`;

export const CLIENT_LIST = defineCommand({
  call: { by: 'words', words: 'client list' },
  synopsis: 'client list',
  summary: 'lists clients, what they may do and what they hold',
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['client-list'].result,
  run: async (context, { json }) => {
    const answer = await context.call('client-list', {});
    if (json) return printJson(context, answer);
    if (answer.clients.length === 0) context.note(NO_CLIENT);
    else context.out(clientsTable(answer.clients));
    return undefined;
  },
});

export const CLIENT_ADD = defineCommand({
  call: { by: 'words', words: 'client add' },
  synopsis: 'client add NAME [--rights R]',
  summary: 'lets a client connect, and prints its new key',
  details: `The key has ${KEY_NEW_CHARS} characters. Give it to rsconfig join on the client, for example
through --key-file. R is use (default), admin, or manage with pool= and limit=,
such as "manage pool=fast limit=500g".`,
  options: { rights: { kind: 'text', value: 'R', help: 'what the client may do, as in [rights] of rssrvcfg(5)' }, json: JSON_OPTION },
  json: object({ name: text(), key: text('Its new key; shown only here') }),
  operands: { min: 1, max: 1 },
  run: async (context, { rights, json }, [name = '']) => {
    const key = newKey();
    // Only the key goes to stdout, so that a script can take it from there.
    await changeServerFile(context, (document) => setRights(addClient(document, name, key), name, rights), context.note);
    if (json) return printJson(context, { name, key });
    context.out(`${key}\n`);
    return undefined;
  },
});

export const CLIENT_RIGHTS = defineCommand({
  call: { by: 'words', words: 'client rights' },
  synopsis: 'client rights NAME R',
  summary: 'changes what a client may do',
  details: `R is use, admin, or manage with pool= and limit=, such as "manage pool=fast
limit=500g". The command takes effect at once.`,
  options: {},
  operands: { min: 2, max: 4 },
  completes: COMPLETES_CLIENTS,
  run: async (context, _, [name = '', ...rights]) => {
    await changeServerFile(context, (document) => changeRights(document, name, rights.join(' ')));
    return undefined;
  },
});

export const CLIENT_REMOVE = defineCommand({
  call: { by: 'words', words: 'client remove' },
  synopsis: 'client remove NAME',
  summary: 'removes a client; its session ends, its holds stay',
  options: {},
  operands: { min: 1, max: 1 },
  completes: COMPLETES_CLIENTS,
  run: async (context, _, [name = '']) => {
    await changeServerFile(context, (document) => removeClient(document, name));
    return undefined;
  },
});
