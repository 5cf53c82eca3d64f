// Types for a table of control methods. The table has the parameters, the shape of the result and the time limit of each method. Each
// daemon has its own table: api/src/rsiod/methods.ts and api/src/rssrv/server-methods.ts. docs/CONTROL.md has the rules for changing a table.

import { EVENTS_KEPT, EVENTS_WAIT_MAX_MS } from './limits.ts';
import { count, flag, list, number, object, type Of, optional, orNull, type Shape, text, whole } from '@rsio/base/lib/shape';

/**
 * Version of the interface. The version increases only when a reader of the old version would misinterpret answers of the new version.
 * Additions do not increase the version.
 */
export const CONTROL_VERSION = 1;

/** The rights that a method can need. config/client-rights.ts says which right in the section [rights] of rssrvcfg includes which. */
export type RemoteRight = 'copy' | 'use' | 'manage' | 'admin';

export interface Param<T = unknown> {
  readonly shape: Shape<T>;
  /** Description of the expected value, used in the error about a wrong value. */
  readonly what: string;
  /** Value if the request omits the parameter; undefined if the parameter is required. */
  readonly default?: T;
  /** The value has keys: no log, audit or list shows it. */
  readonly isSecret?: boolean;
  /** The value is the id of the order, which a program makes, as that of the parameter `request` is. */
  readonly isOrderId?: boolean;
}

export interface ControlMethod<P extends Readonly<Record<string, Param>> = Readonly<Record<string, Param>>, R = unknown> {
  readonly help: string;
  readonly params: P;
  readonly result: Shape<R>;
  /** If the daemon has not answered within this time, the call fails with E_TIMEOUT. */
  readonly waitMs: number;
}

export type MethodTable = Readonly<Record<string, ControlMethod>>;

type ValueOf<P> = P extends Param<infer T> ? T : never;

/** A parameter whose type includes undefined may be omitted. */
export type ParamsOf<P> = { readonly [K in keyof P as undefined extends ValueOf<P[K]> ? never : K]: ValueOf<P[K]> } & {
  readonly [K in keyof P as undefined extends ValueOf<P[K]> ? K : never]?: ValueOf<P[K]>;
};

/** The types of the parameters and results of a table. */
export type MethodsOf<T extends MethodTable> = {
  readonly [M in keyof T & string]: { readonly params: ParamsOf<T[M]['params']>; readonly result: Of<T[M]['result']> };
};

export const flagParam: Param<boolean> = { shape: flag(), what: 'true or false', default: false };
const eventCount: Param<number> = {
  shape: whole(1, EVENTS_KEPT),
  what: `a whole number from 1 to ${EVENTS_KEPT}`,
  default: EVENTS_KEPT,
};

export const HOLDER = object({ node: text(), address: text(), sinceMs: number() });
export const EVENT = object({
  number: count('Ascending, also after restarts of the daemon; no number is used twice'),
  atMs: number(),
  object: text('What has changed, such as volume oracle@0'),
  from: text(),
  to: text(),
  reason: text(),
  repeated: optional(
    count('Number of like events before it, which this one has replaced; missing: none, or the daemon is of an earlier release'),
  ),
  order: optional(
    object(
      { who: text(), method: text(), id: orNull(text()) },
      'The order that has caused it, as in the audit; missing: no order of which the daemon knows, or the daemon is of an earlier release',
    ),
  ),
});
export type EventView = Of<typeof EVENT>;

/** Parameters and answer of the method `events`, which both daemons have. */
export const EVENTS_PARAMS = {
  count: eventCount,
  after: { shape: orNull(whole(0, null)), what: 'the number of an event or null', default: null } as Param<number | null | undefined>,
  waitMs: { shape: whole(0, EVENTS_WAIT_MAX_MS), what: `a whole number from 0 to ${EVENTS_WAIT_MAX_MS}`, default: 0 } as Param<
    number | undefined
  >,
};
export const EVENTS_RESULT = object({
  events: list(EVENT),
  missed: count('Number of the events after the given number that the daemon no longer keeps'),
  last: count('Number of the last event of this answer; 0: there was none yet'),
  beganMs: number('When the numbers began; another time means that the daemon has lost its events and counts from the start'),
});
export type EventsParams = ParamsOf<typeof EVENTS_PARAMS>;
export type EventsResult = Of<typeof EVENTS_RESULT>;

/**
 * The result of the method `daemon`. Daemons return this result to clients of every version, so no field may ever be removed or change its
 * meaning.
 */
const DAEMON_FIELDS = {
  program: text(),
  version: text('Version of the release'),
  control: count('Version of the control interface'),
  methods: list(text(), 'Methods that it supports'),
  pid: count(),
  nodename: text(),
  startedMs: number(),
  configuredMs: number('When it read its current configuration'),
};

export const DAEMON = object(DAEMON_FIELDS);

/** The result of the method `daemon` of rssrv. */
export const SERVER_DAEMON = object({
  ...DAEMON_FIELDS,
  processUser: orNull(text('User as which server processes run; null: the user of the daemon')),
  processNote: orNull(text('Why server processes have more rights than they need, and what to do; clients are not told')),
  sharesVolumes: optional(
    flag(
      'Several clients have the right manage, and each may change the volumes of the others; missing: the server is of an earlier release',
    ),
  ),
});
