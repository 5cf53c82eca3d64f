// Makes links to the same page with another query. Pure. Invariant: a link changes only the given keys of the query, so that sorting one
// table keeps the filter of another.

import type { View } from './view.ts';

/** Returns a link to the same page with the given keys of the query changed. The value null removes a key. */
export function sameWith({ path, query }: View, keys: Readonly<Record<string, string | null>>, fragment: string): string {
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(keys)) {
    if (value === null) next.delete(key);
    else next.set(key, value);
  }
  const text = next.toString();
  return `${path}${text === '' ? '' : `?${text}`}${fragment === '' ? '' : `#${fragment}`}`;
}
