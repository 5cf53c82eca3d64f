// The option --keep of drills with many machines: copies the logs of all machines before the machines are removed.

import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Host } from '../hosts/host.ts';
import { optional, text } from './options.ts';
import type { Scene } from './scene.ts';

export const KEEP = optional(text('FOLDER', '.', 'copy all logs there at the end'));

/** `folder`: null: no logs are copied. */
export function keepLogs(
  { hosts }: Scene,
  machines: readonly { readonly name: string; readonly host: Host }[],
  folder: string | null,
): void {
  if (folder === null) return;
  hosts.onClean(() => {
    for (const { name, host } of machines) {
      const [to, database] = [path.join(folder, name), host.file('work/run')];
      mkdirSync(to, { recursive: true });
      cpSync(path.join(host.root, 'var/log/rsio'), to, { recursive: true });
      for (const file of existsSync(database) ? readdirSync(database) : [])
        if (file.endsWith('log')) cpSync(path.join(database, file), path.join(to, `postgres-${file}`));
    }
  });
}
