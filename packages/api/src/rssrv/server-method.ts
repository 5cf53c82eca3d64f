// One entry of the table of rssrv's control interface. The entry says everything about a method except how rssrv executes it: the checks on
// both control sockets and on ADMIN, what members of the control group may call, the ids of requests, and what is removed from the answers
// to clients follow from it. Invariant: a method for clients without the right admin names each part of its answer that has secrets, or the
// program does not compile.

import { CONTROL_ANSWER_MS } from '@rsio/common/control/limits';
import type { ControlMethod, RemoteRight } from '@rsio/common/control/method-table';
import type { Fields, ObjectShape, Of, ValuesOf } from '@rsio/base/lib/shape';
import type { MethodCommand, StoredCommand } from './method-command.ts';
import { request } from './params.ts';
import type { NoCommand, Params } from '../views/command-text.ts';
import type { JobView, ManagedVolumeView, PoolView, RemovedVolumeView, ReplicationView, SnapshotView } from '../views/views.ts';

/** The objects of answers of which a client without the right admin sees only a part (rssrv/src/admin/remote/visible.ts). */
export interface MaskedViews {
  readonly volume: ManagedVolumeView;
  readonly snapshot: SnapshotView;
  readonly removed: RemovedVolumeView;
  readonly job: JobView;
  readonly pool: PoolView;
  readonly replication: ReplicationView;
}

/** `method`: names of methods, of which a client sees only those that it may call. */
export type MaskedKind = keyof MaskedViews | 'method';

type Element<T> = T extends readonly (infer E)[] ? E : NonNullable<T>;
type KindOf<T> = { [K in keyof MaskedViews]: Element<T> extends MaskedViews[K] ? K : never }[keyof MaskedViews];

/** The kind of each field of a result that is a masked view or a list of them. A field of that type cannot be left out. */
type ShownFields<F extends Fields> = { readonly [K in keyof F as KindOf<Of<F[K]>> extends never ? never : K]: KindOf<Of<F[K]>> };

export type Shows = Readonly<Record<string, MaskedKind>>;

/** `right` is null: only programs on the server itself may call the method. */
type Rights<F extends Fields> =
  | { readonly right: 'admin' | null; readonly shows?: never }
  | { readonly right: Exclude<RemoteRight, 'admin'>; readonly shows: ShownFields<F> & Shows };

/**
 * `reads`: the method changes nothing and delays no change, its answer has no keys, and members of the control group may call it (G21).
 * `repeats` is for all others. `journal`: the request has an id, and a repeated request gets the first answer; nothing is executed twice.
 * `harmless`: a request may be executed twice. `unrecorded`: why the audit has no entry for the method (rssrv/src/admin/audit.ts).
 * `idleIf`: the flag of the answer which says that the order has changed nothing, so that the audit has no entry for it either.
 */
type Effect =
  | { readonly reads: true; readonly repeats?: never; readonly unrecorded?: never }
  | { readonly reads?: never; readonly repeats: 'journal' | 'harmless'; readonly unrecorded?: string };

type WithId<P, E> = E extends { readonly repeats: 'journal' } ? P & { readonly request: typeof request } : P;

export interface ServerMethod<P extends Params = Params, F extends Fields = Fields> extends ControlMethod<P, ValuesOf<F>> {
  readonly result: ObjectShape<F>;
  readonly right: RemoteRight | null;
  /** Null: the method reads. */
  readonly repeats: 'journal' | 'harmless' | null;
  /** Null: each order of the method has an entry in the audit, unless it reads. */
  readonly unrecorded: string | null;
  /** Null: each order of the method that is done counts as a change. */
  readonly idleIf: string | null;
  /** Null: the result is only for clients with the right admin. */
  readonly shows: Shows | null;
  readonly command: StoredCommand | NoCommand;
}

export function serverMethod<const P extends Params, const F extends Fields, const E extends Effect>(
  entry: {
    readonly help: string;
    readonly params: P;
    readonly result: ObjectShape<F>;
    readonly waitMs?: number;
    readonly idleIf?: keyof F & string;
    readonly command: MethodCommand<P, ValuesOf<F>> | NoCommand;
  } & Rights<F> &
    E,
): ServerMethod<WithId<P, E>, F> {
  const {
    help,
    result,
    waitMs = CONTROL_ANSWER_MS,
    right,
    shows = null,
    repeats = null,
    unrecorded = null,
    idleIf = null,
    command,
  } = entry;
  const params = (repeats === 'journal' ? { ...entry.params, request } : entry.params) as WithId<P, E>;
  // The id of the request is no part of a command.
  return {
    help,
    params,
    result,
    waitMs,
    right,
    repeats,
    unrecorded,
    idleIf,
    shows,
    command: command as unknown as StoredCommand | NoCommand,
  };
}
