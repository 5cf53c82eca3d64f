// THE table of commands, in the order of the help. A new command is a file in commands/ and a line here.

import type { Command } from './command.ts';
import { ATTACH, DETACH } from './commands/attach.ts';
import { EVENTS, LOCAL, QUERY, STATS, STATUS } from './commands/views.ts';

export const COMMANDS: readonly Command[] = [LOCAL, QUERY, ATTACH, DETACH, STATUS, STATS, EVENTS];
