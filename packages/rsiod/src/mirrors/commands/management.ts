// The control methods about mirrors: finds the servers that a command names, checks the request before anything is created, and makes the
// answers. creation.ts and removal.ts execute the steps. Invariants: a mirror has at most one change at a time; at most MIRROR_CHANGES_MAX
// changes are in progress.

import { createHash } from 'node:crypto';
import type { ControlMethods } from '@rsio/api/rsiod/methods';
import type { AttachedMirrorView } from '@rsio/api/views/mirror-views';
import { RsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { quoteText } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { MirrorConfig, Term } from '@rsio/protocol/wire/mirror-messages';
import type { Mirrors } from '../mirrors.ts';
import { createMirror, type MirrorPlan } from './creation.ts';
import { growMirror } from './growth.ts';
import { MIRROR_CHANGES_MAX, MIRROR_REPLICAS_MAX } from '../limits.ts';
import { type CommandPorts, type MirrorNamespace, oneNamespace, serverNamed } from './namespaces.ts';
import { removeMirror } from './removal.ts';
import { findMirrors, surveyMirrors, unknownMirror } from './survey.ts';
import { mirrorView } from './views.ts';

type Methods = Pick<ControlMethods, 'mirrors' | 'mirror-create' | 'mirror-remove' | 'mirror-grow'>;

export interface MirrorManagementPorts extends CommandPorts {
  readonly mirrors: Pick<Mirrors, 'serving'>;
  /** Returns null if the mirror is not attached on this machine. */
  statusAt(label: string): AttachedMirrorView | null;
}

export class MirrorManagement {
  private readonly ports: MirrorManagementPorts;
  private readonly changing = new Set<string>();

  constructor(ports: MirrorManagementPorts) {
    this.ports = ports;
  }

  async list({ namespace }: Methods['mirrors']['params']): Promise<Methods['mirrors']['result']> {
    const namespaces = this.chosen(namespace);
    const surveys = await Promise.all(namespaces.map(({ name, servers }) => surveyMirrors(name, servers)));
    const silent = namespaces.flatMap(({ servers }) =>
      servers.flatMap(({ trouble }) => (trouble?.code === 'E_NO_PATH' ? [trouble.message] : [])),
    );
    const mirrors = surveys.flat().map((survey) => {
      const label = volumeLabel(survey);
      return mirrorView(survey, this.ports.isAttached(label, survey.mirror) ? this.ports.statusAt(label) : null);
    });
    return { mirrors: mirrors.sort(byName), gaps: silent };
  }

  async create(params: Methods['mirror-create']['params']): Promise<Methods['mirror-create']['result']> {
    const { newId, log } = this.ports;
    const plan = this.planOf(params);
    return await this.change(volumeLabel(plan), async () => {
      const config = await createMirror(plan, newId, log);
      return { mirror: createdView(plan, config), warnings: warningsOf(plan) };
    });
  }

  async remove(params: Methods['mirror-remove']['params']): Promise<Methods['mirror-remove']['result']> {
    const { name, volumes, force, id } = params;
    const found = await findMirrors(this.chosen(params.namespace), params);
    const named = found.filter(({ survey }) => id === null || survey.mirror === id);
    const [only, second] = named;
    if (only === undefined) throw unknownMirror(params);
    if (second !== undefined) {
      const candidates = named.map(({ survey }) => `${volumeLabel(survey)} (${survey.mirror})`).join(', ');
      throw new RsError(
        'E_AMBIGUOUS',
        `${name} means more than one mirror: ${candidates}: name the namespace, as in NAMESPACE:${name}, or the id with --id`,
      );
    }
    const { newId, log } = this.ports;
    const { survey, namespace } = only;
    const label = volumeLabel(survey);
    if (this.ports.isAttached(label, survey.mirror))
      throw new RsError('E_IN_USE', `Mirror ${label} is attached here: detach it first (rsconfig -d ${label})`);
    return await this.change(label, () => removeMirror({ survey, nodename: namespace.nodename, volumes, force }, newId, log));
  }

  async grow({ namespace, name, universe, sizeBytes }: Methods['mirror-grow']['params']): Promise<Methods['mirror-grow']['result']> {
    const named = this.chosen(namespace).map((one) => ({ namespace: one.name, name, universe }));
    const labels = named.map(volumeLabel);
    const [only, second] = named.filter((one) => this.ports.mirrors.serving(volumeLabel(one)) !== null);
    if (only !== undefined && second !== undefined)
      throw new RsError('E_AMBIGUOUS', `${name} means more than one mirror: name the namespace, as in NAMESPACE:${name}`);
    const label = only === undefined ? null : volumeLabel(only);
    const mirror = label === null ? null : this.ports.mirrors.serving(label);
    if (only === undefined || label === null || mirror === null) {
      const plain = labels.find((one) => this.ports.isAttached(one));
      if (plain !== undefined) throw new RsError('E_VOLUME', `${plain} is no mirror: rsconfig volume grow makes it larger`);
      const remedy = `attach it first (rsconfig -a ${labels[0] ?? name}), or use the client that has it`;
      throw new RsError('E_VOLUME', `No mirror ${labels.join(' or ') || name} is attached here: ${remedy}`);
    }
    return await this.change(label, async () => ({ ...only, fromBytes: await growMirror(label, mirror, sizeBytes), sizeBytes }));
  }

  /** Returns the namespaces to which a command applies: all if `namespace` is null. Throws E_USAGE. */
  chosen(namespace: string | null): readonly MirrorNamespace[] {
    const all = this.ports.namespaces();
    const chosen = all.filter(({ name }) => namespace === null || name === namespace);
    if (chosen.length > 0 || namespace === null) return chosen;
    throw new RsError(
      'E_USAGE',
      `There is no namespace ${quoteText(namespace)}: known are ${all.map(({ name }) => name).join(', ') || 'none'}`,
    );
  }

  /** Executes a change of a mirror. Throws E_BUSY if the mirror is being changed, and E_LIMIT if too many changes run. */
  async change<T>(label: string, work: () => Promise<T>): Promise<T> {
    if (this.changing.has(label)) throw new RsError('E_BUSY', `Mirror ${label} is being changed: try again later`);
    if (this.changing.size >= MIRROR_CHANGES_MAX)
      throw new RsError('E_LIMIT', `${MIRROR_CHANGES_MAX} changes of mirrors are in progress: try again when one of them has ended`);
    this.changing.add(label);
    try {
      return await work();
    } finally {
      this.changing.delete(label);
    }
  }

  /** Checks the request before anything is created. Throws E_USAGE, E_AMBIGUOUS, E_NO_PATH, E_VERSION or E_EXISTS. */
  private planOf(params: Methods['mirror-create']['params']): MirrorPlan {
    const { name, universe, sizeBytes, blockSizeBytes, pool, pools = [], servers, witness } = params;
    const namespace = oneNamespace(this.chosen(params.namespace), [...servers, ...(witness === null ? [] : [witness])]);
    if (servers.length < 2 || servers.length > MIRROR_REPLICAS_MAX)
      throw new RsError('E_USAGE', `A mirror has 2 or ${MIRROR_REPLICAS_MAX} replicas, not ${servers.length}: name so many servers`);
    if (witness !== null && servers.length !== 2)
      throw new RsError('E_USAGE', `A mirror with ${servers.length} replicas needs no witness: its servers vote`);
    const names = [...servers, ...(witness === null ? [] : [witness])];
    const twice = names.find((one, index) => names.indexOf(one) !== index);
    if (twice !== undefined) throw new RsError('E_USAGE', `Server ${twice} is named twice: replicas and witness need different servers`);
    const stray = pools.find(({ server }) => !servers.includes(server));
    if (stray !== undefined)
      throw new RsError(
        'E_USAGE',
        `Pool ${stray.pool} is named for server ${stray.server}, which has no replica: the replicas are on ${servers.join(', ')}`,
      );
    if (sizeBytes % Math.max(blockSizeBytes, SECTOR_BYTES) !== 0)
      throw new RsError('E_USAGE', `The size ${sizeBytes} is no multiple of the block size ${blockSizeBytes}`);
    const voters = names.map((one) => serverNamed(namespace, one));
    const label = volumeLabel({ namespace: namespace.name, name, universe });
    const twin = namespace.servers.find(
      (server) => !voters.includes(server) && server.volumes.some((one) => one.name === name && one.universe === universe),
    );
    if (twin !== undefined) throw new RsError('E_EXISTS', `Volume ${label} exists on server ${twin.name}: choose another name`);
    const request = params.request ?? this.ports.newId();
    return {
      namespace: namespace.name,
      nodename: namespace.nodename,
      name,
      universe,
      sizeBytes,
      blockSizeBytes,
      pool,
      request,
      mirror: mirrorId([request, namespace.name, namespace.nodename, name, universe, ...names]),
      pools: new Map(pools.map((one) => [one.server, one.pool])),
      replicas: voters.slice(0, servers.length),
      voters,
      kept: null,
    };
  }
}

/** Derives the id of a mirror from facts of the request, so that a repeated request gives the same id. */
export function mirrorId(facts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32);
}

function warningsOf({ replicas, voters }: MirrorPlan): string[] {
  if (voters.length > 2) return [];
  const names = replicas.map(({ name }) => name).join(' or ');
  return [
    `The mirror has no witness: if ${names} fails, the volume stops until that server returns; --witness names a third server that votes`,
  ];
}

export function createdView(plan: MirrorPlan, config: MirrorConfig): Methods['mirror-create']['result']['mirror'] {
  const { namespace, mirror, name, universe, voters } = plan;
  const term: Term = { number: 1, node: plan.nodename, instance: 0 };
  const servers = new Map(voters.map((server) => [server.serverid, server]));
  const view = mirrorView({
    namespace,
    mirror,
    name,
    universe,
    servers,
    listed: [],
    said: new Map(),
    stored: { term, config },
    promise: term,
  });
  return {
    ...view,
    replicas: view.replicas.map((replica) => ({ ...replica, isReachable: true, isSilent: false })),
    voters: view.voters.map((voter) => ({ ...voter, answers: true, isSilent: false, trouble: null })),
  };
}

function byName(
  a: { namespace: string; name: string; universe: number },
  b: { namespace: string; name: string; universe: number },
): number {
  const [left, right] = [volumeLabel(a), volumeLabel(b)];
  return left < right ? -1 : Number(left > right);
}
