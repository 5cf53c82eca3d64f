// Addresses of pages: those of objects, and those of the same page with another query. Pure. Invariant: a link changes one key of the query and
// keeps the others, so that sorting one table keeps the filter of another.

import type { View } from './view.ts';

/** The same page with other keys of the query; null removes a key. */
export function sameWith({ path, query }: View, keys: Readonly<Record<string, string | null>>, fragment: string): string {
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(keys)) {
    if (value === null) next.delete(key);
    else next.set(key, value);
  }
  const text = next.toString();
  return `${path}${text === '' ? '' : `?${text}`}${fragment === '' ? '' : `#${fragment}`}`;
}
