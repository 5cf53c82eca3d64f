// Tests which methods of rssrv the control group may call.
// No test here opens a socket. Rules: G21.

import { expect, test } from 'vitest';
import { isReading } from './reading-methods.ts';
import { SERVER_METHODS, type ServerMethodName } from './server-methods.ts';

const METHODS = Object.keys(SERVER_METHODS) as ServerMethodName[];

test('a method that takes the id of a change does not read', () => {
  const changing = METHODS.filter((method) => Object.hasOwn(SERVER_METHODS[method].params, 'request'));
  expect(changing.length).toBeGreaterThan(5);
  expect(changing.filter(isReading)).toEqual([]);
});

test('exactly these methods read', () => {
  expect(METHODS.filter(isReading).toSorted()).toEqual([
    'change-show',
    'client-list',
    'daemon',
    'events',
    'farm-show',
    'interface-list',
    'job-list',
    'peer-list',
    'pool-list',
    'readiness',
    'replication-list',
    'stats',
    'volume-diff',
    'volume-list',
    'volume-show',
    'witness-list',
  ]);
});
