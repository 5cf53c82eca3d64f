// State that test files in one process share: folder, permissions, umask, environment, listeners, and the properties of Node's globals. A
// picture before and one after show the changes that were left. Modules and reports are the job of unit-setup.ts. State within libraries is not
// covered.

import childProcess from 'node:child_process';
import crypto from 'node:crypto';
import dgram from 'node:dgram';
import dns from 'node:dns';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';
// Wraps process.chdir when it is loaded.
import 'node:worker_threads';

/** Objects that a test might add properties to, which all later files of the process would see. */
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

/** The state that all code of this process shares, by name: a value, or the accessor of a property that has one. */
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

/** Node replaces the accessor of a lazily loaded library by its value. */
function isSame(before: unknown, after: unknown): boolean {
  return (
    Object.is(before, after) ||
    (typeof before === 'function' && before.name.startsWith('get ') && Object.is(before.call(globalThis), after))
  );
}

/** Names of changed entries. `before` is the earlier picture. */
export function changedSince(before: ReadonlyMap<string, unknown>): string[] {
  const after = picture();
  return [...new Set([...before.keys(), ...after.keys()])].filter((name) => !isSame(before.get(name), after.get(name)));
}
