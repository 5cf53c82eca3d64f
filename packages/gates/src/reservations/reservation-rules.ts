// The rules of reservations: which I/O a state admits, and what each command changes. Pure. Sources: NVMe Base 2.0, 8.19; SPC-4, 5.12. An
// NVMe host is identified by its host identifier, whatever its logins; a SCSI host is identified by its nexus. Both share the reservations
// of a volume. Invariants: in every state, each holder is a registrant, and a reservation for all registrants has at least one registrant;
// a command that is refused changes nothing.

import { GATE_REGISTRANTS_MAX } from '@rsio/rsiod/notes/limits';
import { NO_KEY, type ReservationState, type ReservationType, TYPE } from '@rsio/rsiod/notes/reservation-state';

export const NO_RESERVATIONS: ReservationState = { generation: 0, type: TYPE.NONE, holder: null, ptpl: false, registrants: [] };

/**
 * `current` is the key that the host claims to have, or null if the key is not to be checked. `ptpl` is null if the setting does not
 * change.
 */
export type ReservationAction =
  | { readonly verb: 'register'; readonly key: string; readonly ptpl: boolean | null }
  | { readonly verb: 'enter'; readonly current: string | null; readonly key: string; readonly ptpl: boolean }
  | { readonly verb: 'replace'; readonly current: string | null; readonly key: string; readonly ptpl: boolean | null }
  | { readonly verb: 'unregister'; readonly current: string | null; readonly ptpl: boolean | null }
  | { readonly verb: 'acquire'; readonly current: string; readonly type: ReservationType }
  | { readonly verb: 'preempt'; readonly current: string; readonly victim: string; readonly type: ReservationType }
  | { readonly verb: 'release'; readonly current: string; readonly type: ReservationType }
  | { readonly verb: 'clear'; readonly current: string }
  | { readonly verb: 'persist'; readonly ptpl: boolean }
  | { readonly verb: 'report' };

export interface ReservingHost {
  readonly hostId: string;
  readonly hostNqn: string;
}

/** An event that other hosts are notified of. */
export interface ReservationNotice {
  readonly hostId: string;
  readonly what: 'registration preempted' | 'reservation released' | 'reservation preempted';
}

export interface ReservationChange {
  readonly state: ReservationState;
  readonly notices: readonly ReservationNotice[];
}

/** `full`: there are GATE_REGISTRANTS_MAX registrants. `invalid`: fields of the command contradict the state. */
export type ReservationRefusal = 'conflict' | 'invalid' | 'full';

/** True if a host may read, or change, the volume. Flush counts as a change. */
export function mayUse({ type, holder, registrants }: ReservationState, hostId: string, isChange: boolean): boolean {
  if (type === TYPE.NONE || (!isChange && type % 2 === 1)) return true;
  return type < TYPE.REGISTRANTS ? holder === hostId : registrants.some((one) => one.hostId === hostId);
}

/** True if the host is a holder of the reservation. */
export function holds({ type, holder, registrants }: ReservationState, hostId: string): boolean {
  return type >= TYPE.ALL ? registrants.some((one) => one.hostId === hostId) : holder === hostId;
}

/** Returns the state after a command, which is the same object if nothing changes; or why the command is refused. */
export function changed(state: ReservationState, host: ReservingHost, action: ReservationAction): ReservationChange | ReservationRefusal {
  switch (action.verb) {
    case 'report':
      return unchanged(state);
    case 'persist':
      return unchanged(action.ptpl === state.ptpl ? state : { ...state, ptpl: action.ptpl });
    case 'enter':
      return entry(state, host, action);
    case 'register':
    case 'replace':
    case 'unregister':
      return registration(state, host, action);
    default:
      if (keyOf(state, host.hostId) !== action.current) return 'conflict';
      return reservation(state, host.hostId, action);
  }
}

/** REGISTER of SCSI: a host that is not registered has the key 0, and a host unregisters by registering the key 0. */
function entry(
  state: ReservationState,
  host: ReservingHost,
  { current, key, ptpl }: ReservationAction & { verb: 'enter' },
): ReservationChange | ReservationRefusal {
  const known = keyOf(state, host.hostId);
  if (current !== null && current !== (known ?? NO_KEY)) return 'conflict';
  if (key !== NO_KEY) return registration(state, host, { verb: 'replace', current: known, key, ptpl });
  return known === null ? unchanged(state) : registration(state, host, { verb: 'unregister', current: null, ptpl });
}

function registration(
  state: ReservationState,
  host: ReservingHost,
  action: ReservationAction & { verb: 'register' | 'replace' | 'unregister' },
): ReservationChange | ReservationRefusal {
  const known = keyOf(state, host.hostId);
  const next = { ...later(state), ptpl: action.ptpl ?? state.ptpl };
  if (action.verb === 'unregister') {
    if (known === null || (action.current !== null && action.current !== known)) return 'conflict';
    const left = without(next, new Set([host.hostId]));
    const isReleased = state.type >= TYPE.REGISTRANTS && left.type === TYPE.NONE;
    return { state: left, notices: isReleased ? told(left, host.hostId, 'reservation released') : [] };
  }
  // A host that ignores existing keys may replace a key even if it has none.
  const isAllowed =
    action.verb === 'register' ? known === null || known === action.key : action.current === null || known === action.current;
  if (!isAllowed) return 'conflict';
  const { hostId, hostNqn } = host;
  const registrant = { hostId, hostNqn, key: action.key };
  if (known !== null)
    return unchanged({ ...next, registrants: state.registrants.map((one) => (one.hostId === host.hostId ? registrant : one)) });
  if (state.registrants.length >= GATE_REGISTRANTS_MAX) return 'full';
  return unchanged({ ...next, registrants: [...state.registrants, registrant] });
}

/** A command of a registrant that has given the right key. */
function reservation(
  state: ReservationState,
  hostId: string,
  action: ReservationAction & { verb: 'acquire' | 'preempt' | 'release' | 'clear' },
): ReservationChange | ReservationRefusal {
  const isHolder = holds(state, hostId);
  switch (action.verb) {
    case 'acquire':
      if (state.type === TYPE.NONE) return unchanged(heldBy(state, hostId, action.type));
      return isHolder && state.type === action.type ? unchanged(state) : 'conflict';
    case 'release': {
      if (!isHolder) return unchanged(state);
      if (action.type !== state.type) return 'invalid';
      const isTold = state.type >= TYPE.REGISTRANTS;
      return { state: { ...state, type: TYPE.NONE, holder: null }, notices: isTold ? told(state, hostId, 'reservation released') : [] };
    }
    case 'clear':
      return {
        state: { ...later(state), type: TYPE.NONE, holder: null, registrants: [] },
        notices: told(state, hostId, 'reservation preempted'),
      };
    case 'preempt':
      return preemption(state, hostId, action.victim, action.type);
  }
}

function preemption(
  state: ReservationState,
  hostId: string,
  victim: string,
  type: ReservationType,
): ReservationChange | ReservationRefusal {
  const { holder, registrants } = state;
  const isOfAll = state.type >= TYPE.ALL;
  const takesOver = isOfAll ? victim === NO_KEY : holder !== null && keyOf(state, holder) === victim;
  if (!takesOver && victim === NO_KEY && state.type !== TYPE.NONE) return 'invalid';
  const gone = registrants.filter((one) => {
    if (takesOver && one.hostId === hostId) return false;
    return (takesOver && isOfAll) || one.key === victim;
  });
  if (!takesOver && gone.length === 0) return 'conflict';
  const left = without(later(state), new Set(gone.map((one) => one.hostId)));
  const next = takesOver ? heldBy(left, hostId, type) : left;
  const preempted = gone
    .filter((one) => one.hostId !== hostId)
    .map((one) => ({ hostId: one.hostId, what: 'registration preempted' as const }));
  const isOther = takesOver && state.type !== type;
  return { state: next, notices: isOther ? [...preempted, ...told(next, hostId, 'reservation released')] : preempted };
}

function unchanged(state: ReservationState): ReservationChange {
  return { state, notices: [] };
}

function keyOf({ registrants }: ReservationState, hostId: string): string | null {
  return registrants.find((one) => one.hostId === hostId)?.key ?? null;
}

function later(state: ReservationState): ReservationState {
  return { ...state, generation: (state.generation + 1) % 2 ** 32 };
}

function heldBy(state: ReservationState, hostId: string, type: ReservationType): ReservationState {
  return { ...state, type, holder: type >= TYPE.ALL ? null : hostId };
}

/** Removes registrants. A reservation ends with its holder or, if all registrants hold it, with the last registrant. */
function without(state: ReservationState, gone: ReadonlySet<string>): ReservationState {
  const registrants = state.registrants.filter(({ hostId }) => !gone.has(hostId));
  const stays = state.type >= TYPE.ALL ? registrants.length > 0 : state.holder !== null && !gone.has(state.holder);
  return stays ? { ...state, registrants } : { ...state, registrants, type: TYPE.NONE, holder: null };
}

/** Returns the same notice for all registrants but one. */
function told({ registrants }: ReservationState, hostId: string, what: ReservationNotice['what']): ReservationNotice[] {
  return registrants.filter((one) => one.hostId !== hostId).map((one) => ({ hostId: one.hostId, what }));
}
