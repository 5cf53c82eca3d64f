// Tests that rsadm has each command that follows from an entry, and that every other command has a reason: the entry of its method gives
// it, or the list below.

import { ownCommand } from '@rsio/api/manage/derived';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import type { ServerMethod } from '@rsio/api/rssrv/server-method';
import { shownCall } from '@rsio/common/cli/command';
import { expect, test } from 'vitest';
import { COMMANDS } from './command-table.ts';

/** Commands of no single method, by what they do. */
const BY_HAND: Readonly<Record<string, readonly string[]>> = {
  'shows what several methods answer': ['status', 'progress'],
  'edits or shows rssrvcfg': [
    ...['init', 'rename', 'identity new', 'interface add', 'interface remove'],
    ...['control-group', 'operate-group', 'admin-group'].flatMap((key) => [`${key} show`, `${key} set`]),
    ...['namespace show', 'namespace set', 'pool set', 'pool remove', 'peer add', 'peer remove'],
    ...['client add', 'client rights', 'client set', 'client rekey', 'client remove'],
  ],
  'prints proposals that it computes': ['farm balance'],
  'changes the machine': ['show', 'upgrade', 'back', 'save', 'restore', 'apply', 'confirm'].map((verb) => `appliance ${verb}`),
  'collects what several methods and the machine tell': ['support'],
  'prints a script': ['completion'],
};

const ENTRIES: readonly ServerMethod[] = Object.values(SERVER_METHODS);

test('each command follows from an entry, or has a reason for a body of its own', () => {
  const derived = ENTRIES.flatMap(({ command }) => ownCommand(command)?.words ?? []);
  const called = ENTRIES.flatMap(({ command }) => ('byHand' in command ? [command.byHand] : []));
  const words = COMMANDS.map(({ call }) => shownCall(call));
  expect(words.toSorted()).toEqual([...derived, ...called, ...Object.values(BY_HAND).flat()].toSorted());
  expect(new Set(words).size).toBe(words.length);
});

test('each method that is a part of a command names one', () => {
  const words = COMMANDS.map(({ call }) => shownCall(call));
  const parts = ENTRIES.flatMap(({ command }) => ('partOf' in command ? [command.partOf] : []));
  expect(parts).toContain('status');
  expect(parts.filter((part) => !words.includes(part))).toEqual([]);
});
