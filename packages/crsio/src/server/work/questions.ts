// The questions before something is removed or interrupted. Pure. Invariant: the choice with the focus changes nothing.

import { shownSize, volumeText } from '@rsio/common/manage/server-tables';
import type { VolumeName } from '@rsio/common/manage/volumes/values';
import { ask, type Step, step } from '../../machine/machine.ts';
import type { Order } from '../model/order.ts';
import { type ServerCommand, type ServerState, volumeIn } from '../model/state.ts';
import { order } from './ordering.ts';

const WORDS = {
  'remove-interface': {
    label: 'Remove interface',
    text: 'rssrv stops listening there. Before that, clients with other paths move their I/O to those paths',
  },
  'remove-pool': {
    label: 'Remove pool',
    text: 'Its volumes are no longer served. They stay on disk, and adding the pool again brings them back',
  },
  'remove-client': { label: 'Remove client', text: 'Its session ends, and its key is gone' },
  kick: { label: 'End the session of', text: 'Its I/O pauses until it has a new session; nothing is lost' },
  fence: {
    label: 'Fence',
    text: 'Nothing of it runs on this server any more, and it cannot connect until it is let in again. Its holds stay',
  },
  release: {
    label: 'End the holds of',
    text: 'Only for a client that does not come back: its I/O gets errors then, and what it had not sent is lost',
  },
} as const;

/** Asks before an interface, pool or client is removed, or a client is interrupted. */
export function askFirst(kind: keyof typeof WORDS, name: string): ServerCommand {
  const { label, text } = WORDS[kind];
  return (state) => asked(state, `${label} ${name}`, kind === 'remove-client' ? text + holdsText(state, name) : text, { kind, name });
}

function holdsText({ view }: ServerState, client: string): string {
  const held = view?.clients.find(({ name }) => name === client)?.volumes ?? [];
  return held.length === 0 ? '. It holds no volume' : `. It holds ${held.join(', ')}, and its holds stay`;
}

export function askRemoval(name: VolumeName): ServerCommand {
  const label = `Remove volume ${volumeText(name)}`;
  return (state) => {
    const volume = volumeIn(state, name);
    const details = volume === null ? '' : `, ${shownSize(volume.sizeBytes)}, from pool ${volume.pool ?? '-'}`;
    return asked(state, label, `${label}${details}? It can be restored for a day`, { kind: 'remove', volume: name });
  };
}

function asked(state: ServerState, label: string, text: string, wanted: Order): Step<ServerState> {
  const answers = [
    [label, order(wanted)],
    ['Cancel', null],
  ] as const;
  return step(ask(state, label, text, answers, 1));
}
