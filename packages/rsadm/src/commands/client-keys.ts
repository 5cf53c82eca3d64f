// Implements the command that changes the key of a client in steps. Between the steps, the server accepts both keys, so that the client is
// never locked out. Invariant: the new key appears only once, in the output of the first step; no log line, error or list shows a key.

import { firstColumnOf } from '@rsio/api/manage/derived';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { object, orNull, text } from '@rsio/base/lib/shape';
import { rekeyClient } from '@rsio/api/manage/client-rekey';
import { defineCommand, usageError } from '../cli/context.ts';
import { keyFrom } from '../cli/key-file.ts';

export const CLIENT_REKEY = defineCommand({
  call: { by: 'words', words: 'client rekey' },
  synopsis: 'client rekey NAME [--key-file F|- | --finish | --cancel] [--force]',
  summary: 'changes the key of a client without shutting it out',
  details: `A client has one key for all servers of a namespace. In four steps:
  1. rsadm client rekey NAME prints a new key at one server. At each further
     server, rsadm client rekey NAME --key-file F gives that key, and prints
     none. Both keys are then valid.
  2. On the client, rsconfig namespace set NAMESPACE --nodekey-file F --reload
     writes the new key to /etc/rscltcfg, once all servers accept it.
  3. At each server, rsadm client kick NAME makes the client reconnect with the
     new key.
  4. At each server, rsadm client rekey NAME --finish drops the old key. The
     command is refused unless a session uses the new key; --force ends the
     session, or shuts out a client that does not have the new key yet.
rsadm client list shows which key the session uses. --cancel drops the new key
instead. Only the key goes to stdout, so that it can be written to a file.`,
  options: {
    'key-file': { kind: 'text', value: 'F', help: 'file with the new key, from another server, or - for stdin' },
    finish: { kind: 'flag', help: 'drop the old key' },
    cancel: { kind: 'flag', help: 'drop the new key, and keep the old one' },
    force: { kind: 'flag', help: 'drop the key even if it shuts the client out' },
    json: JSON_OPTION,
  },
  json: object({ name: text(), key: orNull(text('The new key; shown only here, by the first step'), 'null: none was made') }),
  operands: { min: 1, max: 1 },
  completes: firstColumnOf('client list'),
  run: async (context, { 'key-file': file, finish, cancel, force, json }, [name = '']) => {
    if (finish && cancel) throw usageError('--finish and --cancel exclude each other: give one of them');
    const drops = finish || cancel;
    if (force && !drops) throw usageError('--force belongs to --finish or --cancel');
    if (file !== null && drops) throw usageError('--key-file belongs to the first step, without --finish and --cancel');
    const given = file === null ? null : keyFrom(file);
    const made = await rekeyClient(context, name, finish ? 'finish' : cancel ? 'cancel' : 'start', force, given);
    const key = given === null ? made : null;
    if (json) return printJson(context, { name, key });
    if (key !== null) context.out(`${key}\n`);
    return undefined;
  },
});
