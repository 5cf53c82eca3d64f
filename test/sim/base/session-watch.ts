// Reports each session that a client abandons because of the I/O of one volume, although revoking the handle of that volume would have been
// enough (E1). Abandoning the whole session is a fault, because all other volumes of the trunk then wait for a new session. The world
// decides the consequence. Only one world at a time runs in a program.

import { REVOKES_MAX } from '@rsio/protocol/client/limits';
import type { Attachment } from '@rsio/protocol/client/attachment';
import type { Request } from '@rsio/protocol/client/requests/request';
import { Trunk } from '@rsio/protocol/client/trunk';
import { override } from './override.ts';

interface Watched {
  readonly session: { readonly canRevoke: boolean } | null;
  readonly handleFences: { readonly count: number };
  readonly attachments: readonly Attachment[];
}

let tell: (sentence: string) => void = () => undefined;

/** Calls `told` with a sentence about each session that a client abandons needlessly. */
export function whenSessionIsLeft(told: (sentence: string) => void): void {
  tell = told;
}

override<Watched, [Attachment], Request[]>(Trunk, 'abandon', (original) => (self, attachment) => {
  const couldRevoke = self.session?.canRevoke === true && self.handleFences.count < REVOKES_MAX;
  const beside = self.attachments.find((other) => other !== attachment && other.slotsHeld > 0);
  const given = original(self, attachment);
  if (couldRevoke && self.session === null && beside !== undefined)
    tell(`E1: ${beside.name}, which is in order, waits for a new session, because I/O of ${attachment.name} was given up`);
  return given;
});
