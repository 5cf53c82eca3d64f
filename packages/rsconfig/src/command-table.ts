// THE table of commands, in the order of the help. A new command is a file in commands/ and a line here.
// What a command is stands in command.ts.

import type { Command } from './command.ts';
import { ATTACH, DETACH } from './commands/attach.ts';
import { TEST } from './commands/test-path.ts';
import { EVENTS, LOCAL, QUERY, STATS, STATUS } from './commands/views.ts';
import { WATCH } from './commands/watch.ts';

export const COMMANDS: readonly Command[] = [LOCAL, QUERY, ATTACH, DETACH, STATUS, STATS, TEST, EVENTS, WATCH];
