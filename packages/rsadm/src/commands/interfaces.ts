// The commands about the addresses on which the server listens. rssrv reports the state of each interface; if rssrv is not running, the
// commands show the file. Invariant: an interface that rssrv refuses does not stay in the file.

import { firstColumnOf } from '@rsio/api/manage/derived';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { loadRssrvConfig } from '@rsio/common/config/load-config';
import { addServerInterface, removeServerSection } from '@rsio/common/config/rssrvcfg-edit';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import type { InterfaceView } from '@rsio/api/views/views';
import { toRsError } from '@rsio/base/lib/errors';
import { changeServerFile } from '@rsio/api/manage/server-file';
import { type AdmContext, defineCommand } from '../cli/context.ts';
import { interfacesTable } from './status.ts';

export const INTERFACE_LIST = defineCommand({
  call: { by: 'words', words: 'interface list' },
  synopsis: 'interface list',
  summary: 'lists the addresses on which the server listens',
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['interface-list'].result,
  run: async (context, { json }) => {
    const interfaces = await interfacesOf(context);
    if (json) return printJson(context, { interfaces });
    context.out(interfacesTable(interfaces));
    for (const { name, reason } of interfaces) if (reason !== null) context.note(`Interface ${name} does not listen: ${reason}`);
    return undefined;
  },
});

export const INTERFACE_ADD = defineCommand({
  call: { by: 'words', words: 'interface add' },
  synopsis: 'interface add NAME ADDRESS[/LENGTH] [--port P]',
  summary: 'makes the server listen on another address',
  details: `Clients learn of the new interface at once. If the machine does not have the
address yet, rssrv waits for it.`,
  options: { port: { kind: 'text', value: 'P', help: 'port to listen on; default: the port of [namespace]' } },
  operands: { min: 2, max: 2 },
  run: async (context, { port }, [name = '', address = '']) => {
    const entries = [['address', address] as const, ...(port === null ? [] : [['port', port] as const])];
    const isInForce = await changeServerFile(context, (document) => addServerInterface(document, name, entries));
    if (!isInForce) return undefined;
    const added = (await interfacesOf(context)).find((one) => one.name === name);
    const reason = added?.reason ?? null;
    if (reason !== null) context.note(`Interface ${name} does not listen yet: ${reason}`);
    return undefined;
  },
});

export const INTERFACE_REMOVE = defineCommand({
  call: { by: 'words', words: 'interface remove' },
  synopsis: 'interface remove NAME',
  summary: 'makes the server stop listening on an address',
  details: `Clients that have other paths first move their I/O to those. A server needs at
least one interface.`,
  options: {},
  operands: { min: 1, max: 1 },
  completes: firstColumnOf('interface list'),
  run: async (context, _, [name = '']) => {
    await changeServerFile(context, (document) => removeServerSection(document, 'interface', name));
    return undefined;
  },
});

/** Returns the interfaces as rssrv reports them. If rssrv is not running, returns the interfaces in the file. */
async function interfacesOf({ call, configFile, note }: AdmContext): Promise<readonly InterfaceView[]> {
  try {
    return (await call('interface-list', {})).interfaces;
  } catch (thrown) {
    if (toRsError(thrown).code !== 'E_NOT_RUNNING') throw thrown;
    note(`rssrv is not running: the interfaces are those of ${configFile}`);
    return loadRssrvConfig(configFile).interfaces.map(({ name, address, port }) => ({ name, address, port, state: 'off', reason: null }));
  }
}
