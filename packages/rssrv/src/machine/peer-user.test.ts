// Tests the user at the other end of a Unix socket on a real one.

import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { expect, test } from 'vitest';
import { peerUser } from './peer-user.ts';

test('the kernel names the user of this process, and nobody for a socket that is closed', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'rsio-peer-'));
  const server = createServer();
  server.listen(path.join(folder, 'socket'));
  await once(server, 'listening');
  const client = connect(path.join(folder, 'socket'));
  const [accepted] = (await once(server, 'connection')) as [Socket];
  expect(peerUser(accepted)?.replace(/ \(logged in as .*\)$/, '')).toBe(userInfo().username);
  accepted.destroy();
  client.destroy();
  expect(peerUser(accepted)).toBeNull();
  server.close();
  await removeFolder(folder);
});
