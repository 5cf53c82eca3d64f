// Converts a plain volume to a mirror. The volume must not be attached. The volume becomes the first replica and keeps its data; a new
// volume on another server becomes the second replica. creation.ts executes the steps. Invariants: in the first configuration, only the old
// volume is in sync, so that the next client that attaches the mirror copies the data to the other server. If a step fails, the volume
// stays unchanged.

import type { ChangedMirror } from '@rsio/api/views/mirror-views';
import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { RsError } from '@rsio/base/lib/errors';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { createMirror, type MirrorPlan } from './creation.ts';
import { createdView, type MirrorManagement, mirrorId } from './management.ts';
import type { MirrorServer } from './mirror-server.ts';
import { type CommandPorts, type MirrorNamespace, serverNamed } from './namespaces.ts';

type Params = ControlMethods['mirror-add']['params'];

export interface ConversionPorts extends Pick<CommandPorts, 'log' | 'isAttached' | 'newId'> {
  readonly management: Pick<MirrorManagement, 'change' | 'chosen'>;
}

export async function convertVolume(ports: ConversionPorts, params: Params): Promise<ChangedMirror> {
  const { management, newId, log } = ports;
  const { plan, holders } = planOf(management.chosen(params.namespace), params, params.request ?? newId());
  const label = volumeLabel(plan);
  if (ports.isAttached(label) || holders.length > 0) throw inUse(label, ports.isAttached(label) ? null : holders);
  return await management.change(label, async () => {
    const config = await createMirror(plan, newId, log);
    const names = plan.voters.map(({ name }) => name).join(' or ');
    const copied = `Server ${params.server} gets the data when a client attaches the mirror: rsconfig -a ${label}`;
    const witness = `The mirror has no witness: if ${names} fails, the volume stops until that server returns; rsconfig mirror witness adds a third voter`;
    return { mirror: createdView(plan, config), warnings: [copied, witness], left: [] };
  });
}

/** Throws E_UNKNOWN_VOLUME, E_AMBIGUOUS, E_USAGE, E_NO_PATH or E_VERSION. */
function planOf(
  namespaces: readonly MirrorNamespace[],
  { name, universe, server: wanted, pool }: Params,
  request: string,
): { readonly plan: MirrorPlan; readonly holders: readonly string[] } {
  const found = namespaces.flatMap((namespace) =>
    namespace.servers.flatMap((server) => {
      const volume = server.volumes.find((one) => one.name === name && one.universe === universe);
      return volume === undefined ? [] : [{ namespace, server, volume }];
    }),
  );
  const [only, second] = found;
  if (only === undefined)
    throw new RsError('E_UNKNOWN_VOLUME', `No connected server offers a volume ${name}@${universe}: rsconfig -q lists the volumes`);
  if (second !== undefined)
    throw new RsError('E_AMBIGUOUS', `${name} means more than one volume: ${found.map(labelAt).join(', ')}: rename or remove the others`);
  const { namespace, server: kept, volume } = only;
  if (kept.trouble !== null) throw kept.trouble;
  const label = volumeLabel({ namespace: namespace.name, name, universe });
  if (volume.shared || volume.readonly)
    throw new RsError('E_USAGE', `Volume ${label} is ${volume.shared ? 'shared' : 'read-only'}, which a mirror cannot be`);
  const other = serverNamed(namespace, wanted);
  if (other === kept)
    throw new RsError('E_USAGE', `Server ${wanted} has volume ${label} itself: name another server for the second replica`);
  const replicas = [kept, other];
  const { nodename } = namespace;
  const plan = {
    namespace: namespace.name,
    nodename,
    name,
    universe,
    pool,
    pools: new Map(),
    request,
    replicas,
    kept,
    voters: replicas,
    sizeBytes: volume.sizeBytes,
    blockSizeBytes: volume.blockSizeBytes,
    mirror: mirrorId([request, namespace.name, nodename, name, universe, kept.name, other.name]),
  };
  return { plan, holders: volume.holders.map(({ node }) => node) };
}

function labelAt({ namespace, server }: { readonly namespace: MirrorNamespace; readonly server: MirrorServer }): string {
  return `that of server ${server.name} of ${namespace.name}`;
}

/** `holders`: the clients that have attached the volume; null if this client has attached it. */
function inUse(label: string, holders: readonly string[] | null): RsError {
  const who = holders === null ? 'is attached here' : `is attached by client ${holders.join(' and ')}`;
  return new RsError(
    'E_IN_USE',
    `Volume ${label} ${who}: it becomes a mirror while no client has it; detach it (rsconfig -d ${label}), and try again`,
  );
}
