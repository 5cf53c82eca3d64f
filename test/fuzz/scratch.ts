// Folders that targets need for files and sockets: of one process, removed when it ends, or before, by whoever runs targets in a process
// that does not end in the usual way. Leaves what is in them to the targets.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const folders: string[] = [];

export function scratchFolder(): string {
  if (folders.length === 0) process.once('exit', removeScratch);
  const folder = mkdtempSync(path.join(tmpdir(), 'rsio-fuzz-'));
  folders.push(folder);
  return folder;
}

export function removeScratch(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
