// Tests that the warnings of -q about a server that is not connected quote the errors of the server. The views are tested in
// program.test.ts.

import { expect, test } from 'vitest';
import { queryWarnings, statusWarnings } from './warnings.ts';
import { namespace, path, rep, server } from '../testing/views.ts';

const AUTH = "Server refused the connection: Server big-7 does not accept this node's proof: check nodename, nodekey [E_AUTH]";
const IN_USE = 'Server refused the connection: Node big-6 is in use from 192.168.45.30: stop rsiod there [E_OTHER_MACHINE]';

function warningsOf(errors: readonly (string | null)[]): string[] {
  const paths = errors.map((lastError, index) => path({ interface: `if${index}`, state: 'down', lastError }));
  return queryWarnings(
    [namespace({ servers: [server({ name: 'big-7', state: 'down', volumes: [], paths })] })],
    new Set(),
    '/etc/rscltcfg',
  );
}

test.each<[string, readonly (string | null)[], string]>([
  ['none: no server answers', ['Connection refused [E_UNREACHABLE]', 'No answer [E_TIMEOUT]', 'The connection ended', null], ''],
  ['none: there is no path to it', [], ''],
  ['a wrong key on both paths, shown once', [AUTH, AUTH], `: if0 -> 192.168.10.9/5000: ${AUTH}`],
  ['a nodename in use; the other path has no answer', ['No answer [E_TIMEOUT]', IN_USE], `: if1 -> 192.168.10.9/5000: ${IN_USE}`],
  [
    'a different error on each path',
    ['Too many sessions [E_LIMIT]', AUTH],
    `: if0 -> 192.168.10.9/5000: Too many sessions [E_LIMIT]; if1 -> 192.168.10.9/5000: ${AUTH}`,
  ],
])('-q shows the errors of a server that is down: %s', (_, errors, said) => {
  expect(warningsOf(errors)).toEqual([`Server big-7 of osl is down${said}: see rsconfig -m status -v`]);
});

test('of many errors of a server only a few are shown', () => {
  const errors = Array.from({ length: 9 }, (_, index) => `Reason ${index} [E_LIMIT]`);
  expect(warningsOf(errors)[0]?.match(/Reason/g)).toHaveLength(4);
});

test('the reason of waiting I/O reads well as a phrase and as a sentence', () => {
  const interfaces = [{ position: 0, name: 'if0', address: '192.168.10.1', port: 5000, reps: [rep()] }];
  const waiting = ['a path to server big-9', 'The session was replaced'].map((waitsFor) => ({
    volume: 'osl:oracle@0',
    waitsFor,
    sinceMs: 0,
    untilMs: null,
    requests: 1,
  }));
  expect(statusWarnings({ interfaces, waiting, logs: [], mirrors: [] }, '/etc/rscltcfg')).toEqual([
    'osl:oracle@0 waits for a path to server big-9: see rsconfig -m status -v',
    'osl:oracle@0 is waiting: The session was replaced: see rsconfig -m status -v',
  ]);
});
