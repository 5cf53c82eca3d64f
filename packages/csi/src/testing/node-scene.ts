// A node for tests: the service Node over an rsiod and a machine in memory, with one volume that is published to the node.
// fake-rsiod.ts and fake-host.ts have the rsiod and the machine.

import { type Clock, systemClock } from '@rsio/base/lib/clock';
import { nodeService } from '../node/node-service.ts';
import type { Calls } from '../rpc/calls.ts';
import type { Service } from '../rpc/rpc-server.ts';
import { type Scene, served, WRITER } from './csi-scene.ts';
import { FakeHost, FakeRecords } from './fake-host.ts';
import { CONTROLLER, FakeRsiod } from './fake-rsiod.ts';
import { GIB } from './fake-servers.ts';

export const STAGING = '/var/lib/kubelet/staging';
export const TARGET = '/var/lib/kubelet/pods/one/mount';
export const DEVICE = '/dev/osl:one@0';
const NODE = 'node-1';

export interface NodeWorld {
  readonly rsiod: FakeRsiod;
  readonly host: FakeHost;
  readonly records: FakeRecords;
  readonly volumeId: string;
}

export function nodeWorld(changes: { readonly shared?: boolean } = {}): NodeWorld {
  const rsiod = new FakeRsiod();
  rsiod.nodename = NODE;
  const { view } = rsiod.server.add({
    name: 'one',
    universe: 0,
    owner: CONTROLLER,
    clients: [CONTROLLER, NODE],
    sizeBytes: GIB,
    shared: false,
    ...changes,
  });
  return { rsiod, host: new FakeHost(rsiod), records: new FakeRecords(rsiod), volumeId: `volume.${view.id}` };
}

export function nodeServices({ rsiod, host, records }: NodeWorld, calls: Calls, clock: Clock = systemClock): { readonly Node: Service } {
  return { Node: nodeService({ clock, calls, rsiod: rsiod.call, namespace: null, host, records }) };
}

export function nodeScene(world: NodeWorld, clock: Clock = systemClock): Promise<Scene> {
  return served((calls) => nodeServices(world, calls, clock));
}

export function stageRequest({ volumeId }: Pick<NodeWorld, 'volumeId'>, changes: object = {}): object {
  return { volumeId, stagingTargetPath: STAGING, volumeCapability: WRITER, publishContext: { readonly: 'no' }, ...changes };
}

export function publishRequest(world: Pick<NodeWorld, 'volumeId'>, changes: object = {}): object {
  return { ...stageRequest(world), targetPath: TARGET, ...changes };
}
