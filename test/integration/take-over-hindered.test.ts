// Hindered take-overs with real processes: the server process of the losing client is suspended, the server is killed during the take-over,
// or the holder may have to send lost writes again. The server grants no take-over while the losing client can still write. After the
// grant, the server executes no write of this client. All tests use one server and its clients. At the beginning of each test, all daemons
// run, and the first client has the volume. Rules: H2, H3.

import { beforeEach, describe, expect, it } from 'vitest';
import { CONTESTED, ContestedVolume } from '../support/scenes/contested-volume.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import type { StampedWriter } from '../support/io/stamped-writes.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const LONG_MS = 180_000;

const hosts = useHosts('file');
let begun: Promise<ContestedVolume> | undefined;
let volume: ContestedVolume;
/** Epoch of the volume at the beginning of the test. */
let epoch: number;

beforeEach(async () => {
  begun ??= ContestedVolume.begin(hosts, 2);
  volume = await begun;
  await volume.beginAgain();
  ({ epoch } = volume.kept());
});

describe("the loser's server process is stopped:", () => {
  let writer: StampedWriter;
  let worker: number;

  beforeEach(async () => {
    writer = await volume.writer(volume.clients[0]!);
    await volume.writes(writer);
    worker = volume.server.worker('big-2');
    process.kill(worker, 'SIGSTOP');
  });

  it('it is ended before another client gets the volume', { timeout: LONG_MS }, async () => {
    const taking = volume.clients[1]!.beside('rsconfig', ['-a', '--take-over', 'oracle']);
    await waitFor(
      () => volume.said(volume.server).includes(`process ${worker} of node big-2 has not released it in time`),
      20_000,
      'It is told to end',
    );
    expect(volume.kept()).toEqual({ node: 'big-2', epoch });
    const { code, stderr } = await taking.ended;
    expect([code, stderr]).toEqual([0, '']);
    volume.file.look('When it is granted', writer);
    expect(volume.server.processes()).not.toContain(worker);
    const next = await volume.writer(volume.clients[1]!);
    await volume.writes(next);
    await volume.loses(volume.clients[0]!, writer, 'venus');
    await volume.finish(next);
  });

  it('a server killed meanwhile returns with the old holder, which continues or then loses the volume', { timeout: LONG_MS }, async () => {
    const taking = volume.clients[1]!.beside('rsconfig', ['-a', '--take-over', 'oracle']);
    await waitFor(() => volume.said(volume.server).includes('oracle is taken over by venus'), 20_000, 'The take-over begins');
    await volume.server.kill('rssrv');
    expect(volume.kept()).toEqual({ node: 'big-2', epoch });
    await volume.server.start('rssrv');
    const { code, stderr } = await taking.ended;
    if (code !== 0) {
      // The error comes from the old server, because that server has ended, or from the new server, which refuses until the holder has
      // replayed its log. The holder replays the log without a command.
      expect(stderr).toMatch(/--force|The server ended before/);
      await volume.writes(writer);
      await waitFor(
        async () => (await volume.clients[1]!.rsconfig('-a', '--take-over', 'oracle')).code === 0,
        20_000,
        'The holder has settled',
      );
    }
    volume.file.look('When it is granted', writer);
    expect(volume.kept().node).toBe('venus');
    const next = await volume.writer(volume.clients[1]!);
    await volume.writes(next);
    await volume.loses(volume.clients[0]!, writer, 'venus');
    await volume.finish(next);
  });
});

describe('the holder may have to send again what the server has lost:', () => {
  let nbd: NbdIo;

  beforeEach(async () => {
    nbd = await NbdIo.open(volume.clients[0]!.rsiodPaths.nbdSocket, CONTESTED);
    hosts.onClean(() => nbd.close());
    await nbd.verify(0, 4096);
    // The first client is suspended, so that it does not come back after its server process has died.
    process.kill(volume.clients[0]!.pid('rsiod'), 'SIGSTOP');
    const worker = volume.server.worker('big-2');
    process.kill(worker, 'SIGKILL');
    await waitFor(() => volume.said(volume.server).includes(`Process ${worker} of node big-2 died`), 10_000, 'The process has died');
    const refused = await volume.clients[1]!.rsconfig('-a', '--take-over', 'oracle');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/held by big-2 .* has not yet recovered .*--take-over --force oracle/);
    expect(volume.kept()).toEqual({ node: 'big-2', epoch });
  });

  it('the server waits until the holder has settled', async () => {
    process.kill(volume.clients[0]!.pid('rsiod'), 'SIGCONT');
    await nbd.verify(0, 4096);
    const taken = async (): Promise<boolean> => (await volume.clients[1]!.rsconfig('-a', '--take-over', 'oracle')).code === 0;
    await waitFor(taken, 20_000, 'It may be taken over');
    await volume.lostTo(volume.clients[0]!, 'venus');
  });

  it('the server does not wait if the administrator forces the take-over', async () => {
    await volume.clients[1]!.rsconfigWell('-a', '--take-over', '--force', 'oracle');
    process.kill(volume.clients[0]!.pid('rsiod'), 'SIGCONT');
    await volume.lostTo(volume.clients[0]!, 'venus');
    await expect(nbd.verify(0, 4096)).rejects.toThrow();
    expect(volume.kept()).toEqual({ node: 'venus', epoch: epoch + 1 });
  });

  // This test must be the last one, because its section [rights] stays in force.
  it('as soon as the file has a section [rights], only a client with the right admin forces it', async () => {
    const [, venus] = volume.clients;
    const force = () => venus!.rsconfig('-a', '--take-over', '--force', 'oracle');
    for (const [client, right] of [
      ['big-2', 'admin'],
      ['venus', 'manage'],
    ] as const) {
      await volume.server.rsadmWell('client', 'rights', client, right);
      const refused = await force();
      expect(refused.code).toBe(1);
      const role = client === 'venus' ? 'manage' : 'use';
      expect(refused.stderr).toContain(`rsadm client rights venus admin (its right is ${role})`);
      expect(volume.kept()).toEqual({ node: 'big-2', epoch });
    }
    await volume.server.rsadmWell('client', 'rights', 'venus', 'admin');
    expect((await force()).code).toBe(0);
    expect(volume.kept()).toEqual({ node: 'venus', epoch: epoch + 1 });
    process.kill(volume.clients[0]!.pid('rsiod'), 'SIGCONT');
    await volume.lostTo(volume.clients[0]!, 'venus');
  });
});
