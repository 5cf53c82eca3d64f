// Describes a request to attach a volume, and decides whether a volume that is already attached satisfies the request. Invariant: a request
// for read-only access never gets a writable volume, and a request by name gets the volume only in the requested mode.

import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { RsError } from '@rsio/base/lib/errors';
import type { Take } from '@rsio/protocol/wire/messages';
import type { Owner } from './owners.ts';

export interface AttachRequest {
  readonly readOnly: boolean;
  readonly take: Take;
  /**
   * `name`: the administrator named the volume. `any`: the request asks for all offered volumes, so a volume that is already attached may
   * keep its mode. `before`: the volume was attached before a restart of rsiod. Programs may still have the volume mounted, so it is
   * reattached in its previous mode, even if the configuration has changed.
   */
  readonly by: 'name' | 'any' | 'before';
  /** True if nobody has ordered the attach: the configuration wants the volume, or it was attached before a restart. */
  readonly isAutomatic?: boolean;
  /** True if a person has named the server, and so decides between servers that offer one id. */
  readonly isPlaced?: boolean;
  /** For a request `before`: the id of the attached snapshot, so that no other snapshot with the same name is attached. */
  readonly id?: string;
}

/**
 * `by`: by default, `any` if there are no names, otherwise `name`. For an order without names, the main process sends its data processes
 * the names of the volumes, with `by` set to `any`. `owner`: for whom the volumes are attached; by default, for a person.
 */
export type AttachArguments = readonly [
  names: readonly string[],
  readOnly: boolean,
  server: string | null,
  take?: Take,
  by?: 'name' | 'any',
  owner?: Owner,
];

/** The volumes of the data processes of this rsiod. */
export interface AttachedElsewhere {
  /** Labels and ids of volumes that the administrator has detached or another client has taken. */
  readonly detached: ReadonlySet<string>;
  /** True if a data process has the volume with this label, or is attaching it. */
  has(label: string): boolean;
  attach(
    labels: readonly string[],
    order: { readonly readOnly: false; readonly server: null; readonly take: 'no'; readonly by: 'any'; readonly owner: Owner },
  ): Promise<AttachOutcome[]>;
}

export function isSameRequest(one: AttachRequest, other: AttachRequest): boolean {
  const isEqual = one.readOnly === other.readOnly && one.take === other.take && one.by === other.by;
  return isEqual && (one.isAutomatic ?? false) === (other.isAutomatic ?? false);
}

/** True if OPEN must ask for read-only access. `isConfigured` is true if the configuration makes the volume read-only. */
export function wantsReadonly({ readOnly, by }: AttachRequest, isConfigured: boolean): boolean {
  return readOnly || (by !== 'before' && isConfigured);
}

/**
 * Throws E_IN_USE if the volume is already attached in a mode that does not satisfy the request. `isReadonly` is true if the attached
 * volume was requested for read-only access.
 */
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
