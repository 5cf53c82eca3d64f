// The frontend of gates with real sockets and a volume in memory, for unit tests. `useGates` at the top of a test file closes everything after
// each test.

import { mkdtempSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { MemoryVolume } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import { Gates, type GatesOptions } from '../gates.ts';

export const UNTIL = { timeout: 10_000, interval: 5 };
export const NAMESPACE_ID = 7;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export class GatesScene {
  folder = '';
  volume = new MemoryVolume();
  port = 0;
  /** What the log has. */
  readonly lines: string[] = [];
  private readonly open: Gates[] = [];
  private readonly closing: (() => void)[] = [];

  async begin(): Promise<void> {
    this.folder = mkdtempSync(join(tmpdir(), 'gates-'));
    this.volume = Object.assign(new MemoryVolume(), { id: '12345678-9abc-4def-8123-456789abcdef' });
    this.port = await freePort();
    this.lines.length = 0;
  }

  async end(): Promise<void> {
    for (const close of this.closing.splice(0)) close();
    for (const gates of this.open.splice(0)) await gates.close();
    await removeFolder(this.folder);
  }

  freePort(): Promise<number> {
    return freePort();
  }

  /** `host` is closed after the test. */
  closes<T extends { close(): void }>(host: T): T {
    this.closing.push(() => host.close());
    return host;
  }

  /** An NVMe gate without secrets, at the first port. */
  gate(changes: Partial<ClientGateConfig> = {}): ClientGateConfig {
    return {
      name: 'g1',
      protocol: 'nvme',
      nqn: null,
      addresses: [{ address: '127.0.0.1', port: this.port }],
      hosts: null,
      volumes: 'all',
      member: null,
      secretFile: null,
      secrets: null,
      tls: false,
      tlsKeys: new Map(),
      ...changes,
    };
  }

  gatesOf(gates: readonly ClientGateConfig[], clock: Clock, changes: Partial<GatesOptions> = {}): Gates {
    const say = (message: string): void => void this.lines.push(message);
    const log = { info: say, warn: say, error: (message: string, { error }: { error: unknown }) => say(`${message} ${String(error)}`) };
    const made = new Gates({
      clock,
      log,
      gates,
      numbersFile: join(this.folder, 'gates.json'),
      version: '1.0',
      isSettled: () => true,
      takeFromPrograms: () => Promise.resolve(),
      namespaceid: () => NAMESPACE_ID,
      nodeOf: () => 'big-2',
      servers: { offered: () => [], readRecord: () => Promise.resolve(null), take: () => Promise.resolve('not here') },
      ...changes,
    });
    this.open.push(made);
    return made;
  }

  /** Gates that listen, and show the volume. */
  async serving(config: readonly ClientGateConfig[], clock: Clock): Promise<Gates> {
    const gates = this.gatesOf(config, clock);
    await gates.start();
    await gates.show(this.volume);
    await vi.waitFor(() => expect(this.lines.filter((line) => line.includes('listens at'))).toHaveLength(config.length), UNTIL);
    return gates;
  }
}

export function useGates(): GatesScene {
  const scene = new GatesScene();
  beforeEach(() => scene.begin());
  afterEach(() => scene.end());
  return scene;
}
