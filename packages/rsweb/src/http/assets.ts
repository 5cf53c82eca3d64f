// Serves the files that pages load: scripts, styles and images. Invariant: rsweb reads all files when it starts, so no request can reach
// another file of the system.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { assert } from '@rsio/base/lib/assert';
import { type Answer, plain } from './answer.ts';
import { ASSETS_MAX, ASSETS_MAX_BYTES } from '../limits.ts';

const TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  png: 'image/png',
  svg: 'image/svg+xml',
  woff2: 'font/woff2',
};

interface Asset {
  readonly type: string;
  readonly bytes: Uint8Array;
  readonly tag: string;
}

export class Assets {
  private readonly assets: ReadonlyMap<string, Asset>;

  /** Reads the files of a folder that have a known type. */
  constructor(folder = new URL('../../assets/', import.meta.url)) {
    const names = readdirSync(folder).filter((name) => typeOf(name) !== undefined);
    const read = names.map((name): [string, Asset] => {
      const bytes = readFileSync(new URL(name, folder));
      const tag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`;
      return [name, { type: typeOf(name) ?? '', bytes, tag }];
    });
    const sizeBytes = read.reduce((sum, [, { bytes }]) => sum + bytes.length, 0);
    assert(read.length <= ASSETS_MAX && sizeBytes <= ASSETS_MAX_BYTES, `${read.length} assets with ${sizeBytes} bytes`);
    this.assets = new Map(read);
  }

  /** Returns the answer with a file. `knownTag`: the value of the request's header If-None-Match. */
  answer(name: string, knownTag: string): Answer {
    const asset = this.assets.get(name);
    if (asset === undefined) return plain(404, 'No such file');
    const { type, bytes, tag } = asset;
    // The browser must check with the server before each use of its copy, because rsweb may have been updated since the browser got the
    // copy.
    const headers = { 'Cache-Control': 'no-cache', ETag: tag };
    if (knownTag.split(/\s*,\s*/).includes(tag)) return { status: 304, type, body: '', headers };
    return { status: 200, type, body: bytes, headers };
  }
}

function typeOf(name: string): string | undefined {
  const ending = /\.([a-z0-9]+)$/.exec(name)?.[1] ?? '';
  return Object.hasOwn(TYPES, ending) ? TYPES[ending] : undefined;
}
