// Judges the length of a key. A short key causes a warning or, if the configuration demands encrypted paths, a problem. Pure. Invariant: no
// message shows a key.

import { KEY_RECOMMENDED_MIN_CHARS } from '../schema/limits.ts';

/** Reason why a short key is a problem and not only a warning. */
export interface KeyDemand {
  /** The setting that demands a long key, as written in the file, such as `tls = on`. */
  readonly setting: string;
  /** Line of the setting. */
  readonly line: number;
  /** How to change the key; the message appends this text to `rsconfig key new makes one`. */
  readonly remedy: string;
}

export interface ShortKey {
  readonly isRefused: boolean;
  readonly message: string;
}

/** Returns null if the key is long enough. `what` names the key in the message; `demand` is null if paths need not be encrypted. */
export function shortKey(what: string, key: string, demand: KeyDemand | null): ShortKey | null {
  if (key.length >= KEY_RECOMMENDED_MIN_CHARS) return null;
  const place = demand === null ? '' : ` with ${demand.setting} (line ${demand.line})`;
  const remedy = demand === null ? '' : `, ${demand.remedy}`;
  const message = `Short ${what}${place}: ${key.length} characters can be guessed, use ${KEY_RECOMMENDED_MIN_CHARS} or more: rsconfig key new makes one${remedy}`;
  return { isRefused: demand !== null, message };
}
