// reload: a running rsiod reads its file anew, as with SIGHUP, but says what it took of it, or why nothing.
// Leaves what may change under way to the daemon.

import { defineCommand, JSON_OPTION } from '../command.ts';
import { reloadDaemon } from '../config-edit.ts';
import { printJson } from './command-context.ts';

export const RELOAD = defineCommand({
  call: { by: 'words', words: 'reload' },
  synopsis: 'reload',
  summary: 'makes a running rsiod read the file',
  details: `Prints a line for each change. A file with a fault, or a change that needs a
restart, is refused as a whole, and rsiod goes on as it was.`,
  options: { json: JSON_OPTION },
  operands: { min: 0, max: 0 },
  run: async (context, { json }) => {
    if (json) return printJson(context, await context.call('reload', {}));
    await reloadDaemon(context);
    return 0;
  },
});
