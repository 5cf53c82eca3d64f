// The operations of the HTTP interface, made from the tables of rssrv, rsiod and rsapp. Pure. Invariants: every operation is an entry of a
// table; an operation that only reads is a GET, and every other one a POST; the role that an operation needs follows from its entry; what a
// program calls for itself (`calledBy`) is no operation.

import { APP_METHODS } from '@rsio/api/rsapp/app-methods';
import type { ClientMethod } from '@rsio/api/rsiod/client-method';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { mayCall } from '@rsio/api/rssrv/may-call';
import type { ServerMethod } from '@rsio/api/rssrv/server-method';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { EVENTS_RESULT } from '@rsio/common/control/method-table';
import type { Params } from '@rsio/api/views/command-text';
import { ID_PARAM } from '@rsio/api/views/operation-form';
import { LOCAL, type Role, ROLES } from '../config/rights.ts';

/** The daemons of this machine, as the paths name them. */
export type Daemon = 'server' | 'client' | 'applications';
/** What begins a path. `servers`: any server that this machine's client is logged in to. */
export type Place = Daemon | 'servers';
export type Entry = ServerMethod | ClientMethod;

export interface Operation {
  readonly place: Place;
  readonly method: string;
  readonly entry: Entry;
  readonly role: Role;
  readonly isRead: boolean;
  /** The parameters that the caller gives. The id of an order is a header. */
  readonly params: Params;
  /** True if a repeated order with the same id is not executed again. */
  readonly hasId: boolean;
}

const TABLES: Readonly<Record<Daemon, Readonly<Record<string, Entry>>>> = {
  server: SERVER_METHODS,
  client: CONTROL_METHODS,
  applications: APP_METHODS,
};
export const API_PATH = '/api/v1';
export const STREAM_TYPE = 'text/event-stream';
/** The parameter of the query that chooses among servers of the same name. No method of rssrv has a parameter of that name. */
export const NAMESPACE_PARAM = 'namespace';

const OF_EFFECT: Readonly<Record<ClientMethod['effect'], Role>> = { reads: 'view', operates: 'operate', administers: 'admin' };
/** Returns true if the answer of the operation can be followed as a stream. rsweb asks only the daemons of its machine again and again. */
export function isFollowed({ place, entry }: Pick<Operation, 'place' | 'entry'>): boolean {
  return place !== 'servers' && entry.result === EVENTS_RESULT;
}

/** Returns the lowest role that may call a method. */
export function roleOf(entry: Entry): Role {
  if ('effect' in entry) return OF_EFFECT[entry.effect];
  return ROLES.find((role) => mayCall(LOCAL[role], entry)) ?? 'admin';
}

/** All operations, by place and method. */
export const OPERATIONS: Readonly<Record<Place, ReadonlyMap<string, Operation>>> = {
  server: operationsOf('server', 'server'),
  client: operationsOf('client', 'client'),
  applications: operationsOf('applications', 'applications'),
  servers: operationsOf('servers', 'server'),
};

export function isPlace(word: string): word is Place {
  return Object.hasOwn(OPERATIONS, word);
}

function operationsOf(place: Place, daemon: Daemon): ReadonlyMap<string, Operation> {
  const entries = Object.entries(TABLES[daemon]).filter(([, entry]) => isOffered(entry, place));
  return new Map(entries.map(([method, entry]) => [method, operationOf(place, method, entry)]));
}

/** A method without a right for clients is only for programs on the server. */
function isOffered(entry: Entry, place: Place): boolean {
  return !('calledBy' in entry.command) && (place !== 'servers' || !('right' in entry) || entry.right !== null);
}

function operationOf(place: Place, method: string, entry: Entry): Operation {
  const role = roleOf(entry);
  const { [ID_PARAM]: id, ...params } = entry.params;
  return { place, method, entry, role, isRead: role === 'view', params, hasId: id !== undefined };
}
