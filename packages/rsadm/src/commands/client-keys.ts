// Implements the command that changes the key of a client in steps. Between the steps, the server accepts both keys, so that the client is
// never locked out. Invariant: the new key appears only once, in the output of the first step; no log line, error or list shows a key.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { object, orNull, text } from '@rsio/common/lib/shape';
import { rekeyClient } from '@rsio/common/manage/client-rekey';
import { defineCommand, usageError } from '../cli/context.ts';

export const CLIENT_REKEY = defineCommand({
  call: { by: 'words', words: 'client rekey' },
  synopsis: 'client rekey NAME [--finish | --cancel] [--force]',
  summary: 'changes the key of a client without shutting it out',
  details: `In three steps:
  1. rsadm client rekey NAME prints a new key. Both keys are then valid.
  2. On the client, rsconfig namespace set NAMESPACE --nodekey-file F --reload
     writes the new key to /etc/rscltcfg. On the server, rsadm client kick NAME
     makes the client reconnect with the new key.
  3. rsadm client rekey NAME --finish drops the old key. The command is refused
     while a session uses the old key; --force ends the session.
rsadm client list shows which key the session uses. --cancel drops the new key
instead. Only the key goes to stdout, so that it can be written to a file.`,
  options: {
    finish: { kind: 'flag', help: 'drop the old key' },
    cancel: { kind: 'flag', help: 'drop the new key, and keep the old one' },
    force: { kind: 'flag', help: 'drop the key even if it ends the session of the client' },
    json: JSON_OPTION,
  },
  json: object({ name: text(), key: orNull(text('The new key; shown only here, by the first step')) }),
  operands: { min: 1, max: 1 },
  completes: `"\${ask[@]}" client list | tail -n +2 | cut -d' ' -f1`,
  run: async (context, { finish, cancel, force, json }, [name = '']) => {
    if (finish && cancel) throw usageError('--finish and --cancel exclude each other: give one of them');
    const drops = finish || cancel;
    if (force && !drops) throw usageError('--force belongs to --finish or --cancel');
    const key = await rekeyClient(context, name, finish ? 'finish' : cancel ? 'cancel' : 'start', force);
    if (json) return printJson(context, { name, key });
    if (key !== null) context.out(`${key}\n`);
    return undefined;
  },
});
