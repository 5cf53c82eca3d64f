// Executes the methods that list clients and their holds, end sessions, fence clients and release holds. inventory.ts makes the views, and
// fencing.ts ends sessions. Invariants: only an administrator may give these orders. A client never ends its own session with an order.
// Each order is logged with the name of its asker.

import type { HandlersOf } from '@rsio/common/control/control-server';
import type { CLIENT_METHODS } from '@rsio/api/rssrv/client-methods';
import { RsError } from '@rsio/base/lib/errors';
import { plural } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import type { Fences } from '../volumes/fences.ts';
import { Fencing, type FencingPorts } from '../volumes/fencing.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import { disputePause, type ReleasePorts, releaseHold } from '../volumes/holds/releases.ts';
import type { Asker } from '../pools/asker.ts';
import type { ProbeConnections } from '../session/probe-connections.ts';
import { eventOf } from '../events/event-log.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import type { HandleCloser } from '../jobs/moves/volume-switch.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { Inventory } from './inventory.ts';
import type { ObservedServer } from './observing-handlers.ts';

/** The functions and objects of the listener that the orders need. */
export interface ClientPorts extends Pick<ReleasePorts, 'disputedMs' | 'incarnation' | 'incarnationEnded'> {
  readonly fences: Fences;
  readonly probes: Pick<ProbeConnections, 'close'>;
  readonly sessions: Pick<FencingPorts, 'endSession'> & Pick<ReleasePorts, 'isThere'> & HandleCloser;
  readonly holds: Pick<Holds, 'heldBy' | 'holdOf' | 'endHold'>;
  readonly volumes: Pick<Volumes, 'served' | 'nameOf' | 'sync' | 'suspend'>;
  /** Called when holders have changed. Announces a new list to the clients. */
  holdersChanged(): void;
}

export function clientHandlers(
  server: Pick<ObservedServer, 'clock' | 'config'> & { readonly log: Pick<Log, 'info' | 'warn'> },
  clients: ClientPorts,
  inventory: Pick<Inventory, 'clients'>,
  asker: Asker,
): HandlersOf<typeof CLIENT_METHODS> {
  const { clock, log } = server;
  const { fences } = clients;
  const fencing = new Fencing({
    clock,
    fences,
    endSession: (node, code, sentence) => clients.sessions.endSession(node, code, sentence),
    endProbes: (node, code, sentence) => clients.probes.close(code, sentence, node),
  });
  const check = (verb: string, name: string): void => {
    asker.needs('admin', `${verb} clients`);
    if (asker.node !== null) fences.check(asker.node);
    if (asker.node === name)
      throw new RsError('E_RIGHTS', `${asker.text} may not ${verb} itself: give the order on the server, or from another client`, {
        name,
      });
    if (!isKnown(server, clients, name))
      throw new RsError('E_UNKNOWN_CLIENT', `No client ${name} on this server: rsadm client list shows them`, { name });
  };
  const held = (name: string): string[] => clients.holds.heldBy(name).map((id) => nameOf(clients, id));
  return {
    'client-list': () => ({ clients: inventory.clients() }),
    'client-kick': async ({ name }) => {
      check('kick', name);
      const ended = await fencing.kick(name);
      if (ended.wasConnected) auditClient(log, asker, name, 'kicked', `Client ${name} was kicked: its session has ended`);
      return { name, ...ended, volumes: held(name) };
    },
    'client-fence': async ({ name }) => {
      check('fence', name);
      auditClient(log, asker, name, 'fencing', `Client ${name} is being fenced`);
      const { unrecorded, ...ended } = await fencing.fence(name, asker.node);
      auditClient(log, asker, name, 'fenced', `Client ${name} is fenced: nothing of it can run`);
      if (unrecorded !== null) throw unrecorded;
      return { name, ...ended, volumes: held(name) };
    },
    'client-unfence': async ({ name }) => {
      check('unfence', name);
      const { wasFenced, unrecorded } = await fencing.unfence(name);
      if (wasFenced) auditClient(log, asker, name, 'unfenced', `Client ${name} is let in again`);
      if (unrecorded !== null) throw unrecorded;
      return { name, wasFenced };
    },
    'client-release': async ({ name, volume, universe, force }) => {
      check('release holds of', name);
      const ids = volume === null ? clients.holds.heldBy(name) : [heldId(clients, name, volumeKey({ name: volume, universe }))];
      const released: string[] = [];
      try {
        for (const id of ids) if (await release(server, clients, id, name, force)) released.push(nameOf(clients, id));
      } finally {
        if (released.length > 0) {
          const what = `${plural(released.length, 'hold')} of client ${name} released: ${released.join(', ')}`;
          auditClient(log, asker, name, 'released', what);
          clients.holdersChanged();
        }
      }
      return { name, released, left: clients.holds.heldBy(name).length };
    },
  };
}

/**
 * Logs that the asker has changed the state of a client, when the change is in force. `to` is the new state, in one word. The line belongs to
 * the audit trail, is also an event, and shows no key.
 */
function auditClient(log: Pick<Log, 'info'>, { by }: Pick<Asker, 'by'>, client: string, to: string, sentence: string): void {
  log.info(`${sentence}, by ${by}`, { ...eventOf(`client ${client}`, '-', to, `${sentence}, by ${by}`), audit: true, client });
}

function isKnown(server: Pick<ObservedServer, 'config'>, { fences, holds }: ClientPorts, name: string): boolean {
  return server.config().clients.some((client) => client.name === name) || fences.has(name) || holds.heldBy(name).length > 0;
}

function volumeOf({ volumes }: ClientPorts, id: string): ServedVolume | null {
  return volumes.served.find((volume) => volume.id === id) ?? null;
}

function nameOf(clients: ClientPorts, id: string): string {
  const volume = volumeOf(clients, id);
  return volume === null ? clients.volumes.nameOf(id) : volumeKey(volume);
}

function heldId(clients: ClientPorts, name: string, volume: string): string {
  const id = clients.holds.heldBy(name).find((one) => nameOf(clients, one) === volume);
  if (id === undefined)
    throw new RsError('E_UNKNOWN_VOLUME', `Client ${name} holds no volume ${volume}: rsadm client list shows what it holds`, { volume });
  return id;
}

function release(
  { clock, log }: Pick<ObservedServer, 'clock'> & { readonly log: Pick<Log, 'info'> },
  clients: ClientPorts,
  id: string,
  name: string,
  isForced: boolean,
): Promise<boolean> {
  return releaseHold(clients.holds, { id, name: nameOf(clients, id) }, name, isForced, {
    find: (volumeId) => volumeOf(clients, volumeId),
    isThere: (node) => clients.sessions.isThere(node),
    isFenced: (node) => clients.fences.has(node),
    incarnation: (volume) => clients.incarnation(volume),
    sync: (volume) => clients.volumes.sync(volume.id),
    incarnationEnded: (volume) => clients.incarnationEnded(volume),
    disputedMs: (volume) => clients.disputedMs(volume),
    pause: disputePause(clock, log),
  });
}
