// The commands about the namespace of the server. The commands read and edit rssrvcfg, so that they work without a running rssrv.
// Invariant: the key of the namespace is never printed, and is read from a file, because every user can see the command line of a process.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { loadRssrvConfig } from '@rsio/common/config/load-config';
import { changeServerSection } from '@rsio/common/config/rssrvcfg-edit';
import { count, flag, object, text } from '@rsio/base/lib/shape';
import { changeServerFile } from '@rsio/api/manage/server-file';
import { assignmentsOf } from '@rsio/common/cli/assignments';
import { defineCommand, usageError } from '../cli/context.ts';
import { keyFrom } from '../cli/key-file.ts';

export const NAMESPACE_SHOW = defineCommand({
  call: { by: 'words', words: 'namespace show' },
  synopsis: 'namespace show',
  summary: 'shows the namespace of the server',
  details: `Clients and the other servers of the namespace need the same namespaceid.`,
  options: { json: JSON_OPTION },
  json: object({
    name: text(),
    namespaceid: count(),
    port: count(),
    explore: text(),
    tls: text('off, allow or require'),
    tenants: flag('A volume belongs to the client that created it'),
    hasKey: flag('Exploration can be signed'),
  }),
  run: async (context, { json }) => {
    const { name, namespaceid, port, explore, tls, tenants, namespacekey } = loadRssrvConfig(context.configFile).namespace;
    if (json) return printJson(context, { name, namespaceid, port, explore, tls, tenants, hasKey: namespacekey !== null });
    const lines = [
      `namespace ${name}`,
      `    namespaceid:  ${namespaceid}`,
      `    port:         ${port}`,
      `    explore:      ${explore}`,
      `    tls:          ${tls}`,
      `    tenants:      ${tenants ? 'yes' : 'no'}`,
      `    namespacekey: ${namespacekey === null ? 'not set' : 'set'}`,
    ];
    context.out(toText(lines));
    return undefined;
  },
});

export const NAMESPACE_SET = defineCommand({
  call: { by: 'words', words: 'namespace set' },
  synopsis: 'namespace set KEY=VALUE... [--namespacekey-file F]',
  summary: 'changes settings of the namespace',
  details: `The keys are port, explore, tls and tenants; they have the same meaning as in
the section [namespace] of rssrvcfg(5). With tls=require, plain paths end at
once. KEY= without a value restores the default. To change the namespaceid, stop
rssrv first, because clients identify the server by this number.`,
  options: { 'namespacekey-file': { kind: 'text', value: 'F', help: 'file with the key that signs exploration messages' } },
  operands: { min: 0, max: 4 },
  run: async (context, options, words) => {
    const file = options['namespacekey-file'];
    const changes = assignmentsOf(words, 'rsadm');
    if (changes.some(([key, value]) => key === 'namespacekey' && value !== null))
      throw usageError('A key on the command line is visible to every user: give --namespacekey-file F');
    const all = file === null ? changes : [...changes, ['namespacekey', keyFrom(file)] as const];
    if (all.length === 0) throw usageError('Nothing to set: give KEY=VALUE, such as explore=signed');
    await changeServerFile(context, (document) => changeServerSection(document, 'namespace', null, all));
    return undefined;
  },
});
