// How a volume is requested, and whether an attached volume satisfies the request. Pure. Invariant: a request for a read-only volume is
// never answered with a writable one, nor a request for a writable volume with a read-only one.

import { RsError } from '@rsio/common/lib/errors';
import type { Take } from '@rsio/protocol/wire/messages';

export interface AttachRequest {
  readonly readOnly: boolean;
  readonly take: Take;
  /**
   * `name`: the administrator named this volume. `any`: the request is for all offered volumes, so an attached volume may keep its mode.
   * `before`: the volume is requested in the mode in which it was attached before, regardless of the current configuration, because it may
   * be mounted.
   */
  readonly by: 'name' | 'any' | 'before';
}

export function isSameRequest(one: AttachRequest, other: AttachRequest): boolean {
  return one.readOnly === other.readOnly && one.take === other.take && one.by === other.by;
}

/** True if the OPEN asks for read-only access. `isConfigured` is true if the configuration says `readonly`. */
export function wantsReadonly({ readOnly, by }: AttachRequest, isConfigured: boolean): boolean {
  return readOnly || (by !== 'before' && isConfigured);
}

/** Throws E_IN_USE if the attached volume was requested in another mode before. `isReadonly` is that earlier mode. */
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
