// What a visitor has chosen to be off on the page /impact, and what becomes of it by the facts that the servers have told. Pure; impactOf of
// packages/api decides. Invariant: what this machine cannot ask about is said to be unknown, and never left out.

import { type Impact, IMPACT_EFFECTS, impactOf } from '@rsio/api/manage/impact';
import type { Told } from './server-facts.ts';
import type { Client, Picture, Pool, Server } from '../model/picture.ts';

export interface Choice {
  readonly servers: readonly Server[];
  readonly clients: readonly Client[];
  readonly pools: readonly Pool[];
  /** All servers of the picture, which have the namespaces. */
  readonly all: readonly Server[];
  /** What the query names, and the picture does not have. */
  readonly gone: readonly { readonly kind: 'server' | 'client' | 'pool'; readonly id: string }[];
}

/** Returns what the query names, such as `server=big-9&server=big-8`. */
export function choiceIn({ servers, clients, pools }: Picture, query: URLSearchParams): Choice {
  const chosen = <T extends { readonly id: string }>(kind: string, list: readonly T[]): T[] => {
    const ids = new Set(query.getAll(kind));
    return list.filter(({ id }) => ids.has(id));
  };
  const gone = (kind: 'server' | 'client' | 'pool', list: readonly { readonly id: string }[]): Choice['gone'] =>
    [...new Set(query.getAll(kind))].filter((id) => !list.some((one) => one.id === id)).map((id) => ({ kind, id }));
  return {
    servers: chosen('server', servers),
    clients: chosen('client', clients),
    pools: chosen('pool', pools),
    all: servers,
    gone: [...gone('server', servers), ...gone('client', clients), ...gone('pool', pools)],
  };
}

export function isEmptyChoice({ servers, clients, pools, gone }: Choice): boolean {
  return servers.length + clients.length + pools.length + gone.length === 0;
}

/** The worst first. `told`: the facts, without trouble. */
export function impactsOfChoice(choice: Choice, { namespaces }: Told): Impact[] {
  const all = [...unknownIn(choice, namespaces), ...namespaces.flatMap((one) => impactsIn(one, choice))];
  const byKey = new Map(all.map((one) => [JSON.stringify(one), one]));
  return [...byKey.values()].toSorted((a, b) => IMPACT_EFFECTS.indexOf(a.effect) - IMPACT_EFFECTS.indexOf(b.effect));
}

function impactsIn({ namespace, facts }: Told['namespaces'][number], { servers, clients, pools, all }: Choice): Impact[] {
  const names = facts.servers.map(({ server }) => server);
  const off = servers.filter((one) => one.namespace === namespace).map(({ name }) => name);
  const isHere = (pool: Pool): boolean => names.includes(pool.server) && [namespace, null].includes(namespaceOf(pool.server, all));
  const disks = pools.filter(isHere).map((pool) => diskOf(pool, facts.servers));
  // A client has no namespace of its own.
  if (off.length + disks.length + clients.length === 0) return [];
  return impactOf(facts, {
    namespace,
    servers: new Set(off),
    clients: new Set(clients.map(({ name }) => name)),
    pools: new Set(disks),
    isCut: () => false,
  });
}

/** The name of the pool as `impactOf` has it: all servers lose the disk of a shared pool. */
function diskOf({ server, name }: Pool, servers: Told['namespaces'][number]['facts']['servers']): string {
  const isShared = servers.some((one) => one.server === server && one.shared.some((pool) => pool.name === name));
  return isShared ? name : `${server}/${name}`;
}

/** The namespace of a server by its name; null if it is not told. */
function namespaceOf(name: string, servers: readonly Server[]): string | null {
  const namespace = servers.find((one) => one.name === name)?.namespace ?? '';
  return namespace === '' ? null : namespace;
}

function unknownIn({ servers, pools, all }: Choice, namespaces: Told['namespaces']): Impact[] {
  const isKnown = (name: string): boolean => {
    const of = namespaceOf(name, all);
    return namespaces.some(
      ({ namespace, facts }) => (of === null || of === namespace) && facts.servers.some(({ server }) => server === name),
    );
  };
  const needed = new Set([...servers.map(({ name }) => name), ...pools.map(({ server }) => server)]);
  const entry = (name: string, why: string, first: string): Impact => ({
    ...{ effect: 'unknown', kind: 'server', name, to: null, users: [], why, first },
  });
  const strange = [...needed].filter((name) => !isKnown(name));
  return [
    ...(namespaces.length === 0 ? [entry('-', 'rsiod of this machine knows no server', 'rsconfig join HOST adds one')] : []),
    ...strange.map((name) =>
      entry(name, 'rsiod of this machine does not know it, so that what it has is not known', 'rsconfig join HOST adds it'),
    ),
  ];
}
