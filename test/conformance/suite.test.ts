// Tests that the ids, sentences and sections of all cases have the right form, so that a reader of a report can find the case in the suite
// and its rule in docs/PROTOCOL.md. server.test.ts and client.test.ts run the cases.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CLIENT_CASES } from './client-cases.ts';
import { SERVER_CASES } from './server-cases.ts';

const PAGE = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');
const HEADINGS = new Set([...PAGE.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading));
const RULES = new Set([...PAGE.matchAll(/^(?:\*\*|- )([A-Z]\d+)\. /gm)].map(([, rule]) => rule));
const ALL = [...SERVER_CASES, ...CLIENT_CASES];

describe('the cases', () => {
  it('have unique ids', () => {
    const ids = ALL.map(({ id }) => id);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    expect(ids.filter((id) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)+$/.test(id))).toEqual([]);
  });

  it('say in one sentence what they expect', () => {
    expect(ALL.filter(({ expects }) => !/^[A-Z0-9][^\n]{10,}[^.\n]$/.test(expects)).map(({ id }) => id)).toEqual([]);
  });

  it('name the part of docs/PROTOCOL.md that demands it', () => {
    expect(
      ALL.filter(({ section }) => !HEADINGS.has(section) && !RULES.has(section)).map(({ id, section }) => `${id}: ${section}`),
    ).toEqual([]);
  });
});
