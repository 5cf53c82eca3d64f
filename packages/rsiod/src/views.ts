// The daemon's state as the control methods show it (protocol's control/methods.ts). Reads, never changes.
// Leaves layout and wording for people to rsconfig.

import type {
  AttachmentView,
  InterfaceView,
  NamespaceView,
  PathView,
  ServerView,
  StatsView,
  StatusView,
  WaitingView,
} from '@rsio/protocol/control/methods';
import type { RscltConfig, StallPolicy } from '@rsio/protocol/config/types';
import type { Clock } from '@rsio/protocol/lib/clock';
import { printDuration } from '@rsio/protocol/lib/units';
import { STALL_FAIL_GRACE_MS } from '@rsio/protocol/limits';
import type { LocalInterface, Namespace, Route } from './namespace.ts';
import { labelOf } from './offers.ts';
import type { Server } from './server.ts';
import type { StallWord } from './stall.ts';
import type { Volume } from './volume.ts';

export function pathView({ local, remote, port, supervisor }: Route): PathView {
  const { path, state } = supervisor;
  return {
    number: path?.number ?? null,
    interface: local.name,
    localAddress: local.address,
    address: remote.address,
    port,
    state,
    ...supervisor.directions,
    sinceMs: supervisor.sinceMs,
    lastError: supervisor.lastErrorSentence,
    lastErrorMs: supervisor.lastErrorMs,
    retries: supervisor.retries,
    roundTripMs: path?.roundTripMs ?? null,
  };
}

/** Sections that lead to one server are one; a section whose server was never met stands for itself. */
function serverGroups(namespace: Namespace): { server: Server | null; sections: string[] }[] {
  const groups: { server: Server | null; sections: string[] }[] = [];
  for (const section of namespace.config.servers) {
    const server = namespace.routes.find((route) => route.remote === section && route.server !== null)?.server ?? null;
    const group = server === null ? undefined : groups.find((one) => one.server === server);
    if (group === undefined) groups.push({ server, sections: [section.name] });
    else group.sections.push(section.name);
  }
  return groups;
}

export function namespaceView(namespace: Namespace, position: number): NamespaceView {
  const { name, namespaceid, nodename } = namespace.config;
  const servers = serverGroups(namespace).map(({ server, sections }, index) => serverView(namespace, server, sections, index));
  return { position, name, namespaceid, nodename, servers };
}

function serverView(namespace: Namespace, server: Server | null, sections: string[], position: number): ServerView {
  const routes = namespace.routes.filter((route) => sections.includes(route.remote.name));
  const session = server?.trunk.session ?? null;
  const isTrying = routes.some(({ supervisor }) => supervisor.state === 'connecting' || supervisor.state === 'proving');
  return {
    position,
    name: server?.name ?? sections[0] ?? '',
    sections,
    serverid: server?.serverid ?? null,
    instance: session?.serverInstance ?? null,
    state: server?.isConnected === true ? 'connected' : isTrying ? 'connecting' : 'down',
    addresses: namespace.config.servers
      .filter((section) => sections.includes(section.name))
      .map((section) => ({
        section: section.name,
        address: section.address,
        port: routes.find((route) => route.remote === section)?.port ?? section.port ?? 0,
      })),
    limits: session === null ? null : { slots: session.slots, windowBytes: session.windowBytes },
    volumes: (server?.volumes ?? []).map((volume) => ({
      name: volume.name,
      universe: volume.universe,
      id: volume.id,
      blocks: volume.sizeBytes / volume.blockSizeBytes,
      blockSizeBytes: volume.blockSizeBytes,
      readonly: volume.readonly,
      shared: volume.shared,
      holders: volume.holders,
    })),
    paths: routes.map(pathView),
  };
}

export function attachmentView(volume: Volume, device: string | null, servers: number): AttachmentView {
  return {
    namespace: volume.namespace,
    name: volume.name,
    universe: volume.universe,
    id: volume.id,
    state: waitsFor(volume) === null ? 'attached' : 'waiting',
    readonly: volume.readonly,
    blocks: volume.sizeBytes / volume.blockSizeBytes,
    blockSizeBytes: volume.blockSizeBytes,
    servers,
    rawDevice: null,
    blockDevice: device ?? '-',
  };
}

/** Why the volume's I/O cannot go on just now, or null. */
function waitsFor(volume: Volume): string | null {
  const { attachment, trunk, stall } = volume;
  if (trunk.paths.length === 0) {
    return stall.gaveUp ? 'a path to its server: I/O was given up, its outcome is unknown' : 'a path to its server';
  }
  return attachment.phase === 'ready' ? null : attachment.reason;
}

/** What is said of a volume when its stall policy says `word`. */
export function stallNotice(volume: Volume, word: StallWord): { from: string; to: string; sentence: string } {
  const { policy } = volume.stall;
  const limit = policy === 'forever' ? '' : ` for up to ${printDuration(policy === 'fail' ? STALL_FAIL_GRACE_MS : policy)}`;
  switch (word) {
    case 'waits':
      return {
        from: 'open',
        to: 'waiting',
        sentence: `I/O waits${limit} for ${waitsFor(volume) ?? 'its server'} (stall = ${policyText(policy)})`,
      };
    case 'gave-up':
      return {
        from: 'waiting',
        to: 'given-up',
        sentence: `I/O that waited${limit} is answered with an error, its outcome is unknown; the volume goes on by itself when its server is back (stall = ${policyText(policy)})`,
      };
    case 'goes-on':
      return { from: 'waiting', to: 'open', sentence: 'I/O goes on' };
  }
}

function policyText(policy: StallPolicy): string {
  return typeof policy === 'number' ? printDuration(policy) : policy;
}

export function statusView(
  config: RscltConfig,
  locals: readonly LocalInterface[],
  namespaces: readonly Namespace[],
  volumes: readonly Volume[],
  clock: Clock,
): StatusView {
  const interfaces: InterfaceView[] = config.interfaces.map((one, position) => ({
    position,
    name: one.name,
    address: one.address,
    port: one.port,
    reps: namespaces
      .flatMap((namespace) => namespace.routes)
      .filter((route) => route.local === locals[position])
      .map((route) => ({ ...pathView(route), position: route.remote.position, section: route.remote.name })),
  }));
  return { interfaces, waiting: volumes.flatMap((volume) => waitingView(volume, clock)) };
}

function waitingView(volume: Volume, clock: Clock): WaitingView[] {
  const reason = waitsFor(volume);
  if (reason === null || volume.waitingSinceMs === null) return [];
  const toWallMs = clock.wallMs() - clock.monotonicMs();
  const { untilMs } = volume.stall;
  return [
    {
      volume: labelOf(volume),
      waitsFor: reason,
      sinceMs: toWallMs + volume.waitingSinceMs,
      untilMs: untilMs === null ? null : toWallMs + untilMs,
      requests: volume.outstanding,
    },
  ];
}

export function statsView(namespaces: readonly Namespace[], volumes: readonly Volume[]): StatsView {
  const routes = namespaces.flatMap((namespace) => namespace.routes);
  return {
    paths: routes.map(({ local, remote, supervisor }) => ({
      interface: local.name,
      address: remote.address,
      state: supervisor.state,
      ...supervisor.totals,
    })),
    volumes: volumes.map((volume) => volume.counters.view(labelOf(volume), volume.outstanding)),
  };
}
