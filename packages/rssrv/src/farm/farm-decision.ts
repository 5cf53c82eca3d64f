// Decides what a server does next about a shared pool, from what it has seen. Pure; shared-pool.ts makes the steps. Invariant: safety does
// not depend on these decisions, because the record and the fence guarantee it. Decisions only determine which server goes first, and when
// an owner counts as silent.

import { TAKE_OVER_MS } from '@rsio/common/config/schema/limits';
import type { SharedDiskConfig } from '@rsio/common/config/schema/types';
import { printDuration } from '@rsio/base/lib/units';
import type { FarmRecord } from './farm-record.ts';
import { FREE_STEP_MS, SILENT_STEP_MS } from './limits.ts';

/** `take`: begin F4. `give-up`: begin F6, so that `to` takes the pool. `end`: the ownership has ended (F7). */
export type Step =
  | { readonly kind: 'wait'; readonly why: string }
  | { readonly kind: 'take' }
  | { readonly kind: 'give-up'; readonly to: string }
  | { readonly kind: 'end'; readonly why: string };

export interface Seen {
  readonly server: string;
  readonly config: Pick<SharedDiskConfig, 'owners' | 'fence' | 'takeOverMs'>;
  readonly record: FarmRecord | null;
  /** Generation under which this server owns the pool; null if it does not. */
  readonly owned: number | null;
  /** Returns the time since this server last saw the note of `server` change, in ms of this server's clock. */
  silentMs(server: string): number;
  /** Returns true if this server has lately seen the note of `server` change. */
  isThere(server: string): boolean;
  /** For how long the record has not changed, in ms of this server's clock. */
  readonly unchangedMs: number;
  /** The server to which some server asks the owner to give the pool up; null if none does. */
  readonly wanted: string | null;
  /** From 0 to 1; random, so that two servers rarely begin at once. */
  readonly patience: number;
}

export function nextStep(seen: Seen): Step {
  const { record, server, config, owned } = seen;
  if (owned !== null) {
    if (record === null || record.owner?.server !== server || record.generation !== owned)
      return { kind: 'end', why: `${record?.owner?.server ?? 'nobody'} owns it now, generation ${record?.generation ?? 0}` };
    return seen.wanted === null || seen.wanted === server ? wait('this server owns it') : { kind: 'give-up', to: seen.wanted };
  }
  if (record === null) return wait('its disk is not prepared: run rsadm pool add on one of its owners');
  if (record.owners.join() !== config.owners.join())
    return wait(
      `its owners are ${record.owners.join(', ')} by its record, and ${config.owners.join(', ')} by rssrvcfg: make them the same`,
    );
  if (!record.owners.includes(server)) return wait(`this server, ${server}, is not one of its owners`);
  if (record.state === 'making' || record.state === 'claimed')
    return wait(`server ${record.owner?.server ?? '?'} makes it: if that was interrupted, run rsadm pool add again`);
  if (record.owner === null) return whenFree(seen, record);
  // An earlier ownership of this server has ended: the process that owned the pool is gone, and this process resumes no ownership (F3).
  // While this server posts notes, no other server takes the pool. So this server takes the pool even if it is to go to another server, and
  // then gives it up.
  if (record.owner.server === server)
    return mayTake(seen) || seen.wanted !== null
      ? { kind: 'take' }
      : wait(`this server has lost it, and waits for a command: ${BY_COMMAND}`);
  return whenSilent(seen, record.owner.server, record.state === 'taking' ? 'is taking it' : 'serves it');
}

const BY_COMMAND = 'take-over-after = never, so give rsadm pool move';

/** True if this server may take the pool by itself, or a command wants it to. */
function mayTake({ config, wanted, server }: Seen): boolean {
  return config.takeOverMs !== null || wanted === server;
}

/** True if rssrvcfg of the owner `server` has another list of owners than the record. A list without this server counts as a mistake. */
export function hasOtherOwners(record: FarmRecord, { owners }: Seen['config'], server: string): boolean {
  return owners.join() !== record.owners.join() && owners.includes(server);
}

/** Returns the owners in the order in which they get a turn after `server` has failed to take the pool. */
export function turnsAfter(owners: readonly string[], server: string): readonly string[] {
  const at = owners.indexOf(server) + 1;
  return [...owners.slice(at), ...owners.slice(0, at)];
}

function whenFree(seen: Seen, { owners, next }: FarmRecord): Step {
  const { server, unchangedMs, wanted } = seen;
  if (next === server || wanted === server) return { kind: 'take' };
  if (!mayTake(seen)) return wait(`it is free, and waits for a command: ${BY_COMMAND}`);
  const rank = rankOf(seen, owners, next);
  const waitMs = (rank + 1) * FREE_STEP_MS + seen.patience * FREE_STEP_MS;
  return unchangedMs >= waitMs ? { kind: 'take' } : wait(`it is free, and ${next ?? 'an owner that is preferred'} may take it first`);
}

function whenSilent(seen: Seen, owner: string, does: string): Step {
  const { config, record, server } = seen;
  const silentMs = seen.silentMs(owner);
  const limitMs = config.takeOverMs ?? TAKE_OVER_MS;
  if (silentMs < limitMs) return wait(`server ${owner} ${does}${unfencedText(record, owner)}`);
  const silence = `server ${owner}, which ${does}, has been silent for more than ${printDuration(limitMs)}`;
  if (config.fence.kind === 'none') return wait(`${silence}, and fence = none permits no take-over: start it, or see rsadm farm --help`);
  if (!mayTake(seen)) return wait(`${silence}: ${BY_COMMAND}`);
  if (seen.wanted === server) return { kind: 'take' };
  const waitMs = limitMs + rankOf(seen, record?.owners ?? [], owner) * SILENT_STEP_MS + seen.patience * SILENT_STEP_MS;
  return silentMs >= waitMs ? { kind: 'take' } : wait(`${silence}: an owner takes it`);
}

/** Names the servers that the taker `owner` has not fenced yet; '' if there are none. */
function unfencedText(record: FarmRecord | null, owner: string): string {
  const servers = [...new Set((record?.writers ?? []).map(({ server }) => server))];
  return servers.length === 0 ? '' : `, and ${servers.join(', ')} is not fenced yet: see rsadm farm on ${owner}`;
}

/**
 * Returns how many owners may take the pool before this server: they precede it in the order of preference, they are running, and they are
 * not `except`.
 */
function rankOf(seen: Seen, owners: readonly string[], except: string | null): number {
  return owners.slice(0, owners.indexOf(seen.server)).filter((one) => one !== except && seen.isThere(one)).length;
}

function wait(why: string): Step {
  return { kind: 'wait', why };
}
