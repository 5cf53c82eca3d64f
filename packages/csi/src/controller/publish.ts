// ControllerPublishVolume and ControllerUnpublishVolume: which node may attach a volume. The servers keep the list of clients of each
// volume, so that a driver that is replaced has nothing to remember. Invariants: a volume for one node is never given to a second one.
// Unpublish answers OK only when the servers have proven that no request of the node on this volume can run any more (docs/PROTOCOL.md H6).
// Rules: G45.

import { toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { outcomesAtOnce } from '@rsio/base/structures/concurrency';
import { NODE_VOLUMES_MAX, ORDERS_AT_ONCE_MAX, PUBLICATIONS_MAX } from '../limits.ts';
import { parseVolumeId } from '../product/ids.ts';
import type { Site } from '../product/orders.ts';
import { filled, isForSeveralNodes, isForSeveralWriters, isReader, type Use, useOf } from '../rpc/fields.ts';
import { type PublishRequest, READONLY_KEY, type Texts } from '../rpc/messages.ts';
import { CsiError } from '../rpc/status.ts';
import { publishedNodes } from './answers.ts';
import type { ControllerParts } from './controller-parts.ts';
import { type Mirrors, servingNode } from './mirrors.ts';

interface PublishingParts extends ControllerParts {
  readonly mirrors: Mirrors;
}

/** A volume or mirror, as far as its publication is concerned. */
interface Subject {
  readonly label: string;
  readonly nodes: readonly string[];
  /** For each server that answers, the nodes that it names. */
  readonly named: readonly (readonly string[])[];
  readonly isShared: boolean;
  readonly isReadonly: boolean;
  /** Servers that must know the node. */
  readonly servers: readonly string[];
  /** The node that certainly holds it, so that no other node does; null if none does, or if that is not certain. */
  readonly holder: string | null;
  allow(node: string): Promise<void>;
  /** Returns why servers still name the node; they can do it no harm. */
  revoke(node: string): Promise<readonly string[]>;
}

export class Publishing {
  private readonly parts: PublishingParts;
  /**
   * The capability with which each volume was published to each node. The same publication with another capability is refused. A restarted
   * driver knows of no earlier publications, and permits another capability; the servers enforce the rules of holders in any case.
   */
  private readonly known = new Map<string, string>();

  constructor(parts: PublishingParts) {
    this.parts = parts;
  }

  async publish({ volumeId, nodeId, volumeCapability, readonly }: PublishRequest): Promise<{ readonly publishContext: Texts }> {
    const id = parseVolumeId(filled(volumeId, 'volume_id'));
    const node = filled(nodeId, 'node_id');
    const use = useOf(volumeCapability);
    const site = await this.parts.orders.site();
    const subject = id === null ? null : await this.subjectOf(volumeId, site);
    if (subject === null) throw new CsiError('NOT_FOUND', `Volume ${quoteText(volumeId)} does not exist: create it first`);
    await this.checkNode(subject, node, site);
    const isReadonly = readonly || isReader(use) || subject.isReadonly;
    const givenUp = nodesGivenUp(subject, node, use);
    checkUse(subject, node, use, givenUp);
    const key = `${volumeId} ${node}`;
    const how = JSON.stringify([use, isReadonly]);
    const before = this.known.get(key);
    const isPublished = subject.nodes.includes(node);
    if (isPublished && before !== undefined && before !== how)
      throw new CsiError('ALREADY_EXISTS', `${subject.label} is published to node ${node} with another capability: unpublish it first`);
    if (!isPublished) await this.checkCount(node, site);
    await subject.allow(node);
    this.note(key, how);
    for (const other of givenUp) {
      const [why] = await subject.revoke(other);
      if (why !== undefined)
        throw new CsiError(
          'UNAVAILABLE',
          `${subject.label} was taken away from node ${other}, which is still named (${why}): repeat the call`,
        );
    }
    return { publishContext: { [READONLY_KEY]: isReadonly ? 'yes' : 'no' } };
  }

  /** With an empty node id, takes the volume away from all nodes. */
  async unpublish({ volumeId, nodeId }: { readonly volumeId: string; readonly nodeId: string }): Promise<object> {
    const id = parseVolumeId(filled(volumeId, 'volume_id'));
    if (id === null) return {};
    const site = await this.parts.orders.site();
    const subject = await this.subjectOf(volumeId, site);
    // The controller's own client stays in the list. It attaches only mirrors, for the moment of a snapshot.
    const nodes = (nodeId === '' ? (subject?.nodes ?? []) : [filled(nodeId, 'node_id')]).filter((node) => node !== site.nodename);
    for (const node of nodes) {
      await subject?.revoke(node);
      this.known.delete(`${volumeId} ${node}`);
    }
    return {};
  }

  private async subjectOf(volumeId: string, site: Site): Promise<Subject | null> {
    const { orders, volumes, mirrors, newId } = this.parts;
    const id = parseVolumeId(volumeId);
    if (id?.kind === 'mirror') {
      const mirror = await volumes.mirror(id.uuid);
      if (mirror === null) return null;
      const named = await mirrors.nodes(mirror, site);
      return {
        label: `Mirror ${mirror.name}`,
        nodes: [...new Set(named.flat())],
        named,
        isShared: false,
        isReadonly: false,
        servers: mirror.replicas.map(({ server }) => server),
        holder: servingNode(mirror),
        allow: (node) => mirrors.allow(mirror, node, site),
        revoke: (node) => mirrors.revoke(mirror, node),
      };
    }
    const found = id === null ? null : await volumes.byId(id.uuid);
    if (found === null) return null;
    const { server, volume } = found;
    const at = { name: volume.name, universe: volume.universe };
    if (volume.clients === null)
      throw new CsiError(
        'FAILED_PRECONDITION',
        `All clients may attach volume ${volume.name} of server ${server}: rsadm volume set ${volume.name} clients=${site.nodename} makes it private to the driver`,
      );
    return {
      label: `Volume ${volume.name} of server ${server}`,
      nodes: publishedNodes(volume, site),
      named: [publishedNodes(volume, site)],
      isShared: volume.shared,
      isReadonly: volume.readonly,
      servers: [server],
      holder: null,
      allow: async (node) => void (await orders.at(server, 'volume-allow', { ...at, client: node, request: newId() })),
      revoke: async (node) => {
        try {
          await orders.at(server, 'volume-revoke', { ...at, client: node, request: newId() });
          return [];
        } catch (thrown) {
          // The volume may have been removed meanwhile.
          if (toRsError(thrown).code !== 'E_UNKNOWN_VOLUME' || (await volumes.byId(id?.uuid ?? '')) !== null) throw thrown;
          return [];
        }
      },
    };
  }

  private async checkNode({ servers }: Subject, node: string, { nodename }: Site): Promise<void> {
    if (node === nodename)
      throw new CsiError('NOT_FOUND', `${node} is the client of the controller, and no node: give each node a client of its own`);
    // A mirror is used while one of its servers is down.
    const asked = await outcomesAtOnce(servers, ORDERS_AT_ONCE_MAX, async (server) => {
      const { clients } = await this.parts.orders.at(server, 'client-list', {});
      return { server, isKnown: clients.some(({ name }) => name === node) };
    });
    const answers = asked.flatMap(({ value }) => (value === null ? [] : [value]));
    const stranger = answers.find(({ isKnown }) => !isKnown);
    if (stranger !== undefined)
      throw new CsiError('NOT_FOUND', `Server ${stranger.server} has no client ${quoteText(node)}: rsadm client add ${node} adds it`);
    const [first] = asked;
    if (answers.length === 0 && first !== undefined) throw toRsError(first.thrown);
  }

  private async checkCount(node: string, site: Site): Promise<void> {
    const all = await this.parts.volumes.listed(site);
    const own = new Set(
      all.filter(({ volume }) => publishedNodes(volume, site).includes(node)).map(({ volume }) => volume.mirror ?? volume.id),
    );
    if (own.size >= NODE_VOLUMES_MAX)
      throw new CsiError(
        'RESOURCE_EXHAUSTED',
        `Node ${node} has ${own.size} volumes, and may have ${NODE_VOLUMES_MAX}: unpublish one first`,
      );
  }

  private note(key: string, how: string): void {
    this.known.delete(key);
    this.known.set(key, how);
    if (this.known.size <= PUBLICATIONS_MAX) return;
    const [oldest] = this.known.keys();
    if (oldest !== undefined) this.known.delete(oldest);
  }
}

/**
 * Returns the nodes that were given up while a server was away. This server still names them, others do not, and the node of this call has the
 * mirror by now. Until this call, the node could not use the replica of the server that was away.
 */
function nodesGivenUp({ nodes, named, holder }: Subject, node: string, use: Use): readonly string[] {
  if (holder !== node || isForSeveralNodes(use)) return [];
  return nodes.filter((one) => one !== node && named.some((names) => names.includes(node) && !names.includes(one)));
}

function checkUse({ label, nodes, isShared }: Subject, node: string, use: Use, givenUp: readonly string[]): void {
  if (isForSeveralWriters(use) && !isShared)
    throw new CsiError('FAILED_PRECONDITION', `${label} is for one node at a time: create a volume with the access mode ReadWriteMany`);
  const others = nodes.filter((one) => one !== node && !givenUp.includes(one));
  if (others.length > 0 && !isForSeveralNodes(use))
    throw new CsiError('FAILED_PRECONDITION', `${label} is published to node ${others.join(', ')}: unpublish it there first`);
}
