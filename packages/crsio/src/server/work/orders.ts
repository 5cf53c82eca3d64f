// The changes of volumes and clients that crsio requests from rssrv. The changes of the file are in file-orders.ts. Invariants: each
// request that changes a volume has its own id; a key is shown only once, in the outcome of the change that made the key.

import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import { formatTime } from '@rsio/base/log/log-line';
import { volumeText } from '@rsio/api/views/server-tables';
import { RsError } from '@rsio/base/lib/errors';
import { shownSize } from '@rsio/base/lib/units';
import { snapshotName } from '@rsio/base/lib/volume-name';
import type { VolumeName } from '@rsio/api/views/values';
import { failureOf, failureText } from '../../machine/machine.ts';
import type { ServerPorts } from '../model/ports.ts';
import { type Outcome, idOf, type Order } from '../model/state.ts';
import { addNewClient } from './file-orders.ts';

export type NewVolume = Omit<ServerMethods['volume-create']['params'], 'request'>;

/**
 * Returns the change that creates a volume. `newClients`: clients that are added to the section [clients] after the volume has been
 * created.
 */
export function creation(wanted: NewVolume, newClients: readonly string[]): Order {
  return { doing: `Creating volume ${volumeText(wanted)}`, make: (ports) => create(wanted, newClients, ports) };
}

async function create(wanted: NewVolume, newClients: readonly string[], ports: ServerPorts): Promise<Outcome> {
  const { volume } = await ports.call('volume-create', { ...wanted, request: ports.newId() }, null);
  const to = volume.clients === null ? 'all clients' : volume.clients.join(', ');
  const unserved = volume.state === 'served' ? '' : `, but it is not served: ${volume.reason ?? '-'}`;
  const sentence = `${volumeText(volume)} created in pool ${volume.pool ?? '-'}, ${shownSize(volume.sizeBytes)}, for ${to}${unserved}`;
  if (newClients.length === 0) return sentence;
  const texts: string[] = [];
  for (const name of newClients) texts.push(await newClient(name, ports));
  return { sentence, title: newClients.length === 1 ? 'New client' : 'New clients', text: texts.join('\n\n') };
}

/**
 * Adds a client for an existing volume. Returns the key of the client with the command to run on the client, or the reason why the client
 * was not added.
 */
async function newClient(name: string, ports: ServerPorts): Promise<string> {
  try {
    return await addNewClient(name, '', ports, () => {});
  } catch (thrown) {
    return `The volume was created, but client ${name} was not added: ${failureText(failureOf(thrown))}`;
  }
}

export function growth(volume: VolumeName, sizeBytes: number): Order {
  return ofVolume('Growing', volume, async (ports, request) => {
    const { volume: now } = await ports.call('volume-grow', { ...volume, sizeBytes, request }, null);
    return `${volumeText(now)} now has ${shownSize(now.sizeBytes)}`;
  });
}

export function renaming(volume: VolumeName, to: VolumeName): Order {
  return ofVolume('Renaming', volume, async (ports, request) => {
    const params = { ...volume, newName: to.name, newUniverse: to.universe, request };
    const { volume: now } = await ports.call('volume-rename', params, null);
    return `${volumeText(volume)} is now ${volumeText(now)}`;
  });
}

export function setting(volume: VolumeName, settings: readonly string[]): Order {
  return ofVolume('Changing', volume, async (ports, request) => {
    const { volume: now } = await ports.call('volume-set', { ...volume, settings, request }, null);
    return `${volumeText(now)} changed: ${settings.join(', ')}`;
  });
}

export function removal(volume: VolumeName): Order {
  const order = ofVolume('Removing', volume, async (ports, request) => {
    const { removed } = await ports.call('volume-remove', { ...volume, request }, null);
    return `${volumeText(removed)} removed; until ${formatTime(removed.untilMs)}, it can be restored`;
  });
  return { ...order, removes: idOf('volume', volumeText(volume)) };
}

export function restoration(volume: VolumeName): Order {
  return ofVolume('Restoring', volume, async (ports, request) => {
    const { volume: now } = await ports.call('volume-restore', { ...volume, request }, null);
    return `${volumeText(now)} restored in pool ${now.pool ?? '-'}`;
  });
}

function ofVolume(doing: string, volume: VolumeName, make: (ports: ServerPorts, request: string) => Promise<string>): Order {
  return { doing: `${doing} volume ${volumeText(volume)}`, make: (ports) => make(ports, ports.newId()) };
}

/** A snapshot as the user has seen it. Another one can get its name. */
export interface SeenSnapshot {
  readonly id: string;
  readonly snapshot: string;
}

export function snapshotting(volume: VolumeName, snapshot: string): Order {
  return ofVolume('Making a snapshot of', volume, async (ports, request) => {
    await ports.call('volume-snapshot', { snapshots: [{ ...volume, snapshot }], request }, null);
    return `Snapshot ${snapshotName(volumeText(volume), snapshot)} made`;
  });
}

export function snapshotRemoval(volume: VolumeName, { id, snapshot }: SeenSnapshot): Order {
  const order = ofVolume(`Removing snapshot ${snapshot} of`, volume, async (ports, request) => {
    await ports.call('volume-snapshot-remove', { ...volume, snapshot, onlyId: id, request }, null);
    return `Snapshot ${snapshotName(volumeText(volume), snapshot)} removed`;
  });
  return { ...order, removes: idOf('snapshots', `${volumeText(volume)} ${id}`) };
}

export function rollback(volume: VolumeName, one: SeenSnapshot): Order {
  return ofVolume('Rolling back', volume, async (ports, request) => {
    await checkSeen(ports, volume, one);
    const { kept } = await ports.call('volume-rollback', { ...volume, snapshot: one.snapshot, request }, null);
    const before = kept === null ? '' : `; its content before is snapshot ${kept.snapshot}`;
    return `${volumeText(volume)} has the content of ${one.snapshot}${before}`;
  });
}

export function cloning(volume: VolumeName, one: SeenSnapshot, to: VolumeName): Order {
  return ofVolume('Cloning', volume, async (ports, request) => {
    await checkSeen(ports, volume, one);
    const params = { ...volume, snapshot: one.snapshot, newName: to.name, newUniverse: to.universe, request };
    const { volume: made } = await ports.call('volume-clone', params, null);
    return `${volumeText(made)} created with the content of ${snapshotName(volumeText(volume), one.snapshot)}`;
  });
}

/** Throws E_UNKNOWN_SNAPSHOT if the name belongs to another snapshot now. The order itself goes by the name. */
async function checkSeen(ports: ServerPorts, volume: VolumeName, { id, snapshot }: SeenSnapshot): Promise<void> {
  const { snapshots } = await ports.call('volume-show', { ...volume }, null);
  if (snapshots.some((one) => one.id === id && one.snapshot === snapshot)) return;
  throw new RsError('E_UNKNOWN_SNAPSHOT', `Snapshot ${snapshot} is another one now, or is gone: look at the list again`);
}

export function jobEnd(id: string): Order {
  return {
    doing: `Cancelling job ${id}`,
    make: async (ports) => {
      await ports.call('job-cancel', { id, request: ports.newId() }, null);
      return `Job ${id} is being cancelled`;
    },
  };
}

/** `limitBytes`: most bytes in a second; null for no limit. */
export function jobLimit(id: string, limitBytes: number | null): Order {
  return {
    doing: `Limiting job ${id}`,
    make: async (ports) => {
      await ports.call('job-limit', { id, limitBytes, request: ports.newId() }, null);
      return `Job ${id} copies ${limitBytes === null ? 'without limit' : `at most ${shownSize(limitBytes)} in a second`}`;
    },
  };
}

/** Returns the change that ends the session of a client. */
export function kick(name: string): Order {
  return {
    doing: `Ending the session of client ${name}`,
    make: async (ports) => {
      const { wasConnected } = await ports.call('client-kick', { name }, null);
      return wasConnected ? `The session of ${name} has ended` : `${name} had no session`;
    },
  };
}

export function fence(name: string): Order {
  return {
    doing: `Fencing client ${name}`,
    make: async (ports) => {
      const { isClean, volumes } = await ports.call('client-fence', { name }, null);
      const held = volumes.length === 0 ? '' : `. It still holds ${volumes.join(', ')}`;
      const lost = isClean
        ? ''
        : '. Its server process was killed: its last writes may be lost if this machine crashes before they are on disk';
      return `${name} is fenced: nothing of it can run on this server${held}${lost}`;
    },
  };
}

/** Returns the change that removes the fence of a client. */
export function unfence(name: string): Order {
  return {
    doing: `Letting client ${name} in`,
    make: async (ports) => {
      const { wasFenced } = await ports.call('client-unfence', { name }, null);
      return wasFenced ? `${name} may connect again` : `${name} was not fenced`;
    },
  };
}

/** Returns the change that ends the holds of a client. */
export function release(name: string): Order {
  return {
    doing: `Ending the holds of client ${name}`,
    make: async (ports) => {
      const { released } = await ports.call('client-release', { name, volume: null, universe: 0, force: false }, null);
      return released.length === 0 ? `${name} holds nothing` : `${name} no longer holds ${released.join(', ')}`;
    },
  };
}
