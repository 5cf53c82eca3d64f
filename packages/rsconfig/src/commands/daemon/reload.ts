// reload: a running rsiod reads its file anew, as with SIGHUP, but says what it took of it, or why nothing.
// Leaves what may change under way to the daemon.

import { CONTROL_METHODS } from '@rsio/common/control/methods';
import { defineCommand, JSON_OPTION, WAIT_OPTION } from '../../cli/command.ts';
import { reloadDaemon } from '../../cli/config-edit.ts';
import { printJson } from '../../cli/command-context.ts';
import { pathsUp } from './path-waiting.ts';

export const RELOAD = defineCommand({
  call: { by: 'words', words: 'reload' },
  synopsis: 'reload [--wait[=T]]',
  summary: 'makes a running rsiod reload the file',
  details: `Prints one line for each change. A file with a fault is refused as a whole, and
so is a change that needs a restart; rsiod then keeps its configuration. --wait
then waits until every path is up; the exit code is 1 if a path is not up in
time.`,
  options: { wait: WAIT_OPTION, json: JSON_OPTION },
  json: CONTROL_METHODS.reload.result,
  operands: { min: 0, max: 0 },
  run: async (context, { wait, json }) => {
    if (json) printJson(context, await context.call('reload', {}));
    else await reloadDaemon(context);
    return wait === null || (await pathsUp(context, wait)) ? 0 : 1;
  },
});
