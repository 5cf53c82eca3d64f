// What must be the same before and after an upgrade: what each server and the client say of volumes, snapshots, holds, clients, pools, peers,
// replications, mirrors, gates and attachments. Invariant: only fields that change by themselves are left out; a later release may say more.

import type { Host } from '../../../support/hosts/host.ts';
import { CLIENT, type InPlaceSite, SERVERS } from './site.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type Facts = Readonly<Record<string, Json>>;

const OF_SERVER = ['volume list --removed', 'pool list', 'client list', 'peer list', 'volume replications', 'interface list'];
const OF_FIRST_SERVER = ['volume show still', 'volume show still@1', 'volume show cloned'];
const OF_CLIENT = ['-l', 'mirror list', 'gate list', 'gate show g1'];
/** Fields that change by themselves: sizes on disk, connections, and the progress of replications. */
const VOLATILE = new Set([
  ...['usedBytes', 'freeBytes', 'usableBytes', 'totalBytes', 'promisedBytes', 'doneBytes', 'ownedBytes', 'requests', 'paths', 'pathsUp'],
  ...['sessionKey', 'cipher', 'momentMs', 'ageMs', 'nextMs', 'text', 'hosts', 'figures', 'untilMs'],
]);
/** The same for entries of these lists only. */
const VOLATILE_IN: Readonly<Record<string, readonly string[]>> = {
  clients: ['sinceMs', 'state', 'address'],
  peers: ['sinceMs'],
  replications: ['state'],
  pools: ['removed'],
};

export async function factsOf(site: InPlaceSite, replicated: string): Promise<Facts> {
  const facts: Record<string, Json> = {};
  const ask = async (name: string, host: Host, program: string, command: string): Promise<void> => {
    const words = [...command.split(' '), '--json'];
    // Some commands end with 1 if something needs attention.
    const { stdout, stderr } = await host.run(program, words);
    if (stdout === '') throw new Error(`${name}: ${program} ${command}: ${stderr}`);
    const said = JSON.parse(stdout) as Json;
    facts[`${name}: ${program} ${command}`] = steady(said, replicated);
  };
  const askServer = async (name: string, host: Host): Promise<void> => {
    for (const command of [...OF_SERVER, ...(host === site.servers[0] ? OF_FIRST_SERVER : [])]) await ask(name, host, 'rsadm', command);
  };
  await Promise.all(site.servers.map((host, index) => askServer(SERVERS[index]!, host)));
  for (const command of OF_CLIENT) await ask('client', site.client, 'rsconfig', command);
  return facts;
}

/** Leaves out what changes by itself, and the moments of the replicated volume. Entries of a list have their names as keys. */
function steady(value: Json, replicated: string, within = ''): Json {
  if (isList(value)) {
    const kept = value.filter((one) => !(isObject(one) && one['name'] === replicated && 'snapshot' in one));
    const inner = kept.map((one) => steady(one, replicated, within));
    return inner.every(isObject)
      ? { count: inner.length, ...Object.fromEntries(inner.map((one) => [nameOf(one), one])) }
      : inner.toSorted((one, other) => JSON.stringify(one).localeCompare(JSON.stringify(other)));
  }
  if (!isObject(value)) return value;
  const left = new Set([
    ...(VOLATILE_IN[within] ?? []),
    ...(value['name'] === replicated ? ['snapshots', 'state'] : []),
    // Another process of a client, or a replica that was opened again, has a hold that began later. The hold of a lost client has its time.
    ...(value['node'] === CLIENT ? ['sinceMs'] : []),
    // 0.2.0 lists what a gate offers as an export, too.
    ...(isList(value['gates']) && value['gates'].length > 0 ? ['blockDevice'] : []),
  ]);
  const entries = Object.entries(value).filter(([name]) => !VOLATILE.has(name) && !left.has(name));
  return Object.fromEntries(entries.map(([name, inner]) => [name, steady(inner, replicated, name)]));
}

function nameOf(one: { readonly [name: string]: Json }): string {
  return JSON.stringify(['server', 'name', 'universe', 'snapshot', 'node'].map((field) => one[field]));
}

/** A line for each fact of `before` that is missing or another one in `after`. */
export function differences(before: Json, after: Json | undefined, place = ''): string[] {
  if (isObject(before) && isObject(after))
    return Object.entries(before).flatMap(([name, inner]) => differences(inner, after[name], `${place}/${name}`));
  const [was, is] = [JSON.stringify(before), JSON.stringify(after)];
  return was === is ? [] : [`${place} was ${was}, is ${is}`];
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function isObject(value: Json | undefined): value is { readonly [name: string]: Json } {
  return value !== null && typeof value === 'object' && !isList(value);
}
