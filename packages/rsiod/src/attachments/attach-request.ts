// How a volume is asked for, and whether one that is attached is attached so. Pure. Invariant: nobody is told "attached" of a volume that he may
// write although he asked for one that he may not, or the other way round.

import { RsError } from '@rsio/common/lib/errors';
import type { Take } from '@rsio/protocol/wire/messages';

export interface AttachRequest {
  readonly readOnly: boolean;
  readonly take: Take;
  /**
   * `name`: a person means this volume; `any`: whatever is offered, so what is attached may be as it is; `before`: as it was attached, whatever
   * the configuration says by now, since somebody may have it mounted.
   */
  readonly by: 'name' | 'any' | 'before';
}

export function isSameRequest(one: AttachRequest, other: AttachRequest): boolean {
  return one.readOnly === other.readOnly && one.take === other.take && one.by === other.by;
}

/** Whether the OPEN asks for read-only access. `isConfigured`: the configuration says `readonly`. */
export function wantsReadonly({ readOnly, by }: AttachRequest, isConfigured: boolean): boolean {
  return readOnly || (by !== 'before' && isConfigured);
}

/** Throws E_IN_USE when a volume that is attached was asked for another way. `isReadonly`: how the attached one was asked for. */
export function refuseOtherMode(label: string, isReadonly: boolean, ask: AttachRequest, isConfigured: boolean): void {
  const wanted = wantsReadonly(ask, isConfigured);
  const matters = ask.by === 'name' || ask.readOnly;
  if (!matters || wanted === isReadonly) return;
  const now = isReadonly ? 'read-only' : 'read-write';
  const option = ask.readOnly ? ' --read-only' : '';
  const why = wanted && !ask.readOnly ? ', and the configuration wants it read-only' : '';
  throw new RsError(
    'E_IN_USE',
    `It is attached ${now}${why}: detach it first, with rsconfig -d ${label}, then rsconfig -a ${label}${option}`,
  );
}
