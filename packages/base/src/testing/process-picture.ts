// Records the state that test files in one process share: working directory, user and groups, umask, environment, listeners, and the
// properties of Node's globals. Comparing pictures from before and after a test file shows the changes that the file has left behind. A
// picture does not include state inside libraries.

import childProcess from 'node:child_process';
import crypto from 'node:crypto';
import dgram from 'node:dgram';
import dns from 'node:dns';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';
// Load worker_threads before the first picture, because loading this module replaces process.chdir.
import 'node:worker_threads';

/** Objects to which a test might add properties. */
const OBJECTS: Readonly<Record<string, object>> = {
  globalThis,
  process,
  console,
  Array,
  'Array.prototype': Array.prototype,
  Buffer,
  'Buffer.prototype': Buffer.prototype,
  Date,
  'Date.prototype': Date.prototype,
  JSON,
  Math,
  Object,
  'Object.prototype': Object.prototype,
  'Promise.prototype': Promise.prototype,
  performance,
  'process.stdin': process.stdin,
  'process.stdout': process.stdout,
  'process.stderr': process.stderr,
  child_process: childProcess,
  crypto,
  dgram,
  dns,
  fs,
  'fs.promises': fs.promises,
  net,
  'net.Socket.prototype': net.Socket.prototype,
  'net.Server.prototype': net.Server.prototype,
  os,
  timers,
  'timers/promises': timersPromises,
};

/** Returns the state that all code in this process shares. The map contains the value or the getter of each property. */
export function picture(): Map<string, unknown> {
  const seen = new Map<string, unknown>();
  for (const [name, object] of Object.entries(OBJECTS)) {
    for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(object))) {
      if (!key.startsWith('_events')) seen.set(`${name}.${key}`, property['get'] ?? property.value);
    }
  }
  for (const [key, value] of Object.entries(process.env)) seen.set(`process.env.${key}`, value);
  for (const event of process.eventNames()) seen.set(`listeners of ${String(event)}`, process.listenerCount(event));
  const rights = [process.getuid?.(), process.geteuid?.(), process.getgid?.(), process.getegid?.(), process.getgroups?.()];
  return seen.set('folder', process.cwd()).set('mask', process.umask()).set('rights', String(rights));
}

/** A getter counts as equal to the value that it returns, because Node replaces some getters with their values. */
function isSame(before: unknown, after: unknown): boolean {
  return (
    Object.is(before, after) ||
    (typeof before === 'function' && before.name.startsWith('get ') && Object.is(before.call(globalThis), after))
  );
}

/** Returns the names of the entries that have changed since the picture `before`. */
export function changedSince(before: ReadonlyMap<string, unknown>): string[] {
  const after = picture();
  return [...new Set([...before.keys(), ...after.keys()])].filter((name) => !isSame(before.get(name), after.get(name)));
}
