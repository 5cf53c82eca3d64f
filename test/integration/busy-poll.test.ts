// Busy polling with real processes: a reload switches it on, rsiod polls for I/O, and an idle client does not poll. The test reads the
// counter of the metrics.

import { request } from 'node:http';
import { setTimeout as after } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { clientConfig, startClient, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const TEST_MS = 300_000;
const PORT = 9_510;
const BLOCK_BYTES = 4_096;
const BLOCKS = 64;
/** An idle time that is longer than a poll of 1 ms and a pause between polls. */
const IDLE_MS = 1_500;

const hosts = useHosts('test');

function metricOf(address: string, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: address, port: PORT, path: '/metrics', agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve(Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1] ?? 'none')));
    });
    sent.on('error', reject);
    sent.end();
  });
}

it('a reload switches it on; I/O is polled for, and an idle client polls for nothing', { timeout: TEST_MS }, async () => {
  const [host, network] = [hosts.host(), await hosts.network()];
  const address = network.clientAddresses()[0] ?? '';
  const defaults = { metrics: `${address}:${PORT}` };
  await startServer(host, network, { volumes: { oracle: { type: 'memory', size: '16m' } } });
  await startClient(host, network, { defaults });
  await host.rsconfigWell('-a', 'oracle');
  const io = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
  hosts.onClean(() => io.close());
  const polled = (): Promise<number> => metricOf(address, 'rsio_client_busy_poll_seconds_total');
  const writeAll = async (seed: number): Promise<void> => {
    for (let block = 0; block < BLOCKS; block++) await io.write(block * BLOCK_BYTES, Buffer.alloc(BLOCK_BYTES, seed + block));
  };
  await writeAll(1);
  expect(await polled()).toBe(0);

  host.writeConfig('rsiod', clientConfig(network, { defaults: { ...defaults, 'busy-poll': '1000us' } }));
  expect(await host.rsconfigWell('reload')).toContain('busy-poll = off -> busy-poll = 1000us');
  await writeAll(2);
  for (let block = 0; block < BLOCKS; block++) {
    const read = await io.read(block * BLOCK_BYTES, BLOCK_BYTES);
    expect(read.equals(Buffer.alloc(BLOCK_BYTES, 2 + block))).toBe(true);
  }
  await after(IDLE_MS);
  const seconds = await polled();
  expect(seconds).toBeGreaterThan(0);
  await after(IDLE_MS);
  expect(await polled()).toBe(seconds);

  host.writeConfig('rsiod', clientConfig(network, { defaults: { ...defaults, 'busy-poll': 'auto' } }));
  expect(await host.rsconfigWell('reload')).toContain('busy-poll = 1000us -> busy-poll = auto');
  // Polling rests for a while if other programs need the core.
  const polls = async (): Promise<boolean> => {
    await writeAll(3);
    return (await polled()) > seconds;
  };
  await waitFor(polls, TEST_MS / 4, 'rsiod polls for requests that come one by one');

  host.writeConfig('rsiod', clientConfig(network, { defaults }));
  expect(await host.rsconfigWell('reload')).toContain('busy-poll = auto -> busy-poll = off');
  await after(IDLE_MS);
  const last = await polled();
  await writeAll(4);
  expect(await polled()).toBe(last);
});
