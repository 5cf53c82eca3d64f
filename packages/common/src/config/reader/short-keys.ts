// Decides what a short key means: a warning where paths are in clear, a problem where the configuration demands encrypted paths. Pure. The
// readers find the keys and their lines. Invariant: no text shows a key.

import { KEY_RECOMMENDED_MIN_CHARS } from '../schema/limits.ts';

/** Why a short key is refused, and not only warned of. */
export interface KeyDemand {
  /** The setting that demands a good key, as the file has it, such as `tls = on`. */
  readonly setting: string;
  /** Line of the setting. */
  readonly line: number;
  /** How the key is changed; follows `rsconfig key new makes one`. */
  readonly remedy: string;
}

export interface ShortKey {
  readonly isRefused: boolean;
  readonly message: string;
}

/** Returns null if the key is long enough. `what` names the key in the message; `demand` is null where paths need not be encrypted. */
export function shortKey(what: string, key: string, demand: KeyDemand | null): ShortKey | null {
  if (key.length >= KEY_RECOMMENDED_MIN_CHARS) return null;
  const place = demand === null ? '' : ` with ${demand.setting} (line ${demand.line})`;
  const remedy = demand === null ? '' : `, ${demand.remedy}`;
  const message = `Short ${what}${place}: ${key.length} characters can be guessed, use ${KEY_RECOMMENDED_MIN_CHARS} or more: rsconfig key new makes one${remedy}`;
  return { isRefused: demand !== null, message };
}
