// The control method `mirror-force`: finds the mirror and the servers, and reports which data would be lost. The method makes the mirror
// only if the request repeats the value `seen` of that report. Invariants: nothing is changed unless `seen` matches the current state of
// the mirror; one mirror is forced at a time.

import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { VOTE_ASK_MS } from '../limits.ts';
import type { MirrorServer } from './mirror-server.ts';
import type { CommandPorts, MirrorNamespace } from './namespaces.ts';
import { findMirrors, type FoundMirror, unknownMirror } from './survey.ts';
import { forceMirror } from './force.ts';
import { type ForcePlan, forcePlan } from './force-plan.ts';

type Force = ControlMethods['mirror-force'];

export class MirrorForcing {
  private readonly ports: CommandPorts;
  private isForcing = false;

  constructor(ports: CommandPorts) {
    this.ports = ports;
  }

  async force(params: Force['params']): Promise<Force['result']> {
    const plan = await this.plan(params);
    const { label, survey, replicas, voters, missing, lost, seen } = plan;
    const told = {
      namespace: survey.namespace,
      name: survey.name,
      universe: survey.universe,
      missing,
      lost,
      seen,
      warnings: warningsOf(plan),
      replicas: replicas.map(({ server, inSync }) => ({ server: server.name, inSync })),
      voters: voters.map(({ name }) => name),
    };
    if (params.seen === null) return { ...told, mirror: null, left: [] };
    if (params.seen !== seen) throw new RsError('E_BUSY', `Mirror ${label} has changed meanwhile: try again`);
    if (this.isForcing) throw new RsError('E_BUSY', 'Another mirror is being made by force: try again later');
    this.isForcing = true;
    try {
      const { mirror, left } = await forceMirror(plan, this.ports.newId().replaceAll('-', ''), this.ports.log);
      return { ...told, mirror, left };
    } finally {
      this.isForcing = false;
    }
  }

  private async plan(params: Force['params']): Promise<ForcePlan> {
    const { servers, stale } = params;
    const { namespace, survey } = await this.found(params);
    const label = volumeLabel(survey);
    if (this.ports.isAttached(label, survey.mirror))
      throw new RsError('E_IN_USE', `Mirror ${label} is attached here: detach it first (rsconfig -d ${label} --force)`);
    const plan = forcePlan(
      survey,
      servers.map((one) => serverNamed(namespace, one)),
      stale,
    );
    await checkUnread(plan);
    return plan;
  }

  /**
   * Finds the mirror by name. If several mirrors have the name, the function chooses the mirror that has a replica on one of the servers in
   * the request.
   */
  private async found({ namespace, name, universe, servers }: Force['params']): Promise<FoundMirror> {
    const namespaces = this.ports.namespaces().filter((one) => namespace === null || one.name === namespace);
    const named = await findMirrors(namespaces, { name, universe });
    const near = named.filter(({ survey }) => survey.listed.some(({ server }) => servers.includes(server.name)));
    const [only, second] = near.length > 0 ? near : named;
    if (only === undefined) throw unknownMirror({ name, universe });
    if (second === undefined) return only;
    const candidates = named.map(({ survey }) => `${volumeLabel(survey)} (${survey.mirror})`).join(', ');
    throw new RsError('E_AMBIGUOUS', `${name} means more than one mirror: ${candidates}: name servers of one of them`);
  }
}

/**
 * Throws E_HELD if a client has a snapshot of a replica attached. Without this check, the server would refuse to change the mark only after
 * the old mirror has been claimed and its users have been stopped. A server that does not answer is not checked.
 */
async function checkUnread({ label, replicas, survey }: ForcePlan): Promise<void> {
  await Promise.all(
    replicas.map(async ({ server, volume: name, universe }) => {
      const shown = (await server.callAdmin('volume-show', { name, universe }, VOTE_ASK_MS).catch(() => ({}))) as {
        readonly snapshots?: readonly { readonly snapshot?: string; readonly readers?: number | null }[];
      };
      const read = (shown.snapshots ?? []).find(({ readers }) => (readers ?? 0) > 0);
      if (read === undefined) return;
      const snapshot = volumeLabel({ namespace: survey.namespace, name, universe });
      throw new RsError(
        'E_HELD',
        `Nothing was changed of mirror ${label}: snapshot ${snapshot}@${read.snapshot ?? ''} on server ${server.name} is attached; detach it first (rsconfig -d ${snapshot}@${read.snapshot ?? ''} on the client that has it)`,
      );
    }),
  );
}

/**
 * Finds a server by name. Throws E_USAGE if the namespace has no server with the name. Whether the server can be used is checked later, by
 * the plan.
 */
function serverNamed({ name: namespace, servers }: MirrorNamespace, name: string): MirrorServer {
  const server = servers.find((one) => one.name === name);
  if (server !== undefined) return server;
  const known = servers.map((one) => one.name).join(', ') || 'none';
  throw new RsError('E_USAGE', `No server ${quoteText(name)} of namespace ${namespace} was reached: known are ${known}`);
}

function warningsOf({ label, voters, replicas }: ForcePlan): string[] {
  const several = replicas.filter(({ inSync }) => inSync).length > 1;
  return [
    ...(voters.length > 2
      ? []
      : [
          `If ${voters.map(({ name }) => name).join(' or ')} fails, the volume stops: rsconfig mirror add ${label} --server NAME adds a replica, rsconfig mirror witness ${label} --server NAME a voter`,
        ]),
    ...(several ? [`The replicas may differ: the client that attaches ${label} makes them equal, and copies all of it`] : []),
  ];
}
