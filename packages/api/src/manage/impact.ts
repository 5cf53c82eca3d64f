// Says what stops, moves or loses redundancy if machines are switched off. Pure. Invariant: a thing is said to go on only if each thing that
// it needs is known to be there without these machines; what a server that does not answer may have is said to be unknown.

import type { ApplicationView } from '../rsapp/app-methods.ts';
import type { GateView } from '../rsiod/methods.ts';
import type { MirrorSummary } from '../views/mirror-views.ts';
import type { ManagedVolumeView, ReplicationView, SharedPoolView } from '../views/views.ts';
import { plural } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { mirrorWithout, poolWithout } from './losses.ts';
import { newestPools, sharedPoolKey } from './newest-pools.ts';

/** What a server has told; `trouble` is why it has told nothing. */
export interface ImpactServer {
  readonly namespace: string;
  readonly server: string;
  readonly trouble: string | null;
  readonly volumes: readonly ManagedVolumeView[];
  readonly shared: readonly SharedPoolView[];
  readonly replications: readonly ReplicationView[];
}

/** A path of this machine that is up. */
export interface ImpactPath {
  readonly namespace: string;
  readonly server: string;
  readonly localAddress: string;
  readonly address: string;
}

export interface ImpactFacts {
  readonly servers: readonly ImpactServer[];
  readonly mirrors: readonly MirrorSummary[];
  /** What could not be asked about mirrors. */
  readonly gaps: readonly string[];
  readonly paths: readonly ImpactPath[];
  readonly gates: readonly GateView[];
  readonly applications: readonly ApplicationView[];
}

/** What is switched off. Names of servers are those of one namespace. */
export interface SwitchedOff {
  readonly namespace: string;
  readonly servers: ReadonlySet<string>;
  readonly clients: ReadonlySet<string>;
  /** Local pools as `SERVER/POOL`, shared pools by their name. */
  readonly pools: ReadonlySet<string>;
  /** True if a path that ends at this address is cut. */
  isCut(address: string): boolean;
}

export const IMPACT_EFFECTS = ['stops', 'unknown', 'moves', 'degraded'] as const;
export type ImpactEffect = (typeof IMPACT_EFFECTS)[number];
export type ImpactKind = 'volume' | 'mirror' | 'pool' | 'replication' | 'gate' | 'application' | 'server';

export interface Impact {
  readonly effect: ImpactEffect;
  readonly kind: ImpactKind;
  readonly name: string;
  /** Where it goes on; null if it does not, or stays where it is. */
  readonly to: string | null;
  /** Clients that use it now. */
  readonly users: readonly string[];
  readonly why: string;
  /** What to do first; null: nothing helps, or nothing is needed. */
  readonly first: string | null;
}

type Verdict = Pick<Impact, 'effect' | 'to' | 'why' | 'first'>;

/** Returns one entry for each thing that does not stay as it is, the worst first. */
export function impactOf(facts: ImpactFacts, off: SwitchedOff): Impact[] {
  const servers = facts.servers.filter(({ namespace }) => namespace === off.namespace);
  const lost = new Set([...off.servers, ...cutServers(facts.paths, off)]);
  const told = servers.flatMap(({ server, shared }) => shared.map((pool) => ({ namespace: off.namespace, server, pool })));
  const pools = newestPools(told).map(({ pool }) => pool);
  const verdicts = new Map(pools.map((pool) => [sharedPoolKey(pool), poolVerdict(pool, lost, off)]));
  const all = [
    ...servers.flatMap((one) => silentImpact(one, off)),
    ...pools.flatMap((pool) => impactFrom('pool', pool.name, usersIn(servers, pool), verdicts.get(sharedPoolKey(pool)) ?? null)),
    ...volumeImpacts(servers, verdicts, lost, off),
    ...facts.mirrors.filter(({ namespace }) => namespace === off.namespace).flatMap((mirror) => mirrorImpact(mirror, servers, lost, off)),
    ...facts.gaps.map((gap): Impact => entry('unknown', 'mirror', '-', `Mirrors may be missing: ${gap}`)),
    ...servers.flatMap((one) => replicationImpacts(one, lost)),
  ];
  const whole = [...all, ...gateImpacts(facts.gates, all), ...applicationImpacts(facts, all, lost, off)];
  return whole.toSorted((a, b) => IMPACT_EFFECTS.indexOf(a.effect) - IMPACT_EFFECTS.indexOf(b.effect));
}

function entry(effect: ImpactEffect, kind: ImpactKind, name: string, why: string, more: Partial<Impact> = {}): Impact {
  return { effect, kind, name, to: null, users: [], why, first: null, ...more };
}

function impactFrom(kind: ImpactKind, name: string, users: readonly string[], verdict: Verdict | null): Impact[] {
  return verdict === null ? [] : [{ kind, name, users, ...verdict }];
}

/** The servers to which this machine has paths, and has none without the addresses that are off. */
function cutServers(paths: readonly ImpactPath[], off: SwitchedOff): string[] {
  const own = paths.filter((path) => path.namespace === off.namespace);
  const isLeft = ({ localAddress, address }: ImpactPath): boolean => !off.isCut(localAddress) && !off.isCut(address);
  const left = new Set(own.filter(isLeft).map(({ server }) => server));
  return [...new Set(own.map(({ server }) => server))].filter((server) => !left.has(server));
}

function silentImpact({ server, trouble }: ImpactServer, off: SwitchedOff): Impact[] {
  if (trouble === null) return [];
  const why = off.servers.has(server) ? 'it does not answer, so that what it has is not known' : 'it does not answer, and counts as away';
  return [entry('unknown', 'server', server, `${why}: ${trouble}`)];
}

// --- Shared pools

function sharedOf({ shared }: ImpactServer, pool: string): SharedPoolView | null {
  return shared.find(({ name }) => name === pool) ?? null;
}

function poolVerdict(pool: SharedPoolView, lost: ReadonlySet<string>, off: SwitchedOff): Verdict | null {
  if (off.pools.has(pool.name)) return { effect: 'stops', to: null, why: 'its disk is off', first: null };
  const left = poolWithout(pool, lost);
  if (left === null) return null;
  const { effect, to, why } = left;
  const move = to === null ? null : `rsadm pool move ${pool.name} --to ${to}`;
  if (effect === 'moves') return { effect, to, why, first: `${move} moves it without the wait` };
  return { effect, to: null, why, first: move };
}

function usersIn(servers: readonly ImpactServer[], pool: SharedPoolView): string[] {
  const isIn = (server: ImpactServer, name: string): boolean => {
    const its = sharedOf(server, name);
    return its !== null && sharedPoolKey(its) === sharedPoolKey(pool);
  };
  const holders = servers.flatMap((server) =>
    server.volumes.filter((one) => poolsOf(one).some((name) => isIn(server, name))).flatMap((one) => one.holders),
  );
  return [...new Set(holders.map(({ node }) => node))];
}

// --- Volumes

function volumeImpacts(
  servers: readonly ImpactServer[],
  pools: ReadonlyMap<string, Verdict | null>,
  lost: ReadonlySet<string>,
  off: SwitchedOff,
): Impact[] {
  const offers = servers.flatMap((its) => its.volumes.map((volume) => ({ server: its.server, volume, its })));
  const isServed = ({ server, volume }: (typeof offers)[number]): boolean =>
    volume.state === 'served' && !lost.has(server) && !poolsOf(volume).some((pool) => off.pools.has(`${server}/${pool}`));
  const seen = new Set<string>();
  return offers.flatMap(({ server, volume, its }) => {
    // Replicas are judged as mirrors, and what a shared pool has with the pool.
    if (volume.mirror !== null && volume.mirror !== undefined) return [];
    const key = volume.id ?? `${server} ${volume.name}@${volume.universe}`;
    const same = offers.filter((one) => one.volume.id === volume.id && volume.id !== null);
    if (seen.has(key)) return [];
    seen.add(key);
    const label = volumeLabel({ namespace: off.namespace, name: volume.name, universe: volume.universe });
    const users = [...new Set(same.flatMap((one) => one.volume.holders).map(({ node }) => node))].filter((node) => !off.clients.has(node));
    const shared = poolsOf(volume)
      .map((pool) => sharedOf(its, pool))
      .flatMap((pool) => (pool === null ? [] : [pools.get(sharedPoolKey(pool)) ?? null]));
    if (shared.some((verdict) => verdict !== null))
      return impactFrom(
        'volume',
        label,
        users,
        shared.find((verdict) => verdict?.effect === 'stops') ?? shared.find((one) => one !== null) ?? null,
      );
    const left = same.filter(isServed);
    if (isServed({ server, volume, its }) && left.length === same.length) return [];
    const [next] = left;
    const verdict: Verdict =
      next === undefined
        ? {
            effect: 'stops',
            to: null,
            why: `only ${server} has it`,
            first: users.length === 0 ? null : `detach it at ${users.join(', ')}, or move it`,
          }
        : { effect: left.length > 1 ? 'degraded' : 'moves', to: next.server, why: `${next.server} offers it, too`, first: null };
    return impactFrom('volume', label, users, verdict);
  });
}

function poolsOf({ pool, layout }: ManagedVolumeView): string[] {
  const all = layout === null ? [pool] : layout.parts.map((part) => part.pool);
  return all.filter((one) => one !== null);
}

// --- Mirrors

/** A replica in a pool that is off counts as one on a server that is off, which still votes. */
function withoutPools(mirror: MirrorSummary, servers: readonly ImpactServer[], off: SwitchedOff): MirrorSummary {
  const isOff = ({ server, volume, universe }: MirrorSummary['replicas'][number]): boolean => {
    const its = servers.find((one) => one.server === server)?.volumes.find((one) => one.name === volume && one.universe === universe);
    return its !== undefined && poolsOf(its).some((pool) => off.pools.has(`${server}/${pool}`));
  };
  return { ...mirror, replicas: mirror.replicas.map((one) => (isOff(one) ? { ...one, isReachable: false } : one)) };
}

function mirrorImpact(mirror: MirrorSummary, servers: readonly ImpactServer[], lost: ReadonlySet<string>, off: SwitchedOff): Impact[] {
  const { namespace, name, universe, holder } = mirror;
  const left = withoutPools(mirror, servers, off);
  const isSame = left.replicas.every((one, index) => one === mirror.replicas[index]);
  if (isSame && ![...mirror.replicas, ...mirror.voters].some(({ server }) => lost.has(server))) return [];
  const users = holder === null || off.clients.has(holder) ? [] : [holder];
  return impactFrom('mirror', volumeLabel({ namespace, name, universe }), users, mirrorVerdict(left, lost, users.length > 0));
}

/** `isHeld`: a client that stays has the mirror attached. */
function mirrorVerdict({ state, replicas, voters, majority }: MirrorSummary, lost: ReadonlySet<string>, isHeld: boolean): Verdict | null {
  if (state === 'unknown')
    return {
      ...{ effect: 'unknown', to: null },
      why: 'no voter tells its state: this client is not among its clients, or cannot ask its voters',
      first: 'rsconfig impact at a client of the mirror knows it, and rsadm witness list on its servers shows their records',
    };
  if (state !== 'known') return { effect: 'unknown', to: null, why: `its state is ${state}: rsconfig mirror list`, first: null };
  const { lack, servers, votes } = mirrorWithout({ replicas, voters, majority }, lost, isHeld);
  if (lack === 'replica') {
    const lagging = replicas.filter(({ server, inSync }) => !inSync && !lost.has(server)).map(({ server }) => server);
    const wait = lagging.length === 0 ? null : `wait until ${lagging.join(', ')} has every write (rsconfig mirror list)`;
    return { effect: 'stops', to: null, why: 'no replica with every write is left', first: wait };
  }
  if (lack === 'votes') {
    const first = voters.length < 3 ? 'rsconfig mirror witness gives it a third vote' : null;
    return { effect: 'stops', to: null, why: `${votes} of ${voters.length} votes are left, and ${majority} are needed`, first };
  }
  const isLast = servers.length === 1 || votes <= majority;
  return {
    effect: 'degraded',
    to: null,
    why: `it goes on with ${servers.join(', ')}${isLast ? ', and a further loss can stop it' : ''}`,
    first: null,
  };
}

// --- Replications, gates, applications

function replicationImpacts({ server, replications }: ImpactServer, lost: ReadonlySet<string>): Impact[] {
  return replications.flatMap(({ direction, peer, volumes }) => {
    const name = volumes.map((one) => one.name).join(', ');
    if (direction === 'out' && lost.has(server) && !lost.has(peer))
      return [
        entry('stops', 'replication', `${name} to ${peer}`, `${peer} keeps its last moment`, {
          first: `rsadm volume promote ${volumes[0]?.name ?? ''} on the other server uses it`,
        }),
      ];
    if (direction === 'in' && lost.has(server) && !lost.has(peer))
      return [
        entry('degraded', 'replication', `${name} from ${peer}`, `${server} gets nothing new, and copies what it lacks when it is back`),
      ];
    return [];
  });
}

function worst(impacts: readonly Impact[], labels: readonly string[]): Impact | null {
  const of = impacts.filter(({ kind, name }) => (kind === 'volume' || kind === 'mirror') && labels.includes(name));
  return IMPACT_EFFECTS.map((effect) => of.find((one) => one.effect === effect)).find((one) => one !== undefined) ?? null;
}

function gateImpacts(gates: readonly GateView[], all: readonly Impact[]): Impact[] {
  return gates.flatMap(({ name, hosts, volumes }) => {
    const its = worst(
      all,
      volumes.map(({ label }) => label),
    );
    return its === null
      ? []
      : [{ ...its, kind: 'gate' as const, name, users: hosts, why: `its volume ${its.name}: ${its.why}`, first: null }];
  });
}

function applicationImpacts(
  { applications, mirrors }: ImpactFacts,
  all: readonly Impact[],
  lost: ReadonlySet<string>,
  off: SwitchedOff,
): Impact[] {
  return applications.flatMap(({ name, on, nodes, next, volumes }) => {
    const labels = volumes.map((one) =>
      one.includes(':') ? one : volumeLabel({ namespace: off.namespace, name: one.replace(/@.*/, ''), universe: 0 }),
    );
    const its = worst(all, labels);
    if (its?.effect === 'stops' || its?.effect === 'unknown')
      return [{ ...its, kind: 'application' as const, name, users: [], why: `its volume ${its.name}: ${its.why}`, first: null }];
    const isolated = isolatedBy(mirrors, all, labels[0] ?? '', lost);
    if (isolated !== null) return [entry('stops', 'application', name, isolated)];
    if (on === null || !off.clients.has(on)) return [];
    const others = nodes.filter((node) => !off.clients.has(node));
    const to = next !== null && others.includes(next) ? next : (others[0] ?? null);
    return [
      to === null
        ? entry('stops', 'application', name, 'no other node may run it')
        : entry('moves', 'application', name, `from ${on}, if rsapp runs there`, { to, first: `rsconfig app move ${name} --to ${to}` }),
    ];
  });
}

/**
 * Why rsapp ends an application although its first volume goes on; null: it does not. The mirror may go on without most of its voters, but
 * rsapp then cannot know whether another node has taken the application.
 */
function isolatedBy(mirrors: readonly MirrorSummary[], all: readonly Impact[], label: string, lost: ReadonlySet<string>): string | null {
  const mirror = mirrors.find((one) => volumeLabel(one) === label);
  if (mirror === undefined || !all.some(({ kind, name }) => kind === 'mirror' && name === label)) return null;
  const { voters, majority } = mirror;
  const { votes } = mirrorWithout(mirror, lost, true);
  if (votes >= majority) return null;
  return `its volume ${label} goes on, but with ${votes} of ${voters.length} votes, and rsapp needs ${majority} (on-isolation = stop)`;
}

/** Volumes that nobody uses become one entry for each effect, with their number. */
export function countedImpacts(impacts: readonly Impact[]): Impact[] {
  const isCounted = ({ kind, users }: Impact): boolean => kind === 'volume' && users.length === 0;
  const counted = IMPACT_EFFECTS.flatMap((effect) => {
    const those = impacts.filter((one) => one.effect === effect && isCounted(one));
    return those.length === 0 ? [] : [entry(effect, 'volume', plural(those.length, 'volume'), 'no client has them attached')];
  });
  return [...impacts.filter((one) => !isCounted(one)), ...counted];
}

/** One line for each entry. */
export function impactText(impacts: readonly Impact[]): string[][] {
  return countedImpacts(impacts).map(({ effect, kind, name, to, users, why }) => [
    ...[effect, kind, name, to ?? '-', users.join(' ') || '-', why],
  ]);
}
