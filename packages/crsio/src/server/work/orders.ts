// Carries out a change: sends it to rssrv, or edits rssrvcfg and makes rssrv read it, as rsadm does. Invariants: each request that changes a
// volume has an id of its own; a key is shown once, in the outcome of the change that made it.

import { toRsError } from '@rsio/common/lib/errors';
import { formatTime } from '@rsio/common/log/log-line';
import { shownSize, volumeText } from '@rsio/common/manage/server-tables';
import type { ClientOrder, Order, Outcome } from '../model/order.ts';
import { addNewClient, changeFile } from './file-orders.ts';
import type { ServerPorts } from '../model/ports.ts';

/** Throws the errors of rssrv and of the file. */
export async function carryOut(order: Order, ports: ServerPorts): Promise<Outcome> {
  const request = ports.newId();
  switch (order.kind) {
    case 'create':
      return create(order, request, ports);
    case 'grow': {
      const { volume } = await ports.call('volume-grow', { ...order.volume, sizeBytes: order.sizeBytes, request }, null);
      return said(`${volumeText(volume)} now has ${shownSize(volume.sizeBytes)}`);
    }
    case 'rename': {
      const { name: newName, universe: newUniverse } = order.to;
      const { volume } = await ports.call('volume-rename', { ...order.volume, newName, newUniverse, request }, null);
      return said(`${volumeText(order.volume)} is now ${volumeText(volume)}`);
    }
    case 'set': {
      const { volume } = await ports.call('volume-set', { ...order.volume, settings: order.settings, request }, null);
      return said(`${volumeText(volume)} changed: ${order.settings.join(', ')}`);
    }
    case 'remove': {
      const { removed } = await ports.call('volume-remove', { ...order.volume, request }, null);
      return said(`${volumeText(removed)} removed; until ${formatTime(removed.untilMs)}, it can be restored`);
    }
    case 'restore': {
      const { volume } = await ports.call('volume-restore', { ...order.volume, request }, null);
      return said(`${volumeText(volume)} restored in pool ${volume.pool ?? '-'}`);
    }
    case 'kick':
    case 'fence':
    case 'unfence':
    case 'release':
      return said(await changeClient(order, ports));
    default:
      return changeFile(order, ports);
  }
}

function said(sentence: string): Outcome {
  return { sentence, shown: null };
}

/** Returns what has happened. */
async function changeClient({ kind, name }: ClientOrder, ports: ServerPorts): Promise<string> {
  switch (kind) {
    case 'kick':
      return (await ports.call('client-kick', { name }, null)).wasConnected ? `The session of ${name} has ended` : `${name} had no session`;
    case 'fence': {
      const { isClean, volumes } = await ports.call('client-fence', { name }, null);
      const held = volumes.length === 0 ? '' : `. It still holds ${volumes.join(', ')}`;
      const lost = isClean
        ? ''
        : '. Its server process was killed: its last writes may be lost if this machine crashes before they are on disk';
      return `${name} is fenced: nothing of it can run on this server${held}${lost}`;
    }
    case 'unfence':
      return (await ports.call('client-unfence', { name }, null)).wasFenced ? `${name} may connect again` : `${name} was not fenced`;
    case 'release': {
      const { released } = await ports.call('client-release', { name, volume: null, universe: 0, force: false }, null);
      return released.length === 0 ? `${name} holds nothing` : `${name} no longer holds ${released.join(', ')}`;
    }
  }
}

async function create(
  { volume: wanted, newClients }: Extract<Order, { kind: 'create' }>,
  request: string,
  ports: ServerPorts,
): Promise<Outcome> {
  const { volume } = await ports.call('volume-create', { ...wanted, request }, null);
  const to = volume.clients === null ? 'all clients' : volume.clients.join(', ');
  const unserved = volume.state === 'served' ? '' : `, but it is not served: ${volume.reason ?? '-'}`;
  const sentence = `${volumeText(volume)} created in pool ${volume.pool ?? '-'}, ${shownSize(volume.sizeBytes)}, for ${to}${unserved}`;
  if (newClients.length === 0) return said(sentence);
  const texts: string[] = [];
  for (const name of newClients) texts.push(await newClient(name, ports));
  return { sentence, shown: { title: newClients.length === 1 ? 'New client' : 'New clients', text: texts.join('\n\n') } };
}

/** Adds a client. Returns its key with the command for the client, or why it was not added. The volume that it is for exists already. */
async function newClient(name: string, ports: ServerPorts): Promise<string> {
  try {
    return await addNewClient(name, '', ports, () => {});
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    return `The volume was created, but client ${name} was not added: ${message} [${code}]`;
  }
}
