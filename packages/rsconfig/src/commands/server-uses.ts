// Says which server each [server] section leads to, and what a server is used for by this client. Invariant: a server
// that may take over a volume in use counts as used, and what could not be asked is noted.

import type { AttachmentView, NamespaceView } from '@rsio/api/rsiod/methods';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { toRsError } from '@rsio/base/lib/errors';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { CommandContext } from '../cli/context.ts';
import { knownSections } from '../cli/known-servers.ts';
import { INVENTORY_WAIT_MS } from '../limits.ts';
import { askAll, placesOf } from './server-volumes/servers.ts';

export interface SectionRow {
  readonly namespace: string;
  readonly section: string;
  readonly address: string;
  /** Name and serverid of the server itself; null: rsiod has never reached it by this section. */
  readonly server: string | null;
  readonly serverid: number | null;
  /** null: rsiod does not run, or does not use this section yet. */
  readonly state: 'connected' | 'connecting' | 'down' | null;
}

/** `running`: the namespaces as rsiod has them; null: it does not run. */
export async function sectionRows(
  context: CommandContext,
  config: RscltConfig,
  running: readonly NamespaceView[] | null,
): Promise<SectionRow[]> {
  const rows = config.namespaces.map(async ({ name: namespace, namespaceid, servers }) => {
    const known = await knownSections(context, config, namespaceid);
    const live = running?.find((one) => one.name === namespace)?.servers ?? [];
    return servers.map(({ name: section, address }): SectionRow => {
      const now = live.find(({ sections }) => sections.includes(section));
      const before = known.find((one) => one.section === section) ?? null;
      const { server, serverid } = now === undefined || now.serverid === null ? { ...NOBODY, ...before } : { ...now, server: now.name };
      return { namespace, section, address, server, serverid, state: now?.state ?? null };
    });
  });
  return (await Promise.all(rows)).flat();
}

const NOBODY = { server: null, serverid: null };

/** Returns the namespaces as rsiod has them; null if rsiod does not run. */
export async function runningNamespaces({ call }: CommandContext): Promise<readonly NamespaceView[] | null> {
  try {
    return (await call('query', { refresh: false })).namespaces;
  } catch (thrown) {
    if (toRsError(thrown).code === 'E_NOT_RUNNING') return null;
    throw thrown;
  }
}

/** Returns sentences about what this client uses the server for. The server is one that rsiod has proved. */
export async function usesOf(
  context: CommandContext,
  { name: namespace, servers }: NamespaceView,
  { server, serverid }: Pick<SectionRow, 'server' | 'serverid'>,
): Promise<string[]> {
  const { attachments, awaited } = await context.call('local', { orders: true });
  const { mirrors, gaps } = await context.call('mirrors', { namespace });
  for (const gap of gaps) context.note(gap);
  const here = attachments.filter((one) => one.namespace === namespace);
  const offered = new Set(servers.filter((one) => one.serverid === serverid).flatMap(({ volumes }) => volumes.map(({ id }) => id)));
  const isOn = (one: { readonly serverid: number }): boolean => one.serverid === serverid;
  return [
    ...here.filter(({ id }) => offered.has(id)).map((one) => `volume ${volumeLabel(one)} is attached from it`),
    ...awaited
      .filter((one) => one.namespace === namespace && one.server === server)
      .map((one) => `volume ${volumeLabel(one)} waits for it`),
    ...mirrors.filter(({ replicas }) => replicas.some(isOn)).map((one) => `mirror ${volumeLabel(one)} has a replica there`),
    ...mirrors
      .filter(({ replicas, voters }) => !replicas.some(isOn) && voters.some(isOn))
      .map((one) => `it is a witness of mirror ${volumeLabel(one)}`),
    ...(await farmUses(
      context,
      namespace,
      server,
      here.filter(({ id, sharedPool }) => sharedPool === true && !offered.has(id)),
    )),
  ];
}

/** Volumes of shared pools that the server does not serve now, but may take. Only servers that tell this client can exclude it. */
async function farmUses(
  context: CommandContext,
  namespace: string,
  server: string | null,
  shared: readonly AttachmentView[],
): Promise<string[]> {
  if (shared.length === 0) return [];
  const asked = await askAll(context, await placesOf(context, { namespace, server: null }), 'farm-show', {}, INVENTORY_WAIT_MS);
  const pools = asked.flatMap(({ result }) => result?.pools ?? []);
  if (asked.every(({ result }) => result !== null) && !pools.some(({ owners }) => owners.some((one) => one.server === server))) return [];
  return shared.map((one) => `volume ${volumeLabel(one)} is in a shared pool that it may take over`);
}
