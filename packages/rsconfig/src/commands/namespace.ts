// Implements `namespace add`, `namespace set` and `namespace remove`, which edit namespaces in the client's configuration file. Removing a
// namespace also removes its servers and volumes. `namespace add` requires the id of the namespace, whereas `join` gets the id from the
// servers. Invariant: `namespace set` takes keys from files only, and no command prints a key.

import { assignmentsOf } from '@rsio/common/cli/assignments';
import { openConfigFile } from '@rsio/common/config/config-file';
import { addNamespace, changeSection, removeConfigSection } from '@rsio/common/config/rscltcfg-edit';
import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import { defineCommand, usageError } from '../cli/context.ts';
import { changeConfig, givenKeys, RELOAD_OPTION } from '../cli/config-edit.ts';
import { givenKey, keyFileOption, keyOption } from '../cli/key-input.ts';

const NAMES = `sed -n 's/^\\s*\\[namespace \\(.*\\)\\].*/\\1/p' "$config"`;

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

const SECRETS = ['nodekey', 'namespacekey'] as const;

export const NAMESPACE_SET = defineCommand({
  call: { by: 'words', words: 'namespace set' },
  synopsis: `namespace set NAME KEY=VALUE... [--nodekey-file F|-]
[--namespacekey-file F|-] [--reload] [--force]`,
  summary: 'changes settings of a namespace in rscltcfg',
  details: `KEY is a key of the section [namespace] of rscltcfg(5), such as tls or stall.
KEY= without a value removes the key, so that the default applies. Keys come
from files, because every user can see the command line. A new nodekey is tried
at all servers of the namespace first. If one refuses it, nothing changes.
Running sessions go on with the old key (rsadm client rekey has all steps).`,
  options: {
    'nodekey-file': keyFileOption('new key of this machine'),
    'namespacekey-file': keyFileOption('new key that signs exploration messages'),
    reload: RELOAD_OPTION,
    force: { kind: 'flag', help: 'write a nodekey although a server refuses it' },
  },
  operands: { min: 1, max: 17 },
  completes: NAMES,
  run: async (context, options, [name = '', ...words]) => {
    if (SECRETS.every((secret) => options[`${secret}-file`] === '-')) throw usageError('Two keys on stdin: give one in a file');
    const changes: Record<string, string | null> = Object.fromEntries(assignmentsOf(words, 'rsconfig'));
    for (const secret of SECRETS) {
      if (typeof changes[secret] === 'string')
        throw usageError(`A key on the command line is visible to every user: give --${secret}-file F`);
      const key = await givenKey(context, secret, null, options[`${secret}-file`]);
      if (key !== null) changes[secret] = key;
    }
    if (Object.keys(changes).length === 0) throw usageError('Nothing to set: give KEY=VALUE, such as tls=on');
    const edit = (document: IniDocument): IniDocument => changeSection(document, { type: 'namespace', name }, changes);
    if (changes['nodekey'] !== undefined && !options.force) {
      // Only this command needs these modules.
      const { tryNodekey } = await import('../join/key-trial.ts');
      await tryNodekey(context, edit(openConfigFile(context.configFile).document), name);
    }
    await changeConfig(context, edit, `namespace ${name} changed`, options.reload);
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
  completes: NAMES,
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
