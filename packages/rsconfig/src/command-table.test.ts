// Tests that rsconfig has each command that follows from an entry, and that every other command has a reason: the entry of its method gives
// it, or the list below.

import { ownCommand } from '@rsio/api/manage/derived';
import { APP_METHODS } from '@rsio/api/rsapp/app-methods';
import type { ClientMethod } from '@rsio/api/rsiod/client-method';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import type { ServerMethod } from '@rsio/api/rssrv/server-method';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { shownCall } from '@rsio/common/cli/command';
import { expect, test } from 'vitest';
import { COMMANDS } from './command-table.ts';

/** Commands of no single method, by what they do. */
const BY_HAND: Readonly<Record<string, readonly string[]>> = {
  'asks all servers': ['pool list', 'farm', 'servers', 'audit', 'drift', 'impact'],
  'gives an order to several servers': [
    'apply',
    'peer add',
    ...['add', 'rights', 'set', 'rename', 'rekey', 'remove'].map((order) => `client ${order}`),
  ],
  'edits or shows rscltcfg': [
    ...['interface add', 'interface remove', 'interface list', 'namespace add', 'namespace set', 'namespace remove'],
    ...['server add', 'server list', 'server remove', 'check', 'app add', 'app remove', 'gate add', 'gate remove', 'join'],
  ],
  'says why an application still waits': ['start', 'stop', 'move', 'enable', 'disable'].map((order) => `app ${order}`),
  'shows one of the things that a method answers': ['app show', 'gate show'],
  'makes secrets': ['gate secret', 'key new', 'identity new'],
  'calls several daemons, again and again': ['wait-event', 'watch', 'doctor', 'explore'],
  'moves data, in many steps': ['backup', 'backup-run', 'backup-verify', 'restore', 'switch'],
  'mounts and unmounts file systems': ['mount', 'umount'],
  'collects what several daemons and the machine tell': ['support'],
  'prints a script': ['completion'],
};
/** Commands about volumes that rsadm alone has. */
const OF_RSADM: readonly string[] = ['volume import'];

const CLIENT_ENTRIES: readonly ClientMethod[] = [...Object.values(CONTROL_METHODS), ...Object.values(APP_METHODS)];
const SERVER_ENTRIES: readonly ServerMethod[] = Object.values(SERVER_METHODS);

test('each command follows from an entry, or has a reason for a body of its own', () => {
  const ofVolumes = SERVER_ENTRIES.flatMap(({ command }) => {
    const own = ownCommand(command);
    if (own !== null) return own.only === undefined ? [own.words.replace(/^jobs/, 'volume jobs')] : [];
    return 'byHand' in command && command.byHand.startsWith('volume ') && !OF_RSADM.includes(command.byHand) ? [command.byHand] : [];
  });
  const derived = CLIENT_ENTRIES.flatMap(({ command }) => ownCommand(command)?.words ?? []);
  const called = CLIENT_ENTRIES.flatMap(({ command }) => ('byHand' in command ? [command.byHand] : []));
  const words = COMMANDS.map(({ call }) => shownCall(call));
  expect(words.toSorted()).toEqual([...ofVolumes, ...derived, ...called, ...Object.values(BY_HAND).flat()].toSorted());
  expect(new Set(words).size).toBe(words.length);
});

test('each method that is a part of a command names one', () => {
  const words = COMMANDS.map(({ call }) => shownCall(call));
  const parts = CLIENT_ENTRIES.flatMap(({ command }) => ('partOf' in command ? [command.partOf] : []));
  expect(parts).toContain('doctor');
  expect(parts.filter((part) => !words.includes(part))).toEqual([]);
});
