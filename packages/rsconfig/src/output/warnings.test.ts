// Tests the warnings of -q about a server that is not connected: they quote the errors of the server. The views are tested in
// program.test.ts.

import { expect, test } from 'vitest';
import { queryWarnings } from './warnings.ts';
import { namespace, path, server } from '../testing/views.ts';

const AUTH = "Server refused the connection: Server big-7 does not accept this node's proof: check nodename, nodekey [E_AUTH]";
const IN_USE = 'Server refused the connection: Node big-6 is in use from 192.168.45.30: stop rsiod there [E_OTHER_MACHINE]';

function remarksOf(errors: readonly (string | null)[]): string[] {
  const paths = errors.map((lastError, index) => path({ interface: `if${index}`, state: 'down', lastError }));
  return queryWarnings([namespace({ servers: [server({ name: 'big-7', state: 'down', volumes: [], paths })] })], '/etc/rscltcfg');
}

test.each<[string, readonly (string | null)[], string]>([
  ['nothing: nobody answers', ['Connection refused [E_UNREACHABLE]', 'No answer [E_TIMEOUT]', 'The connection ended', null], ''],
  ['nothing: there is no path to it', [], ''],
  ['that the key is wrong, on both paths: told once', [AUTH, AUTH], `: if0 -> 192.168.10.9/5000: ${AUTH}`],
  ['that the nodename is in use; another path has no answer', ['No answer [E_TIMEOUT]', IN_USE], `: if1 -> 192.168.10.9/5000: ${IN_USE}`],
  [
    'one thing here and another there',
    ['Too many sessions [E_LIMIT]', AUTH],
    `: if0 -> 192.168.10.9/5000: Too many sessions [E_LIMIT]; if1 -> 192.168.10.9/5000: ${AUTH}`,
  ],
])('-q says of a server that is down what it has said: %s', (_, errors, said) => {
  expect(remarksOf(errors)).toEqual([`Server big-7 of osl is down${said}: see rsconfig -m status -v`]);
});

test('of many errors of a server only a few are shown', () => {
  const errors = Array.from({ length: 9 }, (_, index) => `Reason ${index} [E_LIMIT]`);
  expect(remarksOf(errors)[0]?.match(/Reason/g)).toHaveLength(4);
});
