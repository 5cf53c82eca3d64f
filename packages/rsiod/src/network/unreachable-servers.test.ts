// Tests the warnings about servers without a path when rsiod starts. If a server has answered with an error, the warning gives that error.
// The test supplies the paths as data; test/integration/refusals.test.ts tests a real start.

import { RsError } from '@rsio/base/lib/errors';
import { REFUSALS_REPORTED_MAX } from './limits.ts';
import { expect, test } from 'vitest';
import { unreachableServers, type TriedPath } from './unreachable-servers.ts';

function path(changes: Partial<TriedPath> = {}): TriedPath {
  return { name: 'big-9', address: '10.0.0.9', port: 5000, isConnected: false, error: null, ...changes };
}

const AUTH = new RsError('E_AUTH', "Server refused the connection: Server big-9 does not accept this node's proof: check nodename");

test('without any answer no server is reachable', () => {
  const expected = ['No server of namespace osl is in reach: rsiod keeps trying; rsconfig -m status -v says why'];
  expect(unreachableServers('osl', [path()])).toEqual(expected);
  expect(unreachableServers('osl', [])).toEqual(expected);
  for (const code of ['E_UNREACHABLE', 'E_TIMEOUT', 'E_RESET'] as const)
    expect(unreachableServers('osl', [path({ error: new RsError(code, 'x') })])).toEqual(expected);
});

// Regression: a wrong key, a duplicate nodename and a limit were all reported as unreachable.
test('a server that refuses is reported with its code and text, once for all paths to its address', () => {
  expect(
    unreachableServers('osl', [path({ error: AUTH }), path({ error: AUTH }), path({ error: new RsError('E_UNREACHABLE', 'x') })]),
  ).toEqual([
    "No path to server big-9 of namespace osl at 10.0.0.9/5000: Server refused the connection: Server big-9 does not accept this node's proof: check nodename [E_AUTH]",
  ]);
  for (const code of ['E_OTHER_MACHINE', 'E_REPLACED', 'E_LIMIT', 'E_VERSION', 'E_NAMESPACE', 'E_PROTOCOL'] as const)
    expect(unreachableServers('osl', [path({ error: new RsError(code, 'So it is') })])).toEqual([
      `No path to server big-9 of namespace osl at 10.0.0.9/5000: So it is [${code}]`,
    ]);
});

test('of several servers the refusing one is reported although another is up, which is not reported', () => {
  const other = path({ name: 'big-5', address: '10.0.0.5', error: AUTH });
  expect(unreachableServers('osl', [path({ isConnected: true }), other])).toEqual([expect.stringContaining('server big-5')]);
  expect(unreachableServers('osl', [path({ isConnected: true, error: AUTH })])).toEqual([]);
});

test('many servers are reported in few lines', () => {
  const paths = Array.from({ length: 300 }, (_, index) => path({ port: index + 1, error: AUTH }));
  const said = unreachableServers('osl', paths);
  expect(said).toHaveLength(REFUSALS_REPORTED_MAX + 1);
  expect(said.at(-1)).toMatch(/^The same applies to \d+ more end points of namespace osl: rsconfig -m status -v lists them$/);
});
