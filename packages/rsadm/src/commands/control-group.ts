// The commands for the group whose members may query rssrv. The commands read and edit rssrvcfg, so that they work without a running
// rssrv. Invariant: a group that does not exist is never written to the file.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { CONTROL_GROUP } from '@rsio/common/config/control-group';
import { loadRssrvConfig } from '@rsio/common/config/load-config';
import { changeServerSection } from '@rsio/common/config/rssrvcfg-edit';
import { object, orNull, text } from '@rsio/base/lib/shape';
import { groupId, groupMissingText } from '@rsio/base/files/groups';
import { RsError } from '@rsio/base/lib/errors';
import { changeServerFile } from '@rsio/api/manage/server-file';
import { defineCommand } from '../cli/context.ts';

const NO_GROUP = '-';

export const CONTROL_GROUP_SHOW = defineCommand({
  call: { by: 'words', words: 'control-group show' },
  synopsis: 'control-group show',
  summary: 'shows the group whose members may view the server',
  details: `Members of the group may run the commands that only show something, such as
status.`,
  options: { json: JSON_OPTION },
  json: object({ group: orNull(text(), 'null: only the user of rssrv may open a control socket') }),
  run: async (context, { json }) => {
    const group = loadRssrvConfig(context.configFile).server.controlGroup?.name ?? null;
    if (json) return printJson(context, { group });
    context.out(`${group ?? 'no group: rsadm control-group set NAME lets the members of a group read'}\n`);
    return undefined;
  },
});

export const CONTROL_GROUP_SET = defineCommand({
  call: { by: 'words', words: 'control-group set' },
  synopsis: 'control-group set NAME',
  summary: 'lets the members of a group view the server',
  details: `rssrv opens a second control socket for the members of the group. This socket
answers commands that only show something, and refuses every change. NAME must
be in /etc/group. With the name ${NO_GROUP}, no group may view the server.`,
  options: {},
  operands: { min: 1, max: 1 },
  run: async (context, _options, [name = NO_GROUP]) => {
    const group = name === NO_GROUP ? null : name;
    if (group !== null && groupId(group) === undefined)
      throw new RsError('E_CONFIG', groupMissingText(CONTROL_GROUP, JSON.stringify(group).slice(1, -1)), { group });
    await changeServerFile(context, (document) => changeServerSection(document, 'server', null, [[CONTROL_GROUP, group]]));
    return undefined;
  },
});
