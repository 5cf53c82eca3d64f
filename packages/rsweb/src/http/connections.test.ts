// Tests which connections are closed if there are too many. A connection without a token can displace only a connection without a token. An
// address or a token with too many connections loses one of its own connections. A new connection is always accepted. The number of logins
// is tested in login/.

import { expect, test } from 'vitest';
import { type Connection, Connections } from './connections.ts';
import { CONNECTIONS_PER_SOURCE_MAX, CONNECTIONS_PER_TOKEN_MAX, PROVEN_CONNECTIONS_MAX, STRANGE_CONNECTIONS_MAX } from '../limits.ts';

function world(): {
  readonly open: (owner: string, count: number, token?: string) => Connection[];
  readonly left: () => Record<string, number>;
} {
  const connections = new Connections();
  const open = new Map<number, string>();
  let next = 0;
  return {
    open: (owner, count, token) =>
      Array.from({ length: count }, () => {
        const id = next++;
        open.set(id, token ?? owner);
        const connection = connections.add(owner, () => void open.delete(id));
        if (token !== undefined) connection.prove(token);
        return connection;
      }),
    left: () => {
      const counts: Record<string, number> = {};
      for (const name of open.values()) counts[name] = (counts[name] ?? 0) + 1;
      return counts;
    },
  };
}

test('a flood from one address ends its own oldest connections, and none that has shown a token', () => {
  const { open, left } = world();
  open('10.0.0.1', 3, 'anna');
  open('10.0.0.2', 5);
  open('10.0.0.1', 10_000);
  expect(left()).toEqual({ anna: 3, '10.0.0.2': 5, '10.0.0.1': CONNECTIONS_PER_SOURCE_MAX });
});

test('a connection from a flooding address can still show its token', () => {
  const { open, left } = world();
  open('127.0.0.1', CONNECTIONS_PER_SOURCE_MAX);
  const [mine] = open('127.0.0.1', 1);
  open('127.0.0.1', CONNECTIONS_PER_SOURCE_MAX - 1);
  mine?.prove('anna');
  open('127.0.0.1', CONNECTIONS_PER_SOURCE_MAX * 2);
  mine?.prove('bert');
  expect(left()).toEqual({ '127.0.0.1': CONNECTIONS_PER_SOURCE_MAX + 1 });
});

test('of very many addresses, the one with the most loses one', () => {
  const { open, left } = world();
  open('10.0.0.1', 100);
  for (let at = 0; at < STRANGE_CONNECTIONS_MAX - 90; at++) open(`10.0.1.${at}`, 1);
  expect(left()['10.0.0.1']).toBe(90);
});

test('a token ends connections of its own only, and takes not those of the others', () => {
  const { open, left } = world();
  open('127.0.0.1', 20, 'manager');
  open('127.0.0.1', CONNECTIONS_PER_TOKEN_MAX + 100, 'viewer');
  expect(left()).toEqual({ manager: 20, viewer: CONNECTIONS_PER_TOKEN_MAX });
  for (const token of ['a', 'b', 'c', 'd', 'e', 'f']) open('127.0.0.1', CONNECTIONS_PER_TOKEN_MAX, token);
  expect(left()['manager']).toBe(20);
  expect(Object.values(left()).reduce((sum, count) => sum + count)).toBe(PROVEN_CONNECTIONS_MAX);
});

test('a connection that has closed counts no more', () => {
  const { open, left } = world();
  for (const connection of open('10.0.0.1', CONNECTIONS_PER_SOURCE_MAX)) connection.closed();
  open('10.0.0.1', CONNECTIONS_PER_SOURCE_MAX);
  expect(left()).toEqual({ '10.0.0.1': 2 * CONNECTIONS_PER_SOURCE_MAX });
});
