// Mutants of promises of docs/GUARANTEES.md that rest on no rule of docs/PROTOCOL.md: flipped bits (G11), fenced clients (G20) and damaged files
// (G58). The zoo hunts these mutants in the worlds of promises/.

import { readFile } from 'node:fs/promises';
import { StateFile } from '@rsio/base/files/state-file';
import { Decoder } from '@rsio/protocol/wire/decoder';
import { DIGEST_BYTES } from '@rsio/protocol/wire/limits';
import { Fences } from '@rsio/rssrv/volumes/fences';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from './mutant.ts';

interface DecoderInner {
  digest: boolean;
  readonly bodyBytes: PrivateAs<Decoder['bodyBytes'], number>;
  trailerBytes: PrivateAs<Decoder['trailerBytes'], number>;
}

interface FencesInner {
  readonly clients: PrivateAs<Fences['clients'], Map<string, { readonly sinceMs: number; readonly by: string | null }>>;
}

interface StateFileInner {
  readonly path: PrivateAs<StateFile<unknown>['path'], string>;
  checked(content: unknown): unknown;
  damaged(why: string): Error;
}

export const PROMISE_MUTANTS: readonly Mutant[] = [
  {
    name: 'header-unchecked',
    rule: 'G11',
    breaks: 'The digest of a header is not compared',
    explorer: 'digests',
    apply: () =>
      override<DecoderInner, [Buffer, number], boolean>(Decoder, 'acceptHeader', (original) => (self, buffer, at) => {
        const { digest } = self;
        self.digest = false;
        const isAccepted = original(self, buffer, at);
        self.digest = digest;
        self.trailerBytes = digest && self.bodyBytes > 0 ? DIGEST_BYTES : 0;
        return isAccepted;
      }),
  },
  {
    name: 'fence-volatile',
    rule: 'G20',
    breaks: 'A fence is answered before it is on disk',
    explorer: 'fences',
    apply: () =>
      override<FencesInner, [string, string | null], Promise<void>>(Fences, 'set', () => (self, node, by) => {
        self.clients.set(node, { sinceMs: 0, by });
        return Promise.resolve();
      }),
  },
  {
    name: 'fence-impatient',
    rule: 'G20',
    breaks: 'A fence does not wait for the orders of the client that are in execution',
    explorer: 'fences',
    apply: () => override(Fences, 'idle', () => () => Promise.resolve()),
  },
  {
    name: 'damage-obeyed',
    rule: 'G58',
    breaks: 'The checksum of a state file is not compared',
    explorer: 'damages',
    apply: () =>
      override<StateFileInner, [], Promise<unknown>>(StateFile, 'load', () => async (self) => {
        try {
          return self.checked((JSON.parse(await readFile(self.path, 'utf8')) as { readonly content: unknown }).content);
        } catch {
          throw self.damaged('it cannot be used');
        }
      }),
  },
];
