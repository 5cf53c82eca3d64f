// Tests that `ended` is the last message of a session, whatever its operations report afterwards. The listener kills a process that sends
// a message for an ended session, and thereby ends the sessions of other clients in this process. Rules: S9.

import { quietLog } from '@rsio/base/log/log';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { expect, test } from 'vitest';
import { DescriptorReceiver } from '../../machine/descriptor-passing.ts';
import { fileCalls } from '../../machine/file-calls.ts';
import { systemCalls } from '../../machine/system-calls.ts';
import { systemDropPages } from '../../storage/io/drop-pages.ts';
import { systemFileSize } from '../../storage/io/file-size.ts';
import { ThreadShares } from '../../storage/io/thread-shares.ts';
import type { FromSession } from '../../session/channel/channel.ts';
import { SessionHost } from './session-host.ts';

const ID = '00'.repeat(16);

test('a session that has ended sends nothing more', async () => {
  const sent: FromSession[] = [];
  const host = new SessionHost(
    ID,
    { type: 'begin', interfaces: [], generation: 1, log: { node: 'server', level: 'info' }, shortPools: [] },
    {
      log: quietLog,
      calls: fileCalls(),
      threads: new ThreadShares(1),
      nowait: null,
      fileSize: systemFileSize(),
      dropPages: systemDropPages(),
      pools: { bodies: new BufferPool(WINDOW_BYTES), outputs: new OutputPool() },
      receiver: new DescriptorReceiver(systemCalls(), -1),
      isListenerThere: () => true,
      send: (message) => sent.push(message),
    },
  );
  const revoked = (): void => host.receive({ type: 'revoke', number: sent.length, volumeId: 'id', epoch: 1 }, undefined);
  host.report();
  revoked();
  await host.end('E_NO_SESSION', 'The client ends');
  const types = sent.map(({ type }) => type);
  expect([types.slice(0, 2), types.at(-1)]).toEqual([['figures', 'revoked'], 'ended']);
  host.report();
  revoked();
  await new Promise((resolve) => setImmediate(resolve));
  expect(sent.slice(types.length)).toEqual([]);
});
