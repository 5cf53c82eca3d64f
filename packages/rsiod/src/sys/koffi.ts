// The door of rsiod to functions that Node.js does not offer: the C library, and Node's own OpenSSL. Invariant: koffi is loaded once, at its
// first use, because loading takes as long as the rest of a short start.

import { createRequire } from 'node:module';
import { loadNative } from '@rsio/base/lib/native-library';
import type * as Koffi from 'koffi';

let loaded: { readonly koffi: typeof Koffi; readonly library: Koffi.LibraryHandle } | undefined;

/** Returns koffi, and the functions of this process. Throws E_SYSTEM if koffi has no build for this platform, or is not installed. */
export function native(): NonNullable<typeof loaded> {
  loaded ??= loadNative(() => {
    // koffi cannot be imported statically, because no bundle can contain its binaries.
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    return { koffi, library: koffi.load(null) };
  });
  return loaded;
}
