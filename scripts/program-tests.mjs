// Finds the tests that can start a program: those whose imports lead to node:child_process. Pure, over the sources. Invariant: a test that
// is left out cannot start a program, because an import that leads to no known file counts as one that can.

import { importsOf } from './rooms.mjs';

const STARTS = /\bnode:child_process\b/;
const TEST = /^(?:packages|bench|scripts)\/.+\.test\.(?:ts|mjs)$/;

/** The unit tests that can start a program. `sources`: a Map from the path below the root to the text. */
export function programTests(sources) {
  const importers = new Map();
  const reached = [];
  for (const [path, text] of sources) {
    const targets = importsOf(path, text);
    for (const target of targets) importers.set(target, [...(importers.get(target) ?? []), path]);
    if (STARTS.test(text) || targets.some((target) => !sources.has(target))) reached.push(path);
  }
  const found = new Set(reached);
  for (const path of found) for (const importer of importers.get(path) ?? []) found.add(importer);
  return [...found].filter((path) => TEST.test(path)).toSorted((a, b) => (a < b ? -1 : 1));
}
