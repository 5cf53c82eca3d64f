// The questions that crsio asks before it removes or interrupts something. The answer that confirms contains the order. Pure. Invariant:
// the choice that has the focus at first changes nothing.

import { volumeText } from '@rsio/api/views/server-tables';
import { shownSize } from '@rsio/base/lib/units';
import { snapshotName } from '@rsio/base/lib/volume-name';
import type { VolumeName } from '@rsio/api/views/values';
import { askBefore } from '../../machine/machine.ts';
import { type ServerCommand, type Order, type ServerState, volumeIn } from '../model/state.ts';
import { clientRemoval, interfaceRemoval, poolRemoval } from './file-orders.ts';
import { ordering } from './ordering.ts';
import { fence, jobEnd, kick, release, removal, rollback, type SeenSnapshot, snapshotRemoval } from './orders.ts';

export function askInterfaceRemoval(name: string): ServerCommand {
  const text = 'rssrv stops listening there. Before that, clients with other paths move their I/O to those paths';
  return asking(`Remove interface ${name}`, text, interfaceRemoval(name));
}

export function askPoolRemoval(name: string): ServerCommand {
  const text = 'Its volumes are no longer served. They stay on disk, and adding the pool again brings them back';
  return asking(`Remove pool ${name}`, text, poolRemoval(name));
}

export function askClientRemoval(name: string): ServerCommand {
  const text = ({ view }: ServerState): string => {
    const held = view?.clients.find((each) => each.name === name)?.volumes ?? [];
    const holds = held.length === 0 ? 'It holds no volume' : `It holds ${held.join(', ')}, and its holds stay`;
    return `Its session ends, and its key is gone. ${holds}`;
  };
  return asking(`Remove client ${name}`, text, clientRemoval(name));
}

export function askKick(name: string): ServerCommand {
  return asking(`End the session of ${name}`, 'Its I/O pauses until it has a new session; nothing is lost', kick(name));
}

export function askFence(name: string): ServerCommand {
  const text = 'Nothing of it runs on this server any more, and it cannot connect until it is let in again. Its holds stay';
  return asking(`Fence ${name}`, text, fence(name));
}

export function askRelease(name: string): ServerCommand {
  const text = 'Only for a client that does not come back: its I/O gets errors then, and what it had not sent is lost';
  return asking(`End the holds of ${name}`, text, release(name));
}

export function askRemoval(name: VolumeName): ServerCommand {
  const label = `Remove volume ${volumeText(name)}`;
  const text = (state: ServerState): string => {
    const volume = volumeIn(state, name);
    const details = volume === null ? '' : `, ${shownSize(volume.sizeBytes)}, from pool ${volume.pool ?? '-'}`;
    return `${label}${details}? It can be restored for a day`;
  };
  return asking(label, text, removal(name));
}

export function askJobEnd(id: string): ServerCommand {
  return asking(`Cancel job ${id}`, 'What it has done is undone: a volume stays where it was, and a copy is not made', jobEnd(id));
}

export function askSnapshotRemoval(volume: VolumeName, one: SeenSnapshot): ServerCommand {
  const name = snapshotName(volumeText(volume), one.snapshot);
  return asking(`Remove snapshot ${name}`, 'Its content cannot be brought back', snapshotRemoval(volume, one));
}

export function askRollback(volume: VolumeName, one: SeenSnapshot): ServerCommand {
  const text = 'No client may hold the volume. What it contains now becomes a snapshot whose name begins with before-rollback';
  return asking(`Roll ${volumeText(volume)} back to ${one.snapshot}`, text, rollback(volume, one));
}

function asking(label: string, text: string | ((state: ServerState) => string), order: Order): ServerCommand {
  return (state) => askBefore(state, label, typeof text === 'string' ? text : text(state), ordering(order));
}
