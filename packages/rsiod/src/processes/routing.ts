// The methods of the control socket while data processes have the volumes: passes each request to the process that has the volume, or asks
// all processes and joins their answers. Methods that concern no volume stay with the main process. Invariant: an answer has the same form
// as with one process, so that a caller sees the number of processes only in the fields about processes.

import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import {
  type AttachOutcome,
  CONTROL_METHODS,
  type ControlMethods,
  type PathStats,
  type StatsView,
  type StatusView,
} from '@rsio/api/rsiod/methods';
import { MIRROR_METHODS } from '@rsio/api/rsiod/mirror-methods';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Clock } from '@rsio/base/lib/clock';
import { misfit } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';
import { failure, refuseWanted } from '../attachments/choices.ts';
import { chooseVolume, chooseToAttach, labelOf, type Offer, type ServerOffer, volumesOf } from '../attachments/offers.ts';
import { PERSON } from '../attachments/owners.ts';
import { orderHandlers } from '../control/order-handlers.ts';
import type { DataProcess } from './data-process.ts';
import type { DataProcesses } from './data-processes.ts';
import { isSamePath, joinedPaths } from '../control/joined-stats.ts';
import { ORDER_END_RETRY_MS } from './limits.ts';

type Method = keyof typeof CONTROL_METHODS;
type Result<M extends Method> = Awaited<ReturnType<ControlHandlers[M]>>;

export interface RoutingPorts {
  readonly processes: DataProcesses;
  readonly log: Pick<Log, 'warn'>;
  readonly clock: Pick<Clock, 'after'>;
  /** The volumes that the servers offer to the main process. */
  readonly offers: { readonly list: readonly ServerOffer[] };
  /** Resolves with the reason why a server that has the volume cannot offer it; null if no server reports a reason. */
  readonly whyMissing: (name: string, server: string | null) => Promise<string | null>;
}

export function routed(own: ControlHandlers, ports: RoutingPorts): ControlHandlers {
  const { processes, offers, whyMissing } = ports;
  const askAll = async <M extends Method>(method: M, params: object = {}): Promise<Result<M>[]> =>
    (await processes.callAll(method, params)).map((answer) => checkedAnswer(method, answer));
  return {
    ...own,
    local: async (params) => {
      const answers = await processes.askAll('local', params);
      const views = answers.map(({ process, answer }) => (answer === null ? missing(process) : checkedAnswer('local', answer)));
      return {
        attachments: processes.inTurn(views.flatMap(({ attachments }) => attachments)),
        awaited: views.flatMap(({ awaited }) => awaited),
      };
    },
    attach: async ({ names, readOnly, server, take, owner: name = PERSON.name }) => {
      const owner = { kind: 'lasting', name } as const;
      if (take !== 'no' && names.length === 0)
        throw new RsError('E_USAGE', 'A take-over takes volumes from their holders: name the volumes');
      await own.query({ refresh: true });
      if (names.length === 0) {
        const all = volumesOf(offers.list, server).map(({ label }) => label);
        return { outcomes: await processes.attach(all, { readOnly, server, take, by: 'any', owner }) };
      }
      const choose = (missed: string): string => chooseToAttach(offers.list, missed, server).label;
      const attach = (labels: readonly string[]): Promise<AttachOutcome[]> =>
        processes.attach(labels, { readOnly, server, take, by: 'name', owner });
      return { outcomes: await resolved(names, choose, attach, (missed) => whyMissing(missed, server)) };
    },
    detach: async ({ names, force, owner = null }) => {
      const there = processes.volumes.map((volume) => ({ ...volume, server: '', isConnected: true }));
      if (names.length === 0) return { outcomes: await processes.detach(there.map(labelOf), force, owner) };
      const choose = (name: string): string => labelHereOr(there, name, () => chooseToAttach(offers.list, name, null).label);
      return {
        outcomes: await resolved(
          names,
          choose,
          (labels) => processes.detach(labels, force, owner),
          () => Promise.resolve(null),
        ),
      };
    },
    status: async () => {
      const answers: StatusView[] = await askAll('status');
      const { interfaces } = await own.status({});
      return {
        interfaces,
        waiting: answers.flatMap(({ waiting }) => waiting),
        logs: answers.flatMap(({ logs }) => logs),
        mirrors: answers.flatMap(({ mirrors }) => mirrors),
        awaited: answers.flatMap(({ awaited = [] }) => awaited),
        processes: processes.views,
      };
    },
    progress: async () => {
      const answers = await askAll('progress');
      const { progress } = await own.progress({});
      return { progress: [...answers.flatMap((one) => one.progress), ...progress] };
    },
    stats: async () => {
      const asked = await processes.askAll('stats', {});
      const answers: StatsView[] = asked.flatMap(({ answer }) => (answer === null ? [] : checkedAnswer('stats', answer)));
      const past = processes.pastPaths(asked, (answer) => checkedAnswer('stats', answer).paths);
      const { paths } = await own.stats({});
      const lists = [paths, ...answers.map((one) => one.paths)];
      const isThere = (path: PathStats): boolean => lists.some((list) => list.some((one) => isSamePath(one, path)));
      return { paths: joinedPaths([...lists, past.filter(isThere)]), volumes: answers.flatMap(({ volumes }) => volumes) };
    },
    mirrors: async (params) => {
      processes.mirrors = (await askAll('status')).flatMap(({ mirrors }) => mirrors);
      return await own.mirrors(params);
    },
    ...orderRoutes(own, ports),
    ...mirrorRoutes(own, processes),
  };
}

/** Orders, each in the process of its volume. This process refuses those that would overwrite what the configuration wants attached. */
function orderRoutes(
  own: ControlHandlers,
  { processes, offers, whyMissing, log, clock }: RoutingPorts,
): Pick<ControlHandlers, 'order-attach' | 'order-detach'> {
  const labels = new Map<string, string>();
  const end = async (ticket: string, isGone: boolean): Promise<void> => {
    const label = labels.get(ticket);
    if (label === undefined) return;
    try {
      await processes.endOrder(label, ticket, isGone);
      labels.delete(ticket);
    } catch (thrown) {
      // Nobody else tells the process that a command has gone. If the process has heard it already, the next call does nothing.
      if (isGone) clock.after(ORDER_END_RETRY_MS, () => void end(ticket, true).catch(() => undefined));
      throw thrown;
    }
  };
  return orderHandlers({
    log,
    attachFor: async (order, name, readOnly, server) => {
      await own.query({ refresh: true });
      const choose = (): string => {
        const choice = chooseToAttach(offers.list, name, server);
        if (order.isAlone) refuseWanted(choice, processes.detached);
        return choice.label;
      };
      const attach = (found: readonly string[]): Promise<AttachOutcome[]> =>
        processes.attach(found, { readOnly, server, take: 'no', by: 'name', owner: order });
      const [outcome] = await resolved([name], choose, attach, (missed) => whyMissing(missed, server));
      if (outcome?.error === null) labels.set(order.ticket, outcome.volume);
      return outcome ?? failure(name, new RsError('E_INTERNAL', 'No outcome'));
    },
    endOrder: end,
  });
}

/** The process that has the volume writes its note. The main process refuses a volume that no process has. */
async function writeNote(
  own: ControlHandlers,
  processes: DataProcesses,
  params: ControlMethods['volume-note-set']['params'],
): Promise<Result<'volume-note-set'>> {
  const there = processes.volumes.map((one) => ({ ...one, server: '', isConnected: true }));
  const { label } = chooseVolume(there, params.volume, null);
  const process = processes.volumes.find((one) => labelOf(one) === label)?.process;
  if (process === undefined) return await own['volume-note-set'](params);
  return checkedAnswer('volume-note-set', await process.call('volume-note-set', params));
}

/** Volumes of a process that does not answer wait until the process answers or is restarted. */
function missing({ number, pid, content }: DataProcess): Result<'local'> {
  const reason = `Data process ${number} ${pid === null ? 'is being started again' : 'does not answer'}`;
  const awaited = content.attached
    .filter(({ owners }) => owners?.length !== 0)
    .map(({ namespace, name, universe, id, readonly, server }) => {
      return { namespace, name, universe, id, readonly, server, reason };
    });
  return { attachments: [], awaited };
}

/** Methods about one mirror, and notes, go to the process that has attached the volume; without such a process, the main process executes or refuses them. */
function mirrorRoutes(own: ControlHandlers, processes: DataProcesses): Partial<ControlHandlers> {
  const named = Object.keys(MIRROR_METHODS).filter((method) => method !== 'mirrors' && method !== 'mirror-create') as Method[];
  const route = (method: Method) => async (params: { namespace: string | null; name: string; universe: number }) => {
    const process = holderOf(processes, params);
    if (process === null) return await (own[method] as (given: unknown) => unknown)(params);
    return checkedAnswer(method, await process.call(method, params));
  };
  const routes = Object.fromEntries(named.map((method) => [method, route(method)])) as unknown as Partial<ControlHandlers>;
  return { ...routes, 'volume-note-set': (params) => writeNote(own, processes, params) };
}

/**
 * Returns the process that has the mirror; null if no process has the mirror. Throws E_AMBIGUOUS if the name means mirrors of several
 * namespaces.
 */
function holderOf({ volumes }: DataProcesses, wanted: { namespace: string | null; name: string; universe: number }): DataProcess | null {
  const { namespace, name, universe } = wanted;
  const found = volumes.filter(
    (one) => one.name === name && one.universe === universe && (namespace === null || one.namespace === namespace),
  );
  if (found.length > 1) throw new RsError('E_AMBIGUOUS', `${name} means ${found.map(labelOf).join(' and ')}: name the namespace`);
  return found[0]?.process ?? null;
}

/** Returns the label of an attached or offered volume, because this client may still hold a volume that it has not attached. */
function labelHereOr(there: readonly Offer[], name: string, offered: () => string): string {
  try {
    return chooseVolume(there, name, null).label;
  } catch (thrown) {
    if (toRsError(thrown).code !== 'E_UNKNOWN_VOLUME') throw thrown;
    return offered();
  }
}

/**
 * Finds the label that each name means, passes the labels on, and returns the outcomes in the order of the names. A name that means no
 * label or several labels is refused here, because a process knows only its own volumes, and two processes could attach the same volume.
 */
async function resolved(
  names: readonly string[],
  choose: (name: string) => string,
  pass: (labels: readonly string[]) => Promise<AttachOutcome[]>,
  whyMissing: (name: string) => Promise<string | null>,
): Promise<AttachOutcome[]> {
  const found = await Promise.all(
    names.map(async (name) => {
      try {
        return choose(name);
      } catch (thrown) {
        const error = toRsError(thrown);
        const why = error.code === 'E_UNKNOWN_VOLUME' ? await whyMissing(name) : null;
        return failure(name, why === null ? error : new RsError('E_VOLUME', why));
      }
    }),
  );
  const outcomes = await pass(found.filter((one) => typeof one === 'string'));
  return found.map((one) => (typeof one === 'string' ? outcomes.shift()! : one));
}

function checkedAnswer<M extends Method>(method: M, answer: unknown): Result<M> {
  const problem = misfit(CONTROL_METHODS[method].result, answer);
  if (problem !== null) throw new RsError('E_INTERNAL', `A data process answered ${method} in another form (${problem})`);
  return answer as Result<M>;
}
