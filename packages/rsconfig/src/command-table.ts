// The table of all commands, in groups, in the order in which the help lists them. A command that is one call of rsiod or rsapp is in the
// entry of the method (packages/api), and this table names the method. Any other command is a file in commands/.

import { completionCommand } from '@rsio/common/cli/completion-command';
import { CommandLine, type CommandTable } from '@rsio/common/cli/command-line';
import { WHICH_ONE } from '@rsio/api/manage/which-one';
import { rsappCommand, rsiodCommand } from './commands/client-commands.ts';
import type { CommandContext, ConfigCommand } from './cli/context.ts';
import { CHECK } from './commands/check.ts';
import { SEND } from './commands/events/send.ts';
import { WAIT_EVENT } from './commands/events/wait-event.ts';
import { IDENTITY_NEW } from './commands/identity.ts';
import { INTERFACE_ADD, INTERFACE_LIST, INTERFACE_REMOVE } from './commands/interface.ts';
import { NAMESPACE_ADD, NAMESPACE_REMOVE, NAMESPACE_SET } from './commands/namespace.ts';
import { SERVER_ADD, SERVER_LIST, SERVER_REMOVE } from './commands/server.ts';
import { KEY_NEW } from './commands/key-new.ts';
import { RELOAD, RESTART, STOP } from './commands/daemon-lifecycle.ts';
import { EVENTS, LOCAL, QUERY, STATS, STATUS } from './commands/daemon-views.ts';
import { EXPLORE } from './commands/explore.ts';
import { FARM } from './commands/farm.ts';
import { POOL_LIST } from './commands/pools.ts';
import { APPLY, DRIFT } from './commands/namespace-file/apply.ts';
import { CLIENT_ADD, CLIENT_REKEY, CLIENT_REMOVE, CLIENT_RENAME, CLIENT_RIGHTS, CLIENT_SET } from './commands/namespace-file/clients.ts';
import { SERVERS } from './commands/servers.ts';
import { GATE_ADD, GATE_LIST, GATE_REMOVE, GATE_SECRET, GATE_SHOW } from './commands/gate.ts';
import { TEST } from './commands/test-path.ts';
import { VOLUME_COMMANDS } from './commands/server-volumes/commands.ts';
import { MIRROR_WITNESS } from './commands/mirrors/witness.ts';
import { MIRROR_FORCE } from './commands/mirrors/force.ts';
import { MIRROR_CREATE } from './commands/mirrors/create.ts';
import { MIRROR_VERIFY } from './commands/mirrors/verify.ts';
import { AUDIT } from './commands/server-volumes/audit.ts';
import { ATTACH, DETACH } from './commands/attach.ts';
import { SUPPORT } from './commands/overview/support.ts';
import { SWITCH } from './commands/switch.ts';
import {
  APP_ADD,
  APP_DISABLE,
  APP_ENABLE,
  APP_MOVE,
  APP_REMOVE,
  APP_SHOW,
  APP_START,
  APP_STOP,
  NODE_DRAIN,
} from './commands/applications.ts';
import { BACKUP } from './commands/backups/backup.ts';
import { RESTORE } from './commands/backups/restore.ts';
import { BACKUP_RUN } from './commands/backups/run.ts';
import { BACKUP_VERIFY } from './commands/backups/verify.ts';
import { MOUNT } from './commands/mounts/mount.ts';
import { UMOUNT } from './commands/mounts/umount.ts';
import { PEER_ADD } from './commands/namespace-file/peers.ts';
import { IMPACT } from './commands/overview/impact.ts';
import { PROGRESS_COMMAND } from './commands/overview/progress.ts';
import { WATCH } from './commands/watch/watch.ts';
import { DOCTOR } from './commands/doctor.ts';
import { JOIN } from './commands/join.ts';

/** Groups of commands, each with its heading, as `rsconfig --help` lists them. */
export const GROUPS: readonly (readonly [heading: string, commands: readonly ConfigCommand[]])[] = [
  ['Volumes', [LOCAL, QUERY, ATTACH, DETACH, SWITCH]],
  ['Volumes of the servers', [...VOLUME_COMMANDS, POOL_LIST, FARM, SERVERS, PROGRESS_COMMAND, IMPACT]],
  [
    'Clients and settings of all servers',
    [APPLY, DRIFT, CLIENT_ADD, CLIENT_RIGHTS, CLIENT_SET, CLIENT_RENAME, CLIENT_REKEY, CLIENT_REMOVE, PEER_ADD],
  ],
  [
    'Mirrors',
    [
      MIRROR_CREATE,
      rsiodCommand('mirrors'),
      rsiodCommand('mirror-grow'),
      rsiodCommand('mirror-add'),
      rsiodCommand('mirror-detach'),
      rsiodCommand('mirror-replace'),
      MIRROR_WITNESS,
      MIRROR_VERIFY,
      rsiodCommand('mirror-remove'),
      MIRROR_FORCE,
    ],
  ],
  ['Backups', [BACKUP, BACKUP_RUN, BACKUP_VERIFY, RESTORE, MOUNT, UMOUNT]],
  [
    'Applications that move',
    [rsappCommand('applications'), APP_SHOW, APP_ADD, APP_REMOVE, APP_START, APP_STOP, APP_MOVE, APP_ENABLE, APP_DISABLE, NODE_DRAIN],
  ],
  ['Scripts that coordinate', [WAIT_EVENT, SEND]],
  ['Gates for hosts without rsiod', [GATE_ADD, GATE_REMOVE, GATE_LIST, GATE_SHOW, GATE_SECRET]],
  ['Paths and diagnosis', [STATUS, STATS, TEST, EVENTS, AUDIT, WATCH, DOCTOR, SUPPORT]],
  ['Finding servers', [EXPLORE, JOIN]],
  [
    'Configuration file',
    [
      INTERFACE_ADD,
      INTERFACE_REMOVE,
      INTERFACE_LIST,
      NAMESPACE_ADD,
      NAMESPACE_SET,
      NAMESPACE_REMOVE,
      SERVER_ADD,
      SERVER_LIST,
      SERVER_REMOVE,
      CHECK,
      KEY_NEW,
      IDENTITY_NEW,
    ],
  ],
  ['Daemon', [RELOAD, RESTART, STOP]],
  ['Shell', [completionCommand('rsconfig', '/etc/rscltcfg', () => COMMANDS)]],
];

export const COMMANDS: readonly ConfigCommand[] = GROUPS.flatMap(([, commands]) => commands);

export const COMMAND_TABLE: CommandTable<CommandContext> = {
  program: 'rsconfig',
  groups: GROUPS,
  introduction: [
    'Controls rsiod and edits its configuration file. A volume NAME is oracle,',
    'osl:oracle or osl:oracle@0. Without NAME, -a and -d apply to all volumes.',
    'For more on a command: rsconfig COMMAND --help, such as rsconfig join --help.',
  ],
  guides: { volume: WHICH_ONE },
  first: LOCAL,
  strayOperand: 'only -a and -d take names',
  unknownWord: (word) => `to attach a volume of that name, use rsconfig -a ${word}`,
};

export const COMMAND_LINE = new CommandLine(COMMAND_TABLE);
