// Makes the notes of the volumes of this rsiod: connects volume-notes.ts with the attachments, the mirrors and the namespaces.
// In a process that does not have the volumes, notes can only be read.

import type { Clock } from '@rsio/base/lib/clock';
import type { Attachments } from '../attachments/attachments.ts';
import { mirrorNamespaces } from '../mirrors/commands/namespaces.ts';
import type { Namespace } from '../network/namespace.ts';
import { VolumeNotes } from './volume-notes.ts';

export interface NotesParts {
  readonly clock: Clock;
  readonly attachments: Pick<Attachments, 'offers' | 'list' | 'mirrors'>;
  readonly namespaces: () => readonly Namespace[];
}

export function notesOf({ clock, attachments, namespaces }: NotesParts): VolumeNotes {
  return new VolumeNotes({
    offers: () => attachments.offers,
    serversIn: (namespace) => namespaces().find(({ config }) => config.name === namespace)?.orderedServers ?? [],
    mirrorNamespaces: () => mirrorNamespaces(namespaces(), clock),
    attached: () => attachments.list,
    mirrorOf: ({ target }) => attachments.mirrors.of(target),
  });
}
