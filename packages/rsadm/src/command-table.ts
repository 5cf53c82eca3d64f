// The table of all commands of rsadm, in groups, in the order in which the help lists them. A command that is one call of rssrv is in the
// entry of the method (packages/api/src/rssrv), and this table names the method. Any other command is a file in commands/.

import { completionCommand } from '@rsio/common/cli/completion-command';
import { listed, shownCall } from '@rsio/common/cli/command';
import { CommandLine, type CommandTable } from '@rsio/common/cli/command-line';
import { WHICH_ONE } from '@rsio/api/manage/which-one';
import type { ServerMethodName } from '@rsio/api/rssrv/server-methods';
import type { AdmCommand, AdmContext } from './cli/context.ts';
import { APPLIANCE_APPLY, APPLIANCE_BACK, APPLIANCE_CONFIRM, APPLIANCE_RESTORE } from './commands/appliance.ts';
import { APPLIANCE_SAVE, APPLIANCE_SHOW, APPLIANCE_UPGRADE } from './commands/appliance.ts';
import { CLIENT_ADD, CLIENT_LIST, CLIENT_REMOVE, CLIENT_RENAME, CLIENT_RIGHTS, CLIENT_SET } from './commands/clients.ts';
import { CLIENT_REKEY } from './commands/client-keys.ts';
import { GROUP_COMMANDS } from './commands/control-group.ts';
import { APPLY } from './commands/apply.ts';
import { EVENTS } from './commands/events.ts';
import { CHECK, INIT } from './commands/file.ts';
import { IDENTITY_NEW, RENAME } from './commands/identity.ts';
import { INTERFACE_ADD, INTERFACE_LIST, INTERFACE_REMOVE } from './commands/interfaces.ts';
import { NAMESPACE_SET, NAMESPACE_SHOW } from './commands/namespace.ts';
import { FARM_BALANCE } from './commands/farm.ts';
import { PEER_ADD, PEER_REMOVE } from './commands/peers.ts';
import { POOL_ADD, POOL_REMOVE, POOL_SET } from './commands/pools.ts';
import { PROGRESS_COMMAND } from './commands/progress.ts';
import { STATS } from './commands/stats.ts';
import { STATUS } from './commands/status.ts';
import { SUPPORT } from './commands/support.ts';
import { commandOf, VOLUME_COMMANDS } from './commands/volumes.ts';

/** A method stands for the command that follows from its entry. */
const LISTED: readonly (readonly [heading: string, commands: readonly (AdmCommand | ServerMethodName)[]])[] = [
  [
    'Server',
    [
      ...[STATUS, STATS, PROGRESS_COMMAND, EVENTS],
      ...(['audit', 'reload', 'readiness'] as const),
      ...[SUPPORT, CHECK, INIT, RENAME, IDENTITY_NEW, ...GROUP_COMMANDS],
    ],
  ],
  ['Network', [INTERFACE_LIST, INTERFACE_ADD, INTERFACE_REMOVE, NAMESPACE_SHOW, NAMESPACE_SET, APPLY, 'namespace-show']],
  [
    'Pools',
    ['pool-list', POOL_ADD, POOL_SET, 'pool-move', 'pool-grow', 'pool-release', POOL_REMOVE, 'pool-check', 'farm-show', FARM_BALANCE],
  ],
  ['Volumes', VOLUME_COMMANDS],
  [
    'Clients',
    [
      ...[CLIENT_LIST, CLIENT_ADD, CLIENT_RENAME, CLIENT_RIGHTS, CLIENT_SET, CLIENT_REKEY],
      ...(['client-kick', 'client-fence', 'client-unfence', 'client-release'] as const),
      CLIENT_REMOVE,
    ],
  ],
  ['Mirrors', ['witness-list', 'witness-remove']],
  ['Peers', ['peer-list', PEER_ADD, PEER_REMOVE]],
  [
    'Appliance',
    [...[APPLIANCE_SHOW, APPLIANCE_UPGRADE, APPLIANCE_BACK, APPLIANCE_SAVE, APPLIANCE_RESTORE], ...[APPLIANCE_APPLY, APPLIANCE_CONFIRM]],
  ],
  ['Shell', [completionCommand('rsadm', '/etc/dvsc/rssrvcfg', () => COMMANDS)]],
];

const GROUPS = LISTED.map(
  ([heading, commands]) => [heading, commands.map((one) => (typeof one === 'string' ? commandOf(one) : one))] as const,
);

export const COMMANDS: readonly AdmCommand[] = GROUPS.flatMap(([, commands]) => commands);

/** First words of the commands, such as `volume`. */
const FIRST_WORDS = [...new Set(COMMANDS.map(({ call }) => shownCall(call).split(' ')[0] ?? ''))];

export const COMMAND_TABLE: CommandTable<AdmContext> = {
  program: 'rsadm',
  groups: GROUPS,
  introduction: [
    'Administers rssrv on this machine. A volume NAME is oracle or oracle@1.',
    'For more on a command: rsadm COMMAND --help, such as rsadm pool add --help.',
  ],
  guides: { volume: WHICH_ONE },
  first: STATUS,
  strayOperand: 'this command takes no names',
  unknownWord: () => `the commands begin with ${listed(FIRST_WORDS, 'or')}`,
};

export const COMMAND_LINE = new CommandLine(COMMAND_TABLE);
