// Tests what a rekey says that waits in vain. test/integration/namespace-file.test.ts has the orders themselves.

import { expect, test } from 'vitest';
import { unprovenText } from './spread.ts';

function at(server: string, sessionKey: 'old' | 'new' | null) {
  const place = { namespace: 'osl', server, nodename: 'admin', isConnected: true, serverid: null, trouble: '', listed: [] };
  const secondKeys = [{ client: 'c2', sessionKey, isNewer: true, isProven: sessionKey === 'new' }];
  return { place, answer: { server, changes: [], extra: [], secondKeys, applied: null } };
}

test('a rekey that waits in vain names only the servers where the new key was not used, and what helps there', () => {
  expect(unprovenText('c2', [at('a1', 'new'), at('w1', 'new'), at('b1', null)])).toBe(
    'Client c2 has not used its new key at b1, and keeps both keys: at b1 it is not connected: connect it (rsconfig join ADDRESS on the client), ' +
      'or run rsadm client rekey c2 --finish --force at this server; then give the order again',
  );
  expect(unprovenText('c2', [at('a1', 'old'), at('b1', 'new')])).toBe(
    'Client c2 has not used its new key at a1, and keeps both keys: at a1 it uses the old key: give it the new one (step 2); then give the order again',
  );
});
