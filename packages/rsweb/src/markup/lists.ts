// Sorts and groups lists. Pure.
// Invariant: the given list is not changed.

const COLLATOR = new Intl.Collator('en', { numeric: true });

/** Compares numbers within names as numbers: `web-2` comes before `web-10`. */
export function compareNames(a: string, b: string): number {
  return COLLATOR.compare(a, b);
}

export function byName<T extends { readonly name: string }>(list: readonly T[]): T[] {
  return list.toSorted((a, b) => compareNames(a.name, b.name));
}

export function groupsOf<T>(list: readonly T[], keyOf: (element: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const element of list) {
    const key = keyOf(element);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [element]);
    else group.push(element);
  }
  return groups;
}
