// Fences an earlier owner of a shared pool, for the server that takes the pool, and tries again until the fence is proven. Invariant:
// fenceUntilProven resolves only when the fence is proven. Rules: F4.

import { toRsError } from '@rsio/common/lib/errors';
import type { Engine } from './engine.ts';
import type { Writer } from './farm-record.ts';

export interface FencingPorts {
  readonly engine: Pick<Engine, 'fence'>;
  /** Called with a sentence after each attempt that has failed. */
  waits(why: string): void;
  /** Waits before the next attempt. Throws if this server is no longer the taker. */
  pause(): Promise<void>;
}

/** Throws what `pause` throws. */
export async function fenceUntilProven(writer: Writer, ports: FencingPorts): Promise<void> {
  for (;;) {
    try {
      await ports.engine.fence(writer);
      return;
    } catch (thrown) {
      ports.waits(`it waits for the fence of ${nameOf(writer)}: ${toRsError(thrown).message}`);
    }
    await ports.pause();
  }
}

/** Returns a text such as `big-9, generation 17`. */
export function nameOf({ server, generation }: Writer): string {
  return `${server}, generation ${generation}`;
}
