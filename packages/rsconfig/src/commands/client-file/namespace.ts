// Implements `namespace add` and `namespace remove`, which edit the namespaces in the client's configuration file. Removing a namespace
// also removes its servers and volumes. `namespace add` requires the id of the namespace, whereas `join` asks the servers for the id.

import { addNamespace, removeConfigSection } from '@rsio/common/config/rscltcfg-edit';
import { defineCommand, usageError } from '../../cli/context.ts';
import { changeConfig, givenKeys, RELOAD_OPTION } from '../../cli/config-edit.ts';
import { givenKey, keyFileOption, keyOption } from '../../cli/key-input.ts';

export const NAMESPACE_ADD = defineCommand({
  call: { by: 'words', words: 'namespace add' },
  synopsis: `namespace add NAME --id N --nodename N --nodekey-file F|-
[--namespacekey-file F|-] [--port P] [--reload]`,
  summary: 'adds a namespace to rscltcfg',
  details: `NAME is only a label in rscltcfg. The number given with --id is the namespaceid
that all servers of the namespace share. The servers list the nodename and the
nodekey of this machine under [clients]. To add servers, use rsconfig server
add, or use rsconfig join, which also finds them. If rscltcfg does not exist,
the command creates it.`,
  options: {
    id: { kind: 'text', value: 'N', help: 'number of the namespace' },
    nodename: { kind: 'text', value: 'N', help: 'name of this machine, listed under [clients] on the servers' },
    nodekey: keyOption('key of this machine, listed under [clients] on the servers'),
    'nodekey-file': keyFileOption('key of this machine, listed under [clients] on the servers'),
    namespacekey: keyOption('key that signs exploration messages'),
    'namespacekey-file': keyFileOption('key that signs exploration messages'),
    port: { kind: 'text', value: 'P', help: 'port of the servers; default: the port that rscltcfg sets,\nelse 5000' },
    reload: RELOAD_OPTION,
  },
  operands: { min: 1, max: 1 },
  run: async (context, options, [name = '']) => {
    const { id: namespaceid, nodename, port } = options;
    if (options['nodekey-file'] === '-' && options['namespacekey-file'] === '-') throw usageError('Two keys on stdin: give one in a file');
    const nodekey = await givenKey(context, 'nodekey', options.nodekey, options['nodekey-file']);
    const namespacekey = await givenKey(context, 'namespacekey', options.namespacekey, options['namespacekey-file']);
    if (namespaceid === null) throw usageError('No --id: give the namespaceid of the servers');
    if (nodename === null) throw usageError('No --nodename: give the name of this machine on the servers');
    if (nodekey === null) throw usageError('No key: give --nodekey-file F, or - for stdin');
    const keys = givenKeys({ namespaceid, nodename, nodekey, namespacekey, port });
    await changeConfig(context, (document) => addNamespace(document, name, keys), `namespace ${name} added`, options.reload);
    return 0;
  },
});

export const NAMESPACE_REMOVE = defineCommand({
  call: { by: 'words', words: 'namespace remove' },
  synopsis: 'namespace remove NAME [--reload]',
  summary: 'removes a namespace, its servers and its volumes from rscltcfg',
  details: 'A running rsiod refuses to remove a namespace that has attached volumes.',
  options: { reload: RELOAD_OPTION },
  operands: { min: 1, max: 1 },
  completes: `sed -n 's/^\\s*\\[namespace \\(.*\\)\\].*/\\1/p' "$config"`,
  run: async (context, { reload }, [name = '']) => {
    await changeConfig(
      context,
      (document) => removeConfigSection(document, { type: 'namespace', name }),
      `namespace ${name} removed, with its servers and volumes`,
      reload,
    );
    return 0;
  },
});
