// The machine's interfaces as a source for the watcher: iproute2 as a child process, /sys and the C library without it.
// Leaves what lines mean to ip-lines.ts. The child ends with its pipe: when rsiod is gone, at the next line it writes.

import { execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { errnoName } from '@rsio/protocol/lib/errors';
import { IP_LIST_MAX_BYTES, IP_LIST_TIMEOUT_MS } from '@rsio/protocol/limits';
import type { InterfaceSource } from './interface-watcher.ts';
import type { IpFact } from './ip-lines.ts';

const NET_DIR = '/sys/class/net';
const run = promisify(execFile);

async function linesOf(what: 'link' | 'address'): Promise<string[]> {
  const { stdout } = await run('ip', ['-o', what], { timeout: IP_LIST_TIMEOUT_MS, maxBuffer: IP_LIST_MAX_BYTES });
  return stdout.split('\n');
}

export const machineInterfaces: InterfaceSource = {
  monitor(onLine, ended) {
    const child = spawn('ip', ['-o', 'monitor', 'address', 'link'], { stdio: ['ignore', 'pipe', 'ignore'] });
    let isOver = false;
    const end = (reason: string, isAbsent: boolean): void => {
      if (isOver) return;
      isOver = true;
      ended(reason, isAbsent);
    };
    createInterface({ input: child.stdout }).on('line', onLine);
    child.on('error', (error) => end(error.message, errnoName(error) === 'ENOENT'));
    child.on('exit', (code, signal) => end(signal ?? `exit code ${code}`, false));
    return {
      stop: () => {
        isOver = true;
        child.kill('SIGKILL');
      },
    };
  },

  // Addresses first: a lost carrier is told of those that are known.
  list: async () => [...(await linesOf('address')), ...(await linesOf('link'))],

  look() {
    const addresses = Object.entries(networkInterfaces()).flatMap(([device, list]) =>
      (list ?? []).map(({ address }): IpFact => ({ kind: 'address', device, address, isThere: true })),
    );
    const links = readdirSync(NET_DIR).map((device): IpFact => ({ kind: 'link', device, hasCarrier: hasCarrier(device) }));
    return [...addresses, ...links];
  },
};

/** Reading `carrier` of an interface that is switched off is an error. */
function hasCarrier(device: string): boolean {
  try {
    const isDown = readFileSync(path.join(NET_DIR, device, 'operstate'), 'utf8').trim() === 'down';
    return !isDown && readFileSync(path.join(NET_DIR, device, 'carrier'), 'utf8').trim() === '1';
  } catch {
    return false;
  }
}
