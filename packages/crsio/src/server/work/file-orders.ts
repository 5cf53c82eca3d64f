// Changes rssrvcfg with the code of rsadm, which lets rssrv check the new file, saves the file, and then makes rssrv read the file. The
// changes of volumes are in orders.ts. Invariant: a new key is only in the outcome of the change that made the key.

import { addClient, addServerInterface, changeRights, changeServerSection } from '@rsio/common/config/rssrvcfg-edit';
import { removeClient, removeServerSection, setRights } from '@rsio/common/config/rssrvcfg-edit';
import { type RekeyStep, rekeyClient } from '@rsio/api/manage/client-rekey';
import { addPoolToServer, type NewPool } from '@rsio/api/manage/pool-addition';
import { changeServerFile, type ServerFileContext } from '@rsio/api/manage/server-file';
import type { ServerCall } from '@rsio/api/rssrv/call-server';
import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { plural, printEndpoint } from '@rsio/base/lib/units';
import type { ServerPorts } from '../model/ports.ts';
import { idOf, type Order } from '../model/state.ts';

type Edit = Parameters<typeof changeServerFile>[1];
type Say = (sentence: string) => void;
type Context = Omit<ServerFileContext, 'call'> & { readonly call: ServerCall };
/** A text that the user must see. */
type Shown = { readonly title: string; readonly text: string } | null;

/** Returns the change that adds an interface. An empty port means the default port. */
export function interfaceAddition(name: string, address: string, port: string): Order {
  const keys = [['address', address] as const, ...(port === '' ? [] : [['port', port] as const])];
  return edit(`Adding interface ${name}`, (document) => addServerInterface(document, name, keys));
}

export function interfaceRemoval(name: string): Order {
  return edit(`Removing interface ${name}`, (document) => removeServerSection(document, 'interface', name));
}

export function poolAddition(pool: NewPool): Order {
  return saying(`Adding pool ${pool.name}`, async (context, say) => {
    const { isNew, volumes, reason } = await addPoolToServer(context, pool);
    if (!isNew) say(`${pool.path} already was a pool, with ${plural(volumes, 'volume')}`);
    return reason === null ? null : { title: 'Pool', text: `Pool ${pool.name} cannot be used: ${reason}` };
  });
}

/** Returns the change that sets keys of a pool. The value null means the default value. */
export function poolChange(name: string, changes: readonly (readonly [key: string, value: string | null])[]): Order {
  return edit(`Changing pool ${name}`, (document) => changeServerSection(document, 'pool', name, changes));
}

export function poolCheck(name: string): Order {
  return saying(`Checking pool ${name}`, async (_, say, ports) => {
    const { pool } = await ports.call('pool-check', { name }, null);
    if (pool.reason === null && pool.findings.length === 0) say(`Pool ${name}: ${plural(pool.volumes, 'volume')}, nothing unexplained`);
    else say(`Pool ${name}: see the lines with !`);
    return null;
  });
}

export function poolRemoval(name: string): Order {
  const order = edit(`Removing pool ${name}`, (document) => removeServerSection(document, 'pool', name));
  return { ...order, removes: idOf('pool', name) };
}

/** Returns the change that adds a client. Empty `rights` mean `use`. */
export function clientAddition(name: string, rights: string): Order {
  return saying(`Adding client ${name}`, async (_, say, ports) => ({
    title: 'New client',
    text: await addNewClient(name, rights, ports, say),
  }));
}

export function rightsChange(name: string, rights: string): Order {
  return edit(`Changing the rights of client ${name}`, (document) => changeRights(document, name, rights));
}

export function rekeying(name: string, step: RekeyStep): Order {
  return saying(`Changing the key of client ${name}`, async (context) => {
    const key = await rekeyClient(context, name, step, false);
    return key === null ? null : { title: 'New key', text: rekeyText(name, key) };
  });
}

export function clientRemoval(name: string): Order {
  const order = edit(`Removing client ${name}`, (document) => removeClient(document, name));
  return { ...order, removes: idOf('client', name) };
}

/** Adds a client. Returns a text with the key of the client and the command to run on the client. Empty `rights` mean `use`. */
export async function addNewClient(name: string, rights: string, ports: ServerPorts, say: Say): Promise<string> {
  const key = ports.newKey();
  const added: Edit = (document) => setRights(addClient(document, name, key), name, rights === '' ? null : rights);
  await changeServerFile(contextOf(ports, say), added, say);
  return joinText(ports.readConfig(), name, key);
}

function edit(doing: string, made: Edit): Order {
  return saying(doing, async (context, say) => {
    await changeServerFile(context, made, say);
    return null;
  });
}

/** Returns an order that executes `work`. The outcome contains all sentences that `work` passes to `say`. */
function saying(doing: string, work: (context: Context, say: Say, ports: ServerPorts) => Promise<Shown>): Order {
  return {
    doing,
    make: async (ports) => {
      const sentences: string[] = [];
      const say: Say = (text) => void sentences.push(text);
      const shown = await work(contextOf(ports, say), say, ports);
      const sentence = sentences.join('. ');
      return shown === null ? sentence : { sentence, ...shown };
    },
  };
}

function contextOf(ports: ServerPorts, say: Say): Context {
  return {
    configFile: ports.configFile,
    call: (method, params) => ports.call(method, params, null),
    out: (text) => say(text.trimEnd()),
    note: say,
  };
}

function rekeyText(name: string, key: string): string {
  return [
    `Second key of client ${name}, shown only here:`,
    `  ${key}`,
    'Both keys are valid now.',
    `On ${name}, write it to nodekey in /etc/rscltcfg, and run rsconfig restart.`,
    'Then drop the old key here.',
  ].join('\n');
}

/**
 * Returns a text about what the administrator must do on a new client. The command line never contains the key, because ps shows command
 * lines to every user.
 */
function joinText({ interfaces, namespace }: Pick<RssrvConfig, 'interfaces' | 'namespace'>, name: string, key: string): string {
  const address = interfaces[0]?.address;
  const { port, explore, namespaceid } = namespace;
  const host = address === undefined ? 'ADDRESS-OF-THIS-SERVER' : printEndpoint(address, port === PORT_DEFAULT ? null : port);
  const id = explore === 'no' ? ` --id ${namespaceid}` : '';
  return [
    `Key of client ${name}, shown only here:`,
    `  ${key}`,
    `Run on ${name}, paste the key, press Enter and Ctrl-D:`,
    `  rsconfig join ${host} --name ${name}${id} --key-file -`,
  ].join('\n');
}
