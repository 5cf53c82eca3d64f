// The questions before something is removed or interrupted. Pure. perform.ts opens them, and the answer carries the order.
// Invariant: the choice with the focus changes nothing.

import { shownSize, volumeText } from '@rsio/common/manage/server-tables';
import type { Order, Question } from './command.ts';
import { type ServerPopup, type ServerState, volumeIn } from './state.ts';

export function questionPopup(state: ServerState, question: Question): ServerPopup {
  switch (question.kind) {
    case 'remove-volume': {
      const volume = volumeIn(state, question.volume);
      const name = volumeText(question.volume);
      const details = volume === null ? '' : `, ${shownSize(volume.sizeBytes)}, from pool ${volume.pool ?? '-'}`;
      return popup(`Remove volume ${name}`, `Remove volume ${name}${details}? It can be restored for a day`, {
        kind: 'remove',
        volume: question.volume,
      });
    }
    case 'remove-interface':
    case 'remove-pool':
    case 'remove-client':
    case 'kick':
    case 'fence':
    case 'release': {
      const { label, text } = WORDS[question.kind];
      const held = state.view?.clients.find(({ name }) => name === question.name)?.volumes ?? [];
      const holds =
        question.kind === 'remove-client'
          ? held.length === 0
            ? '. It holds no volume'
            : `. It holds ${held.join(', ')}, and its holds stay`
          : '';
      return popup(`${label} ${question.name}`, text + holds, question);
    }
  }
}

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

function popup(label: string, text: string, order: Order): ServerPopup {
  return {
    title: label,
    text,
    choices: [
      { label, command: { do: 'order', order } },
      { label: 'Cancel', command: { do: 'close-popup' } },
    ],
    focus: 1,
  };
}
