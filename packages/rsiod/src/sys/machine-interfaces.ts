// Reads the state of the machine's interfaces from the programs of iproute2 and, if these are missing, from /sys and the C library.
// Invariant: the monitor exits when rsiod exits, for whatever reason.

import { execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { errnoName } from '@rsio/base/lib/errors';
import { IP_LIST_MAX_BYTES } from '@rsio/protocol/explorer/limits';
import type { IpFact } from './interface-table.ts';
import type { InterfaceSource } from './interface-watcher.ts';
import { IP_LIST_TIMEOUT_MS } from './limits.ts';
import path from 'node:path';

/**
 * A shell script that runs `ip monitor`, because the monitor itself does not notice when rsiod exits. The standard input of the shell ends
 * when rsiod exits, and the shell then stops the monitor.
 */
const MONITOR_SCRIPT = `command -v ip >/dev/null || exit 127
exec 3<&0
ip -o monitor address link &
monitor=$!
{ read -r _ <&3; kill $monitor; } >/dev/null 2>&1 &
watch=$!
wait $monitor
code=$?
kill $watch
exit $code`;
const NOT_FOUND = 127;

const NET_DIR = '/sys/class/net';
const run = promisify(execFile);

async function linesOf(what: 'link' | 'address'): Promise<string[]> {
  const { stdout } = await run('ip', ['-o', what], { timeout: IP_LIST_TIMEOUT_MS, maxBuffer: IP_LIST_MAX_BYTES });
  return stdout.split('\n');
}

export const machineInterfaces: InterfaceSource = {
  monitor(onLine, ended) {
    const child = spawn('/bin/sh', ['-c', MONITOR_SCRIPT], { stdio: ['pipe', 'pipe', 'ignore'] });
    let isOver = false;
    const end = (reason: string, isAbsent: boolean): void => {
      if (isOver) return;
      isOver = true;
      ended(reason, isAbsent);
    };
    child.on('error', (error) => end(error.message, errnoName(error) === 'ENOENT'));
    // If no descriptor is free, child.pid and the streams are undefined, although their types do not allow that.
    if (child.pid !== undefined) {
      createInterface({ input: child.stdout }).on('line', onLine);
      child.stdin.on('error', () => undefined);
    }
    child.on('exit', (code, signal) => end(signal ?? `exit code ${code}`, code === NOT_FOUND));
    return {
      stop: () => {
        isOver = true;
        if (child.pid !== undefined) child.stdin.end();
      },
    };
  },

  // Addresses come first, because a lost carrier is reported only for addresses that are already known.
  list: async () => [...(await linesOf('address')), ...(await linesOf('link'))],

  look() {
    try {
      const addresses = Object.entries(networkInterfaces()).flatMap(([device, list]) =>
        (list ?? []).map(({ address }): IpFact => ({ kind: 'address', device, address, isThere: true })),
      );
      const links = readdirSync(NET_DIR).map((device): IpFact => ({ kind: 'link', device, hasCarrier: hasCarrier(device) }));
      return [...addresses, ...links];
    } catch {
      // Reading fails if no descriptor is free. The next look will find the changes.
      return [];
    }
  },
};

/** True if the interface has a carrier. The file `carrier` cannot be read while the interface is down. */
function hasCarrier(device: string): boolean {
  try {
    const isDown = readFileSync(path.join(NET_DIR, device, 'operstate'), 'utf8').trim() === 'down';
    return !isDown && readFileSync(path.join(NET_DIR, device, 'carrier'), 'utf8').trim() === '1';
  } catch {
    return false;
  }
}
