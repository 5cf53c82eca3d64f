// Gathers the facts for `impactOf` from all servers of a namespace, and from rsiod and rsapp of this machine. It changes nothing. Invariant:
// a server that does not answer all questions has a trouble, so that what it has counts as unknown.

import type { AppMethods } from '../rsapp/app-methods.ts';
import type { ControlMethodName, ControlMethods, NamespaceView } from '../rsiod/methods.ts';
import { toRsError } from '@rsio/base/lib/errors';
import { askServers, type CallAt, type Place } from './asked-servers.ts';
import type { ImpactFacts, ImpactPath, ImpactServer } from './impact.ts';
import { withToldMirrors } from './told-mirrors.ts';

export interface FactPorts {
  readonly call: <M extends ControlMethodName>(method: M, params: ControlMethods[M]['params']) => Promise<ControlMethods[M]['result']>;
  readonly callApp: (method: 'applications', params: AppMethods['applications']['params']) => Promise<AppMethods['applications']['result']>;
  readonly callAt: CallAt;
  /** Maximum number of servers that are asked each of the QUESTIONS at a time. */
  readonly atOnce: number;
}

/** Number of questions to each server that are open at a time. */
export const QUESTIONS = 4;

/** `places`: the servers of the namespace. `namespaces`: what rsiod has said about it (query). */
export async function impactFacts(
  { call, callApp, callAt, atOnce }: FactPorts,
  places: readonly Place[],
  namespaces: readonly NamespaceView[],
  namespace: string,
): Promise<ImpactFacts> {
  const [volumes, records, farms, replications, { mirrors, gaps }, { gates }, applications] = await Promise.all([
    askServers(places, atOnce, callAt, 'volume-list', { pool: null }),
    askServers(places, atOnce, callAt, 'witness-list', {}),
    askServers(places, atOnce, callAt, 'farm-show', {}),
    askServers(places, atOnce, callAt, 'replication-list', {}),
    call('mirrors', { namespace }).catch(noMirrors),
    call('gates', {}),
    callApp('applications', {}).then(
      (answer) => answer.applications,
      (thrown: unknown) => {
        // Most machines have no applications, and run no rsapp.
        if (toRsError(thrown).code === 'E_NOT_RUNNING') return [];
        throw thrown;
      },
    ),
  ]);
  const servers = places.map(({ server }, index): ImpactServer => {
    const asked = [volumes[index]!, farms[index]!, replications[index]!];
    return {
      namespace,
      server,
      trouble: asked.find(({ error }) => error !== null)?.error?.message ?? null,
      volumes: volumes[index]!.result?.volumes ?? [],
      shared: farms[index]!.result?.pools ?? [],
      replications: replications[index]!.result?.replications ?? [],
    };
  });
  return { servers, mirrors: withToldMirrors(mirrors, volumes, records), gaps, paths: pathsOf(namespaces, namespace), gates, applications };
}

/** A list of the mirrors that does not come in time is a gap, so that the mirrors are unknown. */
function noMirrors(thrown: unknown): ControlMethods['mirrors']['result'] {
  const { code, message } = toRsError(thrown);
  if (code !== 'E_TIMEOUT') throw thrown;
  return { mirrors: [], gaps: [message] };
}

function pathsOf(namespaces: readonly NamespaceView[], namespace: string): ImpactPath[] {
  const servers = namespaces.filter(({ name }) => name === namespace).flatMap((one) => one.servers);
  return servers.flatMap(({ name: server, paths }) =>
    paths.filter(({ state }) => state === 'up').map(({ localAddress, address }) => ({ namespace, server, localAddress, address })),
  );
}
