// Loads koffi, the library through which rssrv and rsiod call the kernel. Each program has koffi in its own folder, and passes the function
// that loads it. Invariant: a program that cannot load koffi does not start, and says why.

import { RsError, toRsError } from './errors.ts';

/** Calls `load`. Throws E_SYSTEM with the platform and a remedy if `load` throws, for example because koffi has no build for the platform. */
export function loadNative<T>(load: () => T): T {
  try {
    return load();
  } catch (thrown) {
    const platform = `${process.platform}-${process.arch}`;
    const [reason = ''] = toRsError(thrown).message.split('\n');
    throw new RsError(
      'E_SYSTEM',
      `The library koffi cannot be loaded on ${platform} (${reason}): install RSIO again, with its package or npm run build, on a platform ` +
        'for which koffi has a build, such as Linux on x86-64 or arm64',
      { platform },
      thrown,
    );
  }
}
