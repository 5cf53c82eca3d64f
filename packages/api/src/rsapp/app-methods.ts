// The table of rsapp's control interface: the applications of this node, and the orders of an administrator. Requests and answers have the
// form that methods.ts describes.

import { alignColumns, toText } from '@rsio/common/cli/table';
import { CONTROL_TIMEOUT_MS } from '@rsio/common/control/limits';
import { DAEMON, EVENTS_PARAMS, EVENTS_RESULT, flagParam, type MethodsOf, type Param } from '@rsio/common/control/method-table';
import { printDuration } from '@rsio/base/lib/units';
import { clientMethod } from '../rsiod/client-method.ts';
import { filledText, flag, list, number, object, type Of, orNull, text, word } from '@rsio/base/lib/shape';

/** The longest time that an order may take: a stop, and a start at another node. rsapp itself gives up earlier, and says why. */
export const APP_ORDER_MS = 310_000;

export const APPLICATION = object({
  name: text(),
  state: word(
    ['running', 'starting', 'stopping', 'stopped', 'disabled', 'waiting', 'new', 'unknown'],
    'As this node sees it. waiting: it is wanted, and no node runs it, or this node waits for its turn; new: nobody has started it yet',
  ),
  on: orNull(text('Node that holds its first volume'), 'null: none does, or this is not known'),
  sinceMs: number('When this node has seen a change of the state or of the node'),
  volumes: list(text()),
  nodes: list(text()),
  next: orNull(text('Node that would take it over'), 'null: none is known to be able to'),
  why: text('Why it does not run, what failed last, or what cannot be removed; empty: nothing'),
  failed: flag('It is stopped because it failed on all nodes; why says how it failed last'),
  remains: flag('This node could not remove all of it, and goes on trying; why says what is left'),
});
export type ApplicationView = Of<typeof APPLICATION>;

export const APP_ORDERS = ['start', 'stop', 'move', 'enable', 'disable'] as const;
export type AppOrder = (typeof APP_ORDERS)[number];

const orderWord: Param<AppOrder> = { shape: word(APP_ORDERS), what: APP_ORDERS.join(', ') };

export function sinceText({ sinceMs }: ApplicationView, nowMs: number): string {
  return printDuration(Math.max(0, Math.round((nowMs - sinceMs) / 1000) * 1000));
}

function applicationsTable(applications: readonly ApplicationView[], nowMs: number): string {
  const rows = applications.map((one) => [
    ...[one.name, one.state, one.on ?? '-', sinceText(one, nowMs), one.volumes.join(' '), one.next ?? '-', one.why || '-'],
  ]);
  return toText(alignColumns(['APPLICATION', 'STATE', 'ON', 'SINCE', 'VOLUMES', 'NEXT', 'WHY'], rows));
}

export const APP_METHODS = {
  daemon: clientMethod({
    help: 'The daemon that answers, its version and its methods',
    effect: 'reads',
    params: {},
    result: DAEMON,
    command: { partOf: 'doctor' },
  }),
  applications: clientMethod({
    help: 'The applications of rscltcfg, as this node sees them',
    effect: 'reads',
    params: {},
    result: object({
      node: text('Name of this node'),
      drained: flag('This node gives its applications away'),
      applications: list(APPLICATION),
    }),
    command: {
      words: 'app list',
      about: 'machine',
      summary: 'lists the applications of this node, and where they run',
      example: 'app list',
      says: ({ node, drained, applications }, { nowMs }) => ({
        ...(applications.length === 0 ? {} : { block: applicationsTable(applications, nowMs) }),
        notes: [
          ...(drained ? [`Node ${node} is drained: rsconfig node drain --end ends that`] : []),
          ...(applications.length === 0 ? ['rscltcfg has no application: rsconfig app add NAME adds one'] : []),
        ],
      }),
    },
  }),
  events: clientMethod({
    help: 'The latest events of applications and of this node, or those after the event with this number; with waitMs, the answer waits for one',
    effect: 'reads',
    params: EVENTS_PARAMS,
    result: EVENTS_RESULT,
    command: { partOf: 'events' },
  }),
  'app-order': clientMethod({
    help: 'Executes an order of an administrator; an application that a node runs takes orders there. Answers when the order is done, or says why not',
    effect: 'operates',
    params: {
      name: { shape: filledText(), what: 'the name of an application' },
      order: orderWord,
      to: { shape: orNull(filledText()), what: 'the name of a node or null', default: null },
    },
    result: object({ application: APPLICATION }),
    waitMs: APP_ORDER_MS,
    command: { partOf: 'app start' },
  }),
  drain: clientMethod({
    help: 'This node gives its applications away and takes none, until the end of the drain, also after a reboot',
    effect: 'operates',
    params: { end: flagParam },
    result: object({ drained: flag(), applications: list(APPLICATION) }),
    waitMs: APP_ORDER_MS,
    command: { byHand: 'node drain', because: 'it says why it still waits' },
  }),
  reload: clientMethod({
    help: 'Reads the configuration file again; an error says why nothing was changed',
    effect: 'administers',
    params: {},
    result: object({ applied: list(text(), 'A sentence for each change') }),
    waitMs: CONTROL_TIMEOUT_MS,
    command: { partOf: 'app add' },
  }),
} as const;

export type AppMethods = MethodsOf<typeof APP_METHODS>;
/** The applications of a node, as its rsapp sees them. */
export type ApplicationsView = AppMethods['applications']['result'];
/** Sends one request to rsapp. */
export type AppCall = <M extends keyof AppMethods>(method: M, params: AppMethods[M]['params']) => Promise<AppMethods[M]['result']>;
