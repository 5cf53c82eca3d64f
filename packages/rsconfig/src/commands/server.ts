// Implements `server add` and `server remove`, which edit the [server] sections in the client's configuration file. Each section describes
// one interface of a server. Invariant: if the server could belong to any of several namespaces, the command reports an error instead of
// choosing one.

import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import { addServer, namespacesWith, removeConfigSection } from '@rsio/common/config/rscltcfg-edit';
import { listed } from '@rsio/common/cli/command';
import { defineCommand, usageError } from '../cli/context.ts';
import { changeConfig, givenKeys, RELOAD_OPTION } from '../cli/config-edit.ts';
import { givenKey, keyFileOption, keyOption } from '../cli/key-input.ts';

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

export const SERVER_REMOVE = defineCommand({
  call: { by: 'words', words: 'server remove' },
  synopsis: 'server remove NAME [--namespace N] [--reload]',
  summary: 'removes a server interface from rscltcfg',
  options: { namespace: NAMESPACE, reload: RELOAD_OPTION },
  operands: { min: 1, max: 1 },
  completes: `sed -n 's/^\\s*\\[server \\(.*\\)\\].*/\\1/p' "$config"`,
  run: async (context, { namespace, reload }, [name = '']) => {
    const edit = (document: IniDocument): IniDocument =>
      removeConfigSection(document, { type: 'server', namespace: namespace ?? onlyNamespace(document, name), name });
    await changeConfig(context, edit, `server ${name} removed`, reload);
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
