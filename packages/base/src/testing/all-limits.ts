// Collects the bounds from each limits.ts below packages/, for tests that compare documents with the bounds. Invariant: no two folders have
// a bound with the same name, so the name alone identifies a bound.

import { readdirSync } from 'node:fs';

const PACKAGES = new URL('../../../', import.meta.url);

/** Returns the name and value of each numeric bound. Throws if two folders have a bound with the same name. */
export async function allLimits(): Promise<ReadonlyMap<string, number>> {
  const files = readdirSync(PACKAGES, { recursive: true, encoding: 'utf8' }).filter((path) => /^[^/]+\/src\/(.+\/)?limits\.ts$/.test(path));
  const bounds = new Map<string, number>();
  for (const file of files) {
    const module = (await import(new URL(file, PACKAGES).href)) as Readonly<Record<string, unknown>>;
    for (const [name, value] of Object.entries(module)) {
      if (typeof value !== 'number') continue;
      if (bounds.has(name)) throw new Error(`${name} is in two rooms, one of them ${file}`);
      bounds.set(name, value);
    }
  }
  return bounds;
}
