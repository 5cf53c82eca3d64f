// The commands for the groups whose members may use rssrv: control-group, operate-group and admin-group. The commands read and edit rssrvcfg,
// so that they work without a running rssrv. Invariant: a group that does not exist is never written to the file.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { loadRssrvConfig } from '@rsio/common/config/load-config';
import { changeServerSection } from '@rsio/common/config/rssrvcfg-edit';
import { LOCAL_ROLE_WORDS, type LocalRole } from '@rsio/common/config/schema/local-roles';
import { object, orNull, text } from '@rsio/base/lib/shape';
import { groupId, groupMissingText } from '@rsio/base/files/groups';
import { RsError } from '@rsio/base/lib/errors';
import { changeServerFile } from '@rsio/api/manage/server-file';
import { type AdmCommand, defineCommand } from '../cli/context.ts';

const NO_GROUP = '-';

interface Texts {
  /** What members do, after `the group whose members may` and `lets the members of a group`. */
  readonly may: string;
  readonly shown: string;
  readonly set: string;
}

const TEXTS: { readonly [R in LocalRole]: Texts } = {
  reader: {
    may: 'view the server',
    shown: `Members of the group may run the commands that only show something, such as
status.`,
    set: `rssrv opens a second control socket for the members of the group. This socket
answers commands that only show something, and refuses every change. NAME must
be in /etc/group. With the name ${NO_GROUP}, no group may view the server.`,
  },
  operator: {
    may: 'change volumes',
    shown: `Members of the group may run the commands that only show something, and make the
changes of a client with the right manage, in all pools.`,
    set: `rssrv opens a control socket for the members of the group. This socket answers
commands that only show something, and makes the changes of a client with the
right manage, in all pools. NAME must be in /etc/group. With the name ${NO_GROUP}, no
group may change volumes.`,
  },
  administrator: {
    may: 'do everything',
    shown: `Members of the group may do what root may do with rsadm, except edit rssrvcfg.`,
    set: `rssrv opens a control socket for the members of the group. This socket does what
rssrv does for root, also with files and devices of the server. NAME must be in
/etc/group. With the name ${NO_GROUP}, no group may do this.`,
  },
};

export const GROUP_COMMANDS: readonly AdmCommand[] = (['reader', 'operator', 'administrator'] as const).flatMap((role) => [
  showCommand(role),
  setCommand(role),
]);

function showCommand(role: LocalRole): AdmCommand {
  const { key } = LOCAL_ROLE_WORDS[role];
  const { may, shown } = TEXTS[role];
  return defineCommand({
    call: { by: 'words', words: `${key} show` },
    synopsis: `${key} show`,
    summary: `shows the group whose members may ${may}`,
    details: shown,
    options: { json: JSON_OPTION },
    json: object({ group: orNull(text(), 'null: rssrv has no control socket for such a group') }),
    run: async (context, { json }) => {
      const group = loadRssrvConfig(context.configFile).server.groups[role]?.name ?? null;
      if (json) return printJson(context, { group });
      context.out(`${group ?? `no group: rsadm ${key} set NAME lets the members of a group ${LOCAL_ROLE_WORDS[role].may}`}\n`);
      return undefined;
    },
  });
}

function setCommand(role: LocalRole): AdmCommand {
  const { key } = LOCAL_ROLE_WORDS[role];
  const { may, set } = TEXTS[role];
  return defineCommand({
    call: { by: 'words', words: `${key} set` },
    synopsis: `${key} set NAME`,
    summary: `lets the members of a group ${may}`,
    details: set,
    options: {},
    operands: { min: 1, max: 1 },
    run: async (context, _options, [name = NO_GROUP]) => {
      const group = name === NO_GROUP ? null : name;
      if (group !== null && groupId(group) === undefined)
        throw new RsError('E_CONFIG', groupMissingText(key, JSON.stringify(group).slice(1, -1)), { group });
      await changeServerFile(context, (document) => changeServerSection(document, 'server', null, [[key, group]]));
      return undefined;
    },
  });
}
