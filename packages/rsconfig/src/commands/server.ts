// Implements `server add`, `server list` and `server remove`, which edit and list the [server] sections in the client's configuration file.
// Each section describes one interface of a server. Invariants: if the server could belong to any of several namespaces, the command reports
// an error instead of choosing one. Without --force, no server is removed that a volume or a mirror needs.

import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import { addServer, namespacesWith, removeConfigSection } from '@rsio/common/config/rscltcfg-edit';
import { openConfigFile } from '@rsio/common/config/config-file';
import { loadRscltConfig } from '@rsio/common/config/load-config';
import { printIni } from '@rsio/common/config/reader/ini-document';
import { examineRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { RsError } from '@rsio/base/lib/errors';
import { JSON_OPTION, listed, printJson } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { defineCommand, usageError } from '../cli/context.ts';
import { changeConfig, givenKeys, RELOAD_OPTION } from '../cli/config-edit.ts';
import { SERVER_SECTIONS_SHAPE } from '../cli/json-shapes.ts';
import { givenKey, keyFileOption, keyOption } from '../cli/key-input.ts';
import { runningNamespaces, type SectionRow, sectionRows, usesOf } from './server-uses.ts';

const NAMESPACE = {
  kind: 'text',
  value: 'N',
  help: 'namespace of the server; required only if rscltcfg has\nseveral namespaces to choose from',
} as const;

export const SERVER_ADD = defineCommand({
  call: { by: 'words', words: 'server add' },
  synopsis: `server add NAME ADDRESS [--namespace N] [--port P]
[--serverkey-file F|-] [--reload]`,
  summary: 'adds a server interface to rscltcfg',
  details: `NAME is a label in rscltcfg for one interface of a server, such as big-9-1 or
big-9-2. rsiod learns the other interfaces of a server from the server itself.`,
  options: {
    namespace: NAMESPACE,
    port: { kind: 'text', value: 'P', help: 'port of the servers; default: the port that rscltcfg sets,\nelse 5000' },
    serverkey: keyOption('key by which the server proves its identity'),
    'serverkey-file': keyFileOption('key by which the server proves its identity'),
    reload: RELOAD_OPTION,
  },
  operands: { min: 2, max: 2 },
  run: async (context, options, [name = '', address = '']) => {
    const serverkey = await givenKey(context, 'serverkey', options.serverkey, options['serverkey-file']);
    const keys = givenKeys({ address, port: options.port, serverkey });
    const edit = (document: IniDocument): IniDocument =>
      addServer(document, options.namespace ?? onlyNamespace(document, null), name, keys);
    await changeConfig(context, edit, `server ${name} added`, options.reload);
    return 0;
  },
});

export const SERVER_LIST = defineCommand({
  call: { by: 'words', words: 'server list' },
  synopsis: 'server list',
  summary: 'lists the servers in rscltcfg',
  details: `SECTION is the name in rscltcfg, SERVER and ID are what the server says of
itself. If rsiod does not run, the command shows what rsiod knew last.`,
  options: { json: JSON_OPTION },
  json: SERVER_SECTIONS_SHAPE,
  operands: { min: 0, max: 0 },
  run: async (context, { json }) => {
    const running = await runningNamespaces(context);
    const rows = await sectionRows(context, loadRscltConfig(context.configFile), running);
    if (json) return printJson(context, { servers: rows });
    if (running === null) context.note('rsiod is not running: SERVER and ID are what it knew last');
    const cells = rows.map(({ namespace, section, address, server, serverid, state }) => {
      return [namespace, section, address, server ?? '-', serverid === null ? '-' : String(serverid), state ?? '-'];
    });
    if (rows.length === 0) context.note('The file has no server: rsconfig join HOST adds one');
    else context.out(toText(alignColumns(['NAMESPACE', 'SECTION', 'ADDRESS', 'SERVER', '>ID', 'STATE'], cells)));
    return 0;
  },
});

export const SERVER_REMOVE = defineCommand({
  call: { by: 'words', words: 'server remove' },
  synopsis: 'server remove NAME [--namespace N] [--reload] [--force]',
  summary: 'removes a server, or an interface of it, from rscltcfg',
  details: `NAME is a section, or the name of a server, all of whose sections are then
removed. The last section of a server is removed only if this client does not
need the server: no volume is attached from it, and no mirror has a replica or a
witness there. With --force, such a volume waits, and a mirror lacks the
replica, until the server is added again.`,
  options: { namespace: NAMESPACE, reload: RELOAD_OPTION, force: { kind: 'flag', help: 'also if volumes or mirrors need the server' } },
  operands: { min: 1, max: 1 },
  completes: `sed -n 's/^\\s*\\[server \\(.*\\)\\].*/\\1/p' "$config"`,
  run: async (context, { namespace: given, reload, force }, [name = '']) => {
    const { document } = openConfigFile(context.configFile);
    const running = await runningNamespaces(context);
    const { config } = examineRscltConfig(printIni(document), context.configFile);
    const rows = config === null ? [] : await sectionRows(context, config, running);
    const named = rows.filter((one) => one.server === name && (given === null || one.namespace === given));
    const isSection = namespacesWith(document, name).length > 0;
    const namespace = given ?? (isSection ? null : named[0]?.namespace) ?? onlyNamespace(document, name);
    const doomed = isSection ? [name] : named.filter((one) => one.namespace === namespace).map(({ section }) => section);
    const isDoomed = (one: SectionRow): boolean => one.namespace === namespace && doomed.includes(one.section);
    const server = rows.find(isDoomed);
    const isLast = !rows.some((one) => one.namespace === namespace && one.serverid === server?.serverid && !isDoomed(one));
    const home = running?.find((one) => one.name === namespace);
    if (running === null) context.note('rsiod is not running: whether a volume needs the server is not known');
    const uses =
      home === undefined || server === undefined || server.serverid === null || !isLast ? [] : await usesOf(context, home, server);
    if (uses.length > 0 && !force) {
      throw new RsError(
        'E_IN_USE',
        `Server ${server?.server ?? name} is needed: ${uses.join('; ')}. Detach the volumes (rsconfig -d), and give the mirrors another server ` +
          '(rsconfig mirror replace, rsconfig mirror witness); or give --force, and they go without it',
      );
    }
    const edit = (text: IniDocument): IniDocument =>
      (doomed.length === 0 ? [name] : doomed).reduce(
        (left, one) => removeConfigSection(left, { type: 'server', namespace, name: one }),
        text,
      );
    await changeConfig(context, edit, `server ${name} removed`, reload);
    for (const use of uses) context.note(`Until server ${server?.server ?? name} is added again, they go without it: ${use}`);
    return 0;
  },
});

/** Returns the only namespace in the file or, if `server` is given, the only namespace that has this server. Throws E_USAGE. */
function onlyNamespace(document: IniDocument, server: string | null): string {
  const [namespace, ...others] = namespacesWith(document, server);
  if (namespace === undefined && server === null) throw usageError('No namespace in the file: add one with rsconfig namespace add');
  if (namespace === undefined) throw usageError(`No section [server ${server}] in the file: ${presentServers(document)}`);
  if (others.length === 0) return namespace;
  const names = listed([namespace, ...others], 'and');
  throw usageError(`${server === null ? 'There are namespaces' : `Server ${server} is in namespaces`} ${names}: give --namespace N`);
}

function presentServers({ sections }: IniDocument): string {
  const names = sections.flatMap(({ type, name }) => (type === 'server' && name !== null ? [name] : []));
  return names.length === 0 ? 'there is no [server] section' : `there are ${listed([...new Set(names)], 'and')}`;
}
