// Mirrors as volumes of an orchestrator. rsiod makes and removes them, and gives and takes access; this file makes the replicas
// private to the driver. Invariants: access is taken away only with the proof of rsiod, and together with the claim. No node gets a mirror
// that another node serves, as far as the voters that answer know; the servers refuse two holders in any case. An order that only the
// holder of a mirror can execute is refused, and the error names the command to run on the holder.

import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import { toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { outcomesAtOnce } from '@rsio/base/structures/concurrency';
import { ORDERS_AT_ONCE_MAX, SIZE_DEFAULT_BYTES } from '../limits.ts';
import { hashOf, volumeNameOf } from '../product/ids.ts';
import type { Site } from '../product/orders.ts';
import { invalid, isForSeveralWriters, isInRange, sizeIn, type SizeRange, type Use } from '../rpc/fields.ts';
import type { ContentSource, CsiVolume } from '../rpc/messages.ts';
import { CsiError } from '../rpc/status.ts';
import { publishedNodes, volumeMessage } from './answers.ts';
import type { ControllerParts } from './controller-parts.ts';
import { otherPlace } from './existing.ts';
import type { MirrorUse } from './mirror-use.ts';
import type { Parameters } from './parameters.ts';

const BLOCK_BYTES = 512;

export interface WantedMirror {
  readonly name: string;
  readonly range: SizeRange;
  readonly uses: readonly Use[];
  readonly parameters: Parameters;
  readonly content: ContentSource | null;
}

interface Replica {
  readonly server: string;
  readonly volume: string;
  readonly universe: number;
  readonly clients: readonly string[] | null;
  readonly owner: string | null;
  readonly pool: string | null;
  /** Number of its snapshots, without those that the mirror has not confirmed. */
  readonly snapshots: number;
}

interface MirrorParts extends ControllerParts {
  readonly use: MirrorUse;
}

export class Mirrors {
  private readonly parts: MirrorParts;

  constructor(parts: MirrorParts) {
    this.parts = parts;
  }

  async create(site: Site, wanted: WantedMirror, servers: readonly string[]): Promise<CsiVolume> {
    const { name, range, uses, parameters, content } = wanted;
    if (content !== null)
      throw invalid('A mirror cannot begin with the content of a snapshot or volume: use a class without parameter servers');
    if (uses.some(isForSeveralWriters))
      throw invalid('Only one node can have a mirror: use another access mode, or a class without parameter servers');
    const mirrorName = volumeNameOf(name);
    const found = (await this.parts.volumes.mirrorNamed(mirrorName)) ?? (await this.made(site, mirrorName, wanted, servers));
    if (found.sizeBytes === null)
      throw new CsiError(
        'UNAVAILABLE',
        `The size of mirror ${mirrorName} is not known, because its servers do not answer: repeat the call`,
      );
    const { sizeBytes } = found;
    const have = found.replicas.map(({ server }) => server);
    const voters = found.voters.map(({ server }) => server);
    const refusal = (what: string): CsiError =>
      new CsiError('ALREADY_EXISTS', `Mirror ${mirrorName} exists ${what}, or choose another name`);
    if (servers.some((server) => !have.includes(server)) || !isInRange(sizeBytes, range))
      throw refusal(`on ${have.join(', ')} with ${sizeBytes} bytes: ask for these`);
    if (parameters.witness !== null && !voters.includes(parameters.witness))
      throw refusal(`with the voters ${voters.join(', ')}: ask for one of them as the witness`);
    const replicas = await this.replicas(found);
    // A mirror of a person must not become private to the driver.
    const stranger = replicas.find(({ owner }) => owner !== site.nodename);
    if (stranger !== undefined) throw refusal('and was not created by this driver: ask for one that it has created');
    const elsewhere = replicas.find(({ pool }) => parameters.pool !== null && pool !== parameters.pool);
    if (elsewhere !== undefined) throw refusal(`in pool ${elsewhere.pool ?? ''} of server ${elsewhere.server}: ask for this pool`);
    for (const { server, clients, volume, universe } of replicas) {
      if (clients !== null) continue;
      const at = { name: volume, universe };
      await this.parts.orders.at(server, 'volume-set', { ...at, settings: [`clients=${site.nodename}`], request: this.parts.newId() });
    }
    return volumeMessage({ kind: 'mirror', uuid: found.mirror, sizeBytes }, site, parameters.fsType, null);
  }

  async delete(uuid: string): Promise<object> {
    const found = await this.parts.volumes.mirror(uuid);
    if (found === null) return {};
    const site = await this.parts.orders.site();
    const { namespace, name, universe, holder } = found;
    const refusal = (why: string): CsiError => new CsiError('FAILED_PRECONDITION', `Mirror ${name} ${why}`);
    const replicas = await this.replicas(found);
    const nodes = [...new Set(replicas.flatMap((one) => publishedNodes(one, site)))];
    if (nodes.length > 0) throw refusal(`is published to ${nodes.join(', ')}: unpublish it first`);
    const stranger = replicas.find(({ owner }) => owner !== site.nodename);
    if (stranger !== undefined)
      throw refusal(`was not created by client ${site.nodename}, the client of this driver: use rsconfig mirror remove`);
    const kept = replicas.find(({ snapshots }) => snapshots > 0);
    if (kept !== undefined) throw refusal(`has snapshots on server ${kept.server}, which go with it: delete them first`);
    if (holder === site.nodename) await this.parts.use.giveBack(found, site);
    else if (holder !== null) throw refusal(`is held by ${holder}: rsconfig -d ${name} on that node, or fence the node`);
    const { left } = await this.parts.orders.own('mirror-remove', { namespace, name, universe, volumes: true, force: false, id: uuid });
    if (left.length > 0) throw new CsiError('UNAVAILABLE', `Mirror ${name} is removed in part: ${left.join('; ')}`);
    return {};
  }

  /**
   * Lets a node attach the mirror. A server that does not answer is left out, because a mirror is used while a server is down. When the
   * server is back, ListVolumes does not show the mirror as published, and the orchestrator repeats the call.
   */
  async allow(mirror: MirrorSummary, node: string, site: Site): Promise<void> {
    const { namespace, name, universe, mirror: id, holder } = mirror;
    // A node that was not taken away with proof may still be alive and write. The servers would refuse the next node, which waits in vain.
    if (holder !== null && holder !== node && holder !== site.nodename && !isGivenUp(mirror))
      throw new CsiError(
        'FAILED_PRECONDITION',
        `Node ${holder} still has mirror ${name}, so node ${node} cannot get it: detach it there (rsconfig -d ${name}). If node ${holder} is lost, give it the taint node.kubernetes.io/out-of-service; if Kubernetes has no VolumeAttachment for it, rsconfig -a --take-over ${name} beside the driver, and rsconfig -d ${name}`,
      );
    if (!isGivenUp(mirror)) await this.parts.use.giveBack(mirror, site);
    const { servers, left } = await this.parts.orders.own('mirror-allow', { namespace, name, universe, client: node, id });
    const [first] = left;
    if (servers.length === 0)
      throw new CsiError('UNAVAILABLE', `No server gives mirror ${name} to ${node}: ${first?.reason ?? 'no replica was found'}`);
  }

  /**
   * Takes the mirror away from a node, with its claim, so that the next node can attach it. Throws FAILED_PRECONDITION unless servers or
   * voters have proven that its requests and its claim have ended. Returns why servers have not executed the order, and still name the node.
   */
  async revoke({ namespace, name, universe, mirror: id }: MirrorSummary, node: string): Promise<readonly string[]> {
    const order = { namespace, name, universe, client: node, id, endClaim: true };
    const { isProven, left, stillHolds = null } = await this.parts.orders.own('mirror-revoke', order);
    const unexecuted = left.map(({ server, reason }) => `${server}: ${reason}`);
    if (isProven && stillHolds === null) return unexecuted;
    const why = [...unexecuted, ...(stillHolds === null ? [] : [stillHolds])].join('; ');
    throw new CsiError(
      'FAILED_PRECONDITION',
      `It is not proven that node ${node} cannot write to mirror ${name} any more (${why}): repeat the call when most servers of the mirror answer, or start the node again`,
    );
  }

  /** Returns the nodes to which the mirror is published, for each server that answers. */
  async nodes(found: MirrorSummary, site: Site): Promise<string[][]> {
    const asked = await outcomesAtOnce(found.replicas, ORDERS_AT_ONCE_MAX, (one) => this.replica(one));
    const known = asked.flatMap(({ value }) => (value === null ? [] : [value]));
    const [first] = asked;
    if (known.length === 0 && first !== undefined) throw toRsError(first.thrown);
    return known.map((one) => publishedNodes(one, site));
  }

  /** Returns the replicas with what their servers say about the volumes. Throws if one of the servers does not answer. */
  private replicas({ replicas }: MirrorSummary): Promise<Replica[]> {
    return Promise.all(replicas.map((one) => this.replica(one)));
  }

  private async replica({ server, volume: name, universe }: MirrorSummary['replicas'][number]): Promise<Replica> {
    const { volume, snapshots } = await this.parts.orders.at(server, 'volume-show', { name, universe });
    const { clients, owner, pool } = volume;
    // What an interrupted snapshot has left is no snapshot, and no orchestrator knows or deletes it.
    const kept = snapshots.filter(({ moment }) => moment?.isProven !== false);
    return { server, volume: name, universe, clients, owner, pool, snapshots: kept.length };
  }

  private async made(site: Site, name: string, { range, parameters }: WantedMirror, servers: readonly string[]): Promise<MirrorSummary> {
    const unknown = [...servers, ...(parameters.witness === null ? [] : [parameters.witness])].find(
      (server) => !site.places.some((place) => place.server === server),
    );
    if (unknown !== undefined) throw invalid(`Namespace ${site.namespace} has no server ${quoteText(unknown)}: correct servers or witness`);
    const other = await otherPlace(this.parts.volumes, site, '', name);
    if (other !== null) throw new CsiError('ALREADY_EXISTS', `Volume ${name} exists on server ${other}: choose another name`);
    const sizeBytes = sizeIn(range, SIZE_DEFAULT_BYTES);
    const { witness, pool } = parameters;
    const whole = {
      namespace: site.namespace,
      name,
      universe: 0,
      sizeBytes,
      blockSizeBytes: BLOCK_BYTES,
      servers,
      witness,
      pool,
      pools: [],
    };
    try {
      const request = hashOf('mirror', name, String(sizeBytes), ...servers);
      return (await this.parts.orders.own('mirror-create', { ...whole, request })).mirror;
    } catch (thrown) {
      const found = toRsError(thrown).code === 'E_EXISTS' ? await this.parts.volumes.mirrorNamed(name) : null;
      if (found === null) throw thrown;
      return found;
    }
  }
}

/**
 * True if the holder has only claimed the mirror, to end the claim of a lost node, according to a majority of the voters. The next node
 * attaches such a mirror at once.
 */
function isGivenUp(mirror: MirrorSummary): boolean {
  return mirror.isOnlyClaimed === true && isCertain(mirror);
}

/** Returns the node that serves the mirror, according to a majority of the voters; null if none does. */
export function servingNode(mirror: MirrorSummary): string | null {
  return mirror.isOnlyClaimed === false && isCertain(mirror) ? mirror.holder : null;
}

function isCertain({ state, voters, majority }: MirrorSummary): boolean {
  return state === 'known' && voters.filter(({ answers }) => answers).length >= majority;
}

/** Makes the refusal of an order that only the holder of a mirror can execute. */
export function onlyHolder(name: string, what: string, command: string): CsiError {
  return new CsiError(
    'FAILED_PRECONDITION',
    `Only the node that has mirror ${name} attached can ${what}: ${command} there, with the right manage`,
  );
}
