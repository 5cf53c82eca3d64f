// The topology of nodes and volumes: a node reaches the volumes of its namespace. Pure. Invariant: controller and nodes make the same
// segment for the same namespace.

import type { Topology } from '../rpc/messages.ts';
import type { Site } from './orders.ts';

/** Key of the segment that names the namespace of a node or volume. */
export const TOPOLOGY_KEY = 'topology.rsio.csi/namespace';

export function topologyOf({ namespace, namespaceid }: Pick<Site, 'namespace' | 'namespaceid'>): Topology {
  return { segments: { [TOPOLOGY_KEY]: `${namespace}-${namespaceid}` } };
}
