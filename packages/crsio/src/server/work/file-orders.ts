// Carries out changes of rssrvcfg with the code that rsadm uses: rssrv examines and reads the new file. orders.ts has the changes of volumes.
// Invariant: a key is in the outcome of the change that made it, and nowhere else.

import {
  addClient,
  addServerInterface,
  changeRights,
  changeServerSection,
  removeClient,
  removeServerSection,
  setRights,
} from '@rsio/common/config/rssrvcfg-edit';
import { rekeyClient } from '@rsio/common/manage/client-rekey';
import { addPoolToServer } from '@rsio/common/manage/pool-addition';
import { changeServerFile, type ServerFileContext } from '@rsio/common/manage/server-file';
import type { ServerCall } from '@rsio/common/control/server/call-server';
import { plural } from '@rsio/common/lib/units';
import type { FileOrder, Outcome } from '../model/order.ts';
import { joinText } from './join-text.ts';
import type { ServerPorts } from '../model/ports.ts';

type Edit = Parameters<typeof changeServerFile>[1];
type Say = (sentence: string) => void;

/** Throws the errors of rssrv and of the file. */
export async function changeFile(order: FileOrder, ports: ServerPorts): Promise<Outcome> {
  const sentences: string[] = [];
  const say: Say = (sentence) => void sentences.push(sentence);
  const shown = await executed(order, ports, say);
  return { sentence: sentences.join('. '), shown };
}

/** Returns what the user must see. */
async function executed(order: FileOrder, ports: ServerPorts, say: Say): Promise<Outcome['shown']> {
  const { name } = 'pool' in order ? order.pool : order;
  const edited = async (edit: Edit): Promise<null> => {
    await changeServerFile(contextOf(ports, say), edit, say);
    return null;
  };
  switch (order.kind) {
    case 'add-interface': {
      const port = order.port === '' ? [] : [['port', order.port] as const];
      return edited((document) => addServerInterface(document, name, [['address', order.address], ...port]));
    }
    case 'remove-interface':
    case 'remove-pool':
      return edited((document) => removeServerSection(document, order.kind === 'remove-pool' ? 'pool' : 'interface', name));
    case 'add-pool':
      return addPool(order, ports, say);
    case 'set-pool':
      return edited((document) => changeServerSection(document, 'pool', name, order.changes));
    case 'check-pool': {
      const { pool } = await ports.call('pool-check', { name }, null);
      if (pool.reason === null && pool.findings.length === 0) say(`Pool ${name}: ${plural(pool.volumes, 'volume')}, nothing unexplained`);
      else say(`Pool ${name}: see the lines with !`);
      return null;
    }
    case 'add-client':
      return { title: 'New client', text: await addNewClient(name, order.rights, ports, say) };
    case 'set-rights':
      return edited((document) => changeRights(document, name, order.rights));
    case 'rekey': {
      const key = await rekeyClient(contextOf(ports, say), name, order.step, false);
      return key === null ? null : { title: 'New key', text: rekeyText(name, key) };
    }
    case 'remove-client':
      return edited((document) => removeClient(document, name));
  }
}

async function addPool({ pool }: Extract<FileOrder, { kind: 'add-pool' }>, ports: ServerPorts, say: Say): Promise<Outcome['shown']> {
  const { isNew, volumes, reason } = await addPoolToServer(contextOf(ports, say), pool);
  if (!isNew) say(`${pool.path} already was a pool, with ${plural(volumes, 'volume')}`);
  return reason === null ? null : { title: 'Pool', text: `Pool ${pool.name} cannot be used: ${reason}` };
}

/** Adds a client. Returns its key with the command for the client. Empty `rights` stand for `use`. */
export async function addNewClient(name: string, rights: string, ports: ServerPorts, say: Say): Promise<string> {
  const key = ports.newKey();
  const edit: Edit = (document) => setRights(addClient(document, name, key), name, rights === '' ? null : rights);
  await changeServerFile(contextOf(ports, say), edit, say);
  return joinText(ports.readConfig(), name, key);
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

function contextOf(ports: ServerPorts, say: Say): Omit<ServerFileContext, 'call'> & { readonly call: ServerCall } {
  return {
    configFile: ports.configFile,
    call: (method, params) => ports.call(method, params, null),
    out: (text) => say(text.trimEnd()),
    note: say,
  };
}
