// The page after the system in a slot and in a file for upgrades: version, size and checksum. Invariant: the page begins at the first multiple
// of 4096 bytes after the squashfs, so that a slot describes itself; packages/common/src/appliance/system-image.ts reads it.

import { createHash } from 'node:crypto';
import { appendFileSync, createReadStream, statSync } from 'node:fs';

export const PAGE_BYTES = 4096;

/** Pads the squashfs and appends the page. */
export async function seal(file, version) {
  const rest = statSync(file).size % PAGE_BYTES;
  if (rest > 0) appendFileSync(file, Buffer.alloc(PAGE_BYTES - rest));
  const hash = createHash('sha256');
  for await (const part of createReadStream(file)) hash.update(part);
  const text = `RSIO appliance 1\nversion=${version}\nsize=${statSync(file).size}\nsha256=${hash.digest('hex')}\n`;
  const page = Buffer.alloc(PAGE_BYTES);
  page.write(text);
  appendFileSync(file, page);
}
